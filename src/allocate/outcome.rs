//! What becomes of a day that is whole: its outcome, and its rows or the reason why there are none.
//!
//! In: a day, the moment. Out: the record for `allocations`, and rows or a quarantine entry. Absent: topics, clocks.

use chrono::{DateTime, Utc};

use super::{Allocation, OpenDay, Refusal, RuleBooks, allocate};
use crate::domain::quarantine::{Quarantined, Stage, Status};
use crate::domain::{Amount, DayAllocated, Outcome, TenantDay};

/// A day's outcome, and its rows or its quarantine entry.
pub type Outcomes = Option<(DayAllocated, Result<Allocation, Quarantined>)>;

/// Allocates a whole day, or refuses it. `None`: it has no seal, which a whole day always has.
pub fn decide(day: OpenDay, books: &mut RuleBooks, now: DateTime<Utc>) -> Outcomes {
    let seal = day.sealed()?;
    let mut outcome = DayAllocated {
        tenant: seal.tenant.clone(),
        day: seal.day,
        revision: seal.revision,
        ecosystem: seal.ecosystem.clone(),
        outcome: Outcome::Allocated,
        reason: None,
        billing_lines: seal.billing_lines,
        rows: 0,
        topic_rows: Some(0),
        amount: Amount::ZERO,
        facts_digest: seal.digest.clone(),
        rows_digest: String::new(),
        allocated_at: now,
    };
    match allocate(day, books) {
        Ok(allocation) => {
            outcome.rows = allocation.rows();
            outcome.topic_rows = Some(allocation.topic_rows());
            outcome.amount = allocation.amount();
            outcome.rows_digest = allocation.digest().to_owned();
            Some((outcome, Ok(allocation)))
        }
        Err(refusal) => Some(refuse(outcome, &refusal, now)),
    }
}

/// The outcome of a day that has no seal.
pub fn unsealed(key: &TenantDay, revision: u32, refusal: &Refusal, now: DateTime<Utc>) -> Outcomes {
    let outcome = DayAllocated {
        tenant: key.tenant.clone(),
        day: key.day,
        revision,
        ecosystem: String::new(),
        outcome: Outcome::Refused,
        reason: None,
        billing_lines: 0,
        rows: 0,
        topic_rows: Some(0),
        amount: Amount::ZERO,
        facts_digest: String::new(),
        rows_digest: String::new(),
        allocated_at: now,
    };
    Some(refuse(outcome, refusal, now))
}

fn refuse(
    mut outcome: DayAllocated,
    refusal: &Refusal,
    now: DateTime<Utc>,
) -> (DayAllocated, Result<Allocation, Quarantined>) {
    let DayAllocated { tenant, day, revision, .. } = &outcome;
    tracing::error!(tenant, %day, revision, %refusal, "a day was refused");
    let entry = refused(&outcome, refusal, now);
    outcome.outcome = Outcome::Refused;
    outcome.reason = Some(refusal.to_string());
    (outcome, Err(entry))
}

/// The quarantine entry of a day that breaks a law.
fn refused(outcome: &DayAllocated, refusal: &Refusal, now: DateTime<Utc>) -> Quarantined {
    let key = TenantDay::new(&outcome.tenant, outcome.day);
    let source = format!("day {key}, revision {}", outcome.revision);
    Quarantined {
        id: id_of(source.as_bytes(), outcome.facts_digest.as_bytes()),
        tenant: Some(outcome.tenant.clone()),
        day: Some(outcome.day),
        stage: Stage::Allocate,
        source,
        topic: None,
        partition: None,
        offset: None,
        key: Some(key.to_string().into_bytes()),
        payload: outcome.facts_digest.clone().into_bytes(),
        reason: refusal.to_string(),
        status: Status::Open,
        at: now,
    }
}

fn id_of(source: &[u8], payload: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(source).update(&[0]).update(payload);
    hasher.finalize().to_hex()[..32].to_owned()
}
