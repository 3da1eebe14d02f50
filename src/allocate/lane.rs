//! The days of one partition on their way from facts to rows: a value without IO.
//!
//! A lane is one partition number across the five fact topics. Facts of a day arrive in any order between
//! topics, and again after a crash; a day leaves the lane when its revision is whole. Which offsets may be
//! committed follows from what is still open: never past the first record of an open day.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::OpenDay;
use crate::domain::{BillingLine, Day, DaySealed, Identity, Resource, TenantDay, usage::MetricValueRef};

/// The fact topics, in the order in which a lane counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Billing,
    Resources,
    Identities,
    Metrics,
    Days,
}

/// How many of them there are.
pub const KINDS: usize = 5;

/// One record of a fact topic.
#[derive(Debug)]
pub enum Fact<'a> {
    Line(BillingLine),
    Resource(Resource),
    Identity(Identity),
    Metric(MetricValueRef<'a>),
    Seal(DaySealed),
}

impl Fact<'_> {
    fn place(&self) -> (&str, Day, u32) {
        match self {
            Self::Line(f) => (&f.tenant, f.day, f.revision),
            Self::Resource(f) => (&f.tenant, f.day, f.revision),
            Self::Identity(f) => (&f.tenant, f.day, f.revision),
            Self::Metric(f) => (f.tenant, f.day, f.revision),
            Self::Seal(f) => (&f.tenant, f.day, f.revision),
        }
    }
}

/// The state of one partition.
#[derive(Debug, Default)]
pub struct Lane {
    /// The last revision of each day whose outcome is in the log.
    done: HashMap<TenantDay, u32>,
    open: IndexMap<TenantDay, Collecting>,
    /// What is read next of each topic, once anything was read.
    next: [Option<i64>; KINDS],
}

#[derive(Debug)]
struct Collecting {
    revision: u32,
    day: OpenDay,
    /// Offset of the day's first record in each topic, of whatever revision.
    first: [Option<i64>; KINDS],
}

impl Lane {
    /// A lane that knows which revisions were done before.
    pub fn restored(done: HashMap<TenantDay, u32>) -> Self {
        Self { done, ..Self::default() }
    }

    /// Takes a record in; returns the day it completes.
    ///
    /// Repeated, stale and superseded records change nothing but the position.
    pub fn take(&mut self, kind: Kind, offset: i64, fact: Fact<'_>) -> Option<(TenantDay, OpenDay)> {
        self.passed(kind, offset);
        let (tenant, day, revision) = fact.place();
        let index = self.day(tenant, day, revision)?;
        let (_, collecting) = self.open.get_index_mut(index)?;
        collecting.first[kind as usize].get_or_insert(offset);
        match fact {
            Fact::Line(fact) => collecting.day.add_line(fact),
            Fact::Resource(fact) => collecting.day.add_resource(fact),
            Fact::Identity(fact) => collecting.day.add_identity(fact),
            Fact::Metric(fact) => collecting.day.add_metric(fact),
            Fact::Seal(fact) => collecting.day.seal(fact),
        }
        if !collecting.day.is_complete() {
            return None;
        }
        let (key, whole) = self.open.swap_remove_index(index)?;
        Some((key, whole.day))
    }

    /// Moves on over a record that cannot be used.
    pub fn passed(&mut self, kind: Kind, offset: i64) {
        self.next[kind as usize] = Some(offset + 1);
    }

    /// Notes that a revision's outcome is in the log.
    pub fn done(&mut self, key: TenantDay, revision: u32) {
        let last = self.done.entry(key).or_default();
        *last = revision.max(*last);
    }

    /// What may be committed for each topic: everything before it is done or superseded.
    pub fn next_offsets(&self) -> [Option<i64>; KINDS] {
        let mut next = self.next;
        for collecting in self.open.values() {
            for (next, first) in next.iter_mut().zip(collecting.first) {
                if let (Some(at), Some(first)) = (*next, first) {
                    *next = Some(at.min(first));
                }
            }
        }
        next
    }

    /// Days of which something has arrived and something is missing.
    pub fn open_days(&self) -> usize {
        self.open.len()
    }

    /// Estimated memory of the open days, bytes.
    pub fn bytes(&self) -> usize {
        self.open.values().map(|collecting| collecting.day.bytes()).sum()
    }

    /// The topics that the oldest open day needs nothing more from: reading on in them only fills memory.
    pub fn ahead(&self) -> [bool; KINDS] {
        let oldest = self.open.first().map(|(_, collecting)| &collecting.day);
        oldest.map_or([false; KINDS], OpenDay::kinds_complete)
    }

    /// The open day that a record belongs to, or `None` if its revision is done or superseded.
    fn day(&mut self, tenant: &str, day: Day, revision: u32) -> Option<usize> {
        let key = TenantDay::new(tenant, day);
        if self.done.get(&key).is_some_and(|done| *done >= revision) {
            return None;
        }
        let entry = self.open.entry(key);
        let index = entry.index();
        let collecting = entry.or_insert_with(|| Collecting {
            revision,
            day: OpenDay::new(revision),
            first: [None; KINDS],
        });
        if collecting.revision > revision {
            return None;
        }
        if collecting.revision < revision {
            // A revision replaces the day: what was collected of the lower one is worth nothing. The first
            // offsets stay, which only means that a little more is read again after a crash.
            collecting.day = OpenDay::new(revision);
            collecting.revision = revision;
        }
        Some(index)
    }
}
