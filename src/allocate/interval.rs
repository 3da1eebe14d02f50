//! The interval rule: only the part of a line is allocated in whose interval its resource existed.
//!
//! In: a line, its resource's lifetime. Out: the amount to allocate and the amount that is nobody's; together they
//! are the line. Absent: whether the rule was asked for.

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::open_day::Line;
use crate::domain::split::{Splitter, Step};
use crate::domain::{Amount, Lifetime};

/// Divides a line's amount. A resource that is not listed, or did not live in the day at all, counts as there all the
/// time: it was billed.
pub fn divide(facts: &Facts, line: &Line, step: Step, splitter: &mut Splitter) -> (Amount, Amount) {
    let listed = facts.thing(line.resource).filter(|thing| thing.overlaps);
    let Some([active, inactive]) = listed.map(|thing| active(thing.lifetime, line.from, line.until)) else {
        return (line.amount, Amount::ZERO);
    };
    match splitter.by_ratio(line.amount, step, &[active, inactive]) {
        Ok(&[active, inactive]) => (active, inactive),
        // An interval without length.
        _ => (line.amount, Amount::ZERO),
    }
}

/// How much of `[from, until)` lies in a lifetime and how much does not, microseconds.
fn active(lifetime: Lifetime, from: DateTime<Utc>, until: DateTime<Utc>) -> [u64; 2] {
    let between = |from: DateTime<Utc>, until: DateTime<Utc>| {
        let length = until.signed_duration_since(from).num_microseconds();
        length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default()
    };
    let born = lifetime.created_at.map_or(from, |at| at.clamp(from, until.max(from)));
    let gone = lifetime.deleted_at.map_or(until, |at| at.clamp(from.min(until), until));
    let (whole, active) = (between(from, until), between(born, gone));
    [active.min(whole), whole.saturating_sub(active)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-02-01T{text}Z").parse().unwrap()
    }

    fn hours(created: Option<&str>, deleted: Option<&str>) -> [u64; 2] {
        let lifetime = Lifetime { created_at: created.map(at), deleted_at: deleted.map(at) };
        active(lifetime, at("06:00:00"), at("12:00:00")).map(|micros| micros / 3_600_000_000)
    }

    #[test]
    fn the_part_that_lies_in_the_lifetime_counts() {
        assert_eq!(hours(None, None), [6, 0]);
        assert_eq!(hours(Some("08:00:00"), None), [4, 2]);
        assert_eq!(hours(Some("01:00:00"), Some("09:00:00")), [3, 3]);
        assert_eq!(hours(Some("07:00:00"), Some("08:00:00")), [1, 5]);
        assert_eq!(hours(Some("13:00:00"), None), [0, 6]);
        assert_eq!(hours(None, Some("05:00:00")), [0, 6]);
        assert_eq!(hours(Some("09:00:00"), Some("08:00:00")), [0, 6]);
    }

    #[test]
    fn an_interval_without_length_has_no_parts() {
        let none = Lifetime::default();
        assert_eq!(active(none, at("06:00:00"), at("06:00:00")), [0, 0]);
        assert_eq!(active(none, at("07:00:00"), at("06:00:00")), [0, 0]);
    }
}
