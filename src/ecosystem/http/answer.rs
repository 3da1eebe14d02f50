//! What became of one attempt, and what to say about it.
//!
//! In: a status, headers and a body, or a transport error. Out: the parsed answer, or a failure with the sentence
//! for the operator. Absent: repeating, waiting.

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::retry::{Failure, advised_wait};
use super::{Auth, Door, Words, root_cause};
use crate::clock::Clock;
use crate::ecosystem::SourceError;

/// Answers longer than this make no sense here.
const LONGEST_BODY: usize = 256 << 20;
/// How much of an error's body is shown.
const EXCERPT_CHARS: usize = 200;

/// What became of one attempt.
pub(super) enum Answer<T> {
    Found(T),
    NotThere,
    Failed(Failure, SourceError),
}

impl Door {
    /// Sends it once.
    pub(super) async fn attempt<T: DeserializeOwned>(&self, url: &Url, request: RequestBuilder) -> Answer<T> {
        let request = match &self.auth {
            Auth::None => request,
            Auth::Basic { username, password } => request.basic_auth(username, Some(password.expose())),
            Auth::Bearer { token } => request.bearer_auth(token.expose()),
        };
        let mut response = match request.headers(self.headers.clone()).send().await {
            Ok(response) => response,
            Err(error) => return self.no_answer(url, &error),
        };
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        match read_body(&mut response).await {
            Ok(Some(body)) => self.judge(url, status, &headers, &body),
            Ok(None) => self.unusable(url, "an answer of more than 256 MiB"),
            Err(error) => self.no_answer(url, &error),
        }
    }

    fn judge<T: DeserializeOwned>(&self, url: &Url, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer<T> {
        let name = &self.words.name;
        match status.as_u16() {
            200..=299 => self.parse(url, headers, body),
            404 => Answer::NotThere,
            300..=399 => {
                let to = headers.get(LOCATION).and_then(|l| l.to_str().ok()).unwrap_or("elsewhere");
                let to = to.split('?').next().unwrap_or_default();
                self.unusable(url, &format!("a redirect ({status}) to {to}, which is not followed"))
            }
            401 | 403 => {
                let verb = if status == StatusCode::UNAUTHORIZED { "refused the credentials" } else { "denied access" };
                let text = format!("{name} at {url} {verb} ({status}): check {}", self.words.credentials);
                Answer::Failed(Failure::Final, SourceError::Denied(format!("{text}{}", self.excerpt(body))))
            }
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                let advised = advised_wait(headers, Clock::system().now());
                if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (status, advised) {
                    self.host.hold(wait);
                }
                let text = format!("{name} at {url} answered {status}{}", self.excerpt(body));
                Answer::Failed(Failure::Passing { advised }, SourceError::Unavailable(text))
            }
            500..=599 => {
                let text = format!("{name} at {url} answered {status}{}", self.excerpt(body));
                Answer::Failed(Failure::Final, SourceError::Unavailable(text))
            }
            _ => {
                let text = format!("{name} at {url} answered {status}{}", self.excerpt(body));
                Answer::Failed(Failure::Final, SourceError::Unusable(text))
            }
        }
    }

    fn parse<T: DeserializeOwned>(&self, url: &Url, headers: &HeaderMap, body: &[u8]) -> Answer<T> {
        let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") || body.trim_ascii_start().starts_with(b"<") {
            return self.unusable(url, "HTML");
        }
        match serde_json::from_slice(body) {
            Ok(value) => Answer::Found(value),
            // A connection that broke in the middle, or a proxy that cut the answer short.
            Err(error) if error.is_eof() => {
                let text = format!("{} at {url} sent JSON that is cut off ({error})", self.words.name);
                Answer::Failed(Failure::Passing { advised: None }, SourceError::Unavailable(text))
            }
            Err(error) if error.is_data() => self.unusable(url, &format!("JSON of another shape ({error})")),
            Err(error) => self.unusable(url, &format!("something that is no JSON ({error})")),
        }
    }

    fn unusable<T>(&self, url: &Url, what: &str) -> Answer<T> {
        let Words { name, url_setting, .. } = &*self.words;
        let text = format!("{name} at {url} answered with {what}; is `{url_setting}` right?");
        Answer::Failed(Failure::Final, SourceError::Unusable(text))
    }

    fn no_answer<T>(&self, url: &Url, error: &reqwest::Error) -> Answer<T> {
        let Words { name, url_setting, .. } = &*self.words;
        let cause = root_cause(error);
        if error.is_builder() {
            let text = format!("a request to {name} at {url} cannot be made ({cause}); is `{url_setting}` right?");
            return Answer::Failed(Failure::Final, SourceError::Unusable(text));
        }
        if error.is_timeout() {
            let text = format!("{name} at {url} did not answer in time");
            return Answer::Failed(Failure::Passing { advised: None }, SourceError::Unavailable(text));
        }
        if error.is_connect() {
            let check = format!("check `{url_setting}`, the network and any proxy");
            let text = format!("{name} at {url} cannot be reached ({cause}); {check}");
            return Answer::Failed(Failure::Unreachable, SourceError::Unavailable(text));
        }
        let text = format!("the connection to {name} at {url} broke ({cause})");
        Answer::Failed(Failure::Passing { advised: None }, SourceError::Unavailable(text))
    }

    /// The beginning of an error's body, in one line, without our credentials should it echo them.
    fn excerpt(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]).into_owned();
        let text = match &self.auth {
            Auth::Basic { password: secret, .. } | Auth::Bearer { token: secret } if !secret.expose().is_empty() => {
                text.replace(secret.expose(), "***")
            }
            _ => text,
        };
        let sent = self.headers.values().filter_map(|value| value.to_str().ok()).filter(|value| !value.is_empty());
        let text = sent.fold(text, |text, value| text.replace(value, "***"));
        let words: Vec<&str> =
            text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
        let line: String = words.join(" ").chars().take(EXCERPT_CHARS).collect();
        if line.is_empty() { line } else { format!(": {line}") }
    }
}

async fn read_body(response: &mut reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
