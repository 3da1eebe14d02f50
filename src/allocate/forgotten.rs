//! What is not to be taken up any more of tenants that were forgotten.
//!
//! In: their events, records of facts. Out: whether a fact is new, forgotten, or written by somebody who does not know.
//! Absent: topics, clocks.

use std::collections::BTreeMap;

use super::lane::Fact;
use crate::domain::{TenantDay, TenantEvent};

/// The tenants that were forgotten: facts up to their last revision are passed over.
#[derive(Debug, Clone, Default)]
pub struct Forgotten(BTreeMap<String, TenantEvent>);

/// What a fact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Of a revision that counts.
    New,
    /// Of one that was forgotten.
    Forgotten,
    /// The seal of one that is numbered as if nothing had been forgotten, and why that is wrong; one of its records is
    /// enough to say so.
    Late(String),
}

impl Forgotten {
    /// By tenant.
    pub fn new(events: BTreeMap<String, TenantEvent>) -> Self {
        Self(events)
    }

    /// Was this revision of a day forgotten?
    pub fn has(&self, tenant: &str, revision: u32) -> bool {
        self.0.get(tenant).is_some_and(|event| revision <= event.last_revision)
    }

    /// The same of an open day.
    pub fn has_day(&self, key: &TenantDay, revision: u32) -> bool {
        self.has(&key.tenant, revision)
    }

    /// Judges a fact that was written at this moment, in milliseconds since 1970.
    pub fn judge(&self, fact: &Fact<'_>, written_ms: i64) -> Heard {
        let (tenant, _, revision) = fact.place();
        if !self.has(tenant, revision) {
            return Heard::New;
        }
        let event = self.0.get(tenant).filter(|event| written_ms > event.at.timestamp_millis());
        let (Fact::Seal(_), Some(event)) = (fact, event) else { return Heard::Forgotten };
        Heard::Late(format!(
            "tenant {tenant} was forgotten on {} up to revision {}, and this revision {revision} was sealed after that; \
             let its writer number revisions from {} on",
            event.at.format("%Y-%m-%d %H:%M:%S UTC"),
            event.last_revision,
            event.last_revision + 1
        ))
    }
}
