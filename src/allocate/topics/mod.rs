//! Breaks the lines of Kafka clusters down to topics: a second view of the same bill, beside who pays for it.
//!
//! In: facts and topic rules of a day. Out: rows, line after line, that add up to each line exactly. Absent: how
//! topics are measured.
//!
//! * The topics of a cluster are those that its usage of the day names, and those the inventory knows there; they
//!   are in the inventory only while they are seen.
//! * A line is split whole, as it was billed, as chargebacks are.
//! * Where usage by topic could not be fetched, a line goes to one row that says so: that is not "no usage".
//! * A line has no rows only where its product type takes no part, where no topic is known, or where nobody used it
//!   and the rules leave it out then.

mod book;
mod rows;

pub use book::TopicBook;
pub use rows::{TopicRow, TopicRows};

use book::{METHOD_EVEN, METHOD_FAILED, Split};

use super::facts::Facts;
use super::open_day::Line;
use super::refusal::Refusal;
use super::symbols::Sym;
use crate::domain::split::{Splitter, Step, evenly};
use crate::domain::{Amount, Subject};

/// The topic rows of all lines, in the order of the lines.
///
/// # Errors
/// [`Refusal`] if the rows of a line do not add up to it, or cannot be numbered.
pub fn rows(facts: &Facts, book: &TopicBook) -> Result<TopicRows, Refusal> {
    let mut attributor = Attributor {
        facts,
        book,
        cluster: Cluster::default(),
        weights: vec![],
        splitter: Splitter::default(),
        rows: vec![],
    };
    for (number, line) in (0_u32..).zip(&facts.lines) {
        attributor.line(number, line)?;
    }
    Ok(TopicRows { rows: attributor.rows, methods: book.methods.clone() })
}

struct Attributor<'a> {
    facts: &'a Facts,
    book: &'a TopicBook,
    /// Lines of one cluster stand together.
    cluster: Cluster,
    weights: Vec<(Sym, f64)>,
    splitter: Splitter,
    rows: Vec<TopicRow>,
}

/// The topics of one cluster and what each used.
#[derive(Default)]
struct Cluster {
    id: Option<Sym>,
    /// Could its usage not be fetched?
    failed: bool,
    /// Sorted, each once.
    names: Vec<Sym>,
    /// For each of the book's metrics, usage above zero, in the order of the names.
    usage: Vec<Vec<(Sym, f64)>>,
}

impl Attributor<'_> {
    fn line(&mut self, number: u32, line: &Line) -> Result<(), Refusal> {
        let (facts, book) = (self.facts, self.book);
        let text = |sym| facts.texts.text(sym);
        let Some(split) = book.split(text(line.resource), text(line.product)) else { return Ok(()) };
        if line.amount.is_zero() {
            return Ok(());
        }
        if self.cluster.id != Some(line.resource) {
            self.cluster.load(line.resource, facts, book);
        }
        let first = self.rows.len();
        self.split(number, line, split);
        self.check(line, first)
    }

    fn split(&mut self, number: u32, line: &Line, split: &Split) {
        let whole = TopicRow {
            amount: line.amount,
            share: 1.0,
            usage: f64::NAN,
            line: number,
            topic: self.facts.unattributed,
            method: split.method,
        };
        if self.cluster.failed {
            return self.rows.push(TopicRow { method: METHOD_FAILED, ..whole });
        }
        if split.metrics.is_empty() {
            return self.push_evenly(whole);
        }
        self.weigh(split);
        let sum: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        if self.weights.is_empty() {
            if !self.book.skips_unused() {
                self.push_evenly(TopicRow { method: METHOD_EVEN, ..whole });
            }
            return;
        }
        let Self { rows, weights, splitter, .. } = self;
        let parts = splitter.by_weight(whole.amount, Step::of(whole.amount), weights.iter().map(|(_, weight)| *weight));
        match parts {
            Ok(parts) if sum.is_finite() => {
                for ((topic, usage), amount) in weights.iter().zip(parts).filter(|(_, amount)| !amount.is_zero()) {
                    let (topic, usage, amount) = (*topic, *usage, *amount);
                    rows.push(TopicRow { topic, usage, amount, share: usage / sum, ..whole });
                }
            }
            // Usage that adds up to no number says as little as none that came.
            _ => rows.push(TopicRow { method: METHOD_FAILED, ..whole }),
        }
    }

    /// Over all topics of the cluster; without any, there is nobody to say more about the line.
    fn push_evenly(&mut self, whole: TopicRow) {
        let count = self.cluster.names.len() as u32;
        let share = 1.0 / f64::from(count);
        let parts = self.cluster.names.iter().zip(evenly(whole.amount, Step::of(whole.amount), count));
        // The larger parts come first.
        let parts = parts.take_while(|(_, amount)| !amount.is_zero());
        self.rows.extend(parts.map(|(topic, amount)| TopicRow { topic: *topic, amount, share, ..whole }));
    }

    /// Adds up the metrics that the line is split by.
    fn weigh(&mut self, split: &Split) {
        self.weights.clear();
        for metric in &split.metrics {
            self.weights.extend_from_slice(&self.cluster.usage[*metric]);
        }
        if split.metrics.len() > 1 {
            super::resolve::add_up(&mut self.weights);
        }
    }

    /// The law: the rows of a line add up to it, if it has any.
    fn check(&self, line: &Line, first: usize) -> Result<(), Refusal> {
        if u32::try_from(self.rows.len()).is_err() {
            return Err(Refusal::TooManyRows);
        }
        let rows: Amount = self.rows[first..].iter().map(|row| row.amount).sum();
        if rows == line.amount || self.rows.len() == first {
            return Ok(());
        }
        Err(Refusal::TopicConservation { line: self.facts.describe(line), amount: line.amount, rows })
    }
}

impl Cluster {
    fn load(&mut self, id: Sym, facts: &Facts, book: &TopicBook) {
        self.id = Some(id);
        self.failed = facts.topic_usage_failed(id);
        self.names.clear();
        self.usage.resize_with(book.metrics().len(), Vec::new);
        self.usage.iter_mut().for_each(Vec::clear);
        if self.failed {
            return;
        }
        let measured = |metric: &String| facts.usage(id, metric, Subject::Topic);
        self.names.extend(facts.topics(id));
        for metric in book.metrics() {
            self.names.extend(measured(metric).iter().map(|(topic, _)| *topic));
        }
        self.names.sort_unstable();
        self.names.dedup();
        self.names.retain(|topic| !book.excludes(facts.texts.text(*topic)));
        for (metric, usage) in book.metrics().iter().zip(&mut self.usage) {
            let counts = |(topic, value): &&(Sym, f64)| *value > 0.0 && self.names.binary_search(topic).is_ok();
            usage.extend(measured(metric).iter().filter(counts));
        }
    }
}
