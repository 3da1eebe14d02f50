//! The one place that asks what time it is.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock, one that runs from a chosen moment, or one that stands still.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    System,
    Running(DateTime<Utc>, Instant),
    Standing(DateTime<Utc>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that shows `now` at this moment and runs on from there.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self(Kind::Running(now, Instant::now()))
    }

    /// A clock that always shows `now`: what is done by it can be repeated to the last digit.
    pub fn standing_at(now: DateTime<Utc>) -> Self {
        Self(Kind::Standing(now))
    }

    /// The present moment, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            #[allow(clippy::disallowed_methods, reason = "this is the one place")]
            Kind::System => Utc::now(),
            Kind::Running(now, since) => now + TimeDelta::from_std(since.elapsed()).unwrap_or_default(),
            Kind::Standing(now) => now,
        }
    }
}
