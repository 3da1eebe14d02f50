//! What could not be used, kept with its bytes and its reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// A provider's row or a Kafka record that was set aside. Topic `quarantine`, compacted, key `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Hex digest of what it is (source and bytes): the same thing set aside twice is one entry.
    pub id: String,
    pub tenant: Option<String>,
    pub day: Option<Day>,
    pub stage: Stage,
    /// Where it came from, for a reader: `GET /billing/v1/costs 2026-02-01..2026-02-16` or `billing[3]@1207`.
    pub source: String,
    /// For a Kafka record: where it stood, so that it can be sent again.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    #[serde(with = "serde_bytes")]
    pub key: Option<Vec<u8>>,
    /// The bytes as they were received.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// What is wrong and what to do.
    pub reason: String,
    pub status: Status,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
}

/// Who set it aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Gather,
    Allocate,
    Project,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    /// Put back into its topic by `tributary quarantine resend`.
    Resent,
}
