//! What became of a tenant's rows on their way to a file or a gauge.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// What an emitter did with one period of a tenant. Topic `emissions`, compacted, key [`Emission::key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emission {
    pub tenant: String,
    pub dataset: EmittedRows,
    /// The emitter's name in the configuration; unique among those of a tenant's dataset, without `/`.
    pub emitter: String,
    pub aggregation: Aggregation,
    /// The day, or the first day of the month.
    pub day: Day,
    /// The day's revision; of a month the sum of its days' revisions, which rises with each correction.
    pub revision: u32,
    pub outcome: EmissionOutcome,
    /// How often this revision was tried, from 1.
    pub attempts: u32,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// Rows in the file, or days' rows behind the gauges.
    pub rows: u32,
    /// The file, or the address of the gauges.
    pub target: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
}

/// Which rows are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmittedRows {
    Chargebacks,
    TopicAttributions,
}

/// Over which period rows are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Rows of a day as they are.
    Rows,
    Daily,
    Monthly,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmissionOutcome {
    Emitted,
    /// It is tried again, after pauses that grow.
    Failed,
    /// There was nothing to emit.
    Skipped,
}

impl Emission {
    /// `<tenant>/<day>/<aggregation>/<dataset>/<emitter>`.
    pub fn key(&self) -> String {
        let (aggregation, dataset) = (self.aggregation.as_str(), self.dataset.as_str());
        format!("{}/{}/{aggregation}/{dataset}/{}", self.tenant, self.day, self.emitter)
    }
}

impl Emission {
    /// The last day of the period, included.
    pub fn last_day(&self) -> Day {
        match self.aggregation {
            Aggregation::Rows | Aggregation::Daily => self.day,
            Aggregation::Monthly => self.day.month().1.minus(1),
        }
    }
}

impl EmittedRows {
    /// As in keys and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chargebacks => "chargebacks",
            Self::TopicAttributions => "topic_attributions",
        }
    }
}

impl Aggregation {
    /// As in keys and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        }
    }
}

impl EmissionOutcome {
    /// As in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emitted => "emitted",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
