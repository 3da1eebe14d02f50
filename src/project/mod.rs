//! Keeps the tables of Postgres up to date with the log.
//!
//! In: committed records of the fact and result topics. Out: rows, and positions moved in the same transaction; records
//! that cannot be rows go to the quarantine topic before their position is passed. Absent: arithmetic on money,
//! decisions about revisions outside of [`plan`], SQL (that is the store's).
//!
//! A projection is a consumer group of its own, but where it reads on is told by Postgres, so each record counts once
//! whatever crashes. Whoever finds the positions moved by somebody else forgets everything and joins the group anew.

mod batch;
mod events;
mod gathering;
mod months;
pub mod plan;
mod prepare;
mod rebuild;
mod worker;
mod write;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use months::add_up as add_up_months;
pub use rebuild::{RebuildProgress, rebuild};
pub use worker::run;

use crate::domain::Quarantined;
use crate::journal::codec::Codec;
use crate::journal::registry::RegistryError;
use crate::journal::{Connection, JournalError, Topic};
use crate::store::{Projection, Store, StoreError};

/// Writes entries to the quarantine topic and returns when they are durable there. Called again with the same entries
/// after a crash; their ids are the same, and the topic is compacted by id.
pub type SetAside = Arc<dyn Fn(Vec<Quarantined>) -> BoxFuture<'static, Result<(), JournalError>> + Send + Sync>;

/// What a projector works with. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    pub connection: Connection,
    pub codec: Arc<Codec>,
    pub store: Store,
    pub set_aside: SetAside,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({:?}, {})", self.connection, self.store.address())
    }
}

/// Why a projection stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The tables know more than the log has: it was emptied or replaced.
    #[error(
        "projection {projection} has read {topic}[{partition}] up to offset {read}, but the log ends at {end}: it is \
         another log than the one the tables were made from; run `tributary rebuild`"
    )]
    AnotherLog { projection: &'static str, topic: String, partition: i32, read: i64, end: i64 },
    /// That is no bad data but a bad release, here or at the writer.
    #[error(
        "projection {projection} could not use {count} records in a row, the last because: {reason}; correct the \
         writer or this program's version, nothing of them was passed over"
    )]
    TooManyBad { projection: &'static str, count: usize, reason: String },
}

impl ProjectError {
    /// May the same succeed later, because Kafka or the registry is back?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Store(_) | Self::AnotherLog { .. } | Self::TooManyBad { .. } => false,
        }
    }

    /// Did the Kafka client break, or believe that it was put out?
    pub fn broke_the_client(&self) -> bool {
        matches!(self, Self::Journal(error) if error.breaks_the_client())
    }
}

/// What one batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records read.
    pub records: usize,
    /// Rows written; later revisions may have replaced them.
    pub rows: usize,
    /// Days whose newest revision became whole.
    pub days: usize,
    /// Records set aside.
    pub set_aside: usize,
}

/// The topics a projection reads: its records first, then what closes a revision.
pub fn topics(projection: Projection) -> &'static [Topic] {
    match projection {
        Projection::Billing => &[Topic::Billing, Topic::Days],
        Projection::Resources => &[Topic::Resources, Topic::Days],
        Projection::Identities => &[Topic::Identities, Topic::Days],
        Projection::Chargebacks => &[Topic::Chargebacks, Topic::Allocations],
        Projection::TopicAttributions => &[Topic::TopicAttributions, Topic::Allocations],
        Projection::Days => &[Topic::Days, Topic::Allocations],
        Projection::Quarantine => &[Topic::Quarantine],
        Projection::Gathering => &[Topic::Runs, Topic::GatherState],
        Projection::Tenants => &[Topic::Tenants],
        Projection::Emissions => &[Topic::Emissions],
        Projection::Audit => &[Topic::Audit],
        Projection::Tokens => &[Topic::Tokens],
        Projection::Tags => &[Topic::Tags],
    }
}

/// The consumer group of a projection, without the installation's prefix.
pub fn group(projection: Projection) -> String {
    format!("project-{}", projection.name())
}

#[cfg(test)]
mod tests;
