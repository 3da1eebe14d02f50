//! Waits until what was gathered is everywhere.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{INTERRUPTED, Parts, lag};
use crate::domain::Day;
use crate::store::{DayProgress, DayState, Projection};

/// How long it is waited while nothing moves; twice that at the most.
const STALLED: Duration = Duration::from_secs(150);
/// How long entries of the quarantine and held days are waited for.
const BESIDE_LIMIT: Duration = Duration::from_secs(10);

/// Waits until every sealed day is allocated (or refused) and visible in all projections.
///
/// # Errors
/// When nothing moves any more.
pub async fn settle(parts: &Parts, sealed: &[(String, Day, u32)]) -> Result<()> {
    let (mut since, mut left, mut positions) = (Instant::now(), usize::MAX, Vec::new());
    loop {
        let moved = parts.moved.notified();
        let progress = match parts.store.progress(sealed).await {
            Err(error) if error.is_transient() => {
                tokio::select! {
                    () = parts.stop.cancelled() => bail!(INTERRUPTED),
                    () = parts.store.wait_until_back(&error) => continue,
                }
            }
            progress => progress?,
        };
        let waiting: Vec<(&DayProgress, &[&str])> = progress.iter().filter_map(waits_for).collect();
        let Some((first, missing)) = waiting.first() else { return Ok(()) };
        parts.say.count(&format!("allocating and projecting: {} of {} days to go", waiting.len(), sealed.len()));
        let now_left = waiting.iter().map(|(_, missing)| missing.len()).sum();
        if now_left != left {
            (since, left) = (Instant::now(), now_left);
        } else if since.elapsed() >= STALLED {
            let now_at = parts.store.positions().await?;
            if now_at == positions {
                bail!(
                    "nothing has moved for {} s: {} of {} sealed days wait, the first, {} of {}, for {}; the roles \
                     allocate and project have to run, here or in another process, see the log and `tributary status`",
                    STALLED.as_secs(),
                    waiting.len(),
                    sealed.len(),
                    first.day,
                    first.tenant,
                    missing.join(", ")
                );
            }
            // Other days come first in the log.
            (since, positions) = (Instant::now(), now_at);
        }
        tokio::select! {
            () = moved => {}
            () = parts.stop.cancelled() => bail!(INTERRUPTED),
            // Roles in other processes do not tell us.
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// Waits until what was set aside or held back on the way can be looked at, too; not for long, the days are there.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn visible(parts: &Parts) -> Result<()> {
    let since = Instant::now();
    loop {
        let moved = parts.moved.notified();
        let mut lag = 0;
        for projection in [Projection::Quarantine, Projection::Gathering] {
            lag += lag::lag_of(projection, &parts.store, &parts.connection).await?;
        }
        if lag == 0 || since.elapsed() > BESIDE_LIMIT || parts.stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            () = moved => {}
            () = parts.stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// What a day that is not done waits for.
fn waits_for(day: &DayProgress) -> Option<(&DayProgress, &[&'static str])> {
    match &day.state {
        DayState::Waiting(missing) => Some((day, missing)),
        DayState::Refused(_) | DayState::Done => None,
    }
}
