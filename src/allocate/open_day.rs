//! One revision of a tenant's day while its records arrive.
//!
//! In: records of the five fact topics, in any order, some perhaps twice. Out: the whole day, once nothing is missing.
//! Absent: what the records mean, and the texts nobody allocates by (evidence, display names of identities).
//!
//! Records are kept as numbers ([`Symbols`]): a day may have a million of them.

use ahash::AHashMap;
use chrono::{DateTime, Utc};

use super::refusal::{Kind, Refusal};
use super::symbols::{Sym, Symbols};
use crate::domain::{
    Amount, BillingLine, Day, DaySealed, Identity, Lifetime, MetricValueRef, Resource, Subject, TenantDay,
};

/// Records of one kind that a day may have.
pub const LIMIT: u32 = 1 << 24;

/// What was charged.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub amount: Amount,
    pub ecosystem: Sym,
    pub env: Sym,
    pub resource: Sym,
    pub category: Sym,
    pub product: Sym,
    pub currency: Sym,
    /// The charged interval `[from, until)`.
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// What existed, as far as a resolver asks.
#[derive(Debug, Clone)]
pub struct Thing {
    pub id: Sym,
    pub kind: Sym,
    pub name: Option<Sym>,
    pub parent: Option<Sym>,
    pub owner: Option<Sym>,
    /// Did it exist at some moment of the day?
    pub overlaps: bool,
    pub lifetime: Lifetime,
    /// Those of [`Attribute`], in that order.
    pub attributes: Box<[(Attribute, Sym)]>,
}

/// Who existed, and for API keys whose they are and what they open.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub id: Sym,
    pub kind: Sym,
    pub owner: Option<Sym>,
    pub opens: Option<Sym>,
    pub overlaps: bool,
}

/// Attributes of resources that resolvers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    AuthMode,
    ServiceAccount,
    ApiKey,
    ComputePool,
    StatementName,
    Owner,
    Stopped,
}

impl Attribute {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::AuthMode, "kafka_auth_mode"),
        (Self::ServiceAccount, "kafka_service_account_id"),
        (Self::ApiKey, "kafka_api_key"),
        (Self::ComputePool, "compute_pool_id"),
        (Self::StatementName, "statement_name"),
        (Self::Owner, "owner_id"),
        (Self::Stopped, "is_stopped"),
    ];
}

impl Thing {
    /// The attribute's value, if it has one that is not empty.
    pub fn attribute(&self, which: Attribute) -> Option<Sym> {
        self.attributes.iter().find(|(attribute, _)| *attribute == which).map(|(_, value)| *value)
    }
}

/// One metric of one resource, counted by one kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    pub resource: Sym,
    pub metric: Sym,
    pub subject_type: Subject,
}

/// Usage by one subject of a group.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    pub group: u32,
    pub subject: Sym,
    pub value: f64,
}

/// The records of a day, as numbers of `symbols`.
#[derive(Debug, Default)]
pub struct Records {
    pub symbols: Symbols,
    pub lines: Vec<Line>,
    pub things: Vec<Thing>,
    pub people: Vec<Person>,
    pub groups: Vec<Group>,
    pub values: Vec<Value>,
}

/// A revision of which nothing is missing.
#[derive(Debug)]
pub struct WholeDay {
    pub key: TenantDay,
    pub records: Records,
    pub seal: DaySealed,
}

/// One revision of one tenant's day being collected.
///
/// A record that arrives again changes nothing. A record that contradicts the others makes the day faulty: it
/// counts as complete once sealed, and [`super::allocate`] says what is wrong.
#[derive(Debug)]
pub struct OpenDay {
    key: TenantDay,
    revision: u32,
    arrivals: [Arrivals; 4],
    seal: Option<DaySealed>,
    records: Records,
    group_of: AHashMap<Group, u32>,
    fault: Option<Refusal>,
}

impl OpenDay {
    /// A day of which nothing has arrived.
    pub fn new(key: TenantDay, revision: u32) -> Self {
        Self {
            key,
            revision,
            arrivals: Default::default(),
            seal: None,
            records: Records::default(),
            group_of: AHashMap::new(),
            fault: None,
        }
    }

    /// Which revision is collected.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Whose day it is.
    pub fn key(&self) -> &TenantDay {
        &self.key
    }

    /// Takes a billing line.
    pub fn add_line(&mut self, line: &BillingLine) {
        if !self.arrives(Kind::Billing, &line.tenant, line.day, line.revision, line.ordinal, line.count) {
            return;
        }
        let symbols = &mut self.records.symbols;
        let line = Line {
            amount: line.amount,
            ecosystem: symbols.intern(&line.ecosystem),
            env: symbols.intern(&line.env_id),
            resource: symbols.intern(&line.resource_id),
            category: symbols.intern(&line.product_category),
            product: symbols.intern(&line.product_type),
            currency: symbols.intern(&line.currency),
            from: line.period_start,
            until: line.period_end,
        };
        self.records.lines.push(line);
    }

    /// Takes a resource.
    pub fn add_resource(&mut self, resource: &Resource) {
        let r = resource;
        if !self.arrives(Kind::Resource, &r.tenant, r.day, r.revision, r.ordinal, r.count) {
            return;
        }
        let lifetime = Lifetime { created_at: r.created_at, deleted_at: r.deleted_at };
        let symbols = &mut self.records.symbols;
        let attributes = Attribute::NAMES.iter().filter_map(|(attribute, name)| {
            let value = r.attributes.get(*name).map(String::as_str);
            symbols.intern_some(value).map(|value| (*attribute, value))
        });
        let attributes = attributes.collect();
        let thing = Thing {
            id: symbols.intern(&r.resource_id),
            kind: symbols.intern(&r.resource_type),
            name: symbols.intern_some(r.display_name.as_deref()),
            parent: symbols.intern_some(r.parent_id.as_deref()),
            owner: symbols.intern_some(r.owner_id.as_deref()),
            overlaps: lifetime.overlaps(self.key.day),
            lifetime,
            attributes,
        };
        self.records.things.push(thing);
    }

    /// Takes an identity.
    pub fn add_identity(&mut self, identity: &Identity) {
        let i = identity;
        if !self.arrives(Kind::Identity, &i.tenant, i.day, i.revision, i.ordinal, i.count) {
            return;
        }
        let lifetime = Lifetime { created_at: i.created_at, deleted_at: i.deleted_at };
        let symbols = &mut self.records.symbols;
        let person = Person {
            id: symbols.intern(&i.identity_id),
            kind: symbols.intern(&i.identity_type),
            owner: symbols.intern_some(i.owner_id.as_deref()),
            opens: symbols.intern_some(i.resource_id.as_deref()),
            overlaps: lifetime.overlaps(self.key.day),
        };
        self.records.people.push(person);
    }

    /// Takes a metric value.
    pub fn add_metric(&mut self, value: MetricValueRef<'_>) {
        let v = value;
        if !self.arrives(Kind::Metric, v.tenant, v.day, v.revision, v.ordinal, v.count) {
            return;
        }
        if !v.value.is_finite() {
            let (resource, metric, subject) = (v.resource_id.into(), v.metric.into(), v.subject.into());
            self.fault.get_or_insert(Refusal::Usage { resource, metric, subject });
            return;
        }
        // Usage by nobody in particular says nothing about who pays.
        if v.subject.is_empty() {
            return;
        }
        let group = self.group(&v);
        let subject = self.records.symbols.intern(v.subject);
        self.records.values.push(Value { group, subject, value: v.value });
    }

    /// Takes the record that closes the revision.
    pub fn seal(&mut self, seal: DaySealed) {
        let misplaced = seal.tenant != self.key.tenant || seal.day != self.key.day || seal.revision != self.revision;
        if misplaced {
            let holds = format!("{}/{} revision {}", seal.tenant, seal.day, seal.revision);
            let refusal = self.misplaced(Kind::Seal, holds);
            self.fault.get_or_insert(refusal);
        }
        let counts = [seal.billing_lines, seal.resources, seal.identities, seal.metrics];
        for ((arrivals, kind), count) in self.arrivals.iter_mut().zip(KINDS).zip(counts) {
            if let Err(refusal) = arrivals.expect(kind, count) {
                self.fault.get_or_insert(refusal);
            }
        }
        self.seal.get_or_insert(seal);
    }

    /// Has all arrived that can change the outcome?
    pub fn is_complete(&self) -> bool {
        self.seal.is_some() && (self.fault.is_some() || self.arrivals.iter().all(Arrivals::all))
    }

    /// Notes that the day cannot be allocated; what is known to be wrong already stays the reason.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.fault.get_or_insert(refusal);
    }

    /// What has not arrived, for a reader: `2 of 3 billing lines, the seal`.
    pub fn missing(&self) -> String {
        let counted = self.arrivals.iter().zip(KINDS).filter_map(|(arrivals, kind)| {
            let expected = arrivals.expected.filter(|expected| *expected > arrivals.arrived)?;
            Some(format!("{} of {expected} {kind}s", expected - arrivals.arrived))
        });
        let seal = self.seal.is_none().then(|| format!("the {}", Kind::Seal));
        counted.chain(seal).collect::<Vec<_>>().join(", ")
    }

    /// The record that closes the revision, once it is here.
    pub fn sealed(&self) -> Option<&DaySealed> {
        self.seal.as_ref()
    }

    /// Of which kinds all records are here: billing lines, resources, identities, metric values, the seal.
    pub fn kinds_complete(&self) -> [bool; 5] {
        let [billing, resources, identities, metrics] = self.arrivals.each_ref().map(Arrivals::all);
        [billing, resources, identities, metrics, self.seal.is_some()]
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        let Records { symbols, lines, things, people, groups, values } = &self.records;
        let attributes: usize = things.iter().map(|thing| size_of_val(&*thing.attributes)).sum();
        let seal = self.seal.as_ref().map_or(0, |seal| seal.rules.len() + seal.metrics_failed.len() * 32);
        size_of::<Self>()
            + symbols.bytes()
            + lines.capacity() * size_of::<Line>()
            + things.capacity() * size_of::<Thing>()
            + attributes
            + people.capacity() * size_of::<Person>()
            + (groups.capacity() + self.group_of.capacity() * 2) * size_of::<Group>()
            + values.capacity() * size_of::<Value>()
            + self.arrivals.iter().map(|arrivals| arrivals.seen.capacity() * 8).sum::<usize>()
            + seal
    }

    /// The whole day, or what is wrong with it.
    ///
    /// # Errors
    /// [`Refusal`] if records contradict each other or are missing.
    pub fn close(self) -> Result<WholeDay, Refusal> {
        let all = self.arrivals.iter().all(Arrivals::all);
        match (self.fault, self.seal) {
            (Some(fault), _) => Err(fault),
            (None, Some(seal)) if all => Ok(WholeDay { key: self.key, records: self.records, seal }),
            _ => Err(Refusal::Incomplete),
        }
    }

    /// Is the record this day's, sound, and here for the first time?
    fn arrives(&mut self, kind: Kind, tenant: &str, day: Day, revision: u32, ordinal: u32, count: u32) -> bool {
        if tenant != self.key.tenant || day != self.key.day || revision != self.revision {
            let refusal = self.misplaced(kind, format!("{tenant}/{day} revision {revision}"));
            self.fault.get_or_insert(refusal);
            return false;
        }
        let arrivals = &mut self.arrivals[kind as usize];
        match arrivals.expect(kind, count).and_then(|()| arrivals.arrive(kind, ordinal, count)) {
            Ok(first) => first,
            Err(refusal) => {
                self.fault.get_or_insert(refusal);
                false
            }
        }
    }

    fn misplaced(&self, kind: Kind, holds: String) -> Refusal {
        Refusal::Misplaced { kind, holds, expected: format!("{} revision {}", self.key, self.revision) }
    }

    /// The number of the value's group; values of a group mostly follow each other.
    fn group(&mut self, value: &MetricValueRef<'_>) -> u32 {
        let Records { symbols, groups, values, .. } = &mut self.records;
        if let Some(last) = values.last().map(|value| value.group) {
            let group = groups[last as usize];
            let same = symbols.text(group.resource) == value.resource_id && symbols.text(group.metric) == value.metric;
            if same && group.subject_type == value.subject_type {
                return last;
            }
        }
        let resource = symbols.intern(value.resource_id);
        let metric = symbols.intern(value.metric);
        let group = Group { resource, metric, subject_type: value.subject_type };
        *self.group_of.entry(group).or_insert_with(|| {
            groups.push(group);
            groups.len() as u32 - 1
        })
    }
}

const KINDS: [Kind; 4] = [Kind::Billing, Kind::Resource, Kind::Identity, Kind::Metric];

/// Which records of one kind have arrived.
#[derive(Debug, Default)]
struct Arrivals {
    expected: Option<u32>,
    arrived: u32,
    seen: Vec<u64>,
}

impl Arrivals {
    fn all(&self) -> bool {
        self.expected == Some(self.arrived)
    }

    /// All who say how many there are must say the same.
    fn expect(&mut self, kind: Kind, count: u32) -> Result<(), Refusal> {
        if count > LIMIT {
            return Err(Refusal::TooMany { kind, count, limit: LIMIT });
        }
        match *self.expected.get_or_insert(count) {
            one if one == count => Ok(()),
            one => Err(Refusal::Counts { kind, one: one.min(count), other: one.max(count) }),
        }
    }

    /// Whether this ordinal is new.
    fn arrive(&mut self, kind: Kind, ordinal: u32, count: u32) -> Result<bool, Refusal> {
        if ordinal >= count {
            return Err(Refusal::Ordinal { kind, ordinal, count });
        }
        let (word, bit) = (ordinal as usize / 64, 1_u64 << (ordinal % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let first = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        self.arrived += u32::from(first);
        Ok(first)
    }
}
