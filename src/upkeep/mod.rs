//! Keeps the log and the tables from growing for ever, and forgets tenants.
//!
//! In: how long each tenant's days are kept, the moment; an order to forget a tenant. Out: partitions and rows that are
//! gone, tombstones in the compacted topics. Absent: configuration, schedules, the gather stage's memory of days (it
//! forgets that itself).
//!
//! [`plan`] decides what is too old, [`retention`] takes the steps, [`forget()`] removes a tenant: event first, tables
//! from it.

pub mod forget;
pub mod plan;
pub mod retention;

pub use forget::{Forgotten, forget};
pub use plan::{Keep, Period, Step};
pub use retention::{Done, clean, steps};

use crate::journal::JournalError;
use crate::journal::codec::EncodeError;
use crate::store::StoreError;

/// Why upkeep stopped. What it had done is done; the rest is found again the next time.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("an event does not fit its schema")]
    Encode(#[from] EncodeError),
}
