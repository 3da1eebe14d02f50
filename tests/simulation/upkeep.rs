//! Retention, and tenants that are forgotten: what is to go is decided by the program, and goes from the models.

use std::collections::BTreeMap;

use tributary::domain::{Day, TenantDay, TenantEvent, TenantEventKind};
use tributary::upkeep::plan::{Keep, Period, plan};

use crate::facts::{Record, date};
use crate::kafka::{Kafka, PARTITIONS, Place, Value};
use crate::tables::{Tables, tenant_key};
use crate::tell;

/// The producers of upkeep, behind those of the workers.
const RETENTION: usize = 100;
const FORGETTING: usize = 101;
/// Whoever keeps this many days keeps all of them.
const ALL: u32 = 1000;

/// From which day on each tenant's days are kept.
#[derive(Debug)]
pub struct Kept(BTreeMap<String, Day>);

impl Kept {
    /// All of everybody.
    pub fn all(tenants: impl Iterator<Item = String>) -> Self {
        Self(tenants.map(|tenant| (tenant, date(0))).collect())
    }

    /// The first day of a tenant that is kept.
    pub fn first(&self, tenant: &str) -> Day {
        self.0.get(tenant).copied().unwrap_or(date(0))
    }

    /// Is this day too old?
    pub fn expires(&self, key: &TenantDay) -> bool {
        key.day < self.first(&key.tenant)
    }

    /// A tenant's first day moves on by one.
    pub fn age(&mut self, tenant: &str) {
        if let Some(first) = self.0.get_mut(tenant) {
            *first = first.plus(1);
        }
    }

    /// As the configuration says it on a day long after.
    fn keep(&self) -> Keep {
        let today = date(200);
        let days = |first: &Day| match *first == date(0) {
            true => ALL,
            false => first.until(today).count() as u32,
        };
        let period = |(tenant, first): (&String, &Day)| Period {
            tenant: tenant.clone(),
            days: days(first),
            topic_days: days(first),
        };
        Keep::new(self.0.iter().map(period), today)
    }
}

/// Removes what is too old from the tables, and tombstones its outcomes.
pub fn retain(kafka: &mut Kafka, tables: &mut Tables, kept: &Kept) {
    let keep = kept.keep();
    let name = |key: i32| kept.0.keys().find(|tenant| tenant_key(tenant) == key).cloned().unwrap_or_default();
    let (months, held) = tables.holdings(name);
    for step in plan(&months, &held, &keep) {
        tell(|| format!("retention of {step}"));
        tables.remove(&step);
    }
    let goes = |kafka: &Kafka, key: &TenantDay, revision: u32| {
        keep.expires(key) || revision <= kafka.last_forgotten(&key.tenant)
    };
    tombstones(kafka, RETENTION, goes);
}

/// Forgets a tenant in the log; the tables learn of it by its event. Nothing happens while the last transaction of this
/// kind has not ended everywhere. Was it forgotten?
pub fn forget(kafka: &mut Kafka, tenant: &str) -> bool {
    let seal = |record: &Record| match record {
        Record::Seal(seal) if seal.tenant == tenant => Some(seal.revision),
        _ => None,
    };
    let seals = kafka.facts.iter().flat_map(|facts| facts.records.iter().flatten()).filter_map(seal);
    let mut last = seals.max().unwrap_or(0).max(kafka.last_forgotten(tenant));
    for number in 0..PARTITIONS {
        for (_, value) in kafka.read(Place::Allocations(number), 0) {
            if let Value::Outcome { key, revision, .. } = value
                && key.tenant == tenant
            {
                last = last.max(*revision);
            }
        }
    }
    if !tombstones(kafka, FORGETTING, |_, key, _| key.tenant == tenant) {
        return false;
    }
    let at = kafka.now();
    tell(|| format!("{tenant} is forgotten up to revision {last}"));
    let kind = TenantEventKind::Forgotten;
    kafka.events.push(TenantEvent { tenant: tenant.to_owned(), kind, last_revision: last, at });
    true
}

/// Writes tombstones over the outcomes that go, in one transaction; false if it could not begin.
fn tombstones(kafka: &mut Kafka, producer: usize, goes: impl Fn(&Kafka, &TenantDay, u32) -> bool) -> bool {
    let Some(txn) = kafka.begin(producer) else { return false };
    for number in 0..PARTITIONS {
        let mut last: BTreeMap<TenantDay, Option<u32>> = BTreeMap::new();
        for (_, value) in kafka.read(Place::Allocations(number), 0) {
            match value {
                Value::Outcome { key, revision, .. } => drop(last.insert(key.clone(), Some(*revision))),
                Value::Gone(key) => drop(last.insert(key.clone(), None)),
                _ => {}
            }
        }
        for (key, revision) in last {
            if revision.is_some_and(|revision| goes(kafka, &key, revision)) {
                kafka.send(txn, Place::Allocations(number), Value::Gone(key));
            }
        }
    }
    kafka.decide(txn, true);
    true
}
