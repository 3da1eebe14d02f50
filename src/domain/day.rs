//! UTC days, half-open, and the key under which a tenant's day travels.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One UTC calendar day, `[start, end)`. On the wire an Avro `date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

/// A text that is no `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date of the form YYYY-MM-DD")]
pub struct NotADay(pub String);

impl Day {
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
        // chrono takes blanks and signs for digits, too.
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
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
    fn days_are_strict_and_half_open() {
        let day: Day = "2026-02-28".parse().unwrap();
        assert_eq!(day.end(), "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(day.until(day.plus(2)).count(), 2);
        for text in ["2026-2-8", "2026- 2-28", "+026-02-28", " 2026-02-28", "2026-02-30", "28/02/2026", ""] {
            assert!(text.parse::<Day>().is_err(), "{text:?}");
        }
    }
}
