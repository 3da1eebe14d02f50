//! UTC days, half-open, and the key under which a tenant's day travels.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One UTC calendar day, `[start, end)`. On the wire an Avro `date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

/// For how many days after the end of a tenant's retention topics may still have records of a day: their own retention,
/// which is a month longer than the longest of tenants (730 days).
pub const TOPICS_KEEP_DAYS: u64 = 760;

/// A text that is no `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date of the form YYYY-MM-DD")]
pub struct NotADay(pub String);

impl Day {
    /// Earlier than any day that has facts.
    pub const FIRST: Self = Self(NaiveDate::from_ymd_opt(1, 1, 1).expect("a date"));
    /// Later than any day that has facts.
    pub const LAST: Self = Self(NaiveDate::from_ymd_opt(9999, 12, 31).expect("a date"));

    /// The day an instant falls on.
    pub fn of(instant: DateTime<Utc>) -> Self {
        Self(instant.date_naive())
    }

    /// The calendar date.
    pub fn date(self) -> NaiveDate {
        self.0
    }

    /// Midnight, included.
    pub fn start(self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    /// The next midnight, excluded.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// The day `n` days later.
    pub fn plus(self, n: u64) -> Self {
        Self(self.0.checked_add_days(Days::new(n)).unwrap_or(NaiveDate::MAX))
    }

    /// The day `n` days earlier.
    pub fn minus(self, n: u64) -> Self {
        Self(self.0.checked_sub_days(Days::new(n)).unwrap_or(NaiveDate::MIN))
    }

    /// The first days of its month and of the month after it.
    pub fn month(self) -> (Self, Self) {
        let first = self.0.with_day(1).unwrap_or(self.0);
        (Self(first), Self(first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)))
    }

    /// The days from this one up to but not including `end`.
    pub fn until(self, end: Self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |day| Some(day.plus(1))).take_while(move |day| *day < end)
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Self(date)
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        // chrono takes blanks and signs for digits, too, and years of any length.
        let is_dash = |at| matches!(at, 4 | 7);
        let plain = text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(at, byte)| if is_dash(at) { byte == b'-' } else { byte.is_ascii_digit() });
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| plain);
        date.map(Self).ok_or_else(|| NotADay(text.to_owned()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("the epoch is a date");

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let days = (self.0 - EPOCH).num_days();
        serializer.serialize_i32(i32::try_from(days).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = i64::from(i32::deserialize(deserializer)?);
        let date = EPOCH.checked_add_signed(chrono::TimeDelta::days(days));
        date.map(Self).ok_or_else(|| serde::de::Error::custom("a date out of range"))
    }
}

/// The key of every fact and result: `<tenant>/<YYYY-MM-DD>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantDay {
    /// Name of the tenant; never empty. It may contain `/`: the day is what follows the last one.
    pub tenant: String,
    /// The UTC day.
    pub day: Day,
}

impl TenantDay {
    /// Puts the two together.
    pub fn new(tenant: impl Into<String>, day: Day) -> Self {
        Self { tenant: tenant.into(), day }
    }
}

/// A record that does not stand where readers look for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of {holds} stands under the key {key:?}: its writer must key records by their own tenant and day")]
pub struct Misplaced {
    /// The day it is of.
    pub holds: TenantDay,
    key: String,
}

/// Does a record of this tenant's day stand under its key? If not, it may lie in another partition than its day.
///
/// # Errors
/// [`Misplaced`]: set it aside.
pub fn check_key(key: Option<&[u8]>, tenant: &str, day: Day) -> Result<(), Misplaced> {
    let key = key.unwrap_or_default();
    if is_key(key, tenant, day.0) {
        return Ok(());
    }
    Err(Misplaced { holds: TenantDay::new(tenant, day), key: String::from_utf8_lossy(key).into_owned() })
}

/// As if the key were written out and compared; but this is asked for every record.
fn is_key(key: &[u8], tenant: &str, date: NaiveDate) -> bool {
    let Some([b'/', y @ .., b'-', m1, m2, b'-', d1, d2]) = key.strip_prefix(tenant.as_bytes()) else { return false };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))
    };
    y.len() == 4
        && number(y) == Some(date.year().into())
        && number(&[*m1, *m2]) == Some(date.month().into())
        && number(&[*d1, *d2]) == Some(date.day().into())
}

impl fmt::Display for TenantDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.day)
    }
}

impl FromStr for TenantDay {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let (tenant, day) = text.rsplit_once('/').ok_or_else(|| NotADay(text.to_owned()))?;
        if tenant.is_empty() {
            return Err(NotADay(text.to_owned()));
        }
        Ok(Self::new(tenant, day.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back() {
        let key: TenantDay = "team/a/2026-02-28".parse().unwrap();
        assert_eq!(key, TenantDay::new("team/a", "2026-02-28".parse().unwrap()));
        assert_eq!(key.to_string(), "team/a/2026-02-28");
        assert!("2026-02-28".parse::<TenantDay>().is_err());
        assert!("/2026-02-28".parse::<TenantDay>().is_err());
    }

    #[test]
    fn a_record_stands_under_its_own_key_and_no_other() {
        let day = "2026-02-28".parse().unwrap();
        assert_eq!(check_key(Some(b"team/a/2026-02-28"), "team/a", day), Ok(()));
        for key in ["team/a/2026-02-27", "team/2026-02-28", "team/a/2026-2-28", "team/a/2026-02-28 ", "2026-02-28", ""]
        {
            let misplaced = check_key(Some(key.as_bytes()), "team/a", day).unwrap_err().to_string();
            assert!(
                misplaced.contains("of team/a/2026-02-28") && misplaced.contains(&format!("{key:?}")),
                "{misplaced}"
            );
        }
        assert!(check_key(None, "team/a", day).is_err());
        assert!(check_key(Some(b"team/a/\xff026-02-28"), "team/a", day).is_err());
    }

    #[test]
    fn a_month_ends_with_the_first_day_of_the_next() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert_eq!(day("2025-12-31").month(), (day("2025-12-01"), day("2026-01-01")));
        assert_eq!(day("2028-02-01").month(), (day("2028-02-01"), day("2028-03-01")));
    }

    #[test]
    fn days_are_strict_and_half_open() {
        let day: Day = "2026-02-28".parse().unwrap();
        assert_eq!(day.end(), "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(day.until(day.plus(2)).count(), 2);
        for text in [
            "2026-2-8",
            "2026- 2-28",
            "+026-02-28",
            "-026-02-28",
            "20260-2-28",
            " 2026-02-28",
            "2026-02-30",
            "28/02/2026",
            "",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text:?}");
        }
    }
}
