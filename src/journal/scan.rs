//! Reads a topic from its beginning to its present end, without a consumer group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::ends::uncommitted_reader;
use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

/// How long the brokers may be silent in the middle of a scan.
const SILENCE: Duration = Duration::from_secs(30);

/// One record of a scanned topic.
#[derive(Debug, Clone, Copy)]
pub struct ScanRecord<'a> {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
    pub timestamp_ms: i64,
}

/// How long a transaction of somebody who is gone may stay open before Kafka ends it: a large one's limit, and some more
/// because Kafka looks only now and then.
const OPEN_TRANSACTION: Duration = Duration::from_secs(330);

/// Hands every committed record of the given partitions (`None`: all) to `each`, in order per partition.
///
/// Blocks until each partition's end, as it was when that end was reached. Committed records are seen only up to the
/// first transaction that is still open; so whatever was open when the scan began is waited for.
///
/// # Errors
/// [`JournalError`] if the topic is missing or the brokers fall silent.
pub fn scan(
    connection: &Connection,
    topic: Topic,
    partitions: Option<&[i32]>,
    mut each: impl FnMut(ScanRecord<'_>),
) -> Result<(), JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let mut config = connection.reader_config();
    // No group is joined; librdkafka wants a name all the same.
    config.set("group.id", format!("{}scan", connection.prefix()));
    let consumer: BaseConsumer = config.create().map_err(sort)?;
    let name = connection.topic(topic);
    let mut open: BTreeSet<i32> = match partitions {
        Some(partitions) => partitions.iter().copied().collect(),
        None => partitions_of(&consumer, &name).map_err(sort)?,
    };
    if open.is_empty() {
        return Err(JournalError::NoTopic(name));
    }
    wait_for_transactions(connection, &consumer, &name, &open)?;
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(&name, *partition, Offset::Beginning).map_err(sort)?;
    }
    consumer.assign(&list).map_err(sort)?;
    let mut heard = Instant::now();
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                each(ScanRecord {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key(),
                    payload: message.payload(),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                open.remove(&partition);
            }
            Some(Err(cause)) => match sort(cause) {
                error if error.is_transient() && heard.elapsed() < SILENCE => {}
                error => return Err(error),
            },
            None if heard.elapsed() >= SILENCE => {
                let cause = KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut);
                return Err(sort(cause));
            }
            None => {}
        }
    }
    Ok(())
}

/// Waits until readers of committed records can see everything that is in the partitions now.
fn wait_for_transactions(
    connection: &Connection,
    committed: &BaseConsumer,
    name: &str,
    partitions: &BTreeSet<i32>,
) -> Result<(), JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let everything = uncommitted_reader(connection)?;
    let since = Instant::now();
    for partition in partitions {
        let end = |of: &BaseConsumer| of.fetch_watermarks(name, *partition, SILENCE).map(|(_, end)| end).map_err(sort);
        let written = end(&everything)?;
        while end(committed)? < written {
            if since.elapsed() > OPEN_TRANSACTION {
                return Err(JournalError::Unsettled { place: format!("{name}[{partition}]") });
            }
            tracing::debug!(topic = name, partition, "waiting for a transaction to end");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Result<BTreeSet<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), SILENCE)?;
    let found = metadata.topics().iter().filter(|t| t.name() == topic && t.error().is_none());
    Ok(found.flat_map(|t| t.partitions()).map(|p| p.id()).collect())
}
