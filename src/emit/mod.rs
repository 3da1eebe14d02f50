//! Carries rows out of the tables: CSV files, and gauges for Prometheus.
//!
//! In: emitters, the days that readers see, what was emitted before (topic `emissions`). Out: files and gauges, and a
//! record of what became of each period. Absent: money arithmetic (sums are the store's), the configuration file.
//!
//! A period is emitted once for each revision of it, and again when a day of it is corrected. `plan` decides, the worker
//! does; the record is written after the file, so a crash in between writes the same file again.

pub mod backfill;
mod csv;
pub mod gauges;
mod memory;
mod name;
pub mod plan;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

pub use name::file_name;
pub use worker::{Report, once, run};

use crate::clock::Clock;
use crate::domain::{Aggregation, EmittedRows};
use crate::journal::{Codec, Connection, EncodeError, JournalError};
use crate::store::{Store, StoreError};

/// Somewhere the rows of one tenant are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitter {
    /// The tenant's id, as in the facts.
    pub tenant: String,
    /// Unique in the tenant's dataset, without `/`.
    pub name: String,
    pub dataset: EmittedRows,
    pub aggregation: Aggregation,
    /// Only days this many before now or younger; months with such a day.
    pub lookback_days: Option<u32>,
    /// Days before now at which the tenant's refresh window ends.
    pub cutoff_days: u32,
    pub sink: Sink,
}

/// What an emitter writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    Csv {
        folder: PathBuf,
        /// A relative path with `{date}`, maybe with `{tenant_id}`.
        template: String,
    },
    Gauges(gauges::Settings),
}

/// What the role works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Parts {
    pub connection: Connection,
    pub codec: Arc<Codec>,
    pub store: Store,
    pub clock: Clock,
}

/// Why the role stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("a port for gauges cannot be served")]
    Serving(#[from] std::io::Error),
}

impl EmitError {
    /// May the same succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Journal(error) => error.is_transient(),
            Self::Encode(_) | Self::Serving(_) => false,
        }
    }

    /// Did the Kafka client break, or believe that it was put out?
    pub fn broke_the_client(&self) -> bool {
        matches!(self, Self::Journal(error) if error.breaks_the_client())
    }
}
