//! Exports: files of rows that are made apart from the request that asks for them, and fetched when they are whole.
//!
//! In: what to export. Out: a document that says how far it is, and a file with a digest. Both lie in one folder that one
//! process holds; an export that was cut by an end of the process is shown as failed, and its file is never there in part.
//! Absent: HTTP, which rows there are.

mod document;
mod range;
mod shelf;
mod work;

pub(crate) use document::{Document, State, Wish};
pub(crate) use range::{Part, part};
pub(crate) use shelf::Shelf;
pub(crate) use work::make;

use std::time::Duration;

/// Exports that may wait or be made at the same time.
pub(crate) const MOST_UNDER_WAY: usize = 100;
/// How often expired files are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(600);
