//! The days of one partition on their way from facts to rows: a value without IO.
//!
//! In: records of the five fact topics, in any order between topics, again after a crash. Out: days of which
//! nothing is missing ([`Taken`]), and the offsets that may be committed: never past the first record of a day
//! still open. Absent: clocks, Kafka, bytes.
//!
//! A lane is one partition number across the five fact topics.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::OpenDay;
use crate::domain::{BillingLine, Day, DaySealed, Identity, MetricValueRef, Resource, TenantDay};

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
    /// Tenant, day, revision.
    pub fn place(&self) -> (&str, Day, u32) {
        match self {
            Self::Line(f) => (&f.tenant, f.day, f.revision),
            Self::Resource(f) => (&f.tenant, f.day, f.revision),
            Self::Identity(f) => (&f.tenant, f.day, f.revision),
            Self::Metric(f) => (f.tenant, f.day, f.revision),
            Self::Seal(f) => (&f.tenant, f.day, f.revision),
        }
    }
}

/// What a record leads to.
#[derive(Debug)]
pub enum Taken {
    /// Something is missing still, or the record was known or superseded.
    Nothing,
    /// The day has left the lane with everything that can change its outcome.
    Whole(Box<OpenDay>),
    /// The day has left the lane without a readable seal: it can only be refused.
    Unsealed(TenantDay, u32),
}

/// The state of one partition.
#[derive(Debug, Default)]
pub struct Lane {
    /// The last revision of each day whose outcome is in the log.
    done: HashMap<TenantDay, u32>,
    open: IndexMap<TenantDay, Collecting>,
    /// Days of which a record could not be read before any other had arrived.
    spoiled: HashMap<TenantDay, Spoiled>,
    /// What is read next of each topic, once anything was read.
    next: [Option<i64>; KINDS],
}

#[derive(Debug)]
struct Collecting {
    day: OpenDay,
    /// Offset of the day's first record in each topic, of whatever revision.
    first: [Option<i64>; KINDS],
}

#[derive(Debug)]
struct Spoiled {
    /// Of the first such record, where it stood.
    reason: String,
    /// Offset of the first such record in each topic.
    first: [Option<i64>; KINDS],
}

impl Lane {
    /// A lane that knows which revisions were done before.
    pub fn restored(done: HashMap<TenantDay, u32>) -> Self {
        Self { done, ..Self::default() }
    }

    /// Takes a record in. Repeated, stale and superseded ones change nothing but the position.
    pub fn take(&mut self, kind: Kind, offset: i64, fact: Fact<'_>) -> Taken {
        self.passed(kind, offset);
        let (tenant, day, revision) = fact.place();
        let Some(index) = self.day(tenant, day, revision) else { return Taken::Nothing };
        let Some((key, collecting)) = self.open.get_index_mut(index) else { return Taken::Nothing };
        collecting.first[kind as usize].get_or_insert(offset);
        match fact {
            Fact::Line(fact) => collecting.day.add_line(&fact),
            Fact::Resource(fact) => collecting.day.add_resource(&fact),
            Fact::Identity(fact) => collecting.day.add_identity(&fact),
            Fact::Metric(fact) => collecting.day.add_metric(fact),
            Fact::Seal(fact) => collecting.day.seal(fact),
        }
        if let Some(spoiled) = self.spoiled.get(key) {
            collecting.day.spoil(&spoiled.reason);
            if spoiled.first[Kind::Days as usize].is_some() {
                return self.unsealed(index);
            }
        }
        if !collecting.day.is_complete() {
            return Taken::Nothing;
        }
        self.leave(index).map_or(Taken::Nothing, |day| Taken::Whole(Box::new(day)))
    }

    /// Notes that a record of a day could not be read. The day is refused instead of waiting for ever.
    pub fn spoil(&mut self, kind: Kind, offset: i64, key: Option<TenantDay>, reason: &str) -> Taken {
        self.passed(kind, offset);
        let Some(key) = key else { return Taken::Nothing };
        let Some(index) = self.open.get_index_of(&key) else {
            let spoiled = self.spoiled.entry(key);
            let spoiled = spoiled.or_insert_with(|| Spoiled { reason: reason.to_owned(), first: [None; KINDS] });
            spoiled.first[kind as usize].get_or_insert(offset);
            return Taken::Nothing;
        };
        if kind == Kind::Days {
            return self.unsealed(index);
        }
        let complete = self.open.get_index_mut(index).is_some_and(|(_, collecting)| {
            collecting.first[kind as usize].get_or_insert(offset);
            collecting.day.spoil(reason);
            collecting.day.is_complete()
        });
        if complete {
            self.leave(index).map_or(Taken::Nothing, |day| Taken::Whole(Box::new(day)))
        } else {
            Taken::Nothing
        }
    }

    /// Moves on over a record that says nothing.
    pub fn passed(&mut self, kind: Kind, offset: i64) {
        self.next[kind as usize] = Some(offset + 1);
    }

    /// Notes that a revision's outcome is decided: what else arrives of it is dropped.
    pub fn done(&mut self, key: TenantDay, revision: u32) {
        let last = self.done.entry(key).or_default();
        *last = revision.max(*last);
    }

    /// What may be committed for each topic: everything before it is decided or superseded.
    pub fn next_offsets(&self) -> [Option<i64>; KINDS] {
        let mut next = self.next;
        let open = self.open.values().map(|collecting| collecting.first);
        // A crash must not make us forget that a day cannot become whole.
        let spoiled = self.spoiled.values().map(|spoiled| spoiled.first);
        for firsts in open.chain(spoiled) {
            for (next, first) in next.iter_mut().zip(firsts) {
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

    /// The day that waits for its records the longest.
    pub fn oldest(&self) -> Option<&TenantDay> {
        self.open.first().map(|(key, _)| key)
    }

    /// The topics that the oldest open day needs nothing more from: reading on in them only fills memory.
    pub fn ahead(&self) -> [bool; KINDS] {
        let oldest = self.open.first().map(|(_, collecting)| &collecting.day);
        oldest.map_or([false; KINDS], OpenDay::kinds_complete)
    }

    /// The open day that a record belongs to, or `None` if its revision is decided or superseded.
    fn day(&mut self, tenant: &str, day: Day, revision: u32) -> Option<usize> {
        let key = TenantDay::new(tenant, day);
        if self.done.get(&key).is_some_and(|done| *done >= revision) {
            return None;
        }
        if let Some((index, _, collecting)) = self.open.get_full_mut(&key) {
            if collecting.day.revision() > revision {
                return None;
            }
            if collecting.day.revision() < revision {
                // A revision replaces the day: what was collected of the lower one is worth nothing. The first
                // offsets stay, which only means that a little more is read again after a crash.
                collecting.day = OpenDay::new(key.clone(), revision);
                self.spoiled.remove(&key);
            }
            return Some(index);
        }
        let collecting = Collecting { day: OpenDay::new(key.clone(), revision), first: [None; KINDS] };
        Some(self.open.insert_full(key, collecting).0)
    }

    fn unsealed(&mut self, index: usize) -> Taken {
        self.leave(index).map_or(Taken::Nothing, |day| Taken::Unsealed(day.key().clone(), day.revision()))
    }

    fn leave(&mut self, index: usize) -> Option<OpenDay> {
        let (key, collecting) = self.open.shift_remove_index(index)?;
        self.spoiled.remove(&key);
        // At once: the same revision's records may follow in the same batch.
        self.done(key, collecting.day.revision());
        Some(collecting.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Reason;
    use crate::ecosystem::confluent_cloud::rules::rule_book;

    fn seal(day: &str, revision: u32, lines: u32) -> DaySealed {
        DaySealed {
            tenant: "t".into(),
            day: day.parse().unwrap(),
            revision,
            ecosystem: "e".into(),
            billing_lines: lines,
            resources: 0,
            identities: 0,
            metrics: 0,
            digest: format!("digest {revision}"),
            rules: serde_json::to_string(&rule_book("0.7", "0.3")).unwrap(),
            metrics_failed: Vec::new(),
            quarantined: 0,
            reason: Reason::New,
            gathered_at: day.parse::<Day>().unwrap().end(),
        }
    }

    fn line(day: &str, revision: u32, ordinal: u32, count: u32) -> BillingLine {
        let on: Day = day.parse().unwrap();
        BillingLine {
            tenant: "t".into(),
            day: on,
            revision,
            ordinal,
            count,
            ecosystem: "e".into(),
            env_id: String::new(),
            resource_id: format!("r{ordinal}"),
            resource_name: None,
            product_category: "C".into(),
            product_type: "P".into(),
            quantity: crate::domain::Amount::ZERO,
            unit_price: crate::domain::Amount::ZERO,
            amount: crate::domain::Amount::whole(1),
            original_amount: None,
            currency: "USD".into(),
            granularity: "daily".into(),
            period_start: on.start(),
            period_end: on.end(),
            evidence: Vec::new(),
        }
    }

    const DAY: &str = "2026-02-01";
    const NEXT: &str = "2026-02-02";

    fn whole(taken: Taken) -> (String, u32) {
        match taken {
            Taken::Whole(day) => (day.key().day.to_string(), day.revision()),
            other => panic!("not whole: {other:?}"),
        }
    }

    #[test]
    fn a_day_leaves_when_nothing_is_missing_whatever_came_first() {
        let mut lane = Lane::default();
        assert!(matches!(lane.take(Kind::Days, 4, Fact::Seal(seal(DAY, 1, 2))), Taken::Nothing));
        assert!(matches!(lane.take(Kind::Billing, 7, Fact::Line(line(DAY, 1, 1, 2))), Taken::Nothing));
        assert!(matches!(lane.take(Kind::Billing, 8, Fact::Line(line(DAY, 1, 1, 2))), Taken::Nothing), "repeated");
        assert_eq!(whole(lane.take(Kind::Billing, 9, Fact::Line(line(DAY, 1, 0, 2)))), (DAY.into(), 1));
        assert_eq!(lane.open_days(), 0);
    }

    #[test]
    fn offsets_never_pass_the_first_record_of_an_open_day() {
        let mut lane = Lane::default();
        lane.take(Kind::Billing, 10, Fact::Line(line(DAY, 1, 0, 1)));
        lane.take(Kind::Billing, 11, Fact::Line(line(NEXT, 1, 0, 1)));
        lane.take(Kind::Days, 3, Fact::Seal(seal(NEXT, 1, 1)));
        assert_eq!(lane.next_offsets(), [Some(10), None, None, None, Some(4)]);
        lane.take(Kind::Days, 4, Fact::Seal(seal(DAY, 1, 1)));
        assert_eq!(lane.next_offsets(), [Some(12), None, None, None, Some(5)]);
    }

    #[test]
    fn what_was_decided_before_a_crash_is_dropped() {
        let done = HashMap::from([(TenantDay::new("t", DAY.parse().unwrap()), 2)]);
        let mut lane = Lane::restored(done);
        for revision in [1, 2] {
            lane.take(Kind::Billing, 1, Fact::Line(line(DAY, revision, 0, 1)));
            assert!(matches!(lane.take(Kind::Days, 1, Fact::Seal(seal(DAY, revision, 1))), Taken::Nothing));
        }
        assert_eq!(lane.open_days(), 0);
        lane.take(Kind::Billing, 2, Fact::Line(line(DAY, 3, 0, 1)));
        assert_eq!(whole(lane.take(Kind::Days, 2, Fact::Seal(seal(DAY, 3, 1)))), (DAY.into(), 3));
    }

    #[test]
    fn a_higher_revision_replaces_one_that_is_not_whole() {
        let mut lane = Lane::default();
        lane.take(Kind::Billing, 1, Fact::Line(line(DAY, 1, 0, 2)));
        lane.take(Kind::Billing, 2, Fact::Line(line(DAY, 2, 0, 1)));
        lane.take(Kind::Billing, 3, Fact::Line(line(DAY, 1, 1, 2)));
        assert!(matches!(lane.take(Kind::Days, 1, Fact::Seal(seal(DAY, 1, 2))), Taken::Nothing));
        assert_eq!(whole(lane.take(Kind::Days, 2, Fact::Seal(seal(DAY, 2, 1)))), (DAY.into(), 2));
    }

    #[test]
    fn a_record_that_cannot_be_read_refuses_its_day_and_no_other() {
        let key = Some(TenantDay::new("t", DAY.parse().unwrap()));
        let mut lane = Lane::default();
        lane.spoil(Kind::Billing, 1, key, "garbage");
        assert_eq!(lane.next_offsets()[0], Some(1), "known again after a crash");
        lane.take(Kind::Billing, 2, Fact::Line(line(NEXT, 1, 0, 1)));
        let Taken::Whole(refused) = lane.take(Kind::Days, 1, Fact::Seal(seal(DAY, 1, 1))) else { panic!("held") };
        assert!(super::super::allocate(*refused, &mut Default::default()).is_err());
        assert_eq!(whole(lane.take(Kind::Days, 2, Fact::Seal(seal(NEXT, 1, 1)))), (NEXT.into(), 1));
        assert_eq!(lane.next_offsets()[0], Some(3));
        // Gathered again, it is a day like any other.
        lane.take(Kind::Billing, 3, Fact::Line(line(DAY, 2, 0, 1)));
        let Taken::Whole(day) = lane.take(Kind::Days, 3, Fact::Seal(seal(DAY, 2, 1))) else { panic!("held") };
        assert!(super::super::allocate(*day, &mut Default::default()).is_ok());
    }

    #[test]
    fn whichever_record_cannot_be_read_a_crash_does_not_make_it_forgotten() {
        let key = || Some(TenantDay::new("t", DAY.parse().unwrap()));
        let mut lane = Lane::default();
        lane.spoil(Kind::Days, 4, key(), "garbage");
        lane.spoil(Kind::Billing, 6, key(), "garbage");
        lane.spoil(Kind::Billing, 7, key(), "garbage");
        assert_eq!(lane.next_offsets(), [Some(6), None, None, None, Some(4)]);
        assert!(matches!(lane.take(Kind::Metrics, 9, Fact::Metric(metric())), Taken::Unsealed(..)));
        assert_eq!(lane.next_offsets(), [Some(8), None, None, Some(10), Some(5)]);
        lane.take(Kind::Metrics, 10, Fact::Metric(MetricValueRef { revision: 2, ..metric() }));
        lane.spoil(Kind::Billing, 8, key(), "garbage");
        assert_eq!(lane.next_offsets()[0], Some(8));
    }

    fn metric() -> MetricValueRef<'static> {
        MetricValueRef {
            tenant: "t",
            day: DAY.parse().unwrap(),
            revision: 1,
            ordinal: 0,
            count: 2,
            ecosystem: "e",
            resource_id: "r",
            metric: "m",
            subject_type: crate::domain::Subject::Principal,
            subject: "s",
            value: 1.0,
        }
    }

    #[test]
    fn a_seal_that_cannot_be_read_lets_go_of_its_day() {
        let key = Some(TenantDay::new("t", DAY.parse().unwrap()));
        let mut lane = Lane::default();
        lane.take(Kind::Billing, 1, Fact::Line(line(DAY, 1, 0, 1)));
        let taken = lane.spoil(Kind::Days, 1, key.clone(), "garbage");
        assert!(matches!(taken, Taken::Unsealed(k, 1) if Some(&k) == key.as_ref()));
        assert_eq!(lane.next_offsets()[0], Some(2));
    }
}
