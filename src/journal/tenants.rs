//! What the log says of tenants as a whole.

use std::collections::BTreeMap;

use super::codec::Codec;
use super::error::JournalError;
use super::scan::scan;
use super::settings::Connection;
use super::topic::Topic;
use crate::domain::TenantEvent;

/// The last event of every tenant that has one. Blocks until the topic's end; the topic is small.
///
/// # Errors
/// [`JournalError`] if the topic cannot be read. An event that cannot is an error, too: without it revisions would be
/// numbered from 1 again, and nobody would listen. A later record under its key, or a tombstone, takes its place.
pub fn tenant_events(connection: &Connection, codec: &Codec) -> Result<BTreeMap<String, TenantEvent>, JournalError> {
    let (mut events, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    scan(connection, Topic::Tenants, None, |record| {
        let key = record.key.unwrap_or_default();
        unreadable.remove(key);
        match record.payload.map(|payload| codec.decode::<TenantEvent>(payload)) {
            Some(Ok(event)) => drop(events.insert(event.tenant.clone(), event)),
            Some(Err(source)) => drop(unreadable.insert(key.to_vec(), (record.partition, record.offset, source))),
            None => {}
        }
    })?;
    match unreadable.pop_first() {
        None => Ok(events),
        Some((_, (partition, offset, source))) => {
            let place = format!("{}[{partition}]@{offset}", connection.topic(Topic::Tenants));
            Err(JournalError::Unreadable { place, source: Box::new(source) })
        }
    }
}
