//! Decides what becomes of records: which rows are kept, which revisions are whole, what they replace.
//!
//! In: what the records of a batch say about themselves, and what the table has. Out: a verdict for each record, and
//! the changes of slices. Absent: IO, SQL, the rows themselves.

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;

use crate::store::{DayKey, DaySlices, Slice, SliceChange};

/// What a record says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// It is record `ordinal` of `count`.
    Row { at: DayKey, revision: u32, ordinal: u32, count: u32 },
    /// It closes the revision, which has `count` records.
    Closed { at: DayKey, revision: u32, count: u32 },
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Write its row.
    Keep,
    /// Nothing to do: known already, superseded, or a closing record.
    Drop,
    /// Others of its revision say that it has `known` records.
    Misfit { count: u32, known: u32 },
}

/// What becomes of the rows of a revision that another one has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// They need not be written at all.
    Dropped,
    /// They are written, for the table to make history of them: also those that come after what replaces them.
    Kept,
}

/// What a batch does to a projection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order of the notes.
    pub verdicts: Vec<Verdict>,
    /// In the order of days, so that concurrent writers do not wait for each other.
    pub changes: Vec<SliceChange>,
}

impl Plan {
    /// Days whose newest revision became whole.
    pub fn completed(&self) -> usize {
        self.changes.iter().filter(|change| matches!(change, SliceChange::Completed { .. })).count()
    }
}

/// What a batch does, given what the table has of its days.
pub fn plan(notes: &[Note], known: AHashMap<DayKey, DaySlices>, replaced: Replaced) -> Plan {
    let mut days: BTreeMap<DayKey, Open> = known.into_iter().map(|(at, day)| (at, Open::new(day))).collect();
    let mut verdicts: Vec<Verdict> = notes.iter().map(|note| judge(&mut days, *note, replaced)).collect();
    for (note, verdict) in notes.iter().zip(&mut verdicts) {
        if let Note::Row { at, revision, .. } = note
            && let Some(day) = days.get_mut(at).filter(|day| day.now.complete > Some(*revision))
        {
            // Of a revision that was whole and replaced again within the batch, or came late.
            match replaced {
                Replaced::Dropped => *verdict = Verdict::Drop,
                Replaced::Kept => day.history |= *verdict == Verdict::Keep,
            }
        }
    }
    Plan { verdicts, changes: days.iter().flat_map(|(at, day)| day.changes(*at)).collect() }
}

/// A day while a batch is planned.
#[derive(Debug, Default)]
struct Open {
    now: DaySlices,
    /// The lowest revision that has rows in the table.
    lowest_stored: Option<u32>,
    touched: BTreeSet<u32>,
    /// How many records the revision has that became whole.
    completed: Option<u32>,
    /// Were rows kept of a revision below the one that is whole?
    history: bool,
}

impl Open {
    fn new(stored: DaySlices) -> Self {
        let lowest_open = stored.open.keys().next().copied();
        let lowest_stored = [stored.complete, lowest_open].into_iter().flatten().min();
        Self { now: stored, lowest_stored, ..Self::default() }
    }

    fn row(&mut self, revision: u32, ordinal: u32, count: u32) -> Verdict {
        let slice = self.now.open.entry(revision);
        let slice = slice.or_insert_with(|| Slice { expected: count, ..Slice::default() });
        if slice.received.is_empty() {
            // Only a closing record spoke so far; the records know better.
            slice.expected = count;
        }
        if slice.expected != count {
            return Verdict::Misfit { count, known: slice.expected };
        }
        if !slice.received.insert(ordinal) {
            return Verdict::Drop;
        }
        let whole = slice.received.len() == slice.expected;
        self.touched.insert(revision);
        if whole {
            self.complete(revision, count);
        }
        Verdict::Keep
    }

    /// The records say how many they are themselves; a closing record that differs is left to allocation to refuse.
    fn closed(&mut self, revision: u32, count: u32) {
        if self.now.open.contains_key(&revision) {
            return;
        }
        if count == 0 {
            return self.complete(revision, 0);
        }
        self.now.open.insert(revision, Slice { expected: count, ..Slice::default() });
        self.touched.insert(revision);
    }

    fn complete(&mut self, revision: u32, count: u32) {
        self.now.complete = Some(revision);
        self.completed = Some(count);
        self.now.open.retain(|open, _| *open > revision);
    }

    fn changes(&self, at: DayKey) -> Vec<SliceChange> {
        let whole = self.completed.zip(self.now.complete).map(|(count, revision)| {
            let replaces = self.history || self.lowest_stored.is_some_and(|lowest| lowest < revision);
            SliceChange::Completed { at, revision, count, replaces }
        });
        let grown = self.touched.iter().filter_map(|revision| {
            let slice = self.now.open.get(revision)?.clone();
            Some(SliceChange::Grown { at, revision: *revision, slice })
        });
        let late = self.now.complete.filter(|_| self.history && self.completed.is_none());
        let late = late.map(|revision| SliceChange::Late { at, revision });
        whole.into_iter().chain(late).chain(grown).collect()
    }
}

fn judge(days: &mut BTreeMap<DayKey, Open>, note: Note, replaced: Replaced) -> Verdict {
    let (Note::Row { at, revision, .. } | Note::Closed { at, revision, .. }) = note;
    let day = days.entry(at).or_default();
    if day.now.complete >= Some(revision) {
        let late = matches!(note, Note::Row { .. }) && day.now.complete > Some(revision);
        return if late && replaced == Replaced::Kept { Verdict::Keep } else { Verdict::Drop };
    }
    match note {
        Note::Row { ordinal, count, .. } => day.row(revision, ordinal, count),
        Note::Closed { count, .. } => {
            day.closed(revision, count);
            Verdict::Drop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> DayKey {
        DayKey { tenant: 1, day: day.parse().unwrap() }
    }

    /// `2/0of3` is record 0 of revision 2, which has 3; `2=3` closes it.
    fn note(text: &str) -> Note {
        let (day, text) = text.split_once(' ').map_or(("2026-02-28", text), |(day, rest)| (day, rest));
        let n = |text: &str| text.parse().unwrap();
        match text.split_once('/') {
            Some((revision, rest)) => {
                let (ordinal, count) = rest.split_once("of").unwrap();
                Note::Row { at: at(day), revision: n(revision), ordinal: n(ordinal), count: n(count) }
            }
            None => {
                let (revision, count) = text.split_once('=').unwrap();
                Note::Closed { at: at(day), revision: n(revision), count: n(count) }
            }
        }
    }

    fn planned(stored: DaySlices, notes: &[&str], replaced: Replaced) -> (String, Vec<String>) {
        let notes: Vec<Note> = notes.iter().map(|text| note(text)).collect();
        let plan = plan(&notes, [(at("2026-02-28"), stored)].into_iter().collect(), replaced);
        let verdict = |verdict: &Verdict| match verdict {
            Verdict::Keep => 'K',
            Verdict::Drop => '-',
            Verdict::Misfit { .. } => '!',
        };
        let change = |change: &SliceChange| match change {
            SliceChange::Grown { at, revision, slice } => {
                format!("{} {revision} grown to {} of {}", at.day, slice.received, slice.expected)
            }
            SliceChange::Completed { at, revision, count, replaces } => {
                format!("{} {revision} whole, {count}{}", at.day, if *replaces { ", replaces" } else { "" })
            }
            SliceChange::Late { at, revision } => format!("{} {revision} replaced more", at.day),
        };
        (plan.verdicts.iter().map(verdict).collect(), plan.changes.iter().map(change).collect())
    }

    fn whole(revision: u32) -> DaySlices {
        DaySlices { complete: Some(revision), ..DaySlices::default() }
    }

    #[track_caller]
    fn check(stored: DaySlices, notes: &[&str], verdicts: &str, changes: &[&str]) {
        check_with(Replaced::Dropped, stored, notes, verdicts, changes);
    }

    #[track_caller]
    fn check_with(replaced: Replaced, stored: DaySlices, notes: &[&str], verdicts: &str, changes: &[&str]) {
        let expected: Vec<String> = changes.iter().map(|text| format!("2026-02-28 {text}")).collect();
        assert_eq!(planned(stored, notes, replaced), (verdicts.to_owned(), expected));
    }

    #[test]
    fn a_revision_is_whole_when_all_its_records_came_in_any_order() {
        check(DaySlices::default(), &["1/2of3", "1/0of3"], "KK", &["1 grown to {[0,1),[2,3)} of 3"]);
        check(DaySlices::default(), &["1/2of3", "1/0of3", "1/1of3"], "KKK", &["1 whole, 3"]);
    }

    #[test]
    fn a_new_revision_replaces_and_a_stale_one_changes_nothing() {
        check(whole(1), &["2/0of1"], "K", &["2 whole, 1, replaces"]);
        check(whole(2), &["1/0of1", "2/0of1", "2=1", "1=0"], "----", &[]);
    }

    #[test]
    fn a_revision_without_records_is_learnt_from_what_closes_it() {
        check(whole(1), &["2=0"], "-", &["2 whole, 0, replaces"]);
        check(DaySlices::default(), &["1=2"], "-", &["1 grown to {} of 2"]);
    }

    #[test]
    fn records_and_closing_record_come_in_either_order() {
        check(DaySlices::default(), &["1=1", "1/0of1"], "-K", &["1 whole, 1"]);
        check(DaySlices::default(), &["1/0of1", "1=1"], "K-", &["1 whole, 1"]);
        check(DaySlices::default(), &["1=9", "1/0of1"], "-K", &["1 whole, 1"]);
    }

    #[test]
    fn a_repeated_record_counts_once() {
        check(DaySlices::default(), &["1/0of2", "1/0of2"], "K-", &["1 grown to {[0,1)} of 2"]);
        check(DaySlices::default(), &["1/0of2", "1/0of2", "1/1of2"], "K-K", &["1 whole, 2"]);
    }

    #[test]
    fn a_revision_replaced_within_the_batch_is_not_written() {
        check(DaySlices::default(), &["1/0of2", "1/1of2", "2/0of1"], "--K", &["2 whole, 1"]);
        check(whole(1), &["2/0of3", "3/0of1"], "-K", &["3 whole, 1, replaces"]);
    }

    #[test]
    fn where_history_is_kept_every_row_of_a_replaced_revision_is_written() {
        let kept = |stored, notes: &[&str], verdicts: &str, changes: &[&str]| {
            check_with(Replaced::Kept, stored, notes, verdicts, changes);
        };
        kept(DaySlices::default(), &["1/0of1", "2/0of1"], "KK", &["2 whole, 1, replaces"]);
        kept(DaySlices::default(), &["1/0of2", "1/0of2", "1/1of2", "2=0"], "K-K-", &["2 whole, 0, replaces"]);
        kept(whole(2), &["1/0of1", "2/0of1", "1=1"], "K--", &["2 replaced more"]);
        kept(whole(1), &["2/0of2", "1/0of1"], "K-", &["2 grown to {[0,1)} of 2"]);
        kept(whole(2), &["1/0of1", "3/0of1"], "KK", &["3 whole, 1, replaces"]);
        kept(whole(2), &["1/0of1", "3/0of2"], "KK", &["2 replaced more", "3 grown to {[0,1)} of 2"]);
    }

    #[test]
    fn what_is_left_of_an_unfinished_revision_is_replaced_too() {
        let mut stored = DaySlices::default();
        stored.open.insert(1, Slice { expected: 5, ..Slice::default() });
        check(stored, &["2/0of1"], "K", &["2 whole, 1, replaces"]);
    }

    #[test]
    fn two_open_revisions_stay_apart() {
        let both = ["1 grown to {[0,1)} of 2", "2 grown to {[1,2)} of 2"];
        check(DaySlices::default(), &["1/0of2", "2/1of2"], "KK", &both);
    }

    #[test]
    fn records_that_disagree_about_their_number_are_told() {
        check(DaySlices::default(), &["1/0of2", "1/1of3"], "K!", &["1 grown to {[0,1)} of 2"]);
    }

    #[test]
    fn days_do_not_touch_each_other() {
        let (verdicts, changes) =
            planned(whole(3), &["2026-03-01 1/0of2", "1/0of1", "2026-03-01 1/1of2"], Replaced::Dropped);
        assert_eq!((verdicts.as_str(), changes), ("K-K", vec!["2026-03-01 1 whole, 2".to_owned()]));
    }
}
