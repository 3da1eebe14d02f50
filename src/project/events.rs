//! Reads what people wrote by way of the API: events in the order of their topic, and things of which the last record of
//! each key holds.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::domain::AuditEvent;
use crate::journal::Batch;
use crate::journal::codec::{Codec, Record};
use crate::store::check_audit_event;
use crate::wording::chain;

/// Records that cannot be used, by their place in the batch, and why.
type Bad = Vec<(usize, String)>;

/// What a batch says of a compacted topic: the last record of each key, and the keys that are gone.
#[derive(Debug)]
pub(super) struct Latest<T> {
    pub kept: Vec<T>,
    pub gone: Vec<String>,
}

/// Reads a compacted topic of things; `check` says why one does not fit its table.
pub(super) fn latest<T, E>(codec: &Codec, batch: &Batch, check: impl Fn(&T) -> Result<(), E>) -> (Latest<T>, Bad)
where
    T: Record + DeserializeOwned,
    E: std::error::Error,
{
    let (mut last, mut bad) = (BTreeMap::new(), Bad::new());
    for (place, record) in batch.records().enumerate() {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let read = record.payload.map(|payload| {
            let thing: T = codec.decode(payload).map_err(|error| chain(&error))?;
            check(&thing).map_err(|error| error.to_string())?;
            Ok::<T, String>(thing)
        });
        match read.transpose() {
            Ok(thing) => drop(last.insert(key, thing)),
            Err(reason) => bad.push((place, reason)),
        }
    }
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (key, thing) in last {
        match thing {
            Some(thing) => kept.push(thing),
            None => gone.push(key),
        }
    }
    (Latest { kept, gone }, bad)
}

/// Reads what was changed, with the offset of each event.
pub(super) fn audit(codec: &Codec, batch: &Batch) -> (Vec<(i64, AuditEvent)>, Bad) {
    let (mut events, mut bad) = (Vec::new(), Bad::new());
    for (place, record) in batch.records().enumerate() {
        let Some(payload) = record.payload else { continue };
        let read = codec.decode::<AuditEvent>(payload).map_err(|error| chain(&error));
        match read.and_then(|event| check_audit_event(&event).map(|()| event).map_err(|error| error.to_string())) {
            Ok(event) => events.push((record.offset, event)),
            Err(reason) => bad.push((place, reason)),
        }
    }
    (events, bad)
}
