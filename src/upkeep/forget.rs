//! Forgets a tenant: the event first, then what follows from it.
//!
//! One Kafka transaction has the event and a tombstone for everything of the tenant that compacted topics keep. Facts
//! and rows lie in topics that nothing is deleted from: they go with those topics' retention, and until then whoever
//! reads them passes over them, because the event says up to which revision they are forgotten.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::UpkeepError;
use crate::domain::{DayAllocated, DaySealed, Emission, GatherState, Quarantined, Tag, TenantEvent, TenantEventKind};
use crate::journal::{Codec, Connection, Topic, TransactionalProducer, blocking, scan, tenant_events};
use crate::store::Store;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    pub event: TenantEvent,
    /// Records of compacted topics that got a tombstone.
    pub tombstones: usize,
    /// Rows of tables.
    pub rows: u64,
    /// Logins that were taken back.
    pub roles: Vec<String>,
}

/// Compacted topics with records of tenants.
const KEPT: [Topic; 5] = [Topic::GatherState, Topic::Allocations, Topic::Quarantine, Topic::Emissions, Topic::Tags];

/// A record in the way: topic, partition, key.
type Place = (Topic, i32, Vec<u8>);

/// Forgets a tenant. Whoever gathers it is put out first. Safe to repeat.
///
/// # Errors
/// [`UpkeepError`]: before the event is written nothing has happened; after it, calling again does the rest.
pub async fn forget(
    store: &Store,
    connection: &Connection,
    codec: &Arc<Codec>,
    tenant: &str,
    now: DateTime<Utc>,
) -> Result<Forgotten, UpkeepError> {
    let (log, reader, id) = (connection.clone(), Arc::clone(codec), tenant.to_owned());
    let (event, tombstones) = blocking(move || in_the_log(&log, &reader, &id, now)).await?;
    let rows = store.forget(&event).await?;
    let roles = store.revoke(tenant, None).await?;
    Ok(Forgotten { event, tombstones, rows, roles: roles.into_iter().map(|(role, _)| role).collect() })
}

fn in_the_log(
    connection: &Connection,
    codec: &Codec,
    tenant: &str,
    now: DateTime<Utc>,
) -> Result<(TenantEvent, usize), UpkeepError> {
    // From here on nobody else can add to what is remembered of the tenant.
    let mut producer = TransactionalProducer::of_tenant(connection, tenant)?;
    let before = tenant_events(connection, codec)?.remove(tenant).map_or(0, |event| event.last_revision);
    let (places, last) = found(connection, codec, tenant)?;
    let event = TenantEvent {
        tenant: tenant.to_owned(),
        kind: TenantEventKind::Forgotten,
        last_revision: last.max(before),
        at: now,
    };
    let mut bytes = Vec::new();
    codec.encode(&event, &mut bytes)?;
    producer.begin()?;
    producer.send(Topic::Tenants, None, tenant.as_bytes(), Some(&bytes))?;
    for (topic, partition, key) in &places {
        producer.send(*topic, Some(*partition), key, None)?;
    }
    producer.commit()?;
    Ok((event, places.len()))
}

/// What compacted topics keep of the tenant, and the highest revision that any of its days has had.
fn found(connection: &Connection, codec: &Codec, tenant: &str) -> Result<(Vec<Place>, u32), UpkeepError> {
    let (mut places, mut last) = (std::collections::BTreeSet::new(), 0);
    for topic in KEPT.into_iter().chain([Topic::Days]) {
        scan(connection, topic, None, |record| {
            let place = (topic, record.partition, record.key.unwrap_or_default().to_vec());
            let revision = match record.payload {
                Some(payload) => of(codec, topic, payload, tenant),
                None => None,
            };
            match revision {
                Some(revision) => {
                    last = last.max(revision);
                    // Seals go with their topic's retention.
                    if topic != Topic::Days {
                        places.insert(place);
                    }
                }
                None => drop(places.remove(&place)),
            }
        })?;
    }
    Ok((places.into_iter().collect(), last))
}

/// The revision that a record of the tenant speaks of, 0 if of none; `None` for another tenant's.
fn of(codec: &Codec, topic: Topic, payload: &[u8], tenant: &str) -> Option<u32> {
    let (of, revision) = match topic {
        Topic::GatherState => {
            let state: GatherState = codec.decode(payload).ok()?;
            (state.tenant, state.day.map_or(0, |day| day.revision))
        }
        Topic::Allocations => {
            let outcome: DayAllocated = codec.decode(payload).ok()?;
            (outcome.tenant, outcome.revision)
        }
        Topic::Days => {
            let seal: DaySealed = codec.decode(payload).ok()?;
            (seal.tenant, seal.revision)
        }
        Topic::Tags => (codec.decode::<Tag>(payload).ok()?.tenant, 0),
        // Of a month it is no revision of a day.
        Topic::Emissions => (codec.decode::<Emission>(payload).ok()?.tenant, 0),
        _ => (codec.decode::<Quarantined>(payload).ok()?.tenant?, 0),
    };
    (of == tenant).then_some(revision)
}
