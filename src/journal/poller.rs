//! The thread behind a [`Consumer`](super::Consumer): polls, gathers records into batches, tells what the group does.
//!
//! In: the client. Out: events in one bounded queue. Absent: what records mean, where reading starts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::batch::{Batch, RecordRef};
use super::consumer::{Assignment, Event, Revocation, StartAt};
use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

const MAX_RECORDS: usize = 20_000;
const MAX_BYTES: usize = 2 << 20;
/// A batch waits for more records at most this long, while there is room for it in the queue: what reaches a worker that is
/// behind comes in few large pieces.
const MAX_WAIT: Duration = Duration::from_millis(10);
/// How long a batch waits for room before fetching is paused (a pause discards what was fetched ahead).
const PAUSE_AFTER: Duration = Duration::from_secs(20);
/// The worker must let go of partitions within the group's patience (`max.poll.interval.ms`, 5 min).
const REBALANCE_PATIENCE: Duration = Duration::from_secs(120);

/// Names of topics as Kafka knows them.
#[derive(Debug, Clone)]
pub(super) struct Names(pub(super) Vec<(String, Topic)>);

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
pub(super) struct Context {
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
    pub(super) fn new(events: mpsc::Sender<Event>, names: Names, stop: Arc<AtomicBool>) -> Self {
        Self { events, names, stop, epoch: AtomicU64::new(0), paused: Mutex::default() }
    }

    pub(super) fn paused(&self) -> MutexGuard<'_, BTreeSet<(Topic, i32)>> {
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

pub(super) struct Poller {
    pub(super) inner: Arc<BaseConsumer<Context>>,
    pub(super) names: Names,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) connection: Connection,
    pub(super) stop: Arc<AtomicBool>,
}

/// What one poll brought.
enum Polled {
    Record,
    Nothing,
    Broken(JournalError),
}

impl Poller {
    pub(super) fn run(self) {
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
            let full = batch.len() >= MAX_RECORDS || batch.size() >= MAX_BYTES;
            let due = full || (self.events.capacity() > 0 && since.elapsed() >= MAX_WAIT);
            if !batch.is_empty() && due {
                let next = Batch::none_but_room_for(&batch);
                if !self.hand_over(std::mem::replace(&mut batch, next)) {
                    return;
                }
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
