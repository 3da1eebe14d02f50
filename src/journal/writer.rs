//! Writes what people ask for, one request at a time, and says where it lies.
//!
//! In: records of a request. Out: their places once they are committed. Requests that come while a transaction is under
//! way share the next one, so many writers cost few transactions. Absent: what the records mean.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::JournalError;
use super::producer::TransactionalProducer;
use super::settings::Connection;
use super::topic::Topic;

/// Requests that wait for the transaction before theirs.
const WAITING: usize = 256;
/// Records of one transaction; a single request may have more.
const TOGETHER: usize = 5_000;

/// A record to write. `None` as payload is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: Topic,
    pub key: Vec<u8>,
    pub payload: Option<Vec<u8>>,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
}

/// Why records are not in the log, or may not be. Requests of one transaction share it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Nothing of the request is in the log.
    #[error("nothing was written")]
    Nothing(#[source] Arc<JournalError>),
    /// The commit did not answer: all of it is in the log, or nothing.
    #[error("it is not known whether it was written")]
    Unknown(#[source] Arc<JournalError>),
    /// The process is ending.
    #[error("nothing was written: the service is ending")]
    Ending,
}

/// Takes records from any number of tasks. Cheap to clone; its thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct EventWriter {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    records: Vec<Outgoing>,
    answer: oneshot::Sender<Result<Vec<Written>, WriteError>>,
}

impl EventWriter {
    /// Starts the thread. Kafka is spoken to with the first write, and again after every failure.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(connection: Connection, role: &str) -> std::io::Result<Self> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let role = role.to_owned();
        let thread = std::thread::Builder::new().name("write events".to_owned());
        thread.spawn(move || work(&connection, &role, waiting))?;
        Ok(Self { requests })
    }

    /// Writes the records of a request, all or none, and returns when they are durable; the places are in their order.
    ///
    /// # Errors
    /// [`WriteError`] tells whether anything can have been written.
    pub async fn write(&self, records: Vec<Outgoing>) -> Result<Vec<Written>, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { records, answer }).await.map_err(|_| WriteError::Ending)?;
        answered.await.map_err(|_| WriteError::Ending)?
    }
}

fn work(connection: &Connection, role: &str, mut waiting: mpsc::Receiver<Request>) {
    let mut producer = None;
    while let Some(first) = waiting.blocking_recv() {
        let mut requests = vec![first];
        while requests.iter().map(|request| request.records.len()).sum::<usize>() < TOGETHER
            && let Ok(next) = waiting.try_recv()
        {
            requests.push(next);
        }
        // Whoever waits no more was told that nobody knows; what was not begun is not done.
        requests.retain(|request| !request.answer.is_closed());
        if requests.is_empty() {
            continue;
        }
        let answer = together(&mut producer, connection, role, &requests);
        if let Err(error) = &answer {
            // Whatever it was, a new client knows better; connecting ends what is left open.
            producer = None;
            tracing::warn!(error = crate::wording::chain(error), "a request could not be written to Kafka");
        }
        match answer {
            Ok(mut places) => {
                for request in requests {
                    let rest = places.split_off(request.records.len().min(places.len()));
                    // Nobody may wait for it any more.
                    let _ = request.answer.send(Ok(std::mem::replace(&mut places, rest)));
                }
            }
            Err(error) => {
                for request in requests {
                    let _ = request.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

fn together(
    producer: &mut Option<TransactionalProducer>,
    connection: &Connection,
    role: &str,
    requests: &[Request],
) -> Result<Vec<Written>, WriteError> {
    let nothing = |error| WriteError::Nothing(Arc::new(error));
    let producer = match producer {
        Some(producer) => producer,
        none => none.insert(TransactionalProducer::telling(connection, role).map_err(nothing)?),
    };
    let records = || requests.iter().flat_map(|request| &request.records);
    producer.begin().map_err(nothing)?;
    for Outgoing { topic, key, payload } in records() {
        producer.send(*topic, None, key, payload.as_deref()).map_err(nothing)?;
    }
    let places = producer.delivered().map_err(nothing)?;
    producer.commit().map_err(|error| match error {
        error @ JournalError::Abort(_) => WriteError::Nothing(Arc::new(error)),
        error => WriteError::Unknown(Arc::new(error)),
    })?;
    let placed = records().zip(places);
    Ok(placed.map(|(record, (partition, offset))| Written { topic: record.topic, partition, offset }).collect())
}
