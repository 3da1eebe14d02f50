//! Reads the records of a batch: rows, closing records, and what is neither.

use super::topics;
use crate::domain::{Day, DayAllocated, DaySealed, Emission, Outcome, check_key};
use crate::journal::{Codec, DecodeError, RecordRef, Topic};
use crate::store::{self, Fact, Projection};
use crate::wording::chain;

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
pub(super) fn item<'a, F: Fact>(
    codec: &Codec,
    record: RecordRef<'a>,
    decode: impl FnOnce(&'a [u8]) -> Result<F, DecodeError>,
) -> Item<F> {
    let Some(payload) = record.payload else { return Item::Nothing };
    if record.topic != topics(F::PROJECTION)[0] {
        return closing(codec, F::PROJECTION, record.topic, payload);
    }
    match decode(payload) {
        Ok(row) => {
            let (tenant, day, ..) = row.place();
            let misplaced = check_key(record.key, tenant, day).err().map(|error| error.to_string());
            match misplaced.or_else(|| row.check().err().map(|error| error.to_string())) {
                None => Item::Row(row),
                Some(reason) => Item::Bad(reason),
            }
        }
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
            Outcome::Allocated => {
                let topics = projection == Projection::TopicAttributions;
                let count = if topics { done.topic_rows.unwrap_or(0) } else { done.rows };
                Item::Closed(done.tenant, done.day, done.revision, count)
            }
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

/// Reads and checks what an emitter did.
pub(super) fn emission(codec: &Codec, payload: &[u8]) -> Result<Emission, String> {
    let emission: Emission = codec.decode(payload).map_err(|error| chain(&error))?;
    store::check_emission(&emission).map_err(|error| error.to_string())?;
    Ok(emission)
}

/// Reads and checks an allocation.
pub(super) fn allocation(codec: &Codec, payload: &[u8]) -> Result<DayAllocated, String> {
    let done: DayAllocated = codec.decode(payload).map_err(|error| chain(&error))?;
    store::check_allocation(&done).map_err(|error| error.to_string())?;
    Ok(done)
}
