//! An allocate worker whose decisions are the program's own and whose doors lead to the model.
//!
//! It takes the steps of `allocate::worker` one by one, so that anything may happen between two of them.

use std::collections::HashMap;

use chrono::DateTime;
use tributary::allocate::forgotten::{Forgotten, Heard};
use tributary::allocate::lane::{KINDS, Kind, PATIENCE_MS};
use tributary::allocate::partitions::{Partitions, Starts};
use tributary::domain::quarantine::{Quarantined, Stage, Status};
use tributary::domain::{DayAllocated, Outcome, TenantDay};

use crate::dice::Dice;
use crate::facts::{Record, kind_name, text};
use crate::kafka::{Facts, Kafka, PARTITIONS, Place, Txn, Value};
use crate::run::partition;

/// Open days, of all its partitions, above which it reads no further ahead.
const OPEN_DAYS: usize = 3;

/// Where it is in its loop.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// The group gave it partitions: it asks where to read.
    Joining,
    /// It asks what is done: it knows where to read, and waits for transactions that are open in `allocations`.
    Restoring {
        starts: Vec<(usize, Starts)>,
        ends: Vec<usize>,
    },
    Reading,
    /// Rows are sent.
    Sent(Txn),
    /// Offsets are sent, too.
    Closing(Txn),
}

/// Faults that the program must not have; the simulation must see what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Asks what is done before it asks where to read.
    ScanFirst,
    /// Takes what it sees of `allocations` for all there is.
    ImpatientScan,
    /// Commits although the group has handed its partitions to others.
    StaleMember,
    /// A projector writes wherever the tables stand.
    Unfenced,
    /// A gatherer commits although another one has its tenant by now.
    PutOut,
    /// A projector does not ask which revisions were forgotten.
    Remembers,
}

pub struct Allocator {
    number: usize,
    fault: Fault,
    partitions: Partitions,
    phase: Phase,
    /// Which generation of the group it believes to be in; 0: none.
    generation: u64,
    owned: Vec<usize>,
    positions: [[usize; KINDS]; PARTITIONS],
    early: Vec<HashMap<TenantDay, u32>>,
    forgotten: Forgotten,
    /// How many events of tenants it knows of.
    events: usize,
    /// What it did that it must not do.
    wrong: Option<String>,
}

impl Allocator {
    pub fn new(number: usize, fault: Fault) -> Self {
        Self {
            number,
            fault,
            partitions: Partitions::default(),
            phase: Phase::Reading,
            generation: 0,
            owned: Vec::new(),
            positions: [[0; KINDS]; PARTITIONS],
            early: Vec::new(),
            forgotten: Forgotten::default(),
            events: 0,
            wrong: None,
        }
    }

    /// Dies and starts again: memory is lost.
    pub fn crash(&mut self, kafka: &mut Kafka) {
        *self = Self::new(self.number, self.fault);
        kafka.fence(self.number);
    }

    /// Is there nothing for it to do?
    pub fn rests(&self, kafka: &Kafka) -> bool {
        let read = |number: &usize| self.has_read_all(kafka, *number);
        self.generation == kafka.generation
            && self.phase == Phase::Reading
            && self.partitions.ready().is_empty()
            && self.owned.iter().all(read)
            && self.partitions.doubtful().next().is_none()
            && (self.owned.is_empty() || self.events == kafka.events.len())
    }

    /// Takes a step.
    ///
    /// # Errors
    /// What it did that it must not do.
    pub fn step(&mut self, kafka: &mut Kafka, dice: &mut Dice, trouble: bool) -> Result<(), String> {
        match self.phase.clone() {
            Phase::Reading if self.generation != kafka.generation && (!trouble || dice.chance(30)) => {
                self.rejoin(kafka);
            }
            // What is ready waits a little for more, and may lose its partition meanwhile.
            Phase::Reading if !self.partitions.ready().is_empty() && dice.chance(60) => self.send(kafka),
            Phase::Reading => self.read(kafka, dice, trouble),
            Phase::Joining | Phase::Restoring { .. } if self.generation != kafka.generation => self.rejoin(kafka),
            Phase::Joining => self.ask_where_to_read(kafka),
            Phase::Restoring { starts, ends } => self.restore(kafka, &starts, &ends),
            Phase::Sent(txn) | Phase::Closing(txn) if trouble && dice.chance(5) => {
                // An error after which the same transaction is tried again.
                kafka.decide(txn, false);
                self.phase = Phase::Reading;
            }
            Phase::Sent(txn) => self.send_offsets(kafka, txn),
            Phase::Closing(txn) if kafka.decide(txn, true) => {
                self.partitions.committed();
                self.phase = Phase::Reading;
            }
            Phase::Closing(_) => self.crash(kafka),
        }
        self.wrong.take().map_or(Ok(()), Err)
    }

    /// The rebalance is told: what goes is let go of, what comes is restored.
    fn rejoin(&mut self, kafka: &Kafka) {
        for number in self.owned.drain(..) {
            self.partitions.let_go(number as i32);
        }
        self.generation = kafka.generation;
        self.owned = (0..PARTITIONS).filter(|number| kafka.owners[*number] == Some(self.number)).collect();
        self.early = self.owned.iter().map(|number| done(kafka, *number)).collect();
        self.phase = Phase::Joining;
    }

    fn ask_where_to_read(&mut self, kafka: &Kafka) {
        let starts = self.owned.iter().map(|number| Some((*number, kafka.offsets(*number)?)));
        if let Some(starts) = starts.collect::<Option<Vec<_>>>() {
            let ends = self.owned.iter().map(|number| kafka.end_of(Place::Allocations(*number)));
            self.phase = Phase::Restoring { starts, ends: ends.collect() };
        }
    }

    fn ask_forgotten(&mut self, kafka: &Kafka) {
        if self.events != kafka.events.len() {
            self.forgotten = forgotten(kafka);
            self.events = kafka.events.len();
            self.partitions.forget(&self.forgotten);
        }
    }

    fn restore(&mut self, kafka: &Kafka, starts: &[(usize, Starts)], ends: &[usize]) {
        let seen = |(number, end): (&usize, &usize)| kafka.stable(Place::Allocations(*number)) >= *end;
        if !matches!(self.fault, Fault::ScanFirst | Fault::ImpatientScan) && !self.owned.iter().zip(ends).all(seen) {
            return;
        }
        self.ask_forgotten(kafka);
        for (at, (number, starts)) in starts.iter().enumerate() {
            let now = done(kafka, *number);
            let done = if self.fault == Fault::ScanFirst { self.early[at].clone() } else { now };
            self.partitions.take_over(*number as i32, done, *starts);
            self.positions[*number] = starts.map(|start| start.unwrap_or_default() as usize);
        }
        self.phase = Phase::Reading;
    }

    fn read(&mut self, kafka: &Kafka, dice: &mut Dice, trouble: bool) {
        if trouble && dice.chance(5) {
            self.read_again(kafka, dice);
        }
        // Now and then, by the clock.
        if !trouble || dice.chance(10) {
            self.ask_forgotten(kafka);
        }
        for _ in 0..1 + dice.below(4) {
            let paused = self.paused();
            let readable = |number: &usize| {
                let behind = |kind: &usize| self.positions[*number][*kind] < kafka.facts[*number].visible[*kind];
                let wanted = |kind: &usize| !paused[*number][*kind];
                (0..KINDS).filter(behind).filter(wanted).map(|kind| (*number, kind)).collect::<Vec<_>>()
            };
            let waiting: Vec<(usize, usize)> = self.owned.iter().flat_map(readable).collect();
            let Some((number, kind)) = dice.pick(&waiting) else { break };
            for _ in 0..1 + dice.below(6) {
                self.take(kafka, number, kind);
            }
        }
        let doubtful: Vec<i32> = self.partitions.doubtful().map(|(number, _)| number).collect();
        for number in doubtful {
            if self.has_read_all(kafka, number as usize) {
                let before = self.partitions.ready().days.len();
                self.partitions.exhausted(number, DateTime::UNIX_EPOCH);
                let given_up = &self.partitions.ready().days[before..];
                self.wrong = given_up.iter().find_map(|decided| given_up_young(kafka, &decided.outcome));
            }
        }
        self.make_room(kafka);
    }

    /// The topics that are not read on in while too many days are open.
    fn paused(&self) -> [[bool; KINDS]; PARTITIONS] {
        let mut paused = [[false; KINDS]; PARTITIONS];
        if self.partitions.lanes().map(|(_, lane)| lane.open_days()).sum::<usize>() > OPEN_DAYS {
            for (number, lane) in self.partitions.lanes() {
                paused[number as usize] = lane.ahead();
                paused[number as usize][Kind::Days as usize] = false;
            }
        }
        paused
    }

    fn make_room(&mut self, kafka: &Kafka) {
        let paused = self.paused();
        for number in self.owned.clone() {
            let (facts, positions) = (&kafka.facts[number], self.positions[number]);
            let needed = |kind: &usize| !paused[number][*kind];
            let is_read = |kind: usize| positions[kind] == facts.records[kind].len();
            if (0..KINDS).filter(needed).all(is_read) && !(0..KINDS).all(is_read) {
                self.partitions.give_up_oldest(number as i32, DateTime::UNIX_EPOCH);
            }
        }
    }

    /// Days of which it waits for more.
    pub fn open_days(&self) -> usize {
        self.partitions.lanes().map(|(_, lane)| lane.open_days()).sum()
    }

    /// Deliveries of what is not committed are repeated.
    fn read_again(&mut self, kafka: &Kafka, dice: &mut Dice) {
        let Some(number) = dice.pick(&self.owned) else { return };
        if let Some(starts) = kafka.offsets(number) {
            for (position, start) in self.positions[number].iter_mut().zip(starts) {
                *position = (*position).min(start.unwrap_or_default() as usize);
            }
        }
    }

    fn take(&mut self, kafka: &Kafka, number: usize, kind: usize) {
        let at = self.positions[number][kind];
        if at >= kafka.facts[number].visible[kind] {
            return;
        }
        self.positions[number][kind] += 1;
        let (partition, offset, kind) = (number as i32, at as i64, Kind::ALL[kind]);
        let record = &kafka.facts[number].records[kind as usize][at];
        if matches!(record, Record::Aborted) {
            return;
        }
        let written = kafka.facts[number].times[kind as usize][at];
        self.partitions.at(partition, written);
        match (record.fact(), record) {
            (Some(fact), _) => match self.forgotten.judge(&fact, written) {
                Heard::New => self.partitions.take(partition, kind, offset, fact, DateTime::UNIX_EPOCH),
                Heard::Forgotten => self.partitions.passed(partition, kind, offset),
                Heard::Late(_) => {
                    self.partitions.set_aside(partition, kind, offset, set_aside(number, kind, offset, None));
                }
            },
            (None, Record::Garbage(key)) => {
                let bad = set_aside(number, kind, offset, key.as_ref());
                self.partitions.spoil(partition, kind, offset, key.clone(), bad);
            }
            _ => self.partitions.passed(partition, kind, offset),
        }
    }

    fn has_read_all(&self, kafka: &Kafka, number: usize) -> bool {
        let facts = &kafka.facts[number];
        (0..KINDS).all(|kind| {
            self.positions[number][kind] == facts.visible[kind] && facts.visible[kind] == facts.records[kind].len()
        })
    }

    fn send(&mut self, kafka: &mut Kafka) {
        let Some(txn) = kafka.begin(self.number) else { return };
        self.phase = Phase::Sent(txn);
        for decided in &self.partitions.ready().days {
            let (number, outcome) = (decided.partition as usize, &decided.outcome);
            let key = TenantDay::new(&outcome.tenant, outcome.day);
            for row in decided.allocation.iter().flat_map(|allocation| allocation.iter()) {
                let (ordinal, count, text) = (row.ordinal, row.count, text(&row));
                let row = Value::Row { key: key.clone(), revision: row.revision, ordinal, count, text };
                kafka.send(txn, Place::Chargebacks(number), row);
            }
            let value =
                Value::Outcome { key, revision: outcome.revision, outcome: outcome.outcome, rows: outcome.rows };
            kafka.send(txn, Place::Allocations(number), value);
        }
        for (_, bad) in &self.partitions.ready().bad {
            kafka.send(txn, Place::Quarantine, Value::Quarantined(bad.id.clone()));
        }
    }

    fn send_offsets(&mut self, kafka: &mut Kafka, txn: Txn) {
        if self.generation != kafka.generation && self.fault != Fault::StaleMember {
            // The worker ends, and starts again from what is committed.
            return self.crash(kafka);
        }
        let mut sent = self.partitions.positions().map(|(partition, kind, offset)| {
            kafka.send(txn, Place::Offsets, Value::Offset(partition as usize, kind, offset))
        });
        if !sent.all(|sent| sent) {
            drop(sent);
            return self.crash(kafka);
        }
        drop(sent);
        self.phase = Phase::Closing(txn);
    }
}

/// Was a revision refused although more of it may come? Not asked of partitions with a record that cannot be read, which
/// is reason enough.
fn given_up_young(kafka: &Kafka, of: &DayAllocated) -> Option<String> {
    let key = TenantDay::new(&of.tenant, of.day);
    let Facts { records, times, .. } = &kafka.facts[partition(&key)];
    if records.iter().flatten().any(|record| matches!(record, Record::Garbage(_))) {
        return None;
    }
    let revision = (&key.tenant, key.day, of.revision);
    let written = records.iter().flatten().zip(times.iter().flatten());
    let first = written.filter(|(record, _)| record.revision() == Some(revision)).map(|(_, time)| *time).min()?;
    let newest = times.iter().flatten().copied().max()?;
    let young = of.outcome == Outcome::Refused && newest - first < PATIENCE_MS;
    young.then(|| format!("{key} revision {} was given up although it is young", of.revision))
}

/// What a scan of `allocations` finds now.
fn done(kafka: &Kafka, number: usize) -> HashMap<TenantDay, u32> {
    let mut done: HashMap<TenantDay, u32> = HashMap::new();
    for (_, value) in kafka.read(Place::Allocations(number), 0) {
        match value {
            Value::Outcome { key, revision, .. } => {
                let last = done.entry(key.clone()).or_default();
                *last = (*last).max(*revision);
            }
            Value::Gone(key) => drop(done.remove(key)),
            _ => {}
        }
    }
    done
}

fn forgotten(kafka: &Kafka) -> Forgotten {
    // The last event of a tenant holds.
    Forgotten::new(kafka.events.iter().map(|event| (event.tenant.clone(), event.clone())).collect())
}

fn set_aside(number: usize, kind: Kind, offset: i64, key: Option<&TenantDay>) -> Quarantined {
    let source = format!("{}[{number}]@{offset}", kind_name(kind));
    Quarantined {
        id: source.clone(),
        tenant: key.map(|key| key.tenant.clone()),
        day: key.map(|key| key.day),
        stage: Stage::Allocate,
        source,
        topic: None,
        partition: Some(number as i32),
        offset: Some(offset),
        key: None,
        payload: Vec::new(),
        reason: String::new(),
        status: Status::Open,
        at: DateTime::UNIX_EPOCH,
    }
}
