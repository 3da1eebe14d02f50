//! Takes the steps of `plan` in the tables, and lets the compacted topic of outcomes forget the same days.

use std::collections::BTreeMap;

use super::UpkeepError;
use super::plan::{Keep, Step, plan};
use crate::domain::{Day, TenantDay};
use crate::journal::{Codec, Connection, Topic, TransactionalProducer, blocking, scan, tenant_events};
use crate::store::{Projection, Store, StoreError};

/// How often a partition that readers hold is tried again in one run.
const ATTEMPTS: u32 = 5;
/// Tombstones in one transaction.
const TOMBSTONES: usize = 10_000;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    pub partitions: usize,
    pub rows: u64,
    /// Outcomes of days that topic `allocations` does not keep any more.
    pub outcomes: usize,
}

/// What [`clean`] would do in the tables.
///
/// # Errors
/// [`UpkeepError`] if Postgres does not answer.
pub async fn steps(store: &Store, keep: &Keep) -> Result<Vec<Step>, UpkeepError> {
    Ok(plan(&store.months().await?, &store.holdings().await?, keep))
}

/// Removes what is too old, each step in a transaction of its own; two processes may do so together.
///
/// # Errors
/// [`UpkeepError`]: what was done is done, the rest is found again the next time.
pub async fn clean(
    store: &Store,
    connection: &Connection,
    codec: &std::sync::Arc<Codec>,
    keep: &Keep,
) -> Result<Done, UpkeepError> {
    let mut done = Done::default();
    let steps = steps(store, keep).await?;
    for step in &steps {
        match step {
            Step::DropMonth { projection, month } => {
                drop_month(store, *projection, *month).await?;
                done.partitions += 1;
            }
            Step::DeleteDays { projection, key, from, before, .. } => {
                done.rows += store.delete_days(*projection, *key, *from, *before).await?;
            }
        }
    }
    if steps.iter().any(|step| step.projection() == Projection::Chargebacks) {
        done.rows += store.delete_idle_dimensions().await?;
    }
    let (connection, codec, keep) = (connection.clone(), std::sync::Arc::clone(codec), keep.clone());
    done.outcomes = blocking(move || forget_outcomes(&connection, &codec, &keep)).await?;
    Ok(done)
}

async fn drop_month(store: &Store, projection: Projection, month: Day) -> Result<(), StoreError> {
    let mut attempt = 1;
    loop {
        match store.drop_month(projection, month).await {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tracing::debug!(projection = projection.name(), %month, %error, "a partition is held by readers");
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Writes tombstones over the outcomes of days that are too old, and of revisions that were forgotten with their tenant.
fn forget_outcomes(connection: &Connection, codec: &Codec, keep: &Keep) -> Result<usize, UpkeepError> {
    let forgotten = tenant_events(connection, codec)?;
    let mut outcomes: BTreeMap<(i32, Vec<u8>), bool> = BTreeMap::new();
    scan(connection, Topic::Allocations, None, |record| {
        let key = record.key.unwrap_or_default();
        let goes = || {
            let day: TenantDay = std::str::from_utf8(key).ok()?.parse().ok()?;
            let before = || {
                let outcome = codec.decode::<crate::domain::DayAllocated>(record.payload?).ok()?;
                Some(outcome.revision <= forgotten.get(&day.tenant)?.last_revision)
            };
            Some(keep.expires(&day) || before().unwrap_or(false))
        };
        let goes = record.payload.is_some() && goes().unwrap_or(false);
        outcomes.insert((record.partition, key.to_vec()), goes);
    })?;
    let old: Vec<(i32, Vec<u8>)> = outcomes.into_iter().filter(|(_, goes)| *goes).map(|(place, _)| place).collect();
    if old.is_empty() {
        return Ok(0);
    }
    // A name of its own each time: two processes may be at it together.
    let mut producer = TransactionalProducer::new(connection, &format!("retention-{:08x}", rand::random::<u32>()))?;
    for chunk in old.chunks(TOMBSTONES) {
        producer.begin()?;
        for (partition, key) in chunk {
            producer.send(Topic::Allocations, Some(*partition), key, None)?;
        }
        producer.commit()?;
    }
    Ok(old.len())
}
