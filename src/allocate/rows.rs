//! The rows of an allocated day.
//!
//! In: rows as numbers. Out: rows as [`ChargebackRow`]s and [`TopicAttributionRow`]s that borrow their texts, totals,
//! a digest.
//! Absent: where they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::Book;
use super::facts::Facts;
use super::open_day::Line;
use super::refusal::Refusal;
use super::symbols::{Sym, Texts};
use super::topics::TopicRows;
use crate::domain::{Amount, ChargebackRow, DaySealed, Target, TopicAttributionRow};

/// One target's part of one line. 48 bytes: a day may have a million.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub amount: Amount,
    pub share: f64,
    /// NaN where the share does not rest on usage.
    pub usage: f64,
    pub line: u32,
    pub identity: Sym,
    pub label: u16,
    pub tier: u16,
    pub target: Target,
}

impl Row {
    /// A row that gives everything to one target.
    pub fn new(line: u32, identity: Sym, amount: Amount, label: u16, tier: u16) -> Self {
        Self { amount, share: 1.0, usage: f64::NAN, line, identity, label, tier, target: Target::Identity }
    }

    /// Amount, tier, share and usage for the digest, in one piece: a piece costs more than a byte.
    fn numbers(&self) -> [u8; 34] {
        let mut bytes = [0xff; 34];
        bytes[..16].copy_from_slice(&self.amount.units().to_le_bytes());
        bytes[16..18].copy_from_slice(&self.tier.to_le_bytes());
        bytes[18..26].copy_from_slice(&self.share.to_le_bytes());
        if let Some(usage) = self.usage() {
            bytes[26..].copy_from_slice(&usage.to_le_bytes());
        }
        bytes
    }

    fn usage(&self) -> Option<f64> {
        (!self.usage.is_nan()).then_some(self.usage)
    }
}

/// An allocated day: its rows add up to its lines, line by line.
#[derive(Debug)]
pub struct Allocation {
    seal: DaySealed,
    texts: Texts,
    lines: Vec<Line>,
    book: Arc<Book>,
    rows: Vec<Row>,
    topics: TopicRows,
    amount: Amount,
    digest: String,
}

impl Allocation {
    /// Adds up the day.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] if the sum does not fit.
    pub fn new(
        facts: Facts,
        seal: DaySealed,
        book: Arc<Book>,
        rows: Vec<Row>,
        topics: TopicRows,
    ) -> Result<Self, Refusal> {
        let Facts { texts, lines, .. } = facts;
        let amount: Amount = lines.iter().map(|line| line.amount).sum();
        if !amount.in_range() {
            return Err(Refusal::OutOfRange(amount));
        }
        let mut allocation = Self { seal, texts, lines, book, rows, topics, amount, digest: String::new() };
        allocation.digest = allocation.hash();
        Ok(allocation)
    }

    /// The record that closed the day.
    pub fn seal(&self) -> &DaySealed {
        &self.seal
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.rows.len() as u32
    }

    /// How many rows by topic there are.
    pub fn topic_rows(&self) -> u32 {
        self.topics.count()
    }

    /// The rows by topic, lines by key, topics by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = TopicAttributionRow<'_>> {
        self.topics.iter(&self.seal, &self.lines, &self.texts)
    }

    /// How many lines there were, zero lines included.
    pub fn lines(&self) -> u32 {
        self.lines.len() as u32
    }

    /// The sum of the lines, which is the sum of the rows, whatever their currencies.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// The sum of the lines by currency.
    pub fn totals(&self) -> BTreeMap<&str, Amount> {
        let mut totals = BTreeMap::new();
        for line in &self.lines {
            *totals.entry(self.texts.text(line.currency)).or_default() += line.amount;
        }
        totals
    }

    /// Hex digest of what the rows say, revision and times left out: the same facts give the same digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The rows, lines by key, parts in the order of the rule, targets by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChargebackRow<'_>> {
        let count = self.rows();
        let mut line = (u32::MAX, LineTexts::default());
        self.rows.iter().enumerate().map(move |(ordinal, row)| {
            // The rows of a line stand together.
            if line.0 != row.line {
                line = (row.line, LineTexts::of(&self.lines[row.line as usize], &self.texts));
            }
            let label = &self.book.labels[usize::from(row.label)];
            let LineTexts { ecosystem, env, resource, category, product, currency } = line.1;
            ChargebackRow {
                tenant: &self.seal.tenant,
                day: self.seal.day,
                revision: self.seal.revision,
                ordinal: ordinal as u32,
                count,
                ecosystem,
                env_id: env,
                resource_id: resource,
                product_category: category,
                product_type: product,
                identity_id: self.texts.text(row.identity),
                target: row.target,
                cost_type: label.cost_type,
                allocation_method: &label.method,
                allocation_detail: label.detail.as_deref(),
                amount: row.amount,
                currency,
                tier: u32::from(row.tier),
                share: row.share,
                usage: row.usage(),
            }
        })
    }

    /// Each line's texts once, each change of label once, then what differs from row to row.
    fn hash(&self) -> String {
        const FLUSH: usize = 1 << 16;
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::with_capacity(FLUSH + 4096);
        let mut before: Option<&Row> = None;
        for row in &self.rows {
            if before.is_none_or(|before| before.line != row.line) {
                let line = LineTexts::of(&self.lines[row.line as usize], &self.texts);
                bytes.push(b'L');
                for text in [line.ecosystem, line.env, line.resource, line.category, line.product, line.currency] {
                    put_text(&mut bytes, text);
                }
            }
            if before.is_none_or(|before| before.line != row.line || before.label != row.label) {
                let label = &self.book.labels[usize::from(row.label)];
                bytes.push(b'W');
                put_text(&mut bytes, &label.method);
                bytes.push(u8::from(label.detail.is_some()));
                put_text(&mut bytes, label.detail.as_deref().unwrap_or_default());
                put_text(&mut bytes, label.cost_type.as_str());
            }
            bytes.extend_from_slice(&[b'R', row.target as u8]);
            put_text(&mut bytes, self.texts.text(row.identity));
            bytes.extend_from_slice(&row.numbers());
            before = Some(row);
            if bytes.len() >= FLUSH {
                hasher.update(&bytes);
                bytes.clear();
            }
        }
        hasher.update(&bytes);
        hasher.finalize().to_hex().to_string()
    }
}

/// What a line is named by.
#[derive(Debug, Clone, Copy, Default)]
struct LineTexts<'a> {
    ecosystem: &'a str,
    env: &'a str,
    resource: &'a str,
    category: &'a str,
    product: &'a str,
    currency: &'a str,
}

impl<'a> LineTexts<'a> {
    fn of(line: &Line, texts: &'a Texts) -> Self {
        Self {
            ecosystem: texts.text(line.ecosystem),
            env: texts.text(line.env),
            resource: texts.text(line.resource),
            category: texts.text(line.category),
            product: texts.text(line.product),
            currency: texts.text(line.currency),
        }
    }
}

/// With its length in front, so that no two lists of texts look the same.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
