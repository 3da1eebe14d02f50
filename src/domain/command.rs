//! What somebody asks the gather stage for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// A wish about one tenant. Topic `commands`, key: the tenant's id.
///
/// Whoever owns the partition of a tenant's key gathers the tenant, and does what is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Unique; the run that answers it names it.
    pub id: String,
    pub tenant: String,
    pub kind: CommandKind,
    /// First day to look at, included; `None`: the tenant's window begins where it does.
    pub from: Option<Day>,
    /// Last day to look at, excluded.
    pub to: Option<Day>,
    /// Although the tenant was gathered a moment ago, or is suspended.
    pub force: bool,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub requested_at: DateTime<Utc>,
    /// Who asked, for people.
    pub requested_by: String,
    /// What is to be cancelled: ids of runs, and of commands that are not to be done, or are being done. Empty: whatever is
    /// being done.
    #[serde(default)]
    pub cancels: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// One cycle.
    Gather,
    /// An end of the suspension, and one cycle.
    Resume,
    /// An end of the cycle that is under way, and of wishes for cycles.
    Cancel,
}
