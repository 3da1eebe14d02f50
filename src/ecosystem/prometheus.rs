//! Questions to anything that speaks the Prometheus query API.
//!
//! In: an expression and a moment. Out: one finite number per series. Absent: which expression, and
//! what the numbers mean.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::SourceError;
use super::http::{Auth, Door, Http, Words};

/// Where metrics are asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address, path prefix included (`https://host/api/prom`).
    pub url: String,
    pub auth: Auth,
}

/// A Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    door: Door,
}

/// A series' value at the moment asked for; finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Prometheus {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if the address is none.
    pub fn new(http: &Http, settings: &Settings) -> Result<Self, SourceError> {
        let credentials = match settings.auth {
            Auth::None => "`metrics.auth_type`, which is none",
            Auth::Basic { .. } => "`metrics.username` and `metrics.password`",
            Auth::Bearer { .. } => "`metrics.bearer_token`",
        };
        let words = Words {
            name: "the metrics server".into(),
            url_setting: "metrics.url".into(),
            credentials: credentials.into(),
        };
        Ok(Self { door: http.door(&settings.url, &settings.auth, words)? })
    }

    /// The value of each series of `expression` at `at`, in no particular order.
    ///
    /// Series whose value is `NaN` or infinite are left out and counted in a log line.
    ///
    /// # Errors
    /// [`SourceError`], also if the server understood the question and refuses to answer it.
    pub async fn instant(&self, expression: &str, at: DateTime<Utc>) -> Result<Vec<Sample>, SourceError> {
        let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let form = [("query", expression), ("time", &time)];
        let answer: Option<Answer> = self.door.ask_by_form(PATH, &form).await?;
        let answer = answer.ok_or_else(|| {
            let url = self.door.url(PATH);
            SourceError::Unusable(format!("there is no Prometheus query API at {url}; is `metrics.url` right?"))
        })?;
        read(answer, expression)
    }
}

const PATH: &str = "/api/v1/query";

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Unix time and the value as text.
    value: (serde_json::Value, String),
}

/// What an answer's bytes say; series without a finite number are left out.
///
/// # Errors
/// [`SourceError::Unusable`] if they are no answer of the query API, or one that refuses.
pub fn parse(bytes: &[u8], expression: &str) -> Result<Vec<Sample>, SourceError> {
    let answer = serde_json::from_slice(bytes);
    read(answer.map_err(|error| SourceError::Unusable(format!("not an answer to {expression}: {error}")))?, expression)
}

fn read(answer: Answer, expression: &str) -> Result<Vec<Sample>, SourceError> {
    if !answer.warnings.is_empty() {
        tracing::warn!(warnings = ?answer.warnings, expression, "the metrics server answered with warnings");
    }
    let data = match (answer.status.as_str(), answer.data) {
        ("success", Some(data)) => data,
        _ => {
            let why = answer.error.unwrap_or_else(|| format!("status {:?} and no data", answer.status));
            return Err(SourceError::Unusable(format!("the metrics server refuses {expression}: {why}")));
        }
    };
    if data.kind != "vector" {
        let text = format!("the metrics server answered {expression} with a {}, not a vector", data.kind);
        return Err(SourceError::Unusable(text));
    }
    let series: Vec<Series> = serde_json::from_value(data.result).map_err(|e| {
        SourceError::Unusable(format!("the metrics server answered {expression} with odd series ({e})"))
    })?;
    Ok(finite(series, expression))
}

fn finite(series: Vec<Series>, expression: &str) -> Vec<Sample> {
    let all = series.len();
    let samples: Vec<Sample> = series
        .into_iter()
        .filter_map(|Series { metric, value: (_, text) }| {
            let value = text.parse().ok().filter(|v: &f64| v.is_finite())?;
            Some(Sample { labels: metric, value })
        })
        .collect();
    if samples.len() < all {
        tracing::warn!(dropped = all - samples.len(), expression, "left out series without a finite number");
    }
    samples
}

/// A text as the inside of a double-quoted PromQL string.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
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
        let json = r#"{"status": "success", "warnings": ["partial"], "data": {"resultType": "vector", "result": [
            {"metric": {"id": "a"}, "value": [1772150400, "12.5"]},
            {"metric": {"id": "b"}, "value": [1772150400.5, "NaN"]},
            {"metric": {"id": "c"}, "value": [1772150400, "+Inf"]},
            {"metric": {}, "value": [1772150400, "0"]}]}}"#;
        assert_eq!(answer(json).unwrap(), [("a".into(), 12.5), (String::new(), 0.0)]);
        assert_eq!(answer(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#).unwrap(), []);
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
    fn label_values_cannot_break_out() {
        assert_eq!(escape(r#"lkc-1"} or vector(1) #\"#), r#"lkc-1\"} or vector(1) #\\"#);
    }
}
