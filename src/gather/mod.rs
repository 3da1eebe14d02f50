//! Gather: one cycle of one tenant, from its source to sealed days in Kafka.
//!
//! In: a [`Source`](crate::ecosystem), the tenant's settings, what earlier cycles remembered (topic
//! `gather-state`). Out: revisions of days (topics `billing`, `resources`, `identities`, `metrics`, `days`), bad
//! rows (`quarantine`), the new memory, and a report. Absent: vendors, allocation, Postgres, schedules.
//!
//! The decisions are pure: [`window`] says which days, [`inventory`] what exists, [`facts`] what of it a day
//! sees, [`digest`] when two days are equal, [`plan`] what to do with a day, [`seal`] how a revision looks,
//! [`topics`] which topics there were.
//! [`worker`] asks the source, lets them decide, and commits through [`publish`]; [`memory`] follows the log.

pub mod day;
pub mod digest;
pub mod facts;
pub mod inventory;
pub mod memory;
pub mod plan;
pub mod publish;
pub mod quarantine;
pub mod report;
pub mod seal;
mod telling;
pub mod topics;
pub mod window;
pub mod worker;

#[cfg(test)]
mod testing;

use crate::domain::{Day, Run};
use crate::journal::JournalError;
use crate::journal::codec::{DecodeError, EncodeError};

pub use report::{CycleReport, Phase, Progress};
use tokio_util::sync::CancellationToken;
pub use worker::Gatherer;

/// What gather needs to know about a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSettings {
    /// Part of every key.
    pub tenant_id: String,
    /// How many days back bills are asked for.
    pub lookback_days: u32,
    /// How many of the newest days are left alone because their bill is not ready.
    pub cutoff_days: u32,
    /// How many days back a day that was held stays due.
    pub retention_days: u32,
    /// Cycles that may fail to fetch usage before a day is sealed without it; 0 counts as 1.
    pub allocation_retry_limit: u32,
    /// The same for usage by topic.
    pub topic_attribution_retry_limit: u32,
    /// Complete but empty listings of a type in a row before its living entities count as deleted; below 0: never.
    pub zero_gather_deletion_threshold: i32,
}

/// What a cycle is asked for; by default the tenant's whole window, to its end.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// First day to look at, included.
    pub from: Option<Day>,
    /// Last day to look at, excluded.
    pub to: Option<Day>,
    /// Id of a command that wants all of these days sealed again, changed or not.
    pub again: Option<String>,
    /// The run as it started: it is recorded again as days are looked at.
    pub run: Option<Run>,
    /// Ends the cycle at the next safe point: between two questions to the source, never within a commit.
    pub stop: CancellationToken,
}

/// Why a tenant's gathering cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// What the log holds is not known for certain: open the gatherer anew.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Somebody opened a gatherer of the tenant after us; what that one does is whole.
    #[error(
        "another process has begun to gather tenant {tenant} meanwhile, so this cycle was given up; a tenant goes to \
         another process when one joins or leaves, and to `run --once` while that runs"
    )]
    TakenOver { tenant: String },
    /// Nothing of it was written; the same record will not fit the next time either.
    #[error("a gathered record does not fit its schema")]
    Encode(#[from] EncodeError),
    /// Gathering without this memory would give revision numbers that nobody listens to.
    #[error(
        "gather-state[{partition}]@{offset} cannot be read; run the version of Tributary that wrote it, or a newer one; if \
         Tributary never wrote it, write a tombstone under its key"
    )]
    Unreadable {
        partition: i32,
        offset: i64,
        #[source]
        source: DecodeError,
    },
    /// The process is ending.
    #[error("the program is shutting down")]
    Stopping,
}
