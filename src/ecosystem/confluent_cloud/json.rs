//! Reading a provider's JSON by what is usable in it.
//!
//! In: JSON values. Out: texts, moments, parts of a resource name. Explicit `null`, a missing key and a
//! value of another type are all the same: not there. Absent: errors.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use serde_json::Value;

/// The value at a path of keys.
pub fn at<'a>(item: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(item, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// The text at a path; numbers and truth values as they are written. Never empty.
pub fn text(item: &Value, path: &[&str]) -> Option<String> {
    let text = match at(item, path)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Like [`text`], trimmed and in lower case.
pub fn lower(item: &Value, path: &[&str]) -> Option<String> {
    text(item, path).map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty())
}

/// The moment at a path.
pub fn moment(item: &Value, path: &[&str]) -> Option<DateTime<Utc>> {
    parse_moment(at(item, path)?.as_str()?)
}

/// ISO 8601 with or without offset (UTC then), fraction and time of day; cut to whole microseconds.
pub fn parse_moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let moment = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|moment| moment.to_utc())
        .or_else(|_| text.parse::<NaiveDateTime>().map(|moment| moment.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|moment| moment.and_utc()))
        .or_else(|_| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc()))
        .ok()?;
    moment.with_nanosecond(moment.nanosecond() / 1000 * 1000)
}

/// The `key=value` segments of a resource name like `crn://confluent.cloud/organization=…/environment=…`.
pub fn crn(name: &str) -> BTreeMap<&str, &str> {
    let segments = name.split('/').filter_map(|segment| segment.split_once('='));
    segments.filter(|(key, value)| !key.is_empty() && !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_null_and_odd_are_not_there() {
        let item = json!({"a": {"b": "x", "c": null, "d": [], "n": 2, "e": ""}, "z": null});
        assert_eq!(text(&item, &["a", "b"]).as_deref(), Some("x"));
        assert_eq!(text(&item, &["a", "n"]).as_deref(), Some("2"));
        for path in [&["a", "c"][..], &["a", "d"], &["a", "e"], &["a", "b", "c"], &["z", "y"], &["q"]] {
            assert_eq!(text(&item, path), None, "{path:?}");
        }
        assert_eq!(lower(&json!({"cloud": " AWS "}), &["cloud"]).as_deref(), Some("aws"));
    }

    #[track_caller]
    fn reads(text: &str, expected: Option<&str>) {
        assert_eq!(parse_moment(text), expected.map(|e| e.parse().unwrap()), "{text:?}");
    }

    #[test]
    fn moments_of_every_usual_form() {
        reads("2026-02-18T03:00:00Z", Some("2026-02-18T03:00:00Z"));
        reads("2026-02-18T03:00:00.000000789Z", Some("2026-02-18T03:00:00Z"));
        reads("2026-02-20T10:09:24.578746+02:00", Some("2026-02-20T08:09:24.578746Z"));
        reads("2026-02-20T10:09:24-0130", Some("2026-02-20T11:39:24Z"));
        reads("2026-02-20T10:09:24.5", Some("2026-02-20T10:09:24.5Z"));
        reads("2026-02-20 10:09:24", Some("2026-02-20T10:09:24Z"));
        reads("2026-02-20", Some("2026-02-20T00:00:00Z"));
        reads("yesterday", None);
        reads("", None);
    }

    #[test]
    fn resource_names_are_segments() {
        let parts = crn("crn://confluent.cloud/organization=o-1/environment=env-1/junk/=x/flink-region=aws.eu");
        assert_eq!(parts.get("organization"), Some(&"o-1"));
        assert_eq!(parts.len(), 3);
        assert!(crn("").is_empty());
    }
}
