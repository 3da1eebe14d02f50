//! Who reads in which consumer group, by what the broker says.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::error::JournalError;
use super::settings::Connection;

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How many members the installation's groups have, by the group's name without the prefix. A group that nobody ever
/// joined is missing; a process that was killed counts until the group misses it. Blocks.
///
/// # Errors
/// [`JournalError`] if the brokers do not answer.
pub fn members(connection: &Connection) -> Result<BTreeMap<String, usize>, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let client: BaseConsumer = connection.client_config().create().map_err(sort)?;
    let list = client.client().fetch_group_list(None, SILENCE).map_err(sort)?;
    let of = list.groups().iter().filter_map(|group| {
        let name = group.name().strip_prefix(connection.prefix())?;
        Some((name.to_owned(), group.members().len()))
    });
    Ok(of.collect())
}
