//! As much of Kafka as our promises rest on.
//!
//! * A partition keeps its order; topics have none between them.
//! * A transaction is decided in one moment, but each partition learns of it by a marker, one after the other. Readers of
//!   committed records see nothing behind the first transaction that is open for them.
//! * Offsets in a transaction are taken only from the group's present generation, and whoever asks for them while they
//!   are pending has to wait.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tributary::allocate::lane::{KINDS, Kind};
use tributary::allocate::partitions::Starts;
use tributary::domain::{Outcome, TenantDay, TenantEvent};

use crate::dice::Dice;
use crate::facts::Record;

pub const PARTITIONS: usize = 3;

pub type Txn = u64;

/// When a run begins, in milliseconds since 1970: usage of its days is not settled then.
const BEGAN: i64 = 1_772_496_000_000;

/// What our transactions write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Row {
        key: TenantDay,
        revision: u32,
        ordinal: u32,
        count: u32,
        text: String,
    },
    Outcome {
        key: TenantDay,
        revision: u32,
        outcome: Outcome,
        rows: u32,
    },
    /// A tombstone: the day's outcome is kept no longer.
    Gone(TenantDay),
    Quarantined(String),
    Offset(usize, Kind, i64),
    Marker,
}

/// A partition that transactions write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Chargebacks(usize),
    Allocations(usize),
    Quarantine,
    Offsets,
}

#[derive(Debug, Default)]
pub struct Results {
    pub entries: Vec<(Txn, Value)>,
    /// Open here, with the offset of their first record.
    open: BTreeMap<Txn, usize>,
}

impl Results {
    /// Readers of committed records see what is before this.
    pub fn stable(&self) -> usize {
        self.open.values().copied().min().unwrap_or(self.entries.len())
    }
}

/// The five fact topics of one partition number.
#[derive(Debug, Default)]
pub struct Facts {
    pub records: [Vec<Record>; KINDS],
    /// When each was written, in milliseconds since 1970.
    pub times: [Vec<i64>; KINDS],
    /// The end for readers of committed records.
    pub visible: [usize; KINDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    None,
    Commit,
    Abort,
}

#[derive(Debug)]
struct Open {
    producer: usize,
    places: Vec<Place>,
    decision: Decision,
}

#[derive(Debug, Default)]
pub struct Kafka {
    pub facts: [Facts; PARTITIONS],
    pub results: BTreeMap<Place, Results>,
    transactions: BTreeMap<Txn, Open>,
    committed: BTreeMap<Txn, bool>,
    last: Txn,
    /// What has passed by the brokers' clock, in milliseconds.
    pub time: i64,
    offsets: BTreeMap<(usize, usize), i64>,
    /// Rises with every rebalance of the group.
    pub generation: u64,
    pub owners: [Option<usize>; PARTITIONS],
    /// Topic `tenants`.
    pub events: Vec<TenantEvent>,
}

impl Kafka {
    /// A gatherer's transaction: decided at once, seen topic by topic.
    pub fn append(&mut self, partition: usize, records: &[Vec<Record>; KINDS]) {
        let Facts { records: topics, times, .. } = &mut self.facts[partition];
        for ((topic, times), records) in topics.iter_mut().zip(times).zip(records) {
            topic.extend(records.iter().cloned());
            times.resize(topic.len(), BEGAN + self.time);
        }
    }

    /// The moment that the brokers' clock shows.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(BEGAN + self.time).expect("within the calendar")
    }

    /// The last revision of a tenant that is not to be taken up any more; 0: it was never forgotten.
    pub fn last_forgotten(&self, tenant: &str) -> u32 {
        self.events.iter().filter(|event| event.tenant == tenant).map(|event| event.last_revision).max().unwrap_or(0)
    }

    /// A marker reaches its partition; false: none is under way.
    pub fn marker(&mut self, dice: &mut Dice) -> bool {
        let mut waiting: Vec<(Option<Txn>, usize, usize)> = Vec::new();
        for (partition, facts) in self.facts.iter().enumerate() {
            let behind = (0..KINDS).filter(|kind| facts.visible[*kind] < facts.records[*kind].len());
            waiting.extend(behind.map(|kind| (None, partition, kind)));
        }
        let decided = self.transactions.iter().filter(|(_, open)| open.decision != Decision::None);
        waiting.extend(decided.map(|(txn, _)| (Some(*txn), 0, 0)));
        match dice.pick(&waiting) {
            None => return false,
            Some((None, partition, kind)) => {
                self.facts[partition].visible[kind] = self.facts[partition].records[kind].len();
            }
            Some((Some(txn), ..)) => self.end(txn, dice),
        }
        true
    }

    fn end(&mut self, txn: Txn, dice: &mut Dice) {
        let Some(open) = self.transactions.get_mut(&txn) else { return };
        let committed = open.decision == Decision::Commit;
        if !open.places.is_empty() {
            let place = open.places.swap_remove(dice.below(open.places.len()));
            let results = self.results.entry(place).or_default();
            results.open.remove(&txn);
            let offsets = results.entries.iter().filter(|(of, _)| committed && *of == txn);
            for (_, value) in offsets {
                if let Value::Offset(partition, kind, offset) = value {
                    self.offsets.insert((*partition, *kind as usize), *offset);
                }
            }
            results.entries.push((txn, Value::Marker));
        }
        if open.places.is_empty() {
            self.transactions.remove(&txn);
        }
        self.committed.insert(txn, committed);
    }

    /// Opens a transaction; `None` while the producer's last one is not ended everywhere.
    pub fn begin(&mut self, producer: usize) -> Option<Txn> {
        if self.transactions.values().any(|open| open.producer == producer) {
            return None;
        }
        self.last += 1;
        self.transactions.insert(self.last, Open { producer, places: Vec::new(), decision: Decision::None });
        Some(self.last)
    }

    /// False: the transaction was aborted behind our back.
    pub fn send(&mut self, txn: Txn, place: Place, value: Value) -> bool {
        let Some(open) = self.transactions.get_mut(&txn).filter(|open| open.decision == Decision::None) else {
            return false;
        };
        if !open.places.contains(&place) {
            open.places.push(place);
        }
        let results = self.results.entry(place).or_default();
        results.open.entry(txn).or_insert(results.entries.len());
        results.entries.push((txn, value));
        true
    }

    /// Decides a transaction; false if that was done already.
    pub fn decide(&mut self, txn: Txn, commit: bool) -> bool {
        match self.transactions.get_mut(&txn) {
            Some(open) if open.decision == Decision::None => {
                open.decision = if commit { Decision::Commit } else { Decision::Abort };
                if open.places.is_empty() {
                    self.transactions.remove(&txn);
                }
                true
            }
            _ => false,
        }
    }

    /// A producer of the same name starts: what its predecessor left open is aborted.
    pub fn fence(&mut self, producer: usize) {
        let left = self.transactions.iter().filter(|(_, open)| open.producer == producer).map(|(txn, _)| *txn);
        for txn in left.collect::<Vec<_>>() {
            self.decide(txn, false);
        }
    }

    /// Some transaction takes too long.
    pub fn time_out(&mut self, dice: &mut Dice) {
        let open = self.transactions.iter().filter(|(_, open)| open.decision == Decision::None).map(|(txn, _)| *txn);
        if let Some(txn) = dice.pick(&open.collect::<Vec<_>>()) {
            self.decide(txn, false);
        }
    }

    /// Where the group reads on; `None` while a transaction is about to move that.
    pub fn offsets(&self, partition: usize) -> Option<Starts> {
        let log = self.results.get(&Place::Offsets);
        let pending = log.is_some_and(|log| {
            let of = |(txn, value): &(Txn, Value)| {
                log.open.contains_key(txn) && matches!(value, Value::Offset(p, ..) if *p == partition)
            };
            log.entries.iter().any(of)
        });
        let read = || std::array::from_fn(|kind| self.offsets.get(&(partition, kind)).copied());
        (!pending).then(read)
    }

    /// One past the last record, whether committed or not.
    pub fn end_of(&self, place: Place) -> usize {
        self.results.get(&place).map_or(0, |results| results.entries.len())
    }

    /// The end for readers of committed records.
    pub fn stable(&self, place: Place) -> usize {
        self.results.get(&place).map_or(0, Results::stable)
    }

    /// Committed records from `from` on, with their offsets.
    pub fn read(&self, place: Place, from: usize) -> impl Iterator<Item = (usize, &Value)> {
        let entries = self.results.get(&place).map_or(&[][..], |results| &results.entries[..results.stable()]);
        let seen = |(_, (txn, value)): &(usize, &(Txn, Value))| {
            *value != Value::Marker && self.committed.get(txn).copied().unwrap_or_default()
        };
        entries.iter().enumerate().skip(from).filter(seen).map(|(offset, (_, value))| (offset, value))
    }

    /// Is nothing on its way?
    pub fn is_settled(&self) -> bool {
        let seen = |facts: &Facts| (0..KINDS).all(|kind| facts.visible[kind] == facts.records[kind].len());
        self.transactions.is_empty() && self.facts.iter().all(seen)
    }

    /// Hands the partitions out anew.
    pub fn rebalance(&mut self, dice: &mut Dice, members: &[usize]) {
        self.generation += 1;
        self.owners = std::array::from_fn(|_| dice.pick(members));
    }
}
