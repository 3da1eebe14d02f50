//! The moment at which something is to be told as it was.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;

use super::RangeParams;
use crate::api::problem::{Fault, Problem};
use crate::domain::Day;

/// Why a route does not take the parameter, and what does.
pub(crate) const NOT_HERE: &str = "this cannot be had as it was: of what was replaced only the bill is kept. Billing lines, sums with \
    dataset=billing, resources and identities take as_of; a line's /revisions say when it changed";

/// As it was when.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOfParams {
    /// Tells what was known at this moment: an instant (RFC 3339), or a date, which means its end in `tz` (UTC where there is no
    /// such parameter). A revision of a day holds from `gathered_at`, included, until the next one's, excluded. Tags are those of
    /// now. A moment that has not come yet is as now.
    #[param(example = "2026-03-01T12:00:00Z")]
    pub as_of: Option<String>,
}

/// The same of what exists.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AliveAtParams {
    /// Only what existed at this moment: an instant (RFC 3339), or a date, which means its end in `tz`. Something exists from
    /// `created_at`, included, to `deleted_at`, excluded. It is told as on the newest gathered day of the range that is not later
    /// than the moment, which tells of what was there twice the newer time; where no `to` is said, the range ends with the
    /// moment's day. Not beside `status`.
    #[param(example = "2026-03-01T12:00:00Z")]
    pub as_of: Option<String>,
}

/// Reads a moment; a date is its last microsecond, which is as fine as moments are kept.
///
/// # Errors
/// A [`Fault`] for what is neither.
fn moment(text: Option<&str>, zone: Tz) -> Result<Option<DateTime<Utc>>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let instant = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    let date = || text.parse::<Day>().ok().and_then(|day| end(day.date(), zone));
    let within = |at: &DateTime<Utc>| (1970..=9999).contains(&at.year());
    let read = date().or_else(instant).filter(within).ok_or_else(|| {
        let wanted = "an instant (2026-03-01T12:00:00Z) nor a date (2026-03-01, its end) from 1970 to 9999";
        Fault::new("as_of", format!("{text:?} is neither {wanted}"))
    });
    read.map(Some)
}

/// The same in the zone of a range. One that cannot be read is the range's fault.
pub(crate) fn moment_of(text: Option<&str>, range: &RangeParams) -> Result<Option<DateTime<Utc>>, Problem> {
    let zone = range.zone().unwrap_or(Tz::UTC);
    moment(text, zone).map_err(|fault| Problem::of_parameters(vec![fault]))
}

/// The last microsecond of a day there. Where clocks are set at midnight, the next day begins later.
fn end(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = day.succ_opt()?.and_time(NaiveTime::MIN);
    let begins = |hours| zone.from_local_datetime(&(midnight + TimeDelta::hours(hours))).earliest();
    let next = (0..=24).find_map(begins)?;
    Some(next.to_utc() - TimeDelta::microseconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: &str) -> String {
        match moment(Some(text), zone.parse().unwrap()) {
            Ok(at) => at.unwrap().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            Err(fault) => fault.message,
        }
    }

    #[test]
    fn a_date_is_its_end_where_it_is_meant() {
        assert_eq!(read("2026-03-01T12:00:00+01:00", "UTC"), "2026-03-01T11:00:00Z");
        assert_eq!(read("2026-03-01", "UTC"), "2026-03-01T23:59:59.999999Z");
        assert_eq!(read("2026-03-01", "Europe/Berlin"), "2026-03-01T22:59:59.999999Z");
        // In Cairo that day ends with midnight being left out.
        assert_eq!(read("2026-04-23", "Africa/Cairo"), "2026-04-23T21:59:59.999999Z");
        assert_eq!(moment(None, Tz::UTC), Ok(None));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "now", "2026-02-30", "2026-03-01T12:00:00", "0001-01-01", "9999-12-31T23:59:59-01:00"] {
            assert!(read(text, "UTC").contains("neither an instant"), "{text}");
        }
    }
}
