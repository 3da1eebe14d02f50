//! One run: facts are published while everything that can go wrong does; then all comes to rest and is compared.

use std::collections::{BTreeMap, BTreeSet};

use tributary::allocate::lane::{KINDS, Kind};
use tributary::domain::{BillingLine, Identity, MetricValue, Resource, TenantDay};

use crate::allocator::{Allocator, Fault, Log};
use crate::dice::Dice;
use crate::facts::{Quality, Record, Revision, key, kind_name};
use crate::kafka::{Kafka, PARTITIONS};
use crate::tables::{Projector, Tables};

const WORKERS: usize = 3;
const HOUR: i64 = 3600 * 1000;
/// Steps after which whatever has not come to rest never will.
const PATIENCE: usize = 20_000;

pub struct Run {
    dice: Dice,
    fault: Fault,
    kafka: Kafka,
    tables: Tables,
    workers: Vec<Allocator>,
    projectors: Vec<Projector>,
    /// What was published, by day and revision.
    published: BTreeMap<TenantDay, Vec<Revision>>,
    /// What is not written yet of revisions that are written in pieces.
    later: Vec<(TenantDay, [Vec<Record>; KINDS])>,
    /// Days that wait: the bill looks wrong, so nothing of them is written.
    held: BTreeSet<TenantDay>,
    tenants: usize,
    days: usize,
    /// Records that cannot be read, as the quarantine names them.
    garbage: Vec<String>,
}

/// What is wrong after all came to rest.
pub type Wrong = String;

impl Run {
    pub fn new(seed: u64, fault: Fault) -> Self {
        let mut dice = Dice::new(seed);
        let (tenants, days) = (1 + dice.below(4), 1 + dice.below(3));
        Self {
            dice,
            fault,
            tenants,
            days,
            later: Vec::new(),
            held: BTreeSet::new(),
            kafka: Kafka::default(),
            tables: Tables::default(),
            workers: (0..WORKERS).map(|number| Allocator::new(number, fault)).collect(),
            projectors: (0..WORKERS).map(|_| Projector::default()).collect(),
            published: BTreeMap::new(),
            garbage: Vec::new(),
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn all(mut self) -> Result<(), Wrong> {
        let mut left = 4 + self.dice.below(10);
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        while left > 0 {
            if self.dice.chance(6) {
                left -= 1;
                self.publish();
            }
            self.step(true)?;
        }
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        self.come_to_rest()?;
        self.check()?;
        self.grow_old()?;
        self.gather_again();
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        self.come_to_rest()?;
        self.check()
    }

    /// The log becomes days older: nothing may be waited for any more that did not come until now.
    fn grow_old(&mut self) -> Result<(), Wrong> {
        self.kafka.time += 25 * HOUR;
        for day in 0..PARTITIONS as u64 {
            let revision = Revision::sound(&mut self.dice, &key(9, day), 1);
            self.seal(revision);
        }
        self.come_to_rest()?;
        self.check()?;
        match self.workers.iter().map(Allocator::open_days).sum() {
            0 => Ok(()),
            open => Err(format!("{open} days are waited for that will never be whole")),
        }
    }

    /// A gatherer's transaction: mostly a revision, sometimes a copy of an old one, or what no gatherer writes.
    fn publish(&mut self) {
        self.kafka.time += if self.dice.chance(5) { 30 } else { self.dice.below(5) as i64 } * HOUR;
        let key = key(self.dice.below(self.tenants), self.dice.below(self.days) as u64);
        let known = self.published.get(&key).map_or(0, Vec::len);
        if self.held.contains(&key) {
            if self.dice.chance(50) {
                self.held.remove(&key);
            }
            return;
        }
        match self.dice.below(20) {
            0..=3 if known > 0 => {
                let at = self.dice.below(known);
                let copy = self.published[&key][at].records.clone();
                let part = self.dice.chance(50);
                let dice = &mut self.dice;
                let copy = copy.map(|records| records.into_iter().filter(|_| !part || dice.chance(50)).collect());
                self.append(&key, &copy);
            }
            4 | 5 => {
                let mut records: [Vec<Record>; KINDS] = Default::default();
                let record = match self.dice.below(4) {
                    0 => Record::Tombstone,
                    1 => Record::Garbage(None),
                    _ => Record::Garbage(Some(key.clone())),
                };
                records[self.dice.below(KINDS)].push(record);
                self.append(&key, &records);
            }
            6 | 7 if !self.later.is_empty() => {
                let (key, rest) = self.later.swap_remove(self.dice.below(self.later.len()));
                self.append(&key, &rest);
            }
            8 => {
                let mut revision = Revision::sound(&mut self.dice, &key, known as u32 + 1);
                self.later.push((key, revision.tear(&mut self.dice)));
                self.seal(revision);
            }
            9 => {
                // The gatherer dies before it commits, and begins again.
                let aborted = Revision::sound(&mut self.dice, &key, known as u32 + 1);
                let records = aborted.records.map(|records| vec![Record::Aborted; records.len()]);
                self.append(&key, &records);
            }
            10 => drop(self.held.insert(key)),
            11 | 12 => {
                // A bill that is corrected again and again.
                for revision in 1..=2 + self.dice.below(3) {
                    let revision = Revision::any(&mut self.dice, &key, (known + revision) as u32);
                    self.seal(revision);
                }
            }
            _ => {
                let revision = Revision::any(&mut self.dice, &key, known as u32 + 1);
                self.seal(revision);
            }
        }
    }

    fn seal(&mut self, revision: Revision) {
        self.append(&revision.key, &revision.records);
        self.published.entry(revision.key.clone()).or_default().push(revision);
    }

    /// With `TRIBUTARY_SIM_SEED`, tells what is published.
    fn tell(&self, key: &TenantDay, number: usize, records: &[Vec<Record>; KINDS]) {
        if std::env::var_os("TRIBUTARY_SIM_SEED").is_none() {
            return;
        }
        let record = |record: &Record| match record {
            Record::Garbage(Some(_)) => "garbage".to_owned(),
            Record::Garbage(None) => "garbage without a key".to_owned(),
            Record::Tombstone => "tombstone".to_owned(),
            Record::Aborted => "aborted".to_owned(),
            Record::Seal(seal) => format!("seal {} of {} lines", seal.revision, seal.billing_lines),
            Record::Line(BillingLine { revision, ordinal, count, .. })
            | Record::Resource(Resource { revision, ordinal, count, .. })
            | Record::Identity(Identity { revision, ordinal, count, .. })
            | Record::Metric(MetricValue { revision, ordinal, count, .. }) => {
                format!("{revision}/{ordinal}of{count}")
            }
        };
        for (kind, records) in Kind::ALL.into_iter().zip(records).filter(|(_, records)| !records.is_empty()) {
            let at = self.kafka.facts[number].records[kind as usize].len();
            let told: Vec<String> = records.iter().map(record).collect();
            println!("{key} {}[{number}]@{at}: {}", kind_name(kind), told.join(", "));
        }
    }

    fn append(&mut self, key: &TenantDay, records: &[Vec<Record>; KINDS]) {
        let number = key.to_string().bytes().map(usize::from).sum::<usize>() % PARTITIONS;
        self.tell(key, number, records);
        for kind in Kind::ALL {
            let before = self.kafka.facts[number].records[kind as usize].len();
            let bad = records[kind as usize].iter().zip(before..).filter(|(r, _)| matches!(r, Record::Garbage(_)));
            self.garbage.extend(bad.map(|(_, offset)| format!("{}[{number}]@{offset}", kind_name(kind))));
        }
        self.kafka.append(number, records);
    }

    /// Days whose last revision has no rows are gathered again; others may be.
    fn gather_again(&mut self) {
        let last =
            |revisions: &Vec<Revision>| (revisions.len() as u32, revisions.last().is_some_and(Revision::is_sound));
        let days: Vec<_> = self.published.iter().map(|(key, all)| (key.clone(), last(all))).collect();
        for (key, rest) in std::mem::take(&mut self.later) {
            if self.dice.chance(50) {
                self.append(&key, &rest);
            }
        }
        for (key, (revision, sound)) in days {
            if !sound || self.dice.chance(30) {
                let revision = Revision::sound(&mut self.dice, &key, revision + 1);
                self.seal(revision);
            }
        }
    }

    fn step(&mut self, trouble: bool) -> Result<(), Wrong> {
        let Self { dice, kafka, tables, workers, projectors, fault, .. } = self;
        let at = dice.below(WORKERS);
        match dice.below(100) {
            0 | 1 if trouble => workers[at].crash(kafka),
            2 if trouble => kafka.time_out(dice),
            3..=5 if trouble => {
                let members: &[usize] = [&[0, 1, 2][..], &[0, 1], &[2], &[1]][dice.below(4)];
                kafka.rebalance(dice, members);
            }
            6 if trouble => tables.reset(),
            7 if trouble => projectors[at].forget(),
            8..=30 => {
                kafka.marker(dice);
            }
            // Two may believe to own the same partition: only the tables know.
            31..=40 => projectors[at].take_over(tables, dice.below(PARTITIONS)),
            41..=60 => {
                projectors[at].step(kafka, tables, dice, *fault)?;
            }
            _ => workers[at].step(kafka, dice, trouble),
        }
        Ok(())
    }

    /// Nothing goes wrong any more, until nothing is left to do.
    fn come_to_rest(&mut self) -> Result<(), Wrong> {
        for _ in 0..PATIENCE {
            if self.rests() {
                return Ok(());
            }
            self.step(false)?;
        }
        Err("it does not come to rest".to_owned())
    }

    fn rests(&self) -> bool {
        self.kafka.is_settled()
            && self.workers.iter().all(|worker| worker.rests(&self.kafka))
            && self.projectors.iter().any(|p| p.owns_all() && p.rests(&self.kafka, &self.tables))
    }

    fn check(&self) -> Result<(), Wrong> {
        let log = Log::read(&self.kafka)?;
        for (key, revisions) in &self.published {
            self.check_day(&log, key, revisions)?;
        }
        match self.garbage.iter().find(|source| !log.quarantined.contains(*source)) {
            Some(source) => Err(format!("{source} is not in the quarantine")),
            None => Ok(()),
        }
    }

    fn check_day(&self, log: &Log, key: &TenantDay, revisions: &[Revision]) -> Result<(), Wrong> {
        for revision in revisions {
            let rows = log.rows.get(key).and_then(|rows| rows.get(&revision.revision));
            match (&revision.quality, rows) {
                (Quality::Sound(expected) | Quality::Piecewise(expected), Some(rows)) if rows != expected => {
                    return Err(format!("{key} revision {}: {rows:#?}, not {expected:#?}", revision.revision));
                }
                (Quality::Unsound | Quality::Poisoned { .. }, Some(_)) => {
                    return Err(format!("{key} revision {} has rows", revision.revision));
                }
                _ => {}
            }
            if revision.is_sound() && log.refused.contains(&(key.clone(), revision.revision)) {
                return Err(format!("{key} revision {} is sound and was refused", revision.revision));
            }
        }
        let Some(last) = revisions.last() else { return Ok(()) };
        let holds = log.allocated.get(key).copied();
        if last.is_sound() && holds != Some(last.revision) {
            return Err(format!("{key} revision {} is the last, {holds:?} holds", last.revision));
        }
        if last.is_refused() && !log.refused.contains(&(key.clone(), last.revision)) {
            return Err(format!("{key} revision {} was not refused", last.revision));
        }
        let mut expected = holds.and_then(|holds| log.rows.get(key)?.get(&holds).cloned()).unwrap_or_default();
        expected.sort_unstable();
        let (shown, rows) = self.tables.day(key)?;
        if (shown, &rows) != (holds, &expected) {
            return Err(format!("{key}: tables show {shown:?} {rows:#?}, the log holds {holds:?} {expected:#?}"));
        }
        Ok(())
    }
}
