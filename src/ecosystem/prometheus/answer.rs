//! What an answer of the query API says.
//!
//! In: JSON. Out: finite numbers by series, or why it cannot be used. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ecosystem::SourceError;

type Labels = BTreeMap<String, String>;

/// A series' value at the moment asked for; finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// A series with its finite values, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub points: Vec<(DateTime<Utc>, f64)>,
}

/// The answer to a question about many moments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    pub series: Vec<Series>,
    /// Values that were no finite numbers and are left out.
    pub dropped: usize,
}

/// The envelope around every answer.
#[derive(Debug, Deserialize)]
pub struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics: some of its storage did not answer.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct OfVector {
    #[serde(default)]
    metric: Labels,
    value: Point,
}

#[derive(Debug, Deserialize)]
struct OfMatrix {
    #[serde(default)]
    metric: Labels,
    values: Vec<Point>,
}

/// Unix time and the value as text.
type Point = (f64, String);

/// What an answer's bytes say; series without a finite number are left out.
///
/// # Errors
/// [`SourceError`] if they are no answer of the query API, one that refuses, or one that is incomplete.
pub fn parse(bytes: &[u8], expression: &str) -> Result<Vec<Sample>, SourceError> {
    envelope(bytes, expression)?.vector(expression)
}

/// As [`parse`] for many moments.
///
/// # Errors
/// As [`parse`].
pub fn parse_matrix(bytes: &[u8], expression: &str) -> Result<Matrix, SourceError> {
    envelope(bytes, expression)?.matrix(expression)
}

fn envelope(bytes: &[u8], expression: &str) -> Result<Answer, SourceError> {
    serde_json::from_slice(bytes)
        .map_err(|error| SourceError::Unusable(format!("not an answer to {expression}: {error}")))
}

impl Answer {
    /// The answer to a question about one moment.
    ///
    /// # Errors
    /// [`SourceError`] if it refuses, is incomplete, or of another kind.
    pub fn vector(self, expression: &str) -> Result<Vec<Sample>, SourceError> {
        let series: Vec<OfVector> = self.result("vector", expression)?;
        distinct(series.iter().map(|series| &series.metric), expression)?;
        let all = series.len();
        let finite = |OfVector { metric, value }| Some(Sample { labels: metric, value: number(&value.1)? });
        let samples: Vec<Sample> = series.into_iter().filter_map(finite).collect();
        told(all - samples.len(), expression);
        Ok(samples)
    }

    /// The answer to a question about many moments.
    ///
    /// # Errors
    /// As [`Answer::vector`].
    pub fn matrix(self, expression: &str) -> Result<Matrix, SourceError> {
        let series: Vec<OfMatrix> = self.result("matrix", expression)?;
        distinct(series.iter().map(|series| &series.metric), expression)?;
        let all: usize = series.iter().map(|series| series.values.len()).sum();
        let finite = |(at, text): &Point| Some((DateTime::from_timestamp_millis((at * 1e3) as i64)?, number(text)?));
        let read =
            |OfMatrix { metric, values }| Series { labels: metric, points: values.iter().filter_map(finite).collect() };
        let series: Vec<Series> = series.into_iter().map(read).collect();
        let dropped = all - series.iter().map(|series| series.points.len()).sum::<usize>();
        told(dropped, expression);
        Ok(Matrix { series, dropped })
    }

    fn result<T: DeserializeOwned>(self, kind: &str, expression: &str) -> Result<T, SourceError> {
        let unusable = |text: String| Err(SourceError::Unusable(text));
        let data = match (self.status.as_str(), self.data) {
            ("success", Some(data)) => data,
            _ => {
                let why = self.error.unwrap_or_else(|| format!("status {:?} and no data", self.status));
                return unusable(format!("the metrics server refuses {expression}: {why}"));
            }
        };
        let (remarks, warnings): (Vec<_>, Vec<_>) =
            self.warnings.unwrap_or_default().into_iter().partition(|warning| is_remark(warning));
        if !remarks.is_empty() {
            tracing::warn!(?remarks, expression, "the metrics server remarks on the expression");
        }
        if self.is_partial || !warnings.is_empty() {
            let why = if warnings.is_empty() { "isPartial".to_owned() } else { warnings.join("; ") };
            let text = format!("the metrics server answered {expression} with a part only ({why}); mend its stores");
            return Err(SourceError::Unavailable(text));
        }
        if data.kind != kind {
            return unusable(format!("the metrics server answered {expression} with a {}, not a {kind}", data.kind));
        }
        match serde_json::from_value(data.result) {
            Ok(result) => Ok(result),
            Err(error) => unusable(format!("the metrics server answered {expression} with odd series ({error})")),
        }
    }
}

/// About the expression, not about what is missing from the answer.
fn is_remark(warning: &str) -> bool {
    warning.starts_with("PromQL ")
}

/// The same series twice would count twice.
fn distinct<'a>(labels: impl Iterator<Item = &'a Labels>, expression: &str) -> Result<(), SourceError> {
    let mut seen = BTreeSet::new();
    let mut labels = labels;
    match labels.find(|labels| !seen.insert(*labels)) {
        None => Ok(()),
        Some(twice) => {
            let twice: Vec<_> = twice.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            Err(SourceError::Unusable(format!(
                "the metrics server answered {expression} with the series {{{}}} twice; remove the duplicate, or sum it up \
                 in the expression",
                twice.join(", ")
            )))
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn told(dropped: usize, expression: &str) {
    if dropped > 0 {
        tracing::warn!(dropped, expression, "left out values that are no finite numbers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Result<Vec<(String, f64)>, SourceError> {
        let samples = parse(json.as_bytes(), "up")?;
        Ok(samples.into_iter().map(|s| (s.labels.get("id").cloned().unwrap_or_default(), s.value)).collect())
    }

    #[test]
    fn reads_a_vector_and_leaves_out_what_is_no_number() {
        let json = r#"{"status": "success", "warnings": ["PromQL info: x"], "data": {"resultType": "vector", "result": [
            {"metric": {"id": "a"}, "value": [1772150400, "12.5"]},
            {"metric": {"id": "b"}, "value": [1772150400.5, "NaN"]},
            {"metric": {"id": "c"}, "value": [1772150400, "+Inf"]},
            {"metric": {}, "value": [1772150400, "0"]}]}}"#;
        assert_eq!(answer(json).unwrap(), [("a".into(), 12.5), (String::new(), 0.0)]);
        assert_eq!(answer(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#).unwrap(), []);
    }

    #[test]
    fn reads_a_matrix_and_counts_what_is_no_number() {
        let json = br#"{"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"id": "a"}, "values": [[1772150400, "1"], [1772154000, "NaN"], [1772157600.25, "-Inf"]]}]}}"#;
        let matrix = parse_matrix(json, "up").unwrap();
        assert_eq!((matrix.dropped, matrix.series[0].points.len()), (2, 1));
        assert_eq!(matrix.series[0].points[0].0.to_rfc3339(), "2026-02-27T00:00:00+00:00");
    }

    #[test]
    fn an_error_with_status_200_is_an_error() {
        let text =
            answer(r#"{"status": "error", "errorType": "bad_data", "error": "parse error"}"#).unwrap_err().to_string();
        assert_eq!(text, "the metrics server refuses up: parse error");
        let text =
            answer(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#).unwrap_err().to_string();
        assert!(text.contains("with a scalar"), "{text}");
    }

    #[test]
    fn half_an_answer_is_none() {
        for part in [r#""warnings": ["No StoreAPIs matched for this query"]"#, r#""isPartial": true"#] {
            let json = format!(r#"{{"status": "success", {part}, "data": {{"resultType": "vector", "result": []}}}}"#);
            let Err(SourceError::Unavailable(text)) = answer(&json) else { panic!("{json}") };
            assert!(text.contains("with a part only"), "{text}");
        }
    }

    #[test]
    fn the_same_series_twice_is_told() {
        let one = r#"{"metric": {"id": "a", "job": "k"}, "value": [1, "2"]}"#;
        let json = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{one},{one}]}}}}"#);
        let text = answer(&json).unwrap_err().to_string();
        assert!(text.contains(r#"the series {id="a", job="k"} twice"#), "{text}");
    }
}
