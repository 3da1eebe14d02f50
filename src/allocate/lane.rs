//! The days of one partition on their way from facts to rows: a value without IO.
//!
//! In: records of the five fact topics, in any order between topics, again after a crash. Out: days of which
//! nothing is missing ([`Taken`]), and the offsets that may be committed: never past the first record of a day
//! still open. A day that never becomes whole is given up, so that it does not hold that position, or the memory, for
//! ever. Absent: clocks, Kafka, bytes; time is what the log's records say of it.
//!
//! A lane is one partition number across the five fact topics.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{OpenDay, Refusal};
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

impl Kind {
    /// All of them.
    pub const ALL: [Self; KINDS] = [Self::Billing, Self::Resources, Self::Identities, Self::Metrics, Self::Days];
}

/// How long a revision may wait for its next record, in milliseconds of the log's time: a day. Our own gatherer writes
/// one in a transaction; somebody else's may write it piece by piece, or die in the middle.
pub const PATIENCE_MS: i64 = 24 * 3600 * 1000;

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
    /// The day has left the lane without a seal: it can only be refused.
    Unsealed(TenantDay, u32, Refusal),
}

/// The state of one partition.
#[derive(Debug, Default)]
pub struct Lane {
    /// The last revision of each day whose outcome is in the log.
    done: HashMap<TenantDay, u32>,
    open: IndexMap<TenantDay, Collecting>,
    /// The place in `open` of the day that the last record was of: mostly the next one's, too. A guess: days leave.
    last: usize,
    /// What is read next of each topic, where that is known.
    next: [Option<i64>; KINDS],
    /// The latest time that a record of the partition was written at, in milliseconds since 1970.
    time: i64,
    /// When the record in hand was written.
    now: i64,
}

#[derive(Debug)]
struct Collecting {
    day: OpenDay,
    /// When the youngest record of the revision was written.
    since: i64,
    /// Offset of the day's first record in each topic, of whatever revision, readable or not.
    first: [Option<i64>; KINDS],
    doubt: Option<Doubt>,
}

/// A record of the day could not be read. Which revision it is of, nobody can say: one of which nothing is missing
/// does not need it, and the next one may.
#[derive(Debug)]
struct Doubt {
    reason: String,
    /// Offset of the first such record in each topic.
    first: [Option<i64>; KINDS],
}

/// The revision of a day of which only unreadable records have arrived; real ones count from 1.
const UNKNOWN: u32 = 0;

impl Lane {
    /// A lane that knows which revisions were done before, and where its topics are read from.
    pub fn restored(done: HashMap<TenantDay, u32>, next: [Option<i64>; KINDS]) -> Self {
        Self { done, next, ..Self::default() }
    }

    /// Takes a record in. Repeated, stale and superseded ones change nothing but the position.
    pub fn take(&mut self, kind: Kind, offset: i64, fact: Fact<'_>) -> Taken {
        self.passed(kind, offset);
        let (tenant, day, revision) = fact.place();
        let Some(index) = self.day(tenant, day, revision) else { return Taken::Nothing };
        let Some((_, collecting)) = self.open.get_index_mut(index) else { return Taken::Nothing };
        collecting.first[kind as usize].get_or_insert(offset);
        match fact {
            Fact::Line(fact) => collecting.day.add_line(&fact),
            Fact::Resource(fact) => collecting.day.add_resource(&fact),
            Fact::Identity(fact) => collecting.day.add_identity(&fact),
            Fact::Metric(fact) => collecting.day.add_metric(fact),
            Fact::Seal(fact) => collecting.day.seal(fact),
        }
        if !collecting.day.is_complete() {
            return Taken::Nothing;
        }
        self.leave(index).map_or(Taken::Nothing, |day| Taken::Whole(Box::new(day)))
    }

    /// Notes that a record of a day could not be read: the day is in doubt until it is whole all the same, or
    /// [`Self::exhausted`]. The record is read again after a crash, so that the doubt is not forgotten.
    pub fn spoil(&mut self, kind: Kind, offset: i64, key: Option<TenantDay>, reason: &str) {
        self.passed(kind, offset);
        let Some(key) = key else { return };
        let now = self.now;
        let collecting = self.open.entry(key.clone()).or_insert_with(|| Collecting::new(key, UNKNOWN, now));
        collecting.first[kind as usize].get_or_insert(offset);
        let doubt = || Doubt { reason: reason.to_owned(), first: [None; KINDS] };
        collecting.doubt.get_or_insert_with(doubt).first[kind as usize].get_or_insert(offset);
    }

    /// Lets go of what was collected of revisions that are not to be taken up any more. A record of the day that could
    /// not be read still counts for those that come.
    pub fn forget(&mut self, forgotten: impl Fn(&TenantDay, u32) -> bool) {
        self.open.retain(|key, collecting| {
            if !forgotten(key, collecting.day.revision()) {
                return true;
            }
            collecting.day = OpenDay::new(key.clone(), UNKNOWN);
            collecting.first = collecting.doubt.as_ref().map_or(collecting.first, |doubt| doubt.first);
            collecting.doubt.is_some()
        });
    }

    /// Notes when the record that comes next was written, in milliseconds since 1970.
    pub fn at(&mut self, time: i64) {
        self.now = time;
        self.time = self.time.max(time);
    }

    /// Is there an open day of which a record could not be read, or that has been open for too long?
    pub fn is_doubtful(&self) -> bool {
        self.open.values().any(|collecting| collecting.is_doubtful(self.time))
    }

    /// Everything in the log has been read: a doubtful day that is not whole by now will never be, because a
    /// revision's records become visible together, or soon after each other. It leaves, to be refused.
    pub fn exhausted(&mut self) -> Vec<Taken> {
        let time = self.time;
        let doubtful = self.open.iter().filter(|(_, collecting)| collecting.is_doubtful(time));
        let doubtful: Vec<TenantDay> = doubtful.map(|(key, _)| key.clone()).collect();
        doubtful.iter().map(|key| self.give_up(key)).collect()
    }

    /// The day that waits the longest leaves, to be refused: others wait behind it for memory, and nothing of it is left
    /// to read.
    pub fn give_up_oldest(&mut self) -> Taken {
        let oldest = self.oldest().cloned();
        oldest.map_or(Taken::Nothing, |key| self.give_up(&key))
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

    /// What is read next of each topic, where that is known.
    pub fn next(&self) -> [Option<i64>; KINDS] {
        self.next
    }

    /// What may be committed for each topic: everything before it is decided or superseded.
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

    /// The day that waits for its records the longest.
    pub fn oldest(&self) -> Option<&TenantDay> {
        self.open.iter().find(|(_, collecting)| collecting.day.revision() != UNKNOWN).map(|(key, _)| key)
    }

    /// The topics that the oldest open day needs nothing more from: reading on in them only fills memory.
    pub fn ahead(&self) -> [bool; KINDS] {
        let oldest = self.open.values().map(|collecting| &collecting.day).find(|day| day.revision() != UNKNOWN);
        oldest.map_or([false; KINDS], OpenDay::kinds_complete)
    }

    /// The open day that a record belongs to, or `None` if its revision is decided or superseded.
    fn day(&mut self, tenant: &str, day: Day, revision: u32) -> Option<usize> {
        if let Some((key, collecting)) = self.open.get_index_mut(self.last)
            && key.tenant == tenant
            && key.day == day
            && collecting.day.revision() == revision
            && revision != UNKNOWN
        {
            collecting.since = collecting.since.max(self.now);
            return Some(self.last);
        }
        self.last = self.find(tenant, day, revision)?;
        Some(self.last)
    }

    fn find(&mut self, tenant: &str, day: Day, revision: u32) -> Option<usize> {
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
                collecting.since = self.now;
            }
            collecting.since = collecting.since.max(self.now);
            return Some(index);
        }
        let collecting = Collecting::new(key.clone(), revision, self.now);
        Some(self.open.insert_full(key, collecting).0)
    }

    fn give_up(&mut self, key: &TenantDay) -> Taken {
        let Some((index, _, collecting)) = self.open.get_full_mut(key) else { return Taken::Nothing };
        if collecting.day.revision() == UNKNOWN {
            // Nothing else of it is in the log: the record was no part of a revision.
            self.open.shift_remove_index(index);
            return Taken::Nothing;
        }
        let refusal = match collecting.doubt.take() {
            Some(doubt) => Refusal::Unreadable(doubt.reason),
            None => Refusal::NeverFinished { missing: collecting.day.missing() },
        };
        match self.leave(index) {
            None => Taken::Nothing,
            Some(mut day) if day.sealed().is_some() => {
                day.refuse(refusal);
                Taken::Whole(Box::new(day))
            }
            Some(day) => Taken::Unsealed(day.key().clone(), day.revision(), refusal),
        }
    }

    fn leave(&mut self, index: usize) -> Option<OpenDay> {
        let (key, collecting) = self.open.shift_remove_index(index)?;
        // At once: the same revision's records may follow in the same batch.
        self.done(key.clone(), collecting.day.revision());
        if let Some(doubt) = collecting.doubt {
            let first = doubt.first;
            let again = Collecting::new(key.clone(), UNKNOWN, self.now);
            self.open.insert(key, Collecting { first, doubt: Some(doubt), ..again });
        }
        Some(collecting.day)
    }
}

impl Collecting {
    fn new(key: TenantDay, revision: u32, since: i64) -> Self {
        Self { day: OpenDay::new(key, revision), since, first: [None; KINDS], doubt: None }
    }

    fn is_doubtful(&self, time: i64) -> bool {
        self.doubt.is_some() || time - self.since >= PATIENCE_MS
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
            requested: None,
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
        let mut lane = Lane::restored(done, [None; KINDS]);
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

    fn bad(lane: &mut Lane, kind: Kind, offset: i64) {
        lane.spoil(kind, offset, Some(TenantDay::new("t", DAY.parse().unwrap())), "garbage");
    }

    #[test]
    fn a_record_that_cannot_be_read_refuses_its_day_and_no_other() {
        let mut lane = Lane::default();
        bad(&mut lane, Kind::Billing, 1);
        lane.take(Kind::Billing, 2, Fact::Line(line(NEXT, 1, 0, 1)));
        assert!(matches!(lane.take(Kind::Days, 1, Fact::Seal(seal(DAY, 1, 1))), Taken::Nothing));
        assert_eq!(whole(lane.take(Kind::Days, 2, Fact::Seal(seal(NEXT, 1, 1)))), (NEXT.into(), 1));
        assert_eq!(lane.next_offsets(), [Some(1), None, None, None, Some(1)], "a crash would not hide the bad record");
        let Some(Taken::Whole(refused)) = lane.exhausted().pop() else { panic!("held") };
        assert!(super::super::allocate(*refused, &mut Default::default()).is_err());
        assert_eq!(lane.next_offsets(), [Some(3), None, None, None, Some(3)]);
        // Gathered again, it is a day like any other.
        lane.take(Kind::Billing, 3, Fact::Line(line(DAY, 2, 0, 1)));
        let Taken::Whole(day) = lane.take(Kind::Days, 3, Fact::Seal(seal(DAY, 2, 1))) else { panic!("held") };
        assert!(super::super::allocate(*day, &mut Default::default()).is_ok());
    }

    #[test]
    fn a_revision_that_is_whole_does_not_need_what_could_not_be_read() {
        let mut lane = Lane::default();
        bad(&mut lane, Kind::Billing, 1);
        bad(&mut lane, Kind::Days, 1);
        lane.take(Kind::Days, 2, Fact::Seal(seal(DAY, 1, 1)));
        let Taken::Whole(day) = lane.take(Kind::Billing, 2, Fact::Line(line(DAY, 1, 0, 1))) else { panic!("held") };
        assert!(super::super::allocate(*day, &mut Default::default()).is_ok());
        // It may be of the next revision.
        assert_eq!((lane.is_doubtful(), lane.next_offsets()), (true, [Some(1), None, None, None, Some(1)]));
        lane.take(Kind::Billing, 3, Fact::Line(line(DAY, 2, 0, 1)));
        assert!(matches!(lane.exhausted()[..], [Taken::Unsealed(_, 2, _)]));
        assert!(!lane.is_doubtful() && lane.exhausted().is_empty());
    }

    #[test]
    fn a_record_that_belongs_to_no_revision_holds_nothing_up() {
        let mut lane = Lane::default();
        bad(&mut lane, Kind::Metrics, 1);
        assert_eq!((lane.is_doubtful(), lane.next_offsets()[3]), (true, Some(1)));
        assert!(matches!(lane.exhausted()[..], [Taken::Nothing]));
        assert_eq!((lane.is_doubtful(), lane.open_days(), lane.next_offsets()[3]), (false, 0, Some(2)));
    }

    #[test]
    fn a_revision_that_is_never_finished_is_given_up_once_the_log_is_a_day_older() {
        let mut lane = Lane::default();
        lane.at(1_000);
        lane.take(Kind::Billing, 1, Fact::Line(line(DAY, 1, 0, 3)));
        lane.take(Kind::Days, 1, Fact::Seal(seal(DAY, 1, 3)));
        lane.take(Kind::Billing, 2, Fact::Line(line(NEXT, 1, 0, 1)));
        lane.at(1_000 + PATIENCE_MS - 1);
        // A new revision has its own time.
        lane.take(Kind::Billing, 3, Fact::Line(line(NEXT, 2, 0, 1)));
        assert!(!lane.is_doubtful() && lane.exhausted().is_empty());
        lane.at(1_000 + PATIENCE_MS);
        lane.at(0);
        assert!(lane.is_doubtful());
        let Some(Taken::Whole(day)) = lane.exhausted().pop() else { panic!("held") };
        let refusal = super::super::allocate(*day, &mut Default::default()).unwrap_err().to_string();
        assert!(refusal.contains("2 of 3 billing lines"), "{refusal}");
        assert_eq!((lane.open_days(), lane.next_offsets()), (1, [Some(2), None, None, None, Some(2)]));
        // What comes too late is dropped.
        assert!(matches!(lane.take(Kind::Billing, 4, Fact::Line(line(DAY, 1, 1, 3))), Taken::Nothing));
        assert_eq!(lane.open_days(), 1);
    }

    #[test]
    fn the_oldest_day_is_given_up_when_others_need_its_memory() {
        let mut lane = Lane::default();
        bad(&mut lane, Kind::Metrics, 1);
        lane.take(Kind::Billing, 1, Fact::Line(line(NEXT, 1, 0, 1)));
        let Taken::Unsealed(key, 1, Refusal::NeverFinished { missing }) = lane.give_up_oldest() else { panic!("held") };
        assert_eq!((key.day.to_string().as_str(), missing.as_str()), (NEXT, "the seal"));
        assert!(matches!(lane.give_up_oldest(), Taken::Nothing), "of the other, nothing can be read");
    }

    #[test]
    fn what_is_forgotten_in_the_middle_waits_for_nothing() {
        let mut lane = Lane::default();
        lane.take(Kind::Billing, 1, Fact::Line(line(DAY, 1, 0, 2)));
        lane.take(Kind::Billing, 2, Fact::Line(line(NEXT, 1, 0, 2)));
        bad(&mut lane, Kind::Metrics, 7);
        lane.take(Kind::Billing, 3, Fact::Line(line("2026-02-03", 2, 0, 2)));
        lane.forget(|_, revision| revision <= 1);
        assert_eq!((lane.open_days(), lane.oldest().map(|key| key.day.to_string())), (2, Some("2026-02-03".into())));
        assert_eq!(lane.next_offsets(), [Some(3), None, None, Some(7), None], "the bad record may be of what comes");
        assert!(matches!(lane.exhausted()[..], [Taken::Nothing]));
    }

    #[test]
    fn a_day_whose_seal_cannot_be_read_is_let_go_of() {
        let mut lane = Lane::default();
        lane.take(Kind::Billing, 1, Fact::Line(line(DAY, 1, 0, 1)));
        bad(&mut lane, Kind::Days, 1);
        assert!(
            matches!(&lane.exhausted()[..], [Taken::Unsealed(key, 1, Refusal::Unreadable(_))] if key.tenant == "t")
        );
        assert_eq!(lane.next_offsets()[0], Some(2));
    }
}
