//! Turns the facts of a tenant's day into chargeback rows, and into rows by Kafka topic.
//!
//! In: one whole revision of a day ([`OpenDay`]): billing lines, inventory, usage, the seal with its rules.
//! Out: rows that add up to every line exactly ([`Allocation`]), or the reason why there are none ([`Refusal`]).
//! Absent: clocks, sockets, tables, topics, vendors; `worker` does the reading and writing.
//!
//! The same facts give the same rows in the same order, whatever order they arrived in:
//! lines by key, parts in the order of the rule, targets by id.

pub mod book;
pub mod facts;
pub mod forgotten;
pub mod interval;
pub mod lane;
pub mod line;
pub mod open_day;
pub mod outcome;
pub mod partitions;
pub mod refusal;
pub mod resolve;
pub mod rows;
pub mod stand_in;
pub mod symbols;
pub mod topics;
pub mod worker;

pub use book::RuleBooks;
pub use open_day::OpenDay;
pub use refusal::{Kind, Refusal};
pub use rows::Allocation;

/// Allocates a whole day.
///
/// # Errors
/// [`Refusal`] if the day breaks a law: counts that disagree, a key twice, rules that cannot be read,
/// a line that its rows do not add up to. Nothing of such a day may be published.
pub fn allocate(day: OpenDay, books: &mut RuleBooks) -> Result<Allocation, Refusal> {
    let day = day.close()?;
    let book = books.read(&day.seal.rules)?;
    let (facts, seal) = facts::Facts::index(day, &book)?;
    let rows = line::rows(&facts, &book)?;
    let topics = book.topics.as_ref().map_or_else(|| Ok(Default::default()), |book| topics::rows(&facts, book))?;
    Allocation::new(facts, seal, book, rows, topics)
}
