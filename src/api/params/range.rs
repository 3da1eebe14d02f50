//! The days a question is about: `[from, to)`.
//!
//! Costs are charged by UTC day, so an instant stands for the UTC day it falls on, and `tz` says in whose calendar
//! "today" and an instant are meant. A charge of a day is never moved to the day before or after it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::problem::{Fault, Problem};
use crate::domain::Day;

/// Days asked for when none are named.
const DEFAULT_DAYS: u64 = 30;
/// The longest range, days: ten years.
const LONGEST: i64 = 3660;

/// A half-open range of days.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RangeParams {
    /// First day, included: a date, or an instant (RFC 3339) of which the date is taken. Default: 30 days before `to`.
    #[param(example = "2026-02-01")]
    pub from: Option<String>,
    /// Last day, excluded. Default: tomorrow.
    #[param(example = "2026-03-01")]
    pub to: Option<String>,
    /// The calendar in which instants and "tomorrow" are read: an IANA time zone. Default: UTC.
    #[param(example = "Europe/Berlin")]
    pub tz: Option<String>,
}

/// The days `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub from: Day,
    pub to: Day,
}

impl RangeParams {
    /// The days meant.
    ///
    /// # Errors
    /// A [`Problem`] that names every parameter that cannot be used.
    pub fn read(&self, now: DateTime<Utc>) -> Result<Range, Problem> {
        let mut faults = Vec::new();
        let zone = self.zone().unwrap_or_else(|fault| {
            faults.push(fault);
            Tz::UTC
        });
        let mut day = |name: &str, text: &Option<String>| match text.as_deref().map(|text| day(text, zone)) {
            None => None,
            Some(Ok(day)) => Some(day),
            Some(Err(message)) => {
                faults.push(Fault::new(name, message));
                None
            }
        };
        let (from, to) = (day("from", &self.from), day("to", &self.to));
        let to = to.unwrap_or_else(|| Day::from(now.with_timezone(&zone).date_naive()).plus(1));
        let from = from.unwrap_or_else(|| to.minus(DEFAULT_DAYS));
        if faults.is_empty() && from >= to {
            faults.push(Fault::new(
                "to",
                format!("the range is empty: `to` ({to}) is excluded and must be after `from` ({from})"),
            ));
        }
        if (to.date() - from.date()).num_days() > LONGEST {
            faults.push(Fault::new("from", format!("at most {LONGEST} days can be asked for at once")));
        }
        if faults.is_empty() { Ok(Range { from, to }) } else { Err(Problem::of_parameters(faults)) }
    }

    /// The zone that is meant.
    pub(super) fn zone(&self) -> Result<Tz, Fault> {
        let Some(name) = self.tz.as_deref() else { return Ok(Tz::UTC) };
        let unknown = || Fault::new("tz", format!("{name:?} is no IANA time zone; write it as Europe/Berlin or UTC"));
        name.parse().map_err(|_| unknown())
    }
}

impl Range {
    /// As many days, right before this one.
    pub fn before(self) -> Self {
        let days = (self.to.date() - self.from.date()).num_days().unsigned_abs();
        Self { from: self.from.minus(days), to: self.from }
    }
}

fn day(text: &str, zone: Tz) -> Result<Day, String> {
    let instant = || DateTime::parse_from_rfc3339(text).ok().map(|at| Day::from(at.with_timezone(&zone).date_naive()));
    let plain = || text.parse::<Day>().ok();
    let within = |day: &Day| (1970..=9999).contains(&chrono::Datelike::year(&day.date()));
    plain().or_else(instant).filter(within).ok_or_else(|| {
        format!("{text:?} is neither a date (2026-02-01) nor an instant (2026-02-01T00:00:00Z) from 1970 to 9999")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: Option<&str>, to: Option<&str>, tz: Option<&str>) -> Result<(String, String), String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let params = RangeParams { from: own(from), to: own(to), tz: own(tz) };
        let range = params.read("2026-03-05T22:30:00Z".parse().unwrap());
        range.map(|range| (range.from.to_string(), range.to.to_string())).map_err(|problem| problem.detail)
    }

    fn days(from: &str, to: &str) -> Result<(String, String), String> {
        Ok((from.to_owned(), to.to_owned()))
    }

    #[test]
    fn thirty_days_up_to_today_where_nothing_is_said() {
        assert_eq!(read(None, None, None), days("2026-02-04", "2026-03-06"));
        // It is the sixth in Tokyo already.
        assert_eq!(read(None, None, Some("Asia/Tokyo")), days("2026-02-05", "2026-03-07"));
        assert_eq!(read(None, Some("2026-02-01"), None), days("2026-01-02", "2026-02-01"));
    }

    #[test]
    fn a_date_is_that_date_in_every_zone() {
        for zone in [None, Some("America/Los_Angeles"), Some("Pacific/Kiritimati")] {
            assert_eq!(read(Some("2026-02-01"), Some("2026-02-02"), zone), days("2026-02-01", "2026-02-02"));
        }
    }

    #[test]
    fn an_instant_is_the_date_it_has_there() {
        let instant = Some("2026-02-01T23:30:00Z");
        assert_eq!(read(instant, Some("2026-03-01"), None), days("2026-02-01", "2026-03-01"));
        assert_eq!(read(instant, Some("2026-03-01"), Some("Europe/Berlin")), days("2026-02-02", "2026-03-01"));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let told = read(Some("yesterday"), Some("2026-02-30"), Some("Mars/Base")).unwrap_err();
        assert!(["from: ", "to: ", "tz: ", "Mars/Base"].iter().all(|part| told.contains(part)), "{told}");
        assert!(read(Some("2026-02-01"), Some("2026-02-01"), None).unwrap_err().contains("empty"));
        assert!(read(Some("1970-01-01"), None, None).unwrap_err().contains("3660 days"));
        assert!(read(Some("0001-01-01"), None, None).unwrap_err().contains("1970"));
    }

    #[test]
    fn the_period_before_is_as_long() {
        let range = Range { from: "2026-02-10".parse().unwrap(), to: "2026-02-13".parse().unwrap() };
        let before = Range { from: "2026-02-07".parse().unwrap(), to: "2026-02-10".parse().unwrap() };
        assert_eq!(range.before(), before);
    }
}
