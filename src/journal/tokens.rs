//! What the log says of the API's tokens.

use std::collections::BTreeMap;

use super::codec::Codec;
use super::error::JournalError;
use super::scan::scan;
use super::settings::Connection;
use super::topic::Topic;
use crate::domain::ApiToken;

/// The tokens that were not taken back, by id. Blocks until the topic's end; the topic is small. One that cannot be read
/// lets nobody in, and is left out.
///
/// # Errors
/// [`JournalError`] if the topic cannot be read.
pub fn tokens(connection: &Connection, codec: &Codec) -> Result<BTreeMap<String, ApiToken>, JournalError> {
    let mut tokens = BTreeMap::new();
    scan(connection, Topic::Tokens, None, |record| {
        let id = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        match record.payload.and_then(|payload| codec.decode::<ApiToken>(payload).ok()) {
            Some(token) => drop(tokens.insert(id, token)),
            None => drop(tokens.remove(&id)),
        }
    })?;
    Ok(tokens)
}
