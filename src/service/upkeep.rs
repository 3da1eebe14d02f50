//! Removes once a day what is too old.

use std::time::Duration;

use anyhow::Result;

use super::Parts;
use crate::domain::Day;
use crate::upkeep::{self, Keep, Period};
use crate::wording::chain;

/// A service that has just begun has better things to do, and one that is started again and again, too.
const SETTLING: Duration = Duration::from_secs(600);
/// Between two runs.
const DAILY: Duration = Duration::from_secs(86_400);
/// After one that failed.
const AGAIN: Duration = Duration::from_secs(1_800);

/// Works until it is told to stop. What fails is tried again: that something stays for longer harms nobody.
///
/// # Errors
/// None; it has the form of a role.
pub async fn daily(periods: Vec<Period>, parts: Parts) -> Result<()> {
    let mut pause = SETTLING;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let keep = Keep::new(periods.clone(), Day::of(parts.clock.now()));
        pause = match upkeep::clean(&parts.store, &parts.connection, &parts.codec, &keep).await {
            Ok(upkeep::Done { partitions, rows, outcomes, emissions }) => {
                tracing::info!(partitions, rows, outcomes, emissions, "removed what is too old");
                DAILY
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "what is too old could not be removed");
                AGAIN
            }
        };
    }
}
