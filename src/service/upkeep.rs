//! Removes once a day what is too old.

use anyhow::Result;
use chrono::TimeDelta;

use super::Parts;
use crate::domain::Day;
use crate::upkeep::{self, Keep, Period};
use crate::wording::chain;

/// A service that has just begun has better things to do, and one that is started again and again, too.
const SETTLING: TimeDelta = TimeDelta::minutes(10);
/// Between two runs.
const DAILY: TimeDelta = TimeDelta::days(1);
/// After one that failed.
const AGAIN: TimeDelta = TimeDelta::minutes(30);

/// Works until it is told to stop. What fails is tried again: that something stays for longer harms nobody.
///
/// # Errors
/// None; it has the form of a role.
pub async fn daily(periods: Vec<Period>, parts: Parts) -> Result<()> {
    let mut due = parts.clock.now() + SETTLING;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return Ok(()),
            () = parts.clock.reaches(Some(due)) => {}
        }
        let now = parts.clock.now();
        let keep = Keep::new(periods.clone(), Day::of(now));
        let pause = match upkeep::clean(&parts.store, &parts.connection, &parts.codec, &keep).await {
            Ok(upkeep::Done { partitions, rows, outcomes, emissions }) => {
                tracing::info!(partitions, rows, outcomes, emissions, "removed what is too old");
                DAILY
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "what is too old could not be removed");
                AGAIN
            }
        };
        due = now + pause;
    }
}
