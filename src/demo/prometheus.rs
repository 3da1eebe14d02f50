//! The part of PromQL that Tributary asks, answered from the organisation's series.
//!
//! In: `sum by (a, b) (sum_over_time(metric{label="id"}[1d]))`, with `sum` or `max` outside, `sum_over_time` or
//! `max_over_time` inside. Out: one number for each group. Anything else is an error that says what is possible.
//! An hour's number stands as one sample in the middle of its hour, so no sample lies on the border of a day.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::organisation::{Organisation, Series};

/// How numbers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Sum,
    Max,
}

impl Fold {
    fn of(self, values: impl Iterator<Item = u64>) -> Option<u64> {
        match self {
            Self::Sum => values.reduce(|a, b| a + b),
            Self::Max => values.max(),
        }
    }
}

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    over_series: Fold,
    by: Vec<String>,
    over_time: Fold,
    metric: String,
    matchers: Vec<(String, String)>,
    window: TimeDelta,
}

/// Labels of a group and its number.
pub type Answer = Vec<(BTreeMap<String, String>, u64)>;

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Says where it stops being one that can be answered here.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = Rest(text.trim());
        let over_series = rest.one_of(&[("sum", Fold::Sum), ("max", Fold::Max)])?;
        rest.token("by")?;
        rest.token("(")?;
        let by = rest.list(")", Rest::name)?;
        rest.token("(")?;
        let over_time = rest.one_of(&[("sum_over_time", Fold::Sum), ("max_over_time", Fold::Max)])?;
        rest.token("(")?;
        let metric = rest.name()?;
        let matchers = if rest.token("{").is_ok() { rest.list("}", Rest::matcher)? } else { Vec::new() };
        rest.token("[")?;
        let window = rest.duration()?;
        rest.token("]")?;
        rest.token(")")?;
        rest.token(")")?;
        if rest.0.is_empty() {
            Ok(Self { over_series, by, over_time, metric, matchers, window })
        } else {
            Err(rest.expected("the end"))
        }
    }

    /// Its groups at a moment, sorted by labels; a group without any sample in the window is absent.
    pub fn at(&self, org: &Organisation, moment: DateTime<Utc>) -> Answer {
        let mut groups: BTreeMap<BTreeMap<String, String>, Vec<u64>> = BTreeMap::new();
        let wanted = |s: &&Series| {
            let holds = |(label, value): &(String, String)| s.labels.get(label.as_str()).is_some_and(|v| v == value);
            s.metric == self.metric && self.matchers.iter().all(holds)
        };
        for series in org.series.iter().filter(wanted) {
            let hours = self.hours(org, moment, series.hours.len());
            if let Some(value) = self.over_time.of(series.hours[hours].iter().copied()) {
                let label = |l: &String| series.labels.get(l.as_str()).map(|v| (l.clone(), v.clone()));
                groups.entry(self.by.iter().filter_map(label).collect()).or_default().push(value);
            }
        }
        let fold = |(labels, values): (_, Vec<u64>)| Some((labels, self.over_series.of(values.into_iter())?));
        groups.into_iter().filter_map(fold).collect()
    }

    /// The hours whose middle lies in the window that ends at a moment.
    fn hours(&self, org: &Organisation, moment: DateTime<Utc>, all: usize) -> Range<usize> {
        let first = org.first_day.start() + TimeDelta::minutes(30);
        let after = |end: DateTime<Utc>| (end - first).num_seconds().div_euclid(3600) + 1;
        let inside = |hour: i64| usize::try_from(hour).unwrap_or(0).min(all);
        inside(after(moment - self.window))..inside(after(moment))
    }
}

/// A duration as Prometheus writes it (`1d`, `3600s`) or a number of seconds.
///
/// # Errors
/// Names what is not a positive duration.
pub fn duration(text: &str) -> Result<TimeDelta, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let seconds = digits.parse::<u32>().map_or(0, |n| i64::from(n) * unit);
    if seconds > 0 {
        Ok(TimeDelta::seconds(seconds))
    } else {
        Err(format!("{text:?} is not a duration such as 1d or 3600s"))
    }
}

/// A moment as RFC 3339 or Unix seconds.
///
/// # Errors
/// Names what is neither.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let unix = text.parse::<f64>().ok().and_then(|t| DateTime::from_timestamp_millis((t * 1000.0) as i64));
    let time = unix.or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()));
    time.ok_or_else(|| format!("{text:?} is not a time: RFC 3339 or Unix seconds"))
}

/// What of a query is still unread.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn expected(&self, what: &str) -> String {
        format!(
            "expected {what} at {:?}; this demo answers only sum|max by (labels) \
             (sum_over_time|max_over_time(metric{{label=\"value\"}}[1d]))",
            self.0
        )
    }

    fn token(&mut self, token: &str) -> Result<(), String> {
        let after = self.0.strip_prefix(token).ok_or_else(|| self.expected(token))?;
        self.0 = after.trim_start();
        Ok(())
    }

    fn one_of(&mut self, choices: &[(&str, Fold)]) -> Result<Fold, String> {
        let found = choices.iter().find(|(word, _)| self.token(word).is_ok());
        found.map(|(_, fold)| *fold).ok_or_else(|| self.expected(choices[0].0))
    }

    fn take(&mut self, what: &str, belongs: impl Fn(char) -> bool) -> Result<&'a str, String> {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        if end == 0 {
            return Err(self.expected(what));
        }
        let (taken, after) = self.0.split_at(end);
        self.0 = after.trim_start();
        Ok(taken)
    }

    fn name(&mut self) -> Result<String, String> {
        self.take("a name", |c| c.is_ascii_alphanumeric() || c == '_' || c == ':').map(str::to_owned)
    }

    fn matcher(&mut self) -> Result<(String, String), String> {
        let label = self.name()?;
        self.token("=")?;
        self.token("\"")?;
        let value = self.take("a value without quotes or backslashes", |c| c != '"' && c != '\\')?;
        self.token("\"")?;
        Ok((label, value.to_owned()))
    }

    fn duration(&mut self) -> Result<TimeDelta, String> {
        duration(self.take("a duration", |c| c.is_ascii_alphanumeric())?)
    }

    fn list<T>(&mut self, end: &str, mut one: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        while self.token(end).is_err() {
            if !items.is_empty() {
                self.token(",")?;
            }
            items.push(one(self)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &str = "confluent_kafka_server_request_bytes";

    fn org() -> Organisation {
        Organisation::generate(1, "2026-01-10".parse().unwrap(), 3)
    }

    fn total(query: &str, at: &str) -> u64 {
        Query::parse(query).unwrap().at(&org(), moment(at).unwrap()).iter().map(|(_, v)| v).sum()
    }

    #[test]
    fn a_day_is_exactly_its_24_hours() {
        let org = org();
        let all: u64 = org.series.iter().filter(|s| s.metric == BYTES).flat_map(|s| &s.hours[24..48]).sum();
        let query = format!("sum by (kafka_id, principal_id) (sum_over_time({BYTES}[1d]))");
        assert_eq!(total(&query, "2026-01-12T00:00:00Z"), all);
        assert_eq!(total(&query, "2026-02-12T00:00:00Z"), 0);
    }

    #[test]
    fn groups_by_the_labels_and_keeps_no_others() {
        let org = org();
        let id = &org.series.iter().find(|s| s.metric == BYTES).unwrap().labels["kafka_id"];
        let query = format!("sum by (kafka_id, principal_id)(sum_over_time({BYTES}{{kafka_id=\"{id}\"}}[24h]))");
        let answer = Query::parse(&query).unwrap().at(&org, moment("1768089600").unwrap());
        assert!(answer.len() > 1);
        assert!(answer.iter().all(|(labels, _)| labels["kafka_id"] == *id && labels.len() == 2));
    }

    #[test]
    fn a_gauge_is_asked_for_its_maximum() {
        let query = |over| format!("sum by (topic) ({over}(confluent_kafka_server_retained_bytes[1d]))");
        let at = "2026-01-12T00:00:00Z";
        let (most, sum) = (total(&query("max_over_time"), at), total(&query("sum_over_time"), at));
        assert!(0 < most && most * 10 < sum && sum < most * 25);
    }

    #[test]
    fn says_what_it_cannot_answer() {
        for text in [
            "",
            "up",
            "sum(up)",
            "sum by (a) (rate(m[1d]))",
            "sum by (a) (sum_over_time(m{a=~\"x\"}[1d]))",
            "sum by (a) (sum_over_time(m[1w]))",
            "sum by (a b) (sum_over_time(m[1d]))",
            "sum by (a) (sum_over_time(m[1d])) > 0",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse("sum by (a) (rate(m[1d]))").unwrap_err().contains("expected sum_over_time at \"rate"));
    }
}
