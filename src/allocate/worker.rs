//! The loop around the pure part: read, decide, commit.
//!
//! Rows, the day's outcome and the positions of the facts they were made from go into one Kafka
//! transaction, so each revision is allocated once, whatever crashes:
//!
//! * before the commit, nothing is visible and the group reads the facts again;
//! * after it, the positions have moved, and a restored lane knows the revision as done;
//! * a partition that moves to another worker makes the commit fail, and the lane is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::forgotten::{Forgotten, Heard};
use super::lane::{Fact, KINDS, Kind, Lane};
use super::partitions::{Decided, Partitions, Starts};
use crate::clock::Clock;
use crate::domain::quarantine::Stage;
use crate::domain::{DayAllocated, Outcome, TenantDay, check_key};
use crate::journal::codec::{Codec, DecodeError, EncodeError};
use crate::journal::ends::{is_settled, unread};
use crate::journal::registry::RegistryError;
use crate::journal::{
    Assignment, Batch, Connection, Consumer, Event, JournalError, NextOffset, RecordRef, StartAt, Topic,
    TransactionalProducer, scan, tenant_events,
};
use crate::meter;
use crate::wording::chain;

/// The consumer group.
pub const GROUP: &str = "allocate";
/// What it reads.
pub const TOPICS: [Topic; KINDS] = [Topic::Billing, Topic::Resources, Topic::Identities, Topic::Metrics, Topic::Days];
/// Rows after which a transaction is closed although more days are ready.
const ROWS_PER_TRANSACTION: usize = 200_000;
/// As many days close it, too: a day takes memory of its own, however few rows it has.
const DAYS_PER_TRANSACTION: usize = 500;
/// A day that is ready waits this long for the next batch, whose days then share its transaction: a commit waits for the
/// broker several times, for one day as for many. A little longer than a batch gathers while there is a backlog.
const LINGER: Duration = Duration::from_millis(15);
/// How long days gather for one transaction at most.
const TOGETHER: Duration = Duration::from_millis(500);
/// How often a transaction that Kafka aborted is tried again.
const ATTEMPTS: u32 = 3;
/// Memory of open days, bytes, above which topics are paused that are ahead of the others.
const OPEN_BYTES: usize = 96 << 20;
/// How often the log is asked which tenants were forgotten, while facts arrive.
const ASK_FORGOTTEN: Duration = Duration::from_secs(60);

/// How long nothing may come before days that wait for what will not come are looked at again.
const QUIET: Duration = Duration::from_secs(1);

/// Why the stage ended.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("a result could not be encoded")]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl AllocateError {
    /// May the stage go on when it is started again, from what it committed last?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Encode(_) => false,
        }
    }

    /// Did the Kafka client break, or believe that it was put out?
    pub fn broke_the_client(&self) -> bool {
        matches!(self, Self::Journal(error) if error.breaks_the_client())
    }
}

/// Allocates sealed days until it is told to stop. Blocks: give it a thread of its own.
///
/// `committed` hears of every day whose outcome became visible.
///
/// # Errors
/// [`AllocateError`] if another process took over or the client cannot go on. What was committed stays.
pub fn run(
    connection: &Connection,
    codec: Arc<Codec>,
    clock: Clock,
    stop: &CancellationToken,
    committed: impl Fn(&[DayAllocated]),
) -> Result<(), AllocateError> {
    let runtime = Handle::current();
    let producer = TransactionalProducer::new(connection, GROUP)?;
    let mut consumer = Consumer::start(connection, GROUP, &TOPICS)?;
    let mut worker = Worker {
        runtime: runtime.clone(),
        connection,
        codec,
        clock,
        producer,
        partitions: Partitions::default(),
        ready_since: None,
        paused: Vec::new(),
        forgotten: Forgotten::default(),
        asked: Instant::now(),
    };
    loop {
        let waiting = !worker.partitions.ready().is_empty();
        let in_vain = worker.waits_in_vain();
        let next = runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Next::Stop,
                event = consumer.next() => event.map_or(Next::Stop, Next::Event),
                () = tokio::time::sleep(LINGER), if waiting => Next::Commit,
                () = tokio::time::sleep(QUIET), if in_vain => Next::Event(Event::Batch(Batch::default())),
            }
        });
        match next {
            Next::Stop => return Ok(()),
            Next::Commit => worker.commit(&consumer, &committed)?,
            Next::Event(Event::Failed(error)) => return Err(error.into()),
            Next::Event(Event::Assigned(assignment)) => worker.assigned(assignment, &consumer)?,
            Next::Event(Event::Revoked(revocation)) => {
                worker.revoked(&revocation.partitions);
                drop(revocation);
            }
            Next::Event(Event::Batch(batch)) => worker.batch(&batch, &consumer, &committed)?,
        }
    }
}

/// What the worker does next.
enum Next {
    Stop,
    /// Nothing else came that could share the transaction.
    Commit,
    Event(Event),
}

struct Worker<'c> {
    /// For the registry, the only one that is asked asynchronously.
    runtime: Handle,
    connection: &'c Connection,
    codec: Arc<Codec>,
    clock: Clock,
    producer: TransactionalProducer,
    partitions: Partitions,
    /// Since when something waits for the next transaction.
    ready_since: Option<Instant>,
    paused: Vec<(Topic, i32)>,
    /// What is passed over.
    forgotten: Forgotten,
    /// When that was asked for.
    asked: Instant,
}

impl Worker<'_> {
    fn assigned(&mut self, assignment: Assignment, consumer: &Consumer) -> Result<(), JournalError> {
        let mut starts: BTreeMap<i32, Starts> = BTreeMap::new();
        // First where to read, then what is done: see `Partitions::take_over`.
        let committed = consumer.committed(&assignment.partitions)?;
        for (topic, number, offset) in &committed {
            let of_number = starts.entry(*number).or_default();
            if let (Some(kind), Some(offset)) = (kind(*topic), offset) {
                of_number[kind as usize] = Some(*offset);
            }
        }
        let topics = |number: i32| assignment.partitions.iter().filter(|(_, n)| *n == number).count();
        if let Some(number) = starts.keys().find(|number| topics(**number) != KINDS) {
            tracing::error!(
                partition = number,
                "the fact topics differ in their partition counts; run `tributary topology apply`"
            );
        }
        self.ask_forgotten()?;
        let mut done = self.done(&starts.keys().copied().collect::<Vec<_>>())?;
        for (number, starts) in starts {
            let done = done.remove(&number).unwrap_or_default();
            tracing::info!(partition = number, days = done.len(), "allocating");
            self.partitions.take_over(number, done, starts);
        }
        self.paused.clear();
        let start = |offset: Option<i64>| offset.map_or(StartAt::Beginning, StartAt::Offset);
        let starts = committed.into_iter().map(|(topic, number, offset)| (topic, number, start(offset)));
        assignment.start_at(starts.collect());
        Ok(())
    }

    fn ask_forgotten(&mut self) -> Result<(), JournalError> {
        self.forgotten = Forgotten::new(tenant_events(self.connection, &self.codec)?);
        self.partitions.forget(&self.forgotten);
        self.asked = Instant::now();
        Ok(())
    }

    /// What the log says is done of these partitions' days.
    fn done(&self, numbers: &[i32]) -> Result<BTreeMap<i32, HashMap<TenantDay, u32>>, JournalError> {
        let mut done: BTreeMap<i32, HashMap<TenantDay, u32>> = BTreeMap::new();
        if !numbers.is_empty() {
            let codec = &self.codec;
            scan(self.connection, Topic::Allocations, Some(numbers), |record| {
                let Some(payload) = record.payload else {
                    // Beyond retention, or forgotten with its tenant.
                    let key = record.key.and_then(|key| std::str::from_utf8(key).ok()?.parse::<TenantDay>().ok());
                    let lane = done.entry(record.partition).or_default();
                    if let Some(key) = key {
                        lane.remove(&key);
                    }
                    return;
                };
                let Ok(outcome) = codec.decode::<DayAllocated>(payload) else {
                    // At worst a revision is allocated once more, to the same rows.
                    return tracing::warn!(record.partition, record.offset, "an outcome cannot be read");
                };
                let lane = done.entry(record.partition).or_default();
                let last = lane.entry(TenantDay::new(outcome.tenant, outcome.day)).or_default();
                *last = outcome.revision.max(*last);
            })?;
        }
        Ok(done)
    }

    fn revoked(&mut self, partitions: &[(Topic, i32)]) {
        for (_, number) in partitions {
            self.partitions.let_go(*number);
        }
        self.paused.retain(|(_, number)| self.partitions.has(*number));
    }

    fn batch(
        &mut self,
        batch: &Batch,
        consumer: &Consumer,
        committed: &impl Fn(&[DayAllocated]),
    ) -> Result<(), AllocateError> {
        let payloads = batch.records().filter_map(|record| record.payload);
        self.runtime.block_on(self.codec.learn_missing(payloads))?;
        if self.asked.elapsed() > ASK_FORGOTTEN {
            self.ask_forgotten()?;
        }
        // Once for all of them: they were read together, and the clock is not free.
        let now = self.clock.now();
        for record in batch.records() {
            self.record(record, now);
            let ready = self.partitions.ready();
            if ready.rows() >= ROWS_PER_TRANSACTION || ready.days.len() >= DAYS_PER_TRANSACTION {
                self.commit(consumer, committed)?;
            }
        }
        if consumer.is_idle() {
            self.settle_doubts()?;
            self.make_room()?;
        }
        if self.partitions.ready().is_empty() {
            self.ready_since = None;
        } else if self.ready_since.get_or_insert_with(Instant::now).elapsed() >= TOGETHER {
            self.commit(consumer, committed)?;
        }
        self.bound_memory(consumer)
    }

    /// Is there a day that may be refused without another record being read?
    fn waits_in_vain(&self) -> bool {
        !self.paused.is_empty() || self.partitions.doubtful().next().is_some()
    }

    /// Refuses days that miss what could not be read or did not come for a day, once nothing else is left to read.
    fn settle_doubts(&mut self) -> Result<(), JournalError> {
        let doubtful: Vec<(i32, Starts)> = self.partitions.doubtful().collect();
        for (number, next) in doubtful {
            if self.is_read(number, &TOPICS, next)? {
                self.partitions.exhausted(number, self.clock.now());
            }
        }
        Ok(())
    }

    /// Refuses the oldest open day of a partition in which reading is paused for its sake, once what it misses is
    /// nowhere in the log: the days behind it would wait for ever.
    fn make_room(&mut self) -> Result<(), JournalError> {
        let nexts: Vec<(i32, Starts)> = self.partitions.lanes().map(|(number, lane)| (number, lane.next())).collect();
        for (number, next) in nexts {
            let (paused, needed): (Vec<Topic>, Vec<Topic>) =
                TOPICS.into_iter().partition(|topic| self.paused.contains(&(*topic, number)));
            if !paused.is_empty() && self.is_read(number, &needed, next)? && !self.is_read(number, &paused, next)? {
                self.partitions.give_up_oldest(number, self.clock.now());
            }
        }
        Ok(())
    }

    /// Has everything been read of these topics of a partition, open transactions included?
    fn is_read(&self, number: i32, topics: &[Topic], next: Starts) -> Result<bool, JournalError> {
        let at = |(topic, next): (Topic, Option<i64>)| (topic, number, next.unwrap_or_default());
        let positions = TOPICS.into_iter().zip(next).map(at).filter(|(topic, ..)| topics.contains(topic));
        let positions: Vec<(Topic, i32, i64)> = positions.collect();
        Ok(is_settled(self.connection, topics, number)? && unread(self.connection, &positions)?.is_empty())
    }

    /// Pauses what the oldest open days need nothing more from while open days take too much memory.
    ///
    /// What they need is never paused, so they become whole and their memory comes back.
    fn bound_memory(&mut self, consumer: &Consumer) -> Result<(), AllocateError> {
        let bytes = self.partitions.lanes().map(|(_, lane)| lane.bytes()).sum::<usize>();
        meter::open(self.partitions.lanes().map(|(_, lane)| lane.open_days()).sum(), bytes);
        let over = bytes > OPEN_BYTES;
        let ahead = |(number, lane): (i32, &Lane)| {
            let topics = TOPICS.into_iter().zip(lane.ahead()).filter(|(topic, ahead)| *ahead && *topic != Topic::Days);
            topics.map(|(topic, _)| (topic, number)).collect::<Vec<_>>()
        };
        let wanted: Vec<(Topic, i32)> =
            if over { self.partitions.lanes().flat_map(ahead).collect() } else { Vec::new() };
        let again: Vec<_> = self.paused.iter().filter(|place| !wanted.contains(place)).copied().collect();
        let newly: Vec<_> = wanted.iter().filter(|place| !self.paused.contains(place)).copied().collect();
        if !again.is_empty() {
            consumer.resume(&again)?;
        }
        if !newly.is_empty() {
            let oldest = self.partitions.lanes().filter_map(|(_, lane)| lane.oldest()).min();
            tracing::warn!(
                oldest = oldest.map(ToString::to_string),
                "open days fill the memory: reading ahead is paused until the oldest is whole"
            );
            consumer.pause(&newly)?;
        }
        self.paused = wanted;
        Ok(())
    }

    fn record(&mut self, record: RecordRef<'_>, now: DateTime<Utc>) {
        let Some(kind) = kind(record.topic) else { return };
        let RecordRef { partition, offset, payload, .. } = record;
        // A writer whose clock is ahead must not make the days of others look old.
        self.partitions.at(partition, record.timestamp_ms.min(now.timestamp_millis()));
        // A tombstone in a fact topic says nothing about a revision.
        let Some(payload) = payload else { return self.partitions.passed(partition, kind, offset) };
        match read(&self.codec, kind, &record, payload) {
            Ok(fact) => match self.forgotten.judge(&fact, record.timestamp_ms) {
                Heard::New => self.partitions.take(partition, kind, offset, fact, now),
                Heard::Forgotten => self.partitions.passed(partition, kind, offset),
                Heard::Late(reason) => {
                    let bad = record.set_aside(Stage::Allocate, reason);
                    tracing::error!(source = bad.source, reason = bad.reason, "a seal was set aside");
                    self.partitions.set_aside(partition, kind, offset, bad);
                }
            },
            // Read before the partition was lost: the next owner sets it aside.
            Err(_) if !self.partitions.has(partition) => {}
            Err((day, reason)) => {
                let bad = record.set_aside(Stage::Allocate, reason);
                tracing::error!(source = bad.source, reason = bad.reason, "a record was set aside");
                self.partitions.spoil(partition, kind, offset, day, bad);
            }
        }
    }

    /// Makes everything that is ready visible, together with the positions behind it.
    ///
    /// If that cannot be done, the worker is of no more use: what it decided is in no log, and its lanes have moved
    /// on. Whoever starts the next one reads the facts again from the committed positions.
    fn commit(&mut self, consumer: &Consumer, committed: &impl Fn(&[DayAllocated])) -> Result<(), AllocateError> {
        let (began, mut attempt) = (Instant::now(), 1);
        loop {
            match self.write(consumer) {
                Ok(()) => break,
                Err(AllocateError::Journal(JournalError::Abort(cause))) if attempt < ATTEMPTS => {
                    tracing::warn!(%cause, attempt, "a transaction was aborted, nothing of it is visible: once more");
                    self.producer.abort()?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let days = self.partitions.committed();
        let refused = days.iter().filter(|day| day.outcome == Outcome::Refused).count();
        let rows = days.iter().map(|day| u64::from(day.rows)).sum();
        meter::allocated(days.len() - refused, refused, rows, began.elapsed());
        committed(&days);
        self.ready_since = None;
        Ok(())
    }

    fn write(&mut self, consumer: &Consumer) -> Result<(), AllocateError> {
        let Self { codec, producer, partitions, .. } = self;
        let mut bytes = Vec::with_capacity(512);
        producer.begin_for(partitions.ready().rows())?;
        for Decided { partition, outcome, allocation } in &partitions.ready().days {
            let key = TenantDay::new(&outcome.tenant, outcome.day).to_string();
            let mut rows = codec.row_writer();
            for row in allocation.iter().flat_map(|allocation| allocation.iter()) {
                bytes.clear();
                rows.write(&row, &mut bytes)?;
                producer.send(Topic::Chargebacks, Some(*partition), key.as_bytes(), Some(&bytes))?;
            }
            for row in allocation.iter().flat_map(|allocation| allocation.topics()) {
                bytes.clear();
                codec.encode(&row, &mut bytes)?;
                producer.send(Topic::TopicAttributions, Some(*partition), key.as_bytes(), Some(&bytes))?;
            }
            bytes.clear();
            codec.encode(outcome, &mut bytes)?;
            producer.send(Topic::Allocations, Some(*partition), key.as_bytes(), Some(&bytes))?;
        }
        for (_, bad) in &partitions.ready().bad {
            bytes.clear();
            codec.encode(bad, &mut bytes)?;
            producer.send(Topic::Quarantine, None, bad.id.as_bytes(), Some(&bytes))?;
        }
        let next = partitions.positions();
        let next = next.map(|(partition, kind, offset)| NextOffset { topic: TOPICS[kind as usize], partition, offset });
        let next: Vec<NextOffset> = next.collect();
        if let Some(group) = consumer.group() {
            producer.send_offsets(&next, group)?;
        }
        producer.commit()?;
        Ok(())
    }
}

fn kind(topic: Topic) -> Option<Kind> {
    match topic {
        Topic::Billing => Some(Kind::Billing),
        Topic::Resources => Some(Kind::Resources),
        Topic::Identities => Some(Kind::Identities),
        Topic::Metrics => Some(Kind::Metrics),
        Topic::Days => Some(Kind::Days),
        _ => None,
    }
}

/// Reads a record, or says which day it spoils and what is wrong.
fn read<'a>(
    codec: &Codec,
    kind: Kind,
    record: &RecordRef<'_>,
    payload: &'a [u8],
) -> Result<Fact<'a>, (Option<TenantDay>, String)> {
    let of_key = || std::str::from_utf8(record.key?).ok()?.parse().ok();
    let fact = decode(codec, kind, payload).map_err(|error| (of_key(), chain(&error)))?;
    let (tenant, day, _) = fact.place();
    match check_key(record.key, tenant, day) {
        Ok(()) => Ok(fact),
        Err(misplaced) => Err((Some(misplaced.holds.clone()), misplaced.to_string())),
    }
}

fn decode<'a>(codec: &Codec, kind: Kind, payload: &'a [u8]) -> Result<Fact<'a>, DecodeError> {
    Ok(match kind {
        Kind::Billing => Fact::Line(codec.decode(payload)?),
        Kind::Resources => Fact::Resource(codec.decode(payload)?),
        Kind::Identities => Fact::Identity(codec.decode(payload)?),
        Kind::Metrics => Fact::Metric(codec.decode(payload)?),
        Kind::Days => Fact::Seal(codec.decode(payload)?),
    })
}
