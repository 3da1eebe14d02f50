//! The record that closes a revision of a day.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// Closes a revision: how many records of each kind it has, and the rules to allocate it by.
///
/// Written last in the revision's transaction. Topic `days`, key `<tenant>/<day>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaySealed {
    pub tenant: String,
    pub day: Day,
    /// Rises by one for a tenant and day; a lower one than the last allocated is ignored.
    pub revision: u32,
    pub ecosystem: String,
    pub billing_lines: u32,
    pub resources: u32,
    pub identities: u32,
    pub metrics: u32,
    /// Hex digest of everything allocation can see; equal content has an equal digest.
    pub digest: String,
    /// The rule book as JSON ([`super::RuleBook`]), so that an old day is replayed by its own rules.
    pub rules: String,
    /// Resources whose usage could not be had after all retries; their lines say `metrics_fetch_failed`.
    pub metrics_failed: Vec<String>,
    /// Records of the day that were set aside and are not in it.
    pub quarantined: u32,
    pub reason: Reason,
    /// Id of the command that asked for this revision although nothing had changed; `reason` is then `Usage`.
    pub requested: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub gathered_at: DateTime<Utc>,
}

/// Why a day was gathered and sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Never sealed before.
    New,
    /// Its bill changed.
    Bill,
    /// Its inventory or its rules changed.
    Inventory,
    /// Its usage changed, or could be had at last.
    Usage,
}
