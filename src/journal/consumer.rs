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

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::batch::{Batch, RecordRef};
use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

const MAX_RECORDS: usize = 20_000;
const MAX_BYTES: usize = 4 << 20;
/// A batch waits for more records at most this long.
const MAX_WAIT: Duration = Duration::from_millis(10);
/// Batches that wait for the worker; with the client's own queue this bounds the memory.
const QUEUE: usize = 4;
/// How long a batch waits for room before fetching is paused (a pause discards what was fetched ahead).
const PAUSE_AFTER: Duration = Duration::from_secs(20);
/// The worker must let go of partitions within the group's patience (`max.poll.interval.ms`, 5 min).
const REBALANCE_PATIENCE: Duration = Duration::from_secs(120);

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
    answer: std_mpsc::SyncSender<Vec<(Topic, i32, StartAt)>>,
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
    _done: std_mpsc::SyncSender<()>,
}

/// A member of a consumer group.
///
/// Dropping it waits for its thread and leaves the group: up to a few seconds, so not on an async thread.
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
        let context = Context {
            events: sender.clone(),
            names: names_,
            stop: stop_,
            epoch: AtomicU64::new(0),
            paused: Mutex::default(),
        };
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

/// Names of topics as Kafka knows them.
#[derive(Debug, Clone)]
struct Names(Vec<(String, Topic)>);

impl Names {
    fn topic(&self, name: &str) -> Option<Topic> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, topic)| *topic)
    }

    fn name(&self, topic: Topic) -> &str {
        self.0.iter().find(|(_, known)| *known == topic).map_or("", |(name, _)| name)
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<(Topic, i32)> {
        let named = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            self.topic(e.topic()).map(|topic| (topic, e.partition()))
        };
        list.elements().iter().filter_map(named).collect()
    }
}

/// Runs inside `poll`, on the polling thread.
#[derive(Debug)]
struct Context {
    events: mpsc::Sender<Event>,
    names: Names,
    stop: Arc<AtomicBool>,
    /// Counts rebalances.
    epoch: AtomicU64,
    /// What the worker does not want now.
    paused: Mutex<BTreeSet<(Topic, i32)>>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        let partitions = self.names.partitions(list);
        if self.stop.load(Ordering::Relaxed) {
            // Closing: nobody listens any more, and this may be an async thread, which must not wait.
            let _ = consumer.unassign();
            return;
        }
        let done = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => {
                self.revoke(partitions);
                consumer.unassign()
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "could not take over the group's assignment");
        }
    }
}

impl Context {
    fn paused(&self) -> MutexGuard<'_, BTreeSet<(Topic, i32)>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: Vec<(Topic, i32)>) -> KafkaResult<()> {
        let (answer, answered) = std_mpsc::sync_channel(1);
        let event = Event::Assigned(Assignment { partitions: partitions.clone(), answer });
        let sent = self.events.blocking_send(event).is_ok();
        // However long it takes: to read from a place that nobody chose could count records twice. Should the group
        // lose patience meanwhile, it hands partitions out anew.
        let Some(starts) = sent.then(|| wait(&answered, &self.stop, Duration::MAX)).flatten() else {
            return consumer.assign(&TopicPartitionList::new());
        };
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            let start = starts.iter().find(|(t, p, _)| *t == topic && *p == partition);
            let offset = match start.map(|(_, _, start)| *start) {
                Some(StartAt::Beginning) => Offset::Beginning,
                Some(StartAt::Offset(offset)) => Offset::Offset(offset),
                Some(StartAt::Committed) | None => Offset::Stored,
            };
            list.add_partition_offset(self.names.name(topic), partition, offset)?;
        }
        consumer.assign(&list)?;
        // The client remembers a pause beyond a rebalance, the worker does not.
        self.paused().clear();
        consumer.resume(&list)
    }

    fn revoke(&self, partitions: Vec<(Topic, i32)>) {
        let (done, dropped) = std_mpsc::sync_channel(1);
        if self.events.blocking_send(Event::Revoked(Revocation { partitions, _done: done })).is_ok() {
            let _: Option<()> = wait(&dropped, &self.stop, REBALANCE_PATIENCE);
        }
    }
}

/// Waits for an answer, for the sender's end, for the stop signal, at most for `patience`.
fn wait<T>(answer: &std_mpsc::Receiver<T>, stop: &AtomicBool, patience: Duration) -> Option<T> {
    let since = Instant::now();
    while since.elapsed() < patience && !stop.load(Ordering::Relaxed) {
        match answer.recv_timeout(Duration::from_millis(100)) {
            Ok(answer) => return Some(answer),
            Err(std_mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(std_mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    None
}

struct Poller {
    inner: Arc<BaseConsumer<Context>>,
    names: Names,
    events: mpsc::Sender<Event>,
    connection: Connection,
    stop: Arc<AtomicBool>,
}

/// What one poll brought.
enum Polled {
    Record,
    Nothing,
    Broken(JournalError),
}

impl Poller {
    fn run(self) {
        let mut batch = Batch::default();
        let mut since = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let wait = if batch.is_empty() { Duration::from_millis(100) } else { MAX_WAIT };
            let was_empty = batch.is_empty();
            match self.poll(wait, &mut batch) {
                Polled::Broken(error) => {
                    let _ = self.events.blocking_send(Event::Failed(error));
                    return;
                }
                Polled::Record if was_empty => since = Instant::now(),
                Polled::Record | Polled::Nothing => {}
            }
            let full = batch.len() >= MAX_RECORDS || batch.size() >= MAX_BYTES || since.elapsed() >= MAX_WAIT;
            if !batch.is_empty() && full && !self.hand_over(std::mem::take(&mut batch)) {
                return;
            }
        }
    }

    /// Adds what one poll brings to the batch.
    fn poll(&self, wait: Duration, batch: &mut Batch) -> Polled {
        let epoch = self.epoch();
        let polled = self.inner.poll(wait);
        if self.epoch() != epoch {
            // What was read before a rebalance is read again by whoever owns it now; the record in hand came after.
            *batch = Batch::default();
        }
        match polled {
            Some(Ok(message)) => {
                if let Some(topic) = self.names.topic(message.topic()) {
                    batch.push(RecordRef {
                        topic,
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
                        key: message.key(),
                        payload: message.payload(),
                    });
                }
                Polled::Record
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => Polled::Nothing,
            Some(Err(cause)) => {
                match JournalError::of(cause, self.connection.bootstrap(), self.connection.instance()) {
                    error @ JournalError::UnknownTopic(_) => {
                        tracing::warn!(%error, "waiting for it");
                        Polled::Nothing
                    }
                    error if error.is_transient() => {
                        tracing::debug!(%error, "waiting for Kafka");
                        Polled::Nothing
                    }
                    error => Polled::Broken(error),
                }
            }
        }
    }

    /// Gives a batch to the worker; while there is no room, keeps the group alive without fetching.
    fn hand_over(&self, mut batch: Batch) -> bool {
        let since = Instant::now();
        let mut paused = false;
        // A rebalance meanwhile takes out what was read before it.
        while !batch.is_empty() && !self.stop.load(Ordering::Relaxed) {
            match self.events.try_reserve() {
                Ok(place) => place.send(Event::Batch(std::mem::take(&mut batch))),
                Err(mpsc::error::TrySendError::Closed(())) => return false,
                Err(mpsc::error::TrySendError::Full(())) if since.elapsed() < PAUSE_AFTER => {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                Err(mpsc::error::TrySendError::Full(())) => {
                    if !paused {
                        tracing::debug!("the worker is busy: fetching is paused");
                        paused = self.fetch(false);
                    }
                    if let Polled::Broken(error) = self.poll(Duration::from_millis(50), &mut batch) {
                        let _ = self.events.blocking_send(Event::Failed(error));
                        return false;
                    }
                }
            }
        }
        if paused {
            self.fetch(true);
        }
        true
    }

    /// Stops fetching, or fetches again what the worker has not paused itself. Did it work?
    fn fetch(&self, again: bool) -> bool {
        let Ok(all) = self.inner.assignment() else { return false };
        if !again {
            return self.inner.pause(&all).is_ok();
        }
        // Held until it is done: a pause by the worker comes before it or after it.
        let paused = self.inner.context().paused();
        let mut wanted = TopicPartitionList::with_capacity(all.count());
        for (topic, partition) in self.names.partitions(&all) {
            if !paused.contains(&(topic, partition)) {
                wanted.add_partition(self.names.name(topic), partition);
            }
        }
        self.inner.resume(&wanted).is_ok()
    }

    fn epoch(&self) -> u64 {
        self.inner.context().epoch.load(Ordering::Relaxed)
    }
}
