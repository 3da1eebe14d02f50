//! The partitions of one worker on their way from facts to the next transaction: a value without IO.
//!
//! In: partitions that come and go, records of facts, what became of a transaction. Out: what the next transaction
//! holds ([`Ready`]) and the positions that belong to it. Absent: clocks, Kafka, bytes; `worker` does what is said here,
//! and the simulation in `tests/simulation` does it to a model of Kafka that fails at every step.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::forgotten::Forgotten;
use super::lane::{Fact, KINDS, Kind, Lane, Taken};
use super::outcome::{decide, unsealed};
use super::{Allocation, RuleBooks};
use crate::domain::{DayAllocated, Quarantined, TenantDay};

/// What is read next of each fact topic of a partition, where anything was read.
pub type Starts = [Option<i64>; KINDS];

/// What waits for the next transaction.
#[derive(Debug, Default)]
pub struct Ready {
    pub days: Vec<Decided>,
    /// With the partition it came from.
    pub bad: Vec<(i32, Quarantined)>,
    rows: usize,
}

/// A day whose outcome is known.
#[derive(Debug)]
pub struct Decided {
    pub partition: i32,
    pub outcome: DayAllocated,
    /// `None`: refused.
    pub allocation: Option<Allocation>,
}

impl Ready {
    /// Is there nothing to write?
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.bad.is_empty()
    }

    /// Rows of all its days, those by topic included.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// The state of a worker: nothing of it outlives a crash, and nothing of it needs to.
#[derive(Debug, Default)]
pub struct Partitions {
    lanes: BTreeMap<i32, Lane>,
    ready: Ready,
    books: RuleBooks,
}

impl Partitions {
    /// A partition comes: `done` is what the log says of its days, `starts` where its topics are read from.
    ///
    /// `starts` must have been asked for before `done` was read: a predecessor whose transaction ends in between would
    /// move the one and be missing in the other, and its days would be allocated again.
    pub fn take_over(&mut self, partition: i32, done: HashMap<TenantDay, u32>, starts: Starts) {
        self.lanes.insert(partition, Lane::restored(done, starts));
    }

    /// A partition goes. Nothing of it that waits was committed: its next owner reads the facts again.
    pub fn let_go(&mut self, partition: i32) {
        self.lanes.remove(&partition);
        let Ready { days, bad, rows } = &mut self.ready;
        days.retain(|day| day.partition != partition);
        bad.retain(|(number, _)| *number != partition);
        *rows = days.iter().filter_map(|day| day.allocation.as_ref()).map(rows_of).sum();
    }

    /// Tenants were forgotten: nothing more is taken of their open days, so these must not wait for it.
    pub fn forget(&mut self, forgotten: &Forgotten) {
        for lane in self.lanes.values_mut() {
            lane.forget(|key, revision| forgotten.has_day(key, revision));
        }
    }

    /// Whether the partition is ours.
    pub fn has(&self, partition: i32) -> bool {
        self.lanes.contains_key(&partition)
    }

    /// The lanes, in the order of their numbers.
    pub fn lanes(&self) -> impl Iterator<Item = (i32, &Lane)> {
        self.lanes.iter().map(|(number, lane)| (*number, lane))
    }

    /// Notes when a record that comes next was written, in milliseconds since 1970.
    pub fn at(&mut self, partition: i32, time: i64) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.at(time);
        }
    }

    /// Takes a record.
    pub fn take(&mut self, partition: i32, kind: Kind, offset: i64, fact: Fact<'_>, now: DateTime<Utc>) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let taken = lane.take(kind, offset, fact);
        self.decide(partition, taken, now);
    }

    /// Takes a record that cannot be used: it is set aside, and the day it belongs to is in doubt.
    pub fn spoil(&mut self, partition: i32, kind: Kind, offset: i64, day: Option<TenantDay>, bad: Quarantined) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        lane.spoil(kind, offset, day, &bad.source);
        self.ready.bad.push((partition, bad));
    }

    /// Moves on over a record that is of no use and harms no day.
    pub fn set_aside(&mut self, partition: i32, kind: Kind, offset: i64, bad: Quarantined) {
        if self.has(partition) {
            self.passed(partition, kind, offset);
            self.ready.bad.push((partition, bad));
        }
    }

    /// Moves on over a record that says nothing.
    pub fn passed(&mut self, partition: i32, kind: Kind, offset: i64) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.passed(kind, offset);
        }
    }

    /// The partitions with a day that may never become whole, with what is read next of each of their topics.
    pub fn doubtful(&self) -> impl Iterator<Item = (i32, Starts)> {
        self.lanes().filter(|(_, lane)| lane.is_doubtful()).map(|(number, lane)| (number, lane.next()))
    }

    /// Everything in the log of a partition has been read: its doubtful days cannot become whole any more.
    pub fn exhausted(&mut self, partition: i32, now: DateTime<Utc>) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        for taken in lane.exhausted() {
            self.decide(partition, taken, now);
        }
    }

    /// The oldest open day of a partition keeps others from being read, and nothing of it is left to read: it is refused.
    pub fn give_up_oldest(&mut self, partition: i32, now: DateTime<Utc>) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let taken = lane.give_up_oldest();
        self.decide(partition, taken, now);
    }

    /// What waits for the next transaction.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The positions that belong into the next transaction.
    pub fn positions(&self) -> impl Iterator<Item = (i32, Kind, i64)> {
        let of_lane = |(number, lane): (i32, &Lane)| {
            let next = Kind::ALL.into_iter().zip(lane.next_offsets());
            next.filter_map(move |(kind, offset)| Some((number, kind, offset?)))
        };
        self.lanes().flat_map(of_lane)
    }

    /// The transaction is visible: what it held waits no more.
    pub fn committed(&mut self) -> Vec<DayAllocated> {
        let ready = std::mem::take(&mut self.ready);
        ready.days.into_iter().map(|day| day.outcome).collect()
    }

    fn decide(&mut self, partition: i32, taken: Taken, now: DateTime<Utc>) {
        let decided = match taken {
            Taken::Nothing => return,
            Taken::Whole(day) => decide(*day, &mut self.books, now),
            Taken::Unsealed(key, revision, refusal) => unsealed(&key, revision, &refusal, now),
        };
        let Some((outcome, decided)) = decided else { return };
        let allocation = match decided {
            Ok(allocation) => {
                self.ready.rows += rows_of(&allocation);
                Some(allocation)
            }
            Err(refused) => {
                self.ready.bad.push((partition, refused));
                None
            }
        };
        self.ready.days.push(Decided { partition, outcome, allocation });
    }
}

fn rows_of(allocation: &Allocation) -> usize {
    allocation.rows() as usize + allocation.topic_rows() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quarantine::{Stage, Status};

    fn bad(partition: i32) -> Quarantined {
        Quarantined {
            id: partition.to_string(),
            tenant: None,
            day: None,
            stage: Stage::Allocate,
            source: "billing".into(),
            topic: None,
            partition: Some(partition),
            offset: Some(0),
            key: None,
            payload: Vec::new(),
            reason: String::new(),
            status: Status::Open,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_waits_of_the_partitions_that_stay_is_kept_when_another_goes() {
        let mut partitions = Partitions::default();
        for number in [0, 1] {
            partitions.take_over(number, HashMap::new(), [None; KINDS]);
            partitions.spoil(number, Kind::Billing, 7, None, bad(number));
        }
        partitions.let_go(0);
        assert_eq!(partitions.ready().bad.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
        assert_eq!(partitions.positions().collect::<Vec<_>>(), [(1, Kind::Billing, 8)]);
    }
}
