//! Where topics begin and end, and whether anything is left to read.
//!
//! The end of a partition is no position that a reader reaches: behind the last record lie transaction markers, which
//! readers never see. So "is it all read?" is asked by reading, not by comparing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A partition's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub topic: Topic,
    pub partition: i32,
    /// The oldest offset that is kept.
    pub low: i64,
    /// One past the newest offset, markers included.
    pub high: i64,
}

impl End {
    /// How many offsets there are from `next` to the end; without a position, all that are kept.
    pub fn behind(&self, next: Option<i64>) -> u64 {
        let next = next.unwrap_or(self.low).max(self.low);
        (self.high - next).max(0).unsigned_abs()
    }
}

/// What a consumer group reads next, where it has committed anything.
///
/// # Errors
/// [`JournalError`] if a topic is missing or the brokers do not answer.
pub fn committed(
    connection: &Connection,
    group: &str,
    topics: &[Topic],
) -> Result<BTreeMap<(Topic, i32), i64>, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let mut config = connection.reader_config();
    config.set("group.id", format!("{}{group}", connection.prefix()));
    let consumer: BaseConsumer = config.create().map_err(sort)?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let name = connection.topic(*topic);
        let metadata = consumer.fetch_metadata(Some(&name), SILENCE).map_err(sort)?;
        let partitions = metadata.topics().iter().filter(|t| t.name() == name).flat_map(|t| t.partitions());
        for partition in partitions {
            list.add_partition(&name, partition.id());
        }
    }
    let committed = consumer.committed_offsets(list, SILENCE).map_err(sort)?;
    let known = committed.elements().into_iter().filter_map(|element| {
        let topic = topics.iter().find(|topic| connection.topic(**topic) == element.topic())?;
        let Offset::Offset(next) = element.offset() else { return None };
        Some(((*topic, element.partition()), next))
    });
    Ok(known.collect())
}

/// The extents of all partitions of these topics.
///
/// # Errors
/// [`JournalError`] if a topic is missing or the brokers do not answer.
pub fn ends(connection: &Connection, topics: &[Topic]) -> Result<Vec<End>, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let consumer = reader(connection)?;
    let mut ends = Vec::new();
    for topic in topics {
        let name = connection.topic(*topic);
        let metadata = consumer.fetch_metadata(Some(&name), SILENCE).map_err(sort)?;
        let found = metadata.topics().iter().find(|t| t.name() == name && t.error().is_none());
        let partitions = found.map(|t| t.partitions()).unwrap_or_default();
        if partitions.is_empty() {
            return Err(JournalError::NoTopic(name));
        }
        for partition in partitions.iter().map(|p| p.id()) {
            let (low, high) = consumer.fetch_watermarks(&name, partition, SILENCE).map_err(sort)?;
            ends.push(End { topic: *topic, partition, low, high });
        }
    }
    Ok(ends)
}

/// Can readers of committed records see everything that is written in this partition of the topics? Not while a
/// transaction is open there, or committed and its marker still under way to one of the topics.
///
/// # Errors
/// [`JournalError`] if the brokers do not answer.
pub fn is_settled(connection: &Connection, topics: &[Topic], partition: i32) -> Result<bool, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let (committed, everything) = (reader(connection)?, uncommitted_reader(connection)?);
    for topic in topics {
        let name = connection.topic(*topic);
        let end = |of: &BaseConsumer| of.fetch_watermarks(&name, partition, SILENCE).map(|(_, end)| end).map_err(sort);
        let written = end(&everything)?;
        if end(&committed)? < written {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of these positions, those behind which a committed record waits.
///
/// # Errors
/// [`JournalError`] if the brokers do not answer.
pub fn unread(connection: &Connection, positions: &[(Topic, i32, i64)]) -> Result<Vec<(Topic, i32)>, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let mut waiting = Vec::new();
    // One topic at a time: an end is told with its partition's number only.
    let mut topics: Vec<Topic> = positions.iter().map(|(topic, ..)| *topic).collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        let name = connection.topic(topic);
        let mut open: Vec<i32> = Vec::new();
        let mut list = TopicPartitionList::new();
        for (_, partition, next) in positions.iter().filter(|(t, ..)| *t == topic) {
            let start = if *next == 0 { Offset::Beginning } else { Offset::Offset(*next) };
            list.add_partition_offset(&name, *partition, start).map_err(sort)?;
            open.push(*partition);
        }
        let consumer = reader(connection)?;
        consumer.assign(&list).map_err(sort)?;
        let since = Instant::now();
        while !open.is_empty() {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let partition = message.partition();
                    if open.contains(&partition) {
                        waiting.push((topic, partition));
                        open.retain(|p| *p != partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|p| *p != partition),
                Some(Err(cause)) if !sort(cause.clone()).is_transient() => return Err(sort(cause)),
                Some(Err(_)) | None if since.elapsed() > SILENCE => {
                    return Err(sort(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
                }
                Some(Err(_)) | None => {}
            }
        }
    }
    Ok(waiting)
}

pub(super) fn reader(connection: &Connection) -> Result<BaseConsumer, JournalError> {
    let mut config = connection.reader_config();
    // No group is joined; librdkafka wants a name all the same.
    config.set("group.id", format!("{}ends", connection.prefix()));
    config.create().map_err(|cause| JournalError::of(cause, connection.bootstrap(), connection.instance()))
}

/// A reader that sees open transactions, too: for ends, not for records.
pub(super) fn uncommitted_reader(connection: &Connection) -> Result<BaseConsumer, JournalError> {
    let mut config = connection.reader_config();
    config.set("group.id", format!("{}ends", connection.prefix())).set("isolation.level", "read_uncommitted");
    config.create().map_err(|cause| JournalError::of(cause, connection.bootstrap(), connection.instance()))
}
