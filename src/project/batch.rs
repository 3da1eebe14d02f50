//! Reads the records of a batch: rows, closing records, and what is neither.

use serde::Deserialize;

use super::topics;
use crate::domain::quarantine::{Stage, Status};
use crate::domain::{Day, DayAllocated, DaySealed, Outcome, Quarantined, TenantDay};
use crate::journal::codec::{Codec, Record};
use crate::journal::{RecordRef, Topic};
use crate::store::{self, Fact, Projection};

/// What a record of a sliced projection is.
#[derive(Debug)]
pub(super) enum Item<F> {
    Row(F),
    /// Tenant, day and revision that it closes, and the number of records there.
    Closed(String, Day, u32, u32),
    /// Says nothing about this projection.
    Nothing,
    /// The reason why it cannot be used.
    Bad(String),
}

/// Reads a record of a sliced projection.
pub(super) fn item<'a, F>(codec: &Codec, record: RecordRef<'a>) -> Item<F>
where
    F: Fact + Record + Deserialize<'a>,
{
    let Some(payload) = record.payload else { return Item::Nothing };
    if record.topic != topics(F::PROJECTION)[0] {
        return closing(codec, F::PROJECTION, record.topic, payload);
    }
    match codec.decode::<F>(payload) {
        Ok(row) => match row.check() {
            Ok(()) => Item::Row(row),
            Err(error) => Item::Bad(error.to_string()),
        },
        Err(error) => Item::Bad(chain(&error)),
    }
}

fn closing<F>(codec: &Codec, projection: Projection, topic: Topic, payload: &[u8]) -> Item<F> {
    let read = match topic {
        Topic::Days => seal(codec, payload).map(|seal| {
            let count = match projection {
                Projection::Billing => seal.billing_lines,
                Projection::Resources => seal.resources,
                _ => seal.identities,
            };
            Item::Closed(seal.tenant, seal.day, seal.revision, count)
        }),
        _ => allocation(codec, payload).map(|done| match done.outcome {
            Outcome::Allocated => Item::Closed(done.tenant, done.day, done.revision, done.rows),
            // The rows of the revision before stay.
            Outcome::Refused => Item::Nothing,
        }),
    };
    // The projection `days` reads the same topics and sets bad records aside; once is enough.
    read.unwrap_or(Item::Nothing)
}

/// Reads and checks a seal.
pub(super) fn seal(codec: &Codec, payload: &[u8]) -> Result<DaySealed, String> {
    let seal: DaySealed = codec.decode(payload).map_err(|error| chain(&error))?;
    store::check_seal(&seal).map_err(|error| error.to_string())?;
    Ok(seal)
}

/// Reads and checks an allocation.
pub(super) fn allocation(codec: &Codec, payload: &[u8]) -> Result<DayAllocated, String> {
    let done: DayAllocated = codec.decode(payload).map_err(|error| chain(&error))?;
    store::check_allocation(&done).map_err(|error| error.to_string())?;
    Ok(done)
}

/// The entry for a record that cannot be used. The same record always gives the same entry.
pub(super) fn entry(record: RecordRef<'_>, reason: String) -> Quarantined {
    let source = format!("{}[{}]@{}", record.topic.name(), record.partition, record.offset);
    let payload = record.payload.unwrap_or_default();
    let mut digest = blake3::Hasher::new();
    digest.update(source.as_bytes()).update(&[0]).update(payload);
    let key = record.key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.parse::<TenantDay>().ok());
    let (tenant, day) = key.map(|key| (key.tenant, key.day)).unzip();
    Quarantined {
        id: digest.finalize().to_hex().to_string(),
        tenant,
        day,
        stage: Stage::Project,
        source,
        topic: Some(record.topic.name().to_owned()),
        partition: Some(record.partition),
        offset: Some(record.offset),
        key: record.key.map(<[u8]>::to_vec),
        payload: payload.to_vec(),
        reason,
        status: Status::Open,
        // When it was written: reading it again, after a rebuild, must not make it look new.
        at: chrono::DateTime::from_timestamp_millis(record.timestamp_ms).unwrap_or_default(),
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
