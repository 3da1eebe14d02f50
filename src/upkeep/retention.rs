//! Takes the steps of `plan` in the tables, and lets compacted topics forget the same days.

use std::collections::BTreeMap;

use super::UpkeepError;
use super::plan::{Keep, Step, plan};
use crate::domain::{Day, DayAllocated, Emission, TenantDay};
use crate::journal::{Codec, Connection, Topic, TransactionalProducer, blocking, scan, tenant_events};
use crate::store::{Projection, Store, StoreError};

/// A record in the way: topic, partition, key.
type Place = (Topic, i32, Vec<u8>);

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
    /// Records of what was emitted that topic `emissions` does not keep any more.
    pub emissions: usize,
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
    let forgetting = move || forget_records(&connection, &codec, &keep);
    (done.outcomes, done.emissions) = blocking(forgetting).await?;
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

/// Writes tombstones over outcomes and emissions that nobody needs any more, and counts them.
fn forget_records(connection: &Connection, codec: &Codec, keep: &Keep) -> Result<(usize, usize), UpkeepError> {
    let forgotten = tenant_events(connection, codec)?;
    let outcomes = old_records(connection, Topic::Allocations, |key, payload| {
        let Some(day) = std::str::from_utf8(key).ok().and_then(|key| key.parse::<TenantDay>().ok()) else {
            return false;
        };
        let before = || {
            let outcome = codec.decode::<DayAllocated>(payload).ok()?;
            Some(outcome.revision <= forgotten.get(&day.tenant)?.last_revision)
        };
        keep.expires(&day) || before().unwrap_or(false)
    })?;
    // A rebuild shows old days again for as long as the log has them; what was emitted of them is not emitted anew.
    let emissions = old_records(connection, Topic::Emissions, |_, payload| {
        let last = |of: Emission| TenantDay { day: of.last_day(), tenant: of.tenant };
        codec.decode::<Emission>(payload).is_ok_and(|emission| keep.is_gone(&last(emission)))
    })?;
    let counts = (outcomes.len(), emissions.len());
    let places: Vec<Place> = outcomes.into_iter().chain(emissions).collect();
    if !places.is_empty() {
        // A name of its own each time: two processes may be at it together.
        let name = format!("retention-{:08x}", rand::random::<u32>());
        let mut producer = TransactionalProducer::new(connection, &name)?;
        for chunk in places.chunks(TOMBSTONES) {
            producer.begin()?;
            for (topic, partition, key) in chunk {
                producer.send(*topic, Some(*partition), key, None)?;
            }
            producer.commit()?;
        }
    }
    Ok(counts)
}

/// The records of a compacted topic that still stand and, by their key and value, are to go.
fn old_records(
    connection: &Connection,
    topic: Topic,
    goes: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<Vec<Place>, UpkeepError> {
    let mut records: BTreeMap<(i32, Vec<u8>), bool> = BTreeMap::new();
    scan(connection, topic, None, |record| {
        let key = record.key.unwrap_or_default();
        let old = record.payload.is_some_and(|payload| goes(key, payload));
        records.insert((record.partition, key.to_vec()), old);
    })?;
    let old = records.into_iter().filter(|(_, old)| *old);
    Ok(old.map(|((partition, key), _)| (topic, partition, key)).collect())
}
