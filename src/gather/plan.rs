//! What to do with a day.
//!
//! In: what is remembered of the day, what was gathered, then its usage. Out: skip, hold, ask for usage, seal;
//! and what to remember. Absent: records, topics, sources.
//!
//! * A day is sealed again if and only if what allocation can see of it changed.
//! * Usage is asked for only when the answer can matter: the day is new, its bill, inventory or rules changed,
//!   or its usage is not settled.
//! * Somebody may ask for a day to be sealed again although nothing changed: the way back of a day that was refused.
//! * Failing metrics never take usage away from an unchanged day that had it. A changed day waits for them,
//!   cycle by cycle, until the retry limit; then it is sealed without, and says so.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::attribution::is_topics_of;
use crate::domain::{Day, GatheredDay, Reason};
use crate::ecosystem::{Gap, UsageNeed};

use super::digest;

/// After a day's end, metrics stores still take in late samples, so usage fetched earlier than this is fetched
/// again. Three days: an exporter that broke on a Friday night is mended and has caught up.
pub const SETTLES_AFTER: TimeDelta = TimeDelta::hours(72);

/// What a cycle gathered of a day, before usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub day: Day,
    pub bill_digest: String,
    /// Of inventory and rules.
    pub inventory_digest: String,
    pub billing_lines: u32,
    /// Does the provider have any row for the day, good or bad?
    pub billed: bool,
    /// The usage that the day's rules ask for.
    pub needs: Vec<UsageNeed>,
}

/// What the metrics source answered for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub digest: String,
    /// Resources whose usage could not be had, sorted, with the first reason.
    pub failed: BTreeMap<String, String>,
    /// There was nothing at all, and nothing failed.
    pub none: bool,
}

/// First decision, before usage.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing to publish. With a memory to keep, if that changed.
    Skip(Option<GatheredDay>),
    /// Not to be sealed in this cycle; the memory says why.
    Hold(GatheredDay),
    AskUsage,
}

/// Second decision, with usage.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// As [`Step::Skip`].
    Skip(Option<GatheredDay>),
    /// As [`Step::Hold`].
    Hold(GatheredDay),
    /// Publish the next revision; the memory has its number.
    Seal { why: Why, memory: GatheredDay },
}

/// Why a day is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is new, or something of it changed.
    Changed(Reason),
    /// Nothing changed; somebody asked for it.
    Requested,
}

/// Stands for the digest of usage that has expired.
const EXPIRED: &str = "expired";
/// Billed days that may lose all their rows in one cycle before the answer is doubted.
const TAKEN_BACK_AT_ONCE: usize = 6;

/// Why days that lost their whole bill are held instead of emptied, if they are.
///
/// A provider corrects its bill and may take single days back. Where every billed day, or a week of them, is without
/// any row at once, an answer that came out empty is likelier, and to believe it would replace all their rows by
/// nothing. `billed` and `taken_back` count among the days of the cycle those whose sealed revision has lines.
pub fn doubt(billed: usize, taken_back: usize) -> Option<String> {
    let all = taken_back > 1 && taken_back == billed;
    (all || taken_back > TAKEN_BACK_AT_ONCE).then(|| {
        format!(
            "the provider's bill has no row any more for {taken_back} of {billed} days that were billed; they stay as \
             they are until it has, so ask the provider if that lasts"
        )
    })
}

/// Had its last revision any billing line?
pub fn was_billed(remembered: Option<&GatheredDay>) -> bool {
    remembered.is_some_and(|day| day.revision > 0 && day.billing_lines > 0)
}

/// Decides before usage. `incomplete` says why the inventory cannot be trusted, if it cannot; `again`: somebody asks for
/// the day to be sealed again, changed or not.
pub fn before_usage(
    remembered: Option<&GatheredDay>,
    content: &Content,
    incomplete: Option<&str>,
    again: bool,
) -> Step {
    let sealed = remembered.filter(|day| day.revision > 0);
    if sealed.is_none() && !content.billed {
        return Step::Skip(released(remembered));
    }
    if let Some(why) = incomplete {
        // Whether the inventory changed cannot be told now; a later cycle will see.
        let settled = sealed.is_some_and(|day| day.bill_digest == content.bill_digest && day.held.is_none());
        return if settled { Step::Skip(None) } else { Step::Hold(held(remembered, content, why)) };
    }
    match sealed.map(|day| change(day, content)) {
        Some(None) if !again && sealed.is_some_and(|day| day.usage_settled) => Step::Skip(released(remembered)),
        _ => Step::AskUsage,
    }
}

/// Decides about a bill made from measurements that has a gap; `None`: as about any other bill.
///
/// What was measured once is not replaced by less: metrics stores forget. A day that was held for its gap stays held,
/// also where it is the first one that is asked for.
pub fn with_gap(remembered: Option<&GatheredDay>, content: &Content, gap: &Gap) -> Option<Step> {
    let sealed = remembered.filter(|day| day.revision > 0);
    match (sealed, gap) {
        (Some(day), _) => (day.bill_digest != content.bill_digest).then_some(Step::Skip(None)),
        (None, Gap::Before) => Some(Step::Skip(None)),
        (None, Gap::Open(why)) => Some(Step::Hold(held(remembered, content, why))),
        (None, Gap::Final(_)) => None,
    }
}

/// Is a measured day done with? Twice the time that late samples take to come: it was looked at after they had.
pub fn is_settled(day: &GatheredDay, now: DateTime<Utc>) -> bool {
    let sealed = day.revision > 0 && day.held.is_none() && day.usage_settled;
    sealed && now >= day.day.end() + SETTLES_AFTER * 2
}

/// Cycles that may fail to fetch usage before a day is sealed without it; 0 counts as 1.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub usage: u32,
    /// Usage by topic: who pays need not wait longer for it than this.
    pub topics: u32,
}

impl Limits {
    fn of(self, failed: &str) -> u32 {
        if is_topics_of(failed) { self.topics } else { self.usage }.max(1)
    }
}

/// Decides with usage. `again` as in [`before_usage`].
pub fn after_usage(
    remembered: Option<&GatheredDay>,
    content: &Content,
    usage: &Usage,
    limits: Limits,
    again: bool,
    now: DateTime<Utc>,
) -> Verdict {
    let expired = expired(remembered, content, usage);
    let usage = expired.as_ref().unwrap_or(usage);
    let next = sealed(remembered, content, usage, now);
    let reason = match remembered.filter(|day| day.revision > 0) {
        None => Reason::New,
        Some(day) => match change(day, content) {
            Some(reason) => reason,
            None => return unchanged(day, usage, again, next),
        },
    };
    // Counted per day, whatever else changes: a bill corrected daily must not hold its day for ever.
    let attempts = remembered.map_or(0, |day| day.usage_attempts).saturating_add(1);
    // What the sealed revision had to do without already is not waited for again.
    let given_up = |id: &String| remembered.is_some_and(|day| day.revision > 0 && day.metrics_failed.contains(id));
    let waited_for = usage.failed.keys().filter(|id| !given_up(id) && attempts < limits.of(id));
    let Some(limit) = waited_for.map(|id| limits.of(id)).max() else {
        return Verdict::Seal { why: Why::Changed(reason), memory: next };
    };
    let why = format!("attempt {attempts} of {limit}: {}", failures(&usage.failed));
    let memory = held(remembered, content, &why);
    Verdict::Hold(GatheredDay { usage_attempts: attempts, ..memory })
}

/// Settled usage that is gone as a whole has expired where it was measured: that is no "nothing was used".
fn expired(remembered: Option<&GatheredDay>, content: &Content, usage: &Usage) -> Option<Usage> {
    let day = remembered.filter(|day| day.revision > 0 && usage.none)?;
    let known = day.usage_digest == EXPIRED;
    let gone = day.usage_settled && day.usage_digest != usage.digest;
    let failed = content.needs.iter().map(|need| (need.resource_id.clone(), "it was there and has expired".to_owned()));
    (known || gone).then(|| Usage { digest: EXPIRED.to_owned(), failed: failed.collect(), none: false })
}

impl Content {
    /// Names the day as it is but for its usage.
    pub fn digest(&self) -> String {
        digest::combined(&[&self.bill_digest, &self.inventory_digest])
    }
}

/// Only usage can differ: it is taken over unless it lacks something that the sealed one had.
fn unchanged(day: &GatheredDay, usage: &Usage, again: bool, next: GatheredDay) -> Verdict {
    let loses = usage.failed.keys().any(|resource_id| !day.metrics_failed.contains(resource_id));
    if loses {
        return Verdict::Skip(released(Some(day)));
    }
    if usage.digest != day.usage_digest {
        return Verdict::Seal { why: Why::Changed(Reason::Usage), memory: next };
    }
    if again {
        return Verdict::Seal { why: Why::Requested, memory: next };
    }
    let memory = GatheredDay { revision: day.revision, ..next };
    Verdict::Skip((memory != *day).then_some(memory))
}

/// What differs from the sealed revision, usage aside.
fn change(day: &GatheredDay, content: &Content) -> Option<Reason> {
    if day.bill_digest != content.bill_digest {
        return Some(Reason::Bill);
    }
    (day.inventory_digest != content.inventory_digest).then_some(Reason::Inventory)
}

/// The memory of the next revision.
fn sealed(remembered: Option<&GatheredDay>, content: &Content, usage: &Usage, now: DateTime<Utc>) -> GatheredDay {
    let complete = usage.failed.is_empty();
    let late = content.needs.is_empty() || now >= content.day.end() + SETTLES_AFTER;
    GatheredDay {
        day: content.day,
        revision: remembered.map_or(0, |day| day.revision) + 1,
        bill_digest: content.bill_digest.clone(),
        inventory_digest: content.inventory_digest.clone(),
        usage_digest: usage.digest.clone(),
        usage_settled: complete && late,
        usage_attempts: 0,
        held: None,
        billing_lines: content.billing_lines,
        metrics_failed: usage.failed.keys().cloned().collect(),
    }
}

/// The memory of a revision under a number that was not given to any before the tenant was forgotten, either.
pub fn numbered(memory: GatheredDay, last_forgotten: u32) -> GatheredDay {
    GatheredDay { revision: memory.revision.max(last_forgotten + 1), ..memory }
}

/// The memory of a day that is held: of its last revision, with the reason.
pub fn held(remembered: Option<&GatheredDay>, content: &Content, why: &str) -> GatheredDay {
    let last = remembered.cloned().unwrap_or_else(|| GatheredDay::never_sealed(content.day));
    GatheredDay { held: Some(why.to_owned()), ..last }
}

/// The memory of a day that is held no longer, if it was.
fn released(remembered: Option<&GatheredDay>) -> Option<GatheredDay> {
    let held = remembered.filter(|day| day.held.is_some())?;
    Some(GatheredDay { held: None, usage_attempts: 0, ..held.clone() })
}

fn failures(failed: &BTreeMap<String, String>) -> String {
    let (id, why) = failed.first_key_value().map_or(("", ""), |(id, why)| (id.as_str(), why.as_str()));
    match failed.len() {
        1 => format!("usage of {id} could not be fetched: {why}"),
        n => format!("usage of {n} resources could not be fetched, first {id}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{at, day};
    use super::*;

    const LATE: &str = "2026-02-20T00:00:00Z";
    const EARLY: &str = "2026-02-11T06:00:00Z";

    fn content(bill: &str, inventory: &str) -> Content {
        Content {
            day: day("2026-02-10"),
            bill_digest: bill.into(),
            inventory_digest: inventory.into(),
            billing_lines: 1,
            billed: true,
            needs: vec![UsageNeed { resource_id: "lkc-1".into(), metrics: vec!["bytes_in".into()] }],
        }
    }

    fn answer(digest: &str, failed: &[&str]) -> Usage {
        let failed = failed.iter().map(|id| ((*id).to_owned(), "HTTP 422".to_owned())).collect();
        Usage { digest: digest.into(), failed, none: false }
    }

    /// An answer without any value.
    fn nothing() -> Usage {
        Usage { none: true, ..answer("nothing", &[]) }
    }

    /// One cycle for the day, as the worker does it; says what happened and what is remembered afterwards.
    fn cycle(
        remembered: Option<GatheredDay>,
        content: &Content,
        usage: &Usage,
        limit: u32,
        now: &str,
    ) -> (&'static str, Option<GatheredDay>) {
        let verdict = match before_usage(remembered.as_ref(), content, None, false) {
            Step::Skip(memory) => return ("skip", memory.or(remembered)),
            Step::Hold(memory) => return ("hold", Some(memory)),
            Step::AskUsage => {
                let limits = Limits { usage: limit, topics: 2 };
                after_usage(remembered.as_ref(), content, usage, limits, false, at(now))
            }
        };
        match verdict {
            Verdict::Skip(memory) => ("asked", memory.or(remembered)),
            Verdict::Hold(memory) => ("hold", Some(memory)),
            Verdict::Seal { why, memory } => {
                let what = match why {
                    Why::Changed(Reason::New) => "new",
                    Why::Changed(Reason::Bill) => "bill",
                    Why::Changed(Reason::Inventory) => "inventory",
                    Why::Changed(Reason::Usage) => "usage",
                    Why::Requested => "requested",
                };
                (what, Some(memory))
            }
        }
    }

    #[track_caller]
    fn check(steps: &[(&str, &Content, &Usage, u32, &str)]) -> GatheredDay {
        let mut memory = None;
        for (i, (expected, content, usage, limit, now)) in steps.iter().enumerate() {
            let (what, after) = cycle(memory, content, usage, *limit, now);
            assert_eq!(what, *expected, "cycle {i}, then {after:?}");
            memory = after;
        }
        memory.unwrap()
    }

    #[test]
    fn a_day_is_sealed_once_and_again_only_when_it_changes() {
        let (first, bill, both) = (content("b1", "i1"), content("b2", "i1"), content("b2", "i2"));
        let usage = answer("u1", &[]);
        let memory = check(&[
            ("new", &first, &usage, 3, LATE),
            ("skip", &first, &usage, 3, LATE),
            ("bill", &bill, &usage, 3, LATE),
            ("inventory", &both, &usage, 3, LATE),
            ("skip", &both, &usage, 3, LATE),
        ]);
        assert_eq!((memory.revision, memory.usage_settled), (3, true));
    }

    #[test]
    fn what_is_asked_for_is_sealed_again_but_never_with_less() {
        let content = content("b", "i");
        let settled = check(&[("new", &content, &answer("u", &[]), 3, LATE)]);
        let again = |usage: &Usage| {
            assert_eq!(before_usage(Some(&settled), &content, None, true), Step::AskUsage);
            after_usage(Some(&settled), &content, usage, Limits { usage: 1, topics: 1 }, true, at(LATE))
        };
        let next = GatheredDay { revision: 2, ..settled.clone() };
        assert_eq!(again(&answer("u", &[])), Verdict::Seal { why: Why::Requested, memory: next });
        assert!(matches!(again(&answer("v", &[])), Verdict::Seal { why: Why::Changed(Reason::Usage), .. }));
        assert_eq!(again(&answer("none", &["lkc-1"])), Verdict::Skip(None));
        assert_eq!(again(&nothing()), Verdict::Skip(None));
    }

    #[test]
    fn a_bill_that_changes_after_its_usage_has_expired_waits_and_is_flagged() {
        let (first, second, third) = (content("b1", "i"), content("b2", "i"), content("b3", "i"));
        let memory = check(&[
            ("new", &first, &answer("u", &[]), 2, LATE),
            ("skip", &first, &nothing(), 2, LATE),
            ("hold", &second, &nothing(), 2, LATE),
            ("bill", &second, &nothing(), 2, LATE),
            ("asked", &second, &nothing(), 2, LATE),
            ("bill", &third, &nothing(), 2, LATE),
        ]);
        assert_eq!((memory.metrics_failed.as_slice(), memory.usage_settled), (&["lkc-1".to_owned()][..], false));
        assert_eq!(cycle(Some(memory), &third, &answer("u", &[]), 2, LATE).0, "usage");
        check(&[("new", &first, &nothing(), 2, LATE), ("bill", &second, &nothing(), 2, LATE)]);
    }

    #[test]
    fn usage_is_asked_again_until_it_is_settled() {
        let content = content("b", "i");
        check(&[
            ("new", &content, &answer("u1", &[]), 3, EARLY),
            ("asked", &content, &answer("u1", &[]), 3, EARLY),
            ("usage", &content, &answer("u2", &[]), 3, EARLY),
            ("asked", &content, &answer("u2", &[]), 3, LATE),
            ("skip", &content, &answer("u3", &[]), 3, LATE),
        ]);
    }

    #[test]
    fn an_outage_holds_the_day_until_the_limit_then_flags_it() {
        let content = content("b", "i");
        let down = answer("none", &["lkc-1"]);
        let memory = check(&[
            ("hold", &content, &down, 3, LATE),
            ("hold", &content, &down, 3, LATE),
            ("new", &content, &down, 3, LATE),
            ("asked", &content, &down, 3, LATE),
        ]);
        assert_eq!((memory.metrics_failed.as_slice(), memory.usage_settled), (&["lkc-1".to_owned()][..], false));
        let memory = cycle(Some(memory), &content, &answer("u", &[]), 3, LATE);
        assert_eq!(memory.0, "usage");
        assert!(memory.1.unwrap().usage_settled);
    }

    #[test]
    fn who_pays_does_not_wait_for_topics_longer_than_their_own_limit() {
        let content = content("b", "i");
        let topics = answer("no topics", &["lkc-1:topic:*"]);
        let memory = check(&[("hold", &content, &topics, 9, LATE), ("new", &content, &topics, 9, LATE)]);
        assert_eq!(memory.metrics_failed, ["lkc-1:topic:*"]);
        let both = answer("nothing", &["lkc-1", "lkc-1:topic:*"]);
        check(&[
            ("hold", &content, &both, 3, LATE),
            ("hold", &content, &both, 3, LATE),
            ("new", &content, &both, 3, LATE),
            ("usage", &content, &topics, 3, LATE),
            ("usage", &content, &answer("all", &[]), 3, LATE),
        ]);
    }

    #[test]
    fn a_corrected_bill_does_not_start_the_count_anew() {
        let down = answer("none", &["lkc-1"]);
        check(&[
            ("hold", &content("b1", "i"), &down, 3, LATE),
            ("hold", &content("b2", "i"), &down, 3, LATE),
            ("new", &content("b3", "i"), &down, 3, LATE),
        ]);
    }

    #[test]
    fn usage_that_was_given_up_is_not_waited_for_again() {
        let down = answer("none", &["lkc-1"]);
        check(&[
            ("hold", &content("b1", "i"), &down, 2, LATE),
            ("new", &content("b1", "i"), &down, 2, LATE),
            ("bill", &content("b2", "i"), &down, 2, LATE),
        ]);
    }

    #[test]
    fn with_a_limit_of_one_the_first_failing_cycle_seals() {
        for limit in [0, 1] {
            check(&[("new", &content("b", "i"), &answer("none", &["lkc-1"]), limit, LATE)]);
        }
    }

    #[test]
    fn failing_metrics_never_replace_complete_ones() {
        let content = content("b", "i");
        let memory = check(&[
            ("new", &content, &answer("u", &[]), 1, EARLY),
            ("asked", &content, &answer("none", &["lkc-1"]), 1, LATE),
        ]);
        assert_eq!((memory.revision, memory.metrics_failed.len()), (1, 0));
    }

    #[test]
    fn usage_that_comes_back_in_part_is_taken_over() {
        let content = content("b", "i");
        check(&[
            ("new", &content, &answer("none", &["lkc-1", "lkc-2"]), 1, LATE),
            ("usage", &content, &answer("half", &["lkc-2"]), 1, LATE),
            ("asked", &content, &answer("other half", &["lkc-1"]), 1, LATE),
            ("usage", &content, &answer("all", &[]), 1, LATE),
            ("skip", &content, &answer("all", &[]), 1, LATE),
        ]);
    }

    #[test]
    fn an_incomplete_inventory_holds_what_is_new_or_billed_anew() {
        let (old, new) = (content("b1", "i"), content("b2", "i"));
        let why = Some("inventory incomplete: ksqldb: HTTP 500");
        let Step::Hold(first) = before_usage(None, &old, why, false) else { panic!("a new day") };
        assert_eq!((first.revision, first.held.as_deref()), (0, why));
        let (_, sealed) = cycle(Some(first), &old, &answer("u", &[]), 3, LATE);
        let sealed = sealed.unwrap();
        assert_eq!((sealed.revision, &sealed.held), (1, &None));
        assert_eq!(before_usage(Some(&sealed), &old, why, false), Step::Skip(None));
        let Step::Hold(again) = before_usage(Some(&sealed), &new, why, false) else { panic!("another bill") };
        assert_eq!((again.revision, again.bill_digest.as_str()), (1, "b1"));
    }

    #[test]
    fn a_bill_that_vanishes_at_once_is_doubted_and_single_days_are_not() {
        for (billed, taken_back) in [(0, 0), (200, 0), (1, 1), (3, 2), (200, 6)] {
            assert_eq!(doubt(billed, taken_back), None, "{taken_back} of {billed}");
        }
        for (billed, taken_back) in [(2, 2), (6, 6), (200, 7), (200, 200)] {
            assert!(doubt(billed, taken_back).is_some(), "{taken_back} of {billed}");
        }
    }

    #[test]
    fn a_held_change_that_goes_away_again_is_released() {
        let (_, sealed) = cycle(None, &content("b1", "i"), &answer("u", &[]), 3, LATE);
        let (what, held) = cycle(sealed, &content("b2", "i"), &answer("none", &["lkc-1"]), 3, LATE);
        assert_eq!(what, "hold");
        let (what, released) = cycle(held, &content("b1", "i"), &answer("u", &[]), 3, LATE);
        assert_eq!((what, released.unwrap().held), ("skip", None));
    }

    #[test]
    fn a_day_that_was_never_billed_is_never_sealed_but_a_bill_taken_back_is() {
        let nothing = Content { billed: false, billing_lines: 0, needs: vec![], ..content("empty", "i") };
        assert_eq!(before_usage(None, &nothing, None, false), Step::Skip(None));
        let (_, sealed) = cycle(None, &content("b", "i"), &answer("u", &[]), 3, LATE);
        let (what, emptied) = cycle(sealed, &nothing, &answer("no", &[]), 3, LATE);
        assert_eq!((what, emptied.unwrap().billing_lines), ("bill", 0));
    }

    #[test]
    fn a_gap_holds_a_new_day_and_never_replaces_what_was_measured() {
        let (whole, less) = (content("whole", "i"), content("less", "i"));
        let (open, last) = (Gap::Open("42 %".into()), Gap::Final("42 %".into()));
        let Some(Step::Hold(held)) = with_gap(None, &less, &open) else { panic!("it waits") };
        assert_eq!((held.revision, held.held.as_deref()), (0, Some("42 %")));
        assert_eq!(with_gap(None, &less, &last), None, "flagged and sealed");
        assert_eq!(with_gap(Some(&held), &less, &Gap::Before), Some(Step::Skip(None)), "it stays held");
        let (_, sealed) = cycle(None, &whole, &answer("u", &[]), 3, LATE);
        for gap in [Gap::Before, open, last] {
            assert_eq!(with_gap(sealed.as_ref(), &less, &gap), Some(Step::Skip(None)));
            assert_eq!(with_gap(sealed.as_ref(), &whole, &gap), None);
        }
    }

    #[test]
    fn a_measured_day_is_settled_when_late_samples_had_their_time() {
        let (_, sealed) = cycle(None, &content("b", "i"), &answer("u", &[]), 3, LATE);
        let sealed = sealed.unwrap();
        assert!(!is_settled(&sealed, at("2026-02-16T23:59:59Z")));
        assert!(is_settled(&sealed, at("2026-02-17T00:00:00Z")));
        assert!(!is_settled(&GatheredDay { held: Some("why".into()), ..sealed }, at("2026-03-17T00:00:00Z")));
    }

    proptest! {
        /// Whatever happens: revisions rise by one, a revision differs from the one before, and complete
        /// usage never turns into incomplete usage of the same content.
        #[test]
        fn a_new_revision_says_something_new(
            steps in proptest::collection::vec((0u8..3, 0u8..2, 0u8..3, 0u8..4), 1..30),
            limit in 0u32..4,
        ) {
            let mut memory: Option<GatheredDay> = None;
            for (bill, inventory, values, failing) in steps {
                let content = content(&format!("b{bill}"), &format!("i{inventory}"));
                let failed: Vec<&str> =
                    ["lkc-1", "lkc-2"].into_iter().enumerate().filter(|(i, _)| failing >> i & 1 == 1).map(|(_, id)| id).collect();
                let usage = answer(&format!("u{values}{failed:?}"), &failed);
                let before = memory.clone();
                let (what, after) = cycle(memory, &content, &usage, limit, LATE);
                let seen = |day: &GatheredDay| (day.bill_digest.clone(), day.inventory_digest.clone(), day.usage_digest.clone());
                let sealed = before.as_ref().filter(|day| day.revision > 0);
                if ["new", "bill", "inventory", "usage"].contains(&what) {
                    let after = after.as_ref().unwrap();
                    prop_assert_eq!(after.revision, before.as_ref().map_or(0, |day| day.revision) + 1);
                    prop_assert!(sealed.is_none_or(|before| seen(before) != seen(after)));
                    if what == "usage" {
                        let before = &sealed.unwrap().metrics_failed;
                        prop_assert!(after.metrics_failed.iter().all(|id| before.contains(id)));
                    }
                } else {
                    prop_assert_eq!(after.as_ref().map_or(0, |day| day.revision), before.as_ref().map_or(0, |day| day.revision));
                    prop_assert_eq!(sealed.map(seen), after.as_ref().filter(|day| day.revision > 0).map(seen));
                }
                memory = after;
            }
        }
    }
}
