//! Reads topics as a member of a consumer group, in batches, with the group's own events in between.
//!
//! ```text
//! poll thread ── Assigned ──▶ worker   answers where to start; the thread waits for it
//!             ── Batch ─────▶ worker   a bounded queue; when it stays full, fetching is paused
//!             ── Revoked ───▶ worker   drops it when nothing of the partitions is in its hands any more
//! ```
//!
//! One thread polls for ever, so the group never thinks us dead. Events come in one queue, so a batch
//! that precedes a revocation was read while the partitions were ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::batch::Batch;
use super::error::JournalError;
use super::poller::{Context, Names, Poller};
use super::settings::Connection;
use super::topic::Topic;

/// Batches that wait for the worker; with the client's own queue this bounds the memory.
const QUEUE: usize = 2;
/// How long committed positions may be in motion: a transaction of a predecessor that is gone ends by its timeout.
const COMMITTED_PATIENCE: Duration = Duration::from_secs(330);
/// When they are asked for again: a question that is lost with its coordinator is not answered before its time is up.
const ASK_COMMITTED_AGAIN: Duration = Duration::from_secs(10);

/// What happens to a group member.
#[derive(Debug)]
pub enum Event {
    /// These partitions are ours from now on; it must be answered.
    Assigned(Assignment),
    /// These partitions go to somebody else as soon as this is dropped.
    Revoked(Revocation),
    Batch(Batch),
    /// Reading cannot go on.
    Failed(JournalError),
}

/// Partitions that came to us.
#[derive(Debug)]
pub struct Assignment {
    pub partitions: Vec<(Topic, i32)>,
    pub(super) answer: std_mpsc::SyncSender<Vec<(Topic, i32, StartAt)>>,
}

impl Assignment {
    /// Starts reading; partitions that are not named start at the group's committed offsets.
    pub fn start_at(self, starts: Vec<(Topic, i32, StartAt)>) {
        // Nobody listens if the member is ending.
        let _ = self.answer.send(starts);
    }
}

/// Where to start reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    Beginning,
    /// Where the group committed, or the beginning if it never did.
    Committed,
    Offset(i64),
}

/// Partitions that are taken from us; dropping it says we let go of them.
#[derive(Debug)]
pub struct Revocation {
    pub partitions: Vec<(Topic, i32)>,
    pub(super) _done: std_mpsc::SyncSender<()>,
}

/// A member of a consumer group.
///
/// Dropping it waits for its thread, up to a few seconds, so not on an async thread. The group keeps its partitions for it
/// until it misses it.
pub struct Consumer {
    events: mpsc::Receiver<Event>,
    inner: Arc<BaseConsumer<Context>>,
    connection: Connection,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumer({:?})", self.connection)
    }
}

impl Consumer {
    /// Joins `group` (the installation's prefix is put before it) for `topics`.
    ///
    /// # Errors
    /// [`JournalError`] if the client cannot be made; brokers that do not answer are waited for.
    pub fn start(connection: &Connection, group: &str, topics: &[Topic]) -> Result<Self, JournalError> {
        let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
        let (sender, events) = mpsc::channel(QUEUE);
        let names = Names(topics.iter().map(|topic| (connection.topic(*topic), *topic)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let (names_, stop_) = (names.clone(), Arc::clone(&stop));
        let context = Context::new(sender.clone(), names_, stop_);
        let inner: BaseConsumer<Context> =
            connection.consumer_config(group).create_with_context(context).map_err(sort)?;
        let subscribed: Vec<&str> = names.0.iter().map(|(name, _)| name.as_str()).collect();
        inner.subscribe(&subscribed).map_err(sort)?;
        let inner = Arc::new(inner);
        let poller = Poller {
            inner: Arc::clone(&inner),
            names,
            events: sender,
            connection: connection.clone(),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name(format!("poll {group}")).spawn(move || poller.run());
        let thread = thread.map_err(|error| sort(KafkaError::ClientCreation(error.to_string())))?;
        Ok(Self { events, inner, connection: connection.clone(), stop, thread: Some(thread) })
    }

    /// The next event; `None` after a failure was handed out.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// As whom a transaction commits offsets: a rebalance in between makes it fail.
    pub fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.inner.group_metadata()
    }

    /// Where the group reads on in these partitions, `None` where it never committed. Waits for transactions that are
    /// about to move that. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] if the brokers do not answer.
    pub fn committed(&self, partitions: &[(Topic, i32)]) -> Result<Vec<(Topic, i32, Option<i64>)>, JournalError> {
        let began = Instant::now();
        let list = loop {
            let answer = self.inner.committed_offsets(self.list(partitions), ASK_COMMITTED_AGAIN);
            match answer.map_err(|cause| self.sort(cause)) {
                Ok(list) => break list,
                Err(error) if !error.is_transient() => return Err(error),
                Err(_) if began.elapsed() > COMMITTED_PATIENCE => {
                    return Err(JournalError::Unsettled { place: "the committed offsets".to_owned() });
                }
                Err(error) => tracing::warn!(%error, "where to read on is not known yet, asking again"),
            }
        };
        let read = |element: &TopicPartitionListElem<'_>| {
            element.error().map_err(|cause| self.sort(cause))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let mut topics = partitions.iter().map(|(topic, _)| *topic);
            let topic = topics.find(|topic| self.connection.topic(*topic) == element.topic());
            Ok(topic.map(|topic| (topic, element.partition(), offset)))
        };
        list.elements().iter().filter_map(|element| read(element).transpose()).collect()
    }

    /// Is nothing waiting to be taken by [`Self::next`]?
    pub fn is_idle(&self) -> bool {
        self.events.is_empty()
    }

    /// Stops fetching these partitions until [`Self::resume`] or until the group hands partitions out anew. What is
    /// queued already still comes.
    ///
    /// # Errors
    /// [`JournalError`] if the client refuses.
    pub fn pause(&self, partitions: &[(Topic, i32)]) -> Result<(), JournalError> {
        self.inner.context().paused().extend(partitions);
        let list = self.list(partitions);
        self.inner.pause(&list).map_err(|cause| self.sort(cause))
    }

    /// Fetches these partitions again.
    ///
    /// # Errors
    /// [`JournalError`] if the client refuses.
    pub fn resume(&self, partitions: &[(Topic, i32)]) -> Result<(), JournalError> {
        self.inner.context().paused().retain(|place| !partitions.contains(place));
        let list = self.list(partitions);
        self.inner.resume(&list).map_err(|cause| self.sort(cause))
    }

    /// Remembers for the group where to read on. Returns before the brokers have it: what is lost is read again.
    ///
    /// # Errors
    /// [`JournalError`] if the client refuses.
    pub fn commit(&self, next: &[(Topic, i32, i64)]) -> Result<(), JournalError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (topic, partition, offset) in next {
            let name = self.connection.topic(*topic);
            let added = list.add_partition_offset(&name, *partition, Offset::Offset(*offset));
            added.map_err(|cause| self.sort(cause))?;
        }
        self.inner.commit(&list, CommitMode::Async).map_err(|cause| self.sort(cause))
    }

    fn list(&self, partitions: &[(Topic, i32)]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(&self.connection.topic(*topic), *partition);
        }
        list
    }

    fn sort(&self, cause: KafkaError) -> JournalError {
        JournalError::of(cause, self.connection.bootstrap(), self.connection.instance())
    }

    /// Reads on from other offsets. Batches that are queued already still come first.
    ///
    /// # Errors
    /// [`JournalError`] if the client refuses, for example because a partition is not ours any more.
    pub fn seek(&self, starts: &[(Topic, i32, i64)]) -> Result<(), JournalError> {
        for (topic, partition, offset) in starts {
            let name = self.connection.topic(*topic);
            let moved = self.inner.seek(&name, *partition, Offset::Offset(*offset), Duration::from_secs(10));
            moved.map_err(|cause| self.sort(cause))?;
        }
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that waits for room in the queue sees it closed.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        // Dropping what was queued answered a rebalance that waited, if any.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
