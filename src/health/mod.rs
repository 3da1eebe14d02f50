//! What a process says of itself to supervisors: that it lives, whether it is ready and why not, what it counted.
//!
//! In: what parts say of themselves. Out: `/healthz`, `/readyz`, `/metrics` on a small port of their own; the API answers
//! them, too. Absent: names and units of what is counted (`meter`), decisions about what makes a part ready.

mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use server::{ListenError, Listener};

use crate::meter;

/// What the parts of a process last said of themselves. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    lags: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Health {
    /// A part of this name is there, and not ready until it says so.
    pub fn expect(&self, part: &str) {
        self.not_ready(part, "starting");
    }

    /// The part does its work.
    pub fn ready(&self, part: &str) {
        self.say(part, None);
    }

    /// The part does not do its work, for this reason.
    pub fn not_ready(&self, part: &str, why: impl fmt::Display) {
        self.say(part, Some(why.to_string()));
    }

    /// The parts that are not ready, by name, with the reason.
    pub fn faults(&self) -> Vec<(String, String)> {
        let parts = self.parts();
        parts.iter().filter_map(|(part, why)| Some((part.clone(), why.clone()?))).collect()
    }

    /// A projection of this name has not read so many offsets yet.
    pub fn behind(&self, projection: &'static str, offsets: u64) {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).insert(projection, offsets);
    }

    /// How many offsets each projection had not read when that was counted last; empty before it is counted first.
    pub fn lags(&self) -> BTreeMap<&'static str, u64> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, part: &str, why: Option<String>) {
        meter::ready(part, why.is_none());
        self.parts().insert(part.to_owned(), why);
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        // Every write leaves it whole.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::default();
        health.expect("kafka");
        health.expect("allocate");
        health.ready("kafka");
        assert_eq!(health.faults(), [("allocate".to_owned(), "starting".to_owned())]);
        health.ready("allocate");
        assert_eq!(health.faults(), []);
        health.not_ready("kafka", "does not answer");
        assert_eq!(health.faults(), [("kafka".to_owned(), "does not answer".to_owned())]);
    }
}
