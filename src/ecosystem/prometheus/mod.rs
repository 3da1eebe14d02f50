//! Questions to anything that speaks the Prometheus query API: Prometheus, Thanos, Mimir, VictoriaMetrics.
//!
//! In: an expression and a moment, or many moments. Out: finite numbers by series. Absent: which expression, and
//! what the numbers mean.
//!
//! * Questions are sent as forms, so their length does not matter.
//! * A question for more moments than a server answers at once is asked in parts; a part that is refused for its size
//!   is halved and asked again.
//! * Half an answer is none: servers are told not to leave anything out, and an answer that says it is partial is an
//!   error. NaN and infinite values are left out and counted.

pub mod answer;
mod promql;
#[cfg(test)]
mod tests;
mod times;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use self::answer::Answer;
pub use self::answer::{Matrix, Sample, Series, parse};
pub use self::promql::escape;
pub use self::times::Times;
use super::http::{Auth, Door, Http, Tls, Words};
use super::{Secret, SourceError};

/// Where metrics are asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address, path prefix included (`https://host/api/prom`).
    pub url: String,
    pub auth: Auth,
    /// Sent with each request, such as `X-Scope-OrgID` of a Mimir tenant.
    pub headers: Vec<(String, Secret)>,
    pub tls: Tls,
}

/// A Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    door: Door,
}

const INSTANT: &str = "/api/v1/query";
const RANGE: &str = "/api/v1/query_range";
/// Moments in one question; Prometheus refuses more than 11,000.
const MOMENTS_AT_ONCE: usize = 10_000;
/// Parts of one question under way at a time.
const PARTS_AT_ONCE: usize = 4;
/// Thanos and VictoriaMetrics answer with what they have unless they are told not to; others ignore this.
const WHOLE: [(&str, &str); 2] = [("partial_response", "false"), ("deny_partial_response", "1")];

impl Prometheus {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if the address is none, a header cannot be sent, or a TLS file cannot be read.
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
        let http = http.with_tls(&settings.tls, "metrics.tls")?;
        let door = http.door(&settings.url, &settings.auth, words)?;
        Ok(Self { door: door.with_headers(&settings.headers, "metrics.headers")? })
    }

    /// The value of each series of `expression` at `at`, in no particular order.
    ///
    /// Series whose value is `NaN` or infinite are left out and counted in a log line.
    ///
    /// # Errors
    /// [`SourceError`], also if the server understood the question and refuses to answer it, or leaves anything out.
    pub async fn instant(&self, expression: &str, at: DateTime<Utc>) -> Result<Vec<Sample>, SourceError> {
        let time = moment(at);
        let form = [WHOLE.as_slice(), &[("query", expression), ("time", &time)]].concat();
        self.ask(INSTANT, &form).await?.vector(expression)
    }

    /// The values of each series of `expression` at all of `times`, series in the order of their labels, values in
    /// that of time.
    ///
    /// # Errors
    /// As [`Prometheus::instant`]; all of it or nothing.
    pub async fn range(&self, expression: &str, times: Times) -> Result<Matrix, SourceError> {
        let parts = times.parts(MOMENTS_AT_ONCE).map(|part| self.part(expression, part));
        let parts: Vec<Matrix> = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await?;
        Ok(joined(parts))
    }

    /// One part, in smaller ones if it is too much for the server.
    async fn part(&self, expression: &str, times: Times) -> Result<Matrix, SourceError> {
        let (mut to_ask, mut parts) = (vec![times], Vec::new());
        while let Some(times) = to_ask.pop() {
            match (self.range_once(expression, times).await, times.halves()) {
                (Ok(part), _) => parts.push(part),
                (Err(SourceError::Unusable(why)), Some((first, second))) if is_too_much(&why) => {
                    tracing::debug!(why, expression, "asking again in two halves");
                    to_ask.extend([second, first]);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(joined(parts))
    }

    async fn range_once(&self, expression: &str, times: Times) -> Result<Matrix, SourceError> {
        let (start, end, step) = (moment(times.first()), moment(times.last()), times.step().num_seconds().to_string());
        let own = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        self.ask(RANGE, &[WHOLE.as_slice(), &own].concat()).await?.matrix(expression)
    }

    async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, SourceError> {
        let answer: Option<Answer> = self.door.ask_by_form(path, form).await?;
        answer.ok_or_else(|| {
            let url = self.door.url(path);
            SourceError::Unusable(format!("there is no Prometheus query API at {url}; is `metrics.url` right?"))
        })
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Does a refusal say that less would be answered? Each server has its own words for its own limits.
fn is_too_much(why: &str) -> bool {
    let why = why.to_lowercase();
    ["resolution", "too many", "exceed", "limit", "413"].iter().any(|word| why.contains(word))
}

/// Parts in the order of time, as one.
fn joined(parts: Vec<Matrix>) -> Matrix {
    let dropped = parts.iter().map(|part| part.dropped).sum();
    let mut series: Vec<Series> = parts.into_iter().flat_map(|part| part.series).collect();
    // Stable: pieces of one series stay in the order of time.
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series.dedup_by(|next, kept| {
        let same = next.labels == kept.labels;
        if same {
            kept.points.append(&mut next.points);
        }
        same
    });
    Matrix { series, dropped }
}
