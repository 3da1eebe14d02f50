//! Where a partition ends now, asked before every change that depends on what was written before it.
//!
//! In: a topic and a partition. Out: its extent, once everything that was written there can be read. The two clients stay
//! connected, so an answer takes milliseconds. Absent: what was read (see [`unread`](super::ends::unread)).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::ends::{End, reader, uncommitted_reader};
use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

/// How long the brokers may be silent: somebody waits for the answer.
const SILENCE: Duration = Duration::from_secs(3);

/// Asks for ends again and again.
pub struct EndWatch {
    connection: Connection,
    /// What readers see, and what is written; made with the first question.
    clients: Mutex<Option<(BaseConsumer, BaseConsumer)>>,
}

impl std::fmt::Debug for EndWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndWatch({:?})", self.connection)
    }
}

impl EndWatch {
    /// Kafka is spoken to with the first question.
    pub fn new(connection: Connection) -> Self {
        Self { connection, clients: Mutex::default() }
    }

    /// The extent of a partition; `None` while a transaction is open there, or committed and its marker still under way.
    /// Blocks, for seconds if the brokers are silent.
    ///
    /// # Errors
    /// [`JournalError`] if the topic is missing or the brokers do not answer.
    pub fn settled(&self, topic: Topic, partition: i32) -> Result<Option<End>, JournalError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let (committed, everything) = match &mut *clients {
            Some(clients) => clients,
            none => none.insert((reader(&self.connection)?, uncommitted_reader(&self.connection)?)),
        };
        let name = self.connection.topic(topic);
        let extent = |of: &BaseConsumer| {
            // What a client has to say of itself, and tokens that it needs, come by way of polls.
            while of.poll(Duration::ZERO).is_some() {}
            let sort = |cause| JournalError::of(cause, self.connection.bootstrap(), self.connection.instance());
            of.fetch_watermarks(&name, partition, SILENCE).map_err(sort)
        };
        // In this order: what is committed between the two questions makes the answer late, not wrong.
        let (_, written) = extent(everything)?;
        let (low, high) = extent(committed)?;
        Ok((high >= written).then_some(End { topic, partition, low, high }))
    }
}
