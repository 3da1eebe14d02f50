//! What the gather stage remembers between cycles, in its own compacted topic.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::run::Trigger;
use super::{Day, Lifetime};

/// One memory of the gather stage. Topic `gather-state`, compacted; key `<tenant>/day/<date>`,
/// `<tenant>/resource/<id>`, `<tenant>/identity/<id>`, `<tenant>/listing/<kind>`, `<tenant>/bad/<id>`
/// or `<tenant>/cycles/last`.
///
/// Exactly one of the optional parts is present.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GatherState {
    pub tenant: String,
    pub day: Option<GatheredDay>,
    pub entity: Option<GatheredEntity>,
    pub listing: Option<GatheredListing>,
    /// Id of a provider row already in quarantine.
    pub bad_row: Option<String>,
    pub cycles: Option<GatheredTenant>,
}

/// The last sealed revision of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredDay {
    pub day: Day,
    /// 0: never sealed (held from the start).
    pub revision: u32,
    pub bill_digest: String,
    /// Digest of inventory and rules.
    pub inventory_digest: String,
    pub usage_digest: String,
    /// Usage was complete and late enough to be final: it is not asked for again while nothing else changes.
    pub usage_settled: bool,
    /// Cycles in a row that failed to fetch usage since the day was last sealed.
    pub usage_attempts: u32,
    /// Why the day is held back, if it is.
    pub held: Option<String>,
    pub billing_lines: u32,
    /// Resources whose usage is missing from the sealed revision, sorted: later usage may add to it, never take away.
    pub metrics_failed: Vec<String>,
}

impl GatheredDay {
    /// The memory of a day without any revision.
    pub fn never_sealed(day: Day) -> Self {
        Self {
            day,
            revision: 0,
            bill_digest: String::new(),
            inventory_digest: String::new(),
            usage_digest: String::new(),
            usage_settled: false,
            usage_attempts: 0,
            held: None,
            billing_lines: 0,
            metrics_failed: Vec::new(),
        }
    }
}

/// A resource or identity ever seen, with its lifetimes, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredEntity {
    pub kind: EntityKind,
    pub id: String,
    pub entity_type: String,
    pub display_name: Option<String>,
    pub parent_id: Option<String>,
    pub owner_id: Option<String>,
    /// API keys: the resource the key opens.
    pub resource_id: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub lifetimes: Vec<Lifetime>,
}

/// Resource or identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    Resource,
    Identity,
}

/// Consecutive complete but empty listings of a type that has living entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredListing {
    pub name: String,
    pub empty_in_a_row: u32,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub last_complete_at: DateTime<Utc>,
}

/// A tenant's last cycle, and how its cycles went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredTenant {
    /// Id of the last [`Run`](super::Run) that was not skipped.
    pub run_id: String,
    /// The process that gathered.
    pub instance: String,
    pub trigger: Trigger,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub started_at: DateTime<Utc>,
    /// `None`: it has not ended, or its process was gone before.
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub ended_at: Option<DateTime<Utc>>,
    /// It came to its own end, good or bad, and was not interrupted.
    pub finished: bool,
    /// Runs in a row in which nothing could be gathered.
    pub failures_in_a_row: u32,
    /// Why no further run starts by itself, if none does.
    pub suspended: Option<String>,
    /// Hex digest of the tenant's configuration; another one lifts a suspension.
    pub settings_digest: String,
}
