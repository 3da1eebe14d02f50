//! The one place that asks what time it is.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that runs from a chosen moment (`--now`), or the system's.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Option<(DateTime<Utc>, Instant)>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that shows `now` at this moment and runs on from there.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self(Some((now, Instant::now())))
    }

    /// The present moment, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            #[allow(clippy::disallowed_methods, reason = "this is the one place")]
            None => Utc::now(),
            Some((now, since)) => now + TimeDelta::from_std(since.elapsed()).unwrap_or_default(),
        }
    }
}
