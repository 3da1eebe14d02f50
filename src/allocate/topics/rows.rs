//! The topic rows of an allocated day.

use crate::allocate::open_day::Line;
use crate::allocate::symbols::{Sym, Texts};
use crate::domain::{Amount, DaySealed, TopicAttributionRow};

/// One topic's part of one line. 48 bytes: a day may have a million.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicRow {
    pub amount: Amount,
    pub share: f64,
    /// NaN where the share does not rest on usage.
    pub usage: f64,
    pub line: u32,
    pub topic: Sym,
    /// Index of the book's methods.
    pub method: u16,
}

/// The topic rows of a day and what their numbers stand for.
#[derive(Debug, Default)]
pub struct TopicRows {
    pub rows: Vec<TopicRow>,
    pub methods: Vec<String>,
}

impl TopicRows {
    /// How many rows there are.
    pub fn count(&self) -> u32 {
        self.rows.len() as u32
    }

    /// The rows, lines by key, topics by name.
    pub fn iter<'a>(
        &'a self,
        seal: &'a DaySealed,
        lines: &'a [Line],
        texts: &'a Texts,
    ) -> impl ExactSizeIterator<Item = TopicAttributionRow<'a>> {
        let count = self.count();
        self.rows.iter().enumerate().map(move |(ordinal, row)| {
            let line = &lines[row.line as usize];
            let text = |sym: Sym| texts.text(sym);
            TopicAttributionRow {
                tenant: &seal.tenant,
                day: seal.day,
                revision: seal.revision,
                ordinal: ordinal as u32,
                count,
                ecosystem: text(line.ecosystem),
                env_id: text(line.env),
                cluster_resource_id: text(line.resource),
                topic_name: text(row.topic),
                product_category: text(line.category),
                product_type: text(line.product),
                attribution_method: &self.methods[usize::from(row.method)],
                amount: row.amount,
                currency: text(line.currency),
                share: row.share,
                usage: (!row.usage.is_nan()).then_some(row.usage),
            }
        })
    }
}
