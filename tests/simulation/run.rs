//! One run: facts are published while everything that can go wrong does; then all comes to rest and is compared.

use std::collections::{BTreeMap, BTreeSet};

use tributary::allocate::lane::{KINDS, Kind};
use tributary::domain::{BillingLine, Identity, MetricValue, Resource, TenantDay};

use crate::allocator::{Allocator, Fault};
use crate::dice::Dice;
use crate::facts::{Record, Revision, date, key, kind_name};
use crate::gatherer::{Gatherer, Memories, Surroundings};
use crate::kafka::{Kafka, PARTITIONS};
use crate::outside::{LIMIT, Tenant};
use crate::tables::{Projector, Tables};
use crate::upkeep::{Kept, forget, retain};
use crate::{tell, told};

const WORKERS: usize = 3;
/// Processes that believe to gather a tenant.
const GATHERERS: usize = 2;
const HOUR: i64 = 3600 * 1000;
/// Steps after which whatever has not come to rest never will.
const PATIENCE: usize = 20_000;

pub struct Run {
    dice: Dice,
    fault: Fault,
    pub(super) kafka: Kafka,
    pub(super) tables: Tables,
    workers: Vec<Allocator>,
    projectors: Vec<Projector>,
    /// What was published, by day.
    pub(super) published: BTreeMap<TenantDay, Vec<Revision>>,
    /// What is not written yet of revisions that are written in pieces.
    later: Vec<(TenantDay, [Vec<Record>; KINDS])>,
    /// Days that wait: the bill looks wrong, so nothing of them is written.
    held: BTreeSet<TenantDay>,
    /// Tenants that write their facts themselves.
    tenants: usize,
    days: usize,
    /// The providers of those that are gathered.
    pub(super) outside: Vec<Tenant>,
    gatherers: Vec<[Gatherer; GATHERERS]>,
    memories: Memories,
    pub(super) kept: Kept,
    /// Records that cannot be used, as the quarantine names them.
    pub(super) set_aside: Vec<String>,
}

/// What is wrong after all came to rest.
pub type Wrong = String;

impl Run {
    pub fn new(seed: u64, fault: Fault) -> Self {
        let mut dice = Dice::new(seed);
        let (tenants, gathered, days) = (1 + dice.below(3), 1 + dice.below(2), 1 + dice.below(3));
        let all_days = || (0..days as u64).map(date);
        let outside: Vec<Tenant> = (0..gathered).map(|n| Tenant::new(format!("g{n}"), all_days())).collect();
        let names = outside.iter().map(|tenant| tenant.name.clone());
        let others = (0..tenants).map(|n| key(n, 0).tenant);
        Self {
            dice,
            fault,
            tenants,
            days,
            kept: Kept::all(names.chain(others)),
            gatherers: outside.iter().map(|_| std::array::from_fn(|_| Gatherer::new(fault))).collect(),
            outside,
            memories: Memories::default(),
            later: Vec::new(),
            held: BTreeSet::new(),
            kafka: Kafka::default(),
            tables: Tables::default(),
            workers: (0..WORKERS).map(|number| Allocator::new(number, fault)).collect(),
            projectors: (0..WORKERS).map(|_| Projector::default()).collect(),
            published: BTreeMap::new(),
            set_aside: Vec::new(),
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn all(mut self) -> Result<(), Wrong> {
        let mut left = 6 + self.dice.below(14);
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        while left > 0 {
            if self.dice.chance(6) {
                left -= 1;
                self.happen()?;
            }
            self.step(true)?;
        }
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        self.catch_up()?;
        self.come_to_rest()?;
        self.check()?;
        self.check_outside()?;
        self.grow_old()?;
        self.gather_again()?;
        self.kafka.rebalance(&mut self.dice, &[0, 1, 2]);
        self.come_to_rest()?;
        self.check()
    }

    /// Time passes, and something happens to a tenant.
    fn happen(&mut self) -> Result<(), Wrong> {
        self.kafka.time += if self.dice.chance(5) { 30 } else { self.dice.below(5) as i64 } * HOUR;
        match self.dice.below(20) {
            0..=5 => {
                for _ in 0..1 + self.dice.below(3) {
                    let tenant = self.dice.below(self.outside.len());
                    self.outside[tenant].change(&mut self.dice);
                    self.gather(tenant, true)?;
                }
                Ok(())
            }
            6 | 7 => {
                let tenant = self.dice.below(self.outside.len());
                self.gather(tenant, true)
            }
            8 => {
                let tenant = self.any_tenant();
                if self.dice.chance(60) {
                    self.kept.age(&tenant);
                }
                retain(&mut self.kafka, &mut self.tables, &self.kept);
                Ok(())
            }
            9 => {
                self.forget();
                Ok(())
            }
            _ => self.publish(),
        }
    }

    fn any_tenant(&mut self) -> String {
        let number = self.dice.below(self.tenants + self.outside.len());
        match number.checked_sub(self.tenants) {
            None => key(number, 0).tenant,
            Some(gathered) => self.outside[gathered].name.clone(),
        }
    }

    /// A tenant is forgotten; one that is gathered may come back later, at once, or never.
    fn forget(&mut self) {
        let name = self.any_tenant();
        let gathered = self.outside.iter_mut().find(|tenant| tenant.name == name);
        let again = gathered.as_ref().is_some_and(|tenant| !tenant.configured) || self.dice.chance(50);
        if !forget(&mut self.kafka, &name) {
            return;
        }
        self.memories.forget(&name);
        if let Some(tenant) = gathered {
            tenant.configured = again;
            tenant.forgotten();
        }
    }

    /// Lets those that gather a tenant take some steps, or one of them all steps that there are to take now.
    fn gather(&mut self, number: usize, trouble: bool) -> Result<(), Wrong> {
        let mut left = if trouble { 1 + self.dice.below(12) } else { PATIENCE };
        let mut more = true;
        while more && left > 0 {
            left -= 1;
            let other = if trouble && self.dice.chance(15) { 1 } else { 0 };
            let gatherer = &mut self.gatherers[number][other];
            if trouble && self.dice.chance(5) {
                gatherer.crash();
            }
            let tenant = &mut self.outside[number];
            let mut surroundings = Surroundings {
                now: self.kafka.now(),
                oldest: self.kept.first(&tenant.name),
                last_forgotten: self.kafka.last_forgotten(&tenant.name),
                memories: &mut self.memories,
                tenant,
            };
            let (published, goes_on) = gatherer.step(&mut surroundings)?;
            more = goes_on;
            if let Some(revision) = published {
                self.seal(revision)?;
            }
        }
        Ok(())
    }

    /// Providers answer again, but for some usage that never comes back, and tenants are gathered until nothing changes.
    fn catch_up(&mut self) -> Result<(), Wrong> {
        for tenant in &mut self.outside {
            tenant.refuses = false;
            tenant.resume = tenant.is_suspended();
            tenant.days.values_mut().for_each(|day| day.dark &= self.dice.chance(50));
        }
        // The group gives each tenant to one process, which reads what is remembered.
        self.gatherers.iter_mut().for_each(|of_tenant| of_tenant[0].crash());
        for _ in 0..LIMIT + 2 {
            self.kafka.time += HOUR;
            for number in 0..self.outside.len() {
                self.gather(number, false)?;
            }
        }
        Ok(())
    }

    /// The log becomes days older: nothing may be waited for any more that did not come until now. What was forgotten
    /// arrives once more, and everybody knows better.
    fn grow_old(&mut self) -> Result<(), Wrong> {
        let taken_up = self.taken_up()?;
        self.kafka.time += 25 * HOUR;
        for day in 0..PARTITIONS as u64 {
            let revision = Revision::sound(&mut self.dice, &key(9, day), 1);
            self.seal(revision)?;
        }
        self.come_to_rest()?;
        self.check()?;
        self.repeat_forgotten();
        self.come_to_rest()?;
        self.check()?;
        if self.taken_up()? > taken_up {
            return Err("what was forgotten was taken up by somebody who knew".to_owned());
        }
        match self.workers.iter().map(Allocator::open_days).sum() {
            0 => Ok(()),
            open => Err(format!("{open} days are waited for that will never be whole")),
        }
    }

    /// Everything that was forgotten with its tenant is written again; its seals have to be set aside.
    fn repeat_forgotten(&mut self) {
        let forgotten = |(key, revisions): (&TenantDay, &Vec<Revision>)| {
            let last = self.kafka.last_forgotten(&key.tenant);
            let known = |of: &&Revision| of.revision <= last && !self.kept.expires(key);
            revisions.iter().filter(known).map(|of| (key.clone(), of.records.clone())).collect::<Vec<_>>()
        };
        let again: Vec<_> = self.published.iter().flat_map(forgotten).collect();
        for (key, records) in again {
            let number = partition(&key);
            let before = self.kafka.facts[number].records[Kind::Days as usize].len();
            let seals = records[Kind::Days as usize].iter().zip(before..);
            let seals = seals.filter(|(record, _)| matches!(record, Record::Seal(_)));
            self.set_aside.extend(seals.map(|(_, offset)| format!("days[{number}]@{offset}")));
            self.append(&key, &records);
        }
    }

    /// The transaction of a tenant that writes its facts itself: mostly a revision, sometimes a copy of an old one, or what no
    /// gatherer writes.
    fn publish(&mut self) -> Result<(), Wrong> {
        let key = key(self.dice.below(self.tenants), self.dice.below(self.days) as u64);
        let (known, next) = (self.published.get(&key).map_or(0, Vec::len), self.next(&key));
        if self.held.contains(&key) {
            if self.dice.chance(50) {
                self.held.remove(&key);
            }
            return Ok(());
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
                let mut revision = Revision::sound(&mut self.dice, &key, next);
                self.later.push((key, revision.tear(&mut self.dice)));
                self.seal(revision)?;
            }
            9 => {
                // The gatherer dies before it commits, and begins again.
                let aborted = Revision::sound(&mut self.dice, &key, next);
                let records = aborted.records.map(|records| vec![Record::Aborted; records.len()]);
                self.append(&key, &records);
            }
            10 => drop(self.held.insert(key)),
            11 | 12 => {
                // A bill that is corrected again and again.
                for more in 0..2 + self.dice.below(3) as u32 {
                    let revision = Revision::any(&mut self.dice, &key, next + more);
                    self.seal(revision)?;
                }
            }
            _ => {
                let revision = Revision::any(&mut self.dice, &key, next);
                self.seal(revision)?;
            }
        }
        Ok(())
    }

    /// The number of a day's next revision.
    fn next(&self, key: &TenantDay) -> u32 {
        let last = self.published.get(key).and_then(|all| all.last()).map_or(0, |last| last.revision);
        last.max(self.kafka.last_forgotten(&key.tenant)) + 1
    }

    fn seal(&mut self, revision: Revision) -> Result<(), Wrong> {
        self.append(&revision.key, &revision.records);
        let known = self.published.entry(revision.key.clone()).or_default();
        if known.iter().any(|known| known.revision == revision.revision) {
            return Err(format!("{} revision {} is given to two", revision.key, revision.revision));
        }
        known.push(revision);
        Ok(())
    }

    /// Tells what is published.
    fn tell(&self, key: &TenantDay, number: usize, records: &[Vec<Record>; KINDS]) {
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
            tell(|| format!("{key} {}[{number}]@{at}: {}", kind_name(kind), told.join(", ")));
        }
    }

    fn append(&mut self, key: &TenantDay, records: &[Vec<Record>; KINDS]) {
        let number = partition(key);
        if told() {
            self.tell(key, number, records);
        }
        for kind in Kind::ALL {
            let before = self.kafka.facts[number].records[kind as usize].len();
            let bad = records[kind as usize].iter().zip(before..).filter(|(r, _)| matches!(r, Record::Garbage(_)));
            self.set_aside.extend(bad.map(|(_, offset)| format!("{}[{number}]@{offset}", kind_name(kind))));
        }
        self.kafka.append(number, records);
    }

    /// Days whose last revision has no rows are gathered again; others may be.
    fn gather_again(&mut self) -> Result<(), Wrong> {
        let last = |key: &TenantDay, all: &[Revision]| (self.next(key), all.last().is_some_and(Revision::is_sound));
        let own = self.published.iter().filter(|(key, _)| key.tenant.starts_with('t'));
        let days: Vec<_> = own.map(|(key, all)| (key.clone(), last(key, all))).collect();
        for (key, rest) in std::mem::take(&mut self.later) {
            if self.dice.chance(50) {
                self.append(&key, &rest);
            }
        }
        for (key, (next, sound)) in days {
            if !sound || self.dice.chance(30) {
                let revision = Revision::sound(&mut self.dice, &key, next);
                self.seal(revision)?;
            }
        }
        Ok(())
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
            8..=28 => {
                kafka.marker(dice);
            }
            29 | 30 => tables.learn(kafka),
            // Two may believe to own the same partition: only the tables know.
            31..=40 => projectors[at].take_over(tables, dice.below(PARTITIONS)),
            41..=60 => {
                projectors[at].step(kafka, tables, dice, *fault)?;
            }
            _ => workers[at].step(kafka, dice, trouble)?,
        }
        Ok(())
    }

    /// Nothing goes wrong any more, until nothing is left to do; then what is too old is removed.
    fn come_to_rest(&mut self) -> Result<(), Wrong> {
        self.rest()?;
        retain(&mut self.kafka, &mut self.tables, &self.kept);
        self.rest()
    }

    fn rest(&mut self) -> Result<(), Wrong> {
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
            && self.tables.knows_all(&self.kafka)
            && self.workers.iter().all(|worker| worker.rests(&self.kafka))
            && self.projectors.iter().any(|p| p.owns_all() && p.rests(&self.kafka, &self.tables))
    }
}

/// The partition in which a day's records lie.
pub fn partition(key: &TenantDay) -> usize {
    key.to_string().bytes().map(usize::from).sum::<usize>() % PARTITIONS
}
