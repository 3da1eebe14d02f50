//! What the log holds in the end, as readers of committed records see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tributary::domain::{Outcome, TenantDay};

use crate::kafka::{Kafka, PARTITIONS, Place, Value};

/// Compares the results in the log with what the facts must lead to.
#[derive(Default)]
pub struct Log {
    /// Rows of each allocated revision, by their ordinals.
    pub rows: HashMap<TenantDay, HashMap<u32, BTreeMap<u32, String>>>,
    /// The revision that holds.
    pub allocated: HashMap<TenantDay, u32>,
    pub refused: BTreeSet<(TenantDay, u32)>,
    pub quarantined: BTreeSet<String>,
    /// The revision of each outcome, in the order of the log.
    pub outcomes: Vec<(TenantDay, u32)>,
}

impl Log {
    /// Reads it all. Revisions `in_vain` are those of days that are too old, or of tenants that were forgotten: whoever
    /// does not know yet may allocate them again, to the same rows.
    ///
    /// # Errors
    /// What is doubled, or out of order, or not as many as announced.
    pub fn read(kafka: &Kafka, in_vain: impl Fn(&TenantDay, u32) -> bool) -> Result<Self, String> {
        let mut log = Self::default();
        for number in 0..PARTITIONS {
            for (_, value) in kafka.read(Place::Chargebacks(number), 0) {
                let Value::Row { key, revision, ordinal, text, .. } = value else { continue };
                let rows = log.rows.entry(key.clone()).or_default().entry(*revision).or_default();
                if rows.len() != *ordinal as usize && !in_vain(key, *revision) {
                    return Err(format!("{key} revision {revision}: row {ordinal} stands at place {}", rows.len()));
                }
                if rows.insert(*ordinal, text.clone()).is_some_and(|before| before != *text) {
                    return Err(format!("{key} revision {revision}: row {ordinal} is another one the second time"));
                }
            }
            for (_, value) in kafka.read(Place::Allocations(number), 0) {
                match value {
                    Value::Outcome { key, revision, outcome, rows } => {
                        log.outcome(key, *revision, *outcome, *rows, in_vain(key, *revision))?;
                    }
                    Value::Gone(key) => drop(log.allocated.remove(key)),
                    _ => {}
                }
            }
        }
        for (_, value) in kafka.read(Place::Quarantine, 0) {
            if let Value::Quarantined(id) = value {
                log.quarantined.insert(id.clone());
            }
        }
        Ok(log)
    }

    fn outcome(
        &mut self,
        key: &TenantDay,
        revision: u32,
        outcome: Outcome,
        rows: u32,
        in_vain: bool,
    ) -> Result<(), String> {
        self.outcomes.push((key.clone(), revision));
        if outcome == Outcome::Refused {
            let new = self.refused.insert((key.clone(), revision));
            return if new || in_vain { Ok(()) } else { Err(format!("{key} revision {revision} was refused twice")) };
        }
        if self.allocated.insert(key.clone(), revision) >= Some(revision) && !in_vain {
            return Err(format!("{key} revision {revision} was allocated after itself or a later one"));
        }
        let there = self.rows.entry(key.clone()).or_default().entry(revision).or_default().len();
        if there != rows as usize {
            return Err(format!("{key} revision {revision} announces {rows} rows, there are {there}"));
        }
        Ok(())
    }
}
