//! One cycle of one tenant as others see it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// A cycle of a tenant: written when it starts, while it goes on, and when it has ended. Topic `runs`, key `<tenant>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub tenant: String,
    /// Unique within the tenant; a later run has a greater one.
    pub id: String,
    /// The process that gathered.
    pub instance: String,
    pub trigger: Trigger,
    /// Ids of the commands that it answers.
    pub commands: Vec<String>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub started_at: DateTime<Utc>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub ended_at: Option<DateTime<Utc>>,
    pub status: RunStatus,
    /// First day that is looked at, included; known once the bill was read.
    pub from: Option<Day>,
    /// Last day that is looked at, excluded.
    pub to: Option<Day>,
    /// Days that are looked at: those with a bill, or that had one; known once the bill was read.
    pub wanted: Option<u32>,
    /// Days that got a new revision, so far, as in the two below.
    pub sealed: u32,
    /// Sealed days that are as they were.
    pub unchanged: u32,
    /// Days that wait for a later run.
    pub held: u32,
    /// Provider rows set aside for the first time.
    pub quarantined: u32,
    /// What failed, or why the run was skipped.
    pub errors: Vec<String>,
    /// Runs in a row, this one included, in which nothing could be gathered.
    pub failures_in_a_row: u32,
    /// Why no further run starts by itself, if none does.
    pub suspended: Option<String>,
    /// When the next run starts by itself; known at the end.
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub next_due_at: Option<DateTime<Utc>>,
}

impl Run {
    /// The same after what was recorded of it before: what was done stays done, also if whoever records it now does not know.
    pub fn after(&self, before: &Self) -> Self {
        Self {
            from: self.from.or(before.from),
            to: self.to.or(before.to),
            wanted: self.wanted.or(before.wanted),
            sealed: self.sealed.max(before.sealed),
            unchanged: self.unchanged.max(before.unchanged),
            held: self.held.max(before.held),
            quarantined: self.quarantined.max(before.quarantined),
            ..self.clone()
        }
    }
}

/// Why a run started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// It was time.
    Periodic,
    /// Somebody asked.
    Command,
    /// `run --once`.
    Once,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Under way, or its process is gone and nobody has noticed yet.
    Running,
    /// Everything was looked at; days may be held all the same.
    Completed,
    /// Something could not be had from the provider; what could be done without it was done.
    Failed,
    /// Its limit passed; days sealed before that stay sealed.
    TimedOut,
    /// Its process ended, or the tenant went to another one.
    Interrupted,
    /// Nothing was done, for the reason in the errors.
    Skipped,
    /// Somebody ended it, or it was never begun; days sealed before that stay sealed.
    Cancelled,
}

impl Trigger {
    /// Its name in tables and on terminals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Periodic => "periodic",
            Self::Command => "command",
            Self::Once => "once",
        }
    }
}

impl RunStatus {
    /// Its name in tables and on terminals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}
