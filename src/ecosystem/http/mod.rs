//! The one HTTP client: polite, patient, and clear about what went wrong.
//!
//! In: a base address, credentials, read-only requests. Out: parsed JSON, "not there", or a
//! [`SourceError`] that says what to do. Repeats what may pass, waits as the host asks, and limits
//! requests per host over the whole process. Absent: what the JSON means; secrets and query strings
//! in any message.

mod answer;
pub mod host;
pub mod retry;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;

use self::answer::Answer;
use self::host::{Host, Hosts};
use self::retry::{Patience, Retry};
pub use self::tls::Tls;
use super::{Secret, SourceError};
use crate::meter;

/// What holds for every request of the process.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests at a time at one host.
    pub concurrent_per_host: usize,
    /// Least time between two starts at one host.
    pub spacing: Duration,
    /// From the start of an attempt to the end of its answer.
    pub timeout: Duration,
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_per_host: 10,
            spacing: Duration::from_millis(2),
            timeout: Duration::from_secs(30),
            patience: Patience::default(),
        }
    }
}

/// The client; one for the whole process, cheap to clone. Its doors share the limits per host.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    hosts: Arc<Hosts>,
    timeout: Duration,
    patience: Patience,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    not_there: AtomicU64,
    repeated: AtomicU64,
    failed: AtomicU64,
}

/// How requests have ended since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    pub answered: u64,
    /// Answered 404.
    pub not_there: u64,
    /// Attempts that failed and were repeated.
    pub repeated: u64,
    /// Requests given up.
    pub failed: u64,
}

/// How to prove who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    None,
    Basic { username: String, password: Secret },
    Bearer { token: Secret },
}

/// The words for errors at a door, so that they name the settings to change.
#[derive(Debug, Clone)]
pub struct Words {
    /// Who is asked: `Confluent Cloud`.
    pub name: String,
    /// The setting with the address.
    pub url_setting: String,
    /// The settings with the credentials, and the rights they need, as a sentence without full stop.
    pub credentials: String,
}

/// One API at one address with one set of credentials.
#[derive(Debug, Clone)]
pub struct Door {
    http: Http,
    host: Arc<Host>,
    base: Url,
    auth: Auth,
    headers: HeaderMap,
    words: Arc<Words>,
}

impl Http {
    /// Builds the client.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if TLS cannot be set up, for example without root certificates.
    pub fn new(limits: Limits) -> Result<Self, SourceError> {
        let client = builder(limits.timeout)
            .build()
            .map_err(|e| SourceError::Unavailable(format!("cannot set up an HTTP client: {}", root_cause(&e))))?;
        let hosts = Arc::new(Hosts::new(limits.concurrent_per_host, limits.spacing));
        Ok(Self { client, hosts, timeout: limits.timeout, patience: limits.patience, counts: Arc::default() })
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        builder(self.timeout)
    }

    /// Opens a door: nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if the address is no `http` or `https` URL.
    pub fn door(&self, base: &str, auth: &Auth, words: Words) -> Result<Door, SourceError> {
        let base = base_url(base, &words)?;
        let port = base.port_or_known_default().unwrap_or_default();
        let host = self.hosts.host(&format!("{}:{port}", base.host_str().unwrap_or_default()));
        let headers = HeaderMap::new();
        Ok(Door { http: self.clone(), host, base, auth: auth.clone(), headers, words: Arc::new(words) })
    }

    /// The counters so far.
    pub fn outcomes(&self) -> Outcomes {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let c = &self.counts;
        Outcomes {
            answered: read(&c.answered),
            not_there: read(&c.not_there),
            repeated: read(&c.repeated),
            failed: read(&c.failed),
        }
    }
}

fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
}

fn base_url(text: &str, words: &Words) -> Result<Url, SourceError> {
    let wrong =
        |why: &str| SourceError::Unusable(format!("`{}` {why}: give an address like https://host", words.url_setting));
    // A base without a path ends in `/` after parsing; paths are appended to the bare form.
    let mut url = Url::parse(text.trim()).map_err(|e| wrong(&format!("is no URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is neither an http nor an https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("contains credentials, which have settings of their own"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl Door {
    /// The same door with headers on each request; `setting` is where they come from.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] naming the header that HTTP does not allow; never its value.
    pub fn with_headers(mut self, headers: &[(String, Secret)], setting: &str) -> Result<Self, SourceError> {
        for (name, value) in headers {
            let wrong =
                |what: &str| SourceError::Unusable(format!("`{setting}`: {what} of header {name:?} cannot be sent"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("the name"))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong("the value"))?;
            value.set_sensitive(true);
            self.headers.insert(key, value);
        }
        Ok(self)
    }

    /// Reads `path` below the base address; `None` if it is not there (404).
    ///
    /// # Errors
    /// By what the caller does next, see [`SourceError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>, SourceError> {
        let url = self.url(path);
        self.ask(&url, || self.http.client.get(url.clone()).query(query)).await
    }

    /// Asks a question that is too long for a URL; it must change nothing, since it may be repeated.
    ///
    /// # Errors
    /// As [`Door::get`].
    pub async fn ask_by_form<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Option<T>, SourceError> {
        let url = self.url(path);
        self.ask(&url, || self.http.client.post(url.clone()).form(form)).await
    }

    /// The full address of a path, for messages: without query, without credentials.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let joined = format!("{}{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }

    /// The words of this door.
    pub fn words(&self) -> &Words {
        &self.words
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        url: &Url,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Option<T>, SourceError> {
        let (patience, counts) = (&self.http.patience, &self.http.counts);
        let host = url.host_str().unwrap_or_default();
        let mut began = None;
        for attempt in 1.. {
            let elapsed = began.map_or(Duration::ZERO, |b: Instant| b.elapsed());
            let turn = self.host.turn(patience.deadline.saturating_sub(elapsed)).await;
            let turn = turn.map_err(|rest| self.silenced(url, rest))?;
            let began = *began.get_or_insert_with(Instant::now);
            let answer = self.attempt(url, request()).await;
            drop(turn);
            let (failure, error) = match answer {
                Answer::Found(value) => {
                    counts.answered.fetch_add(1, Ordering::Relaxed);
                    meter::request(host, "answered");
                    meter::answered(host, began.elapsed());
                    return Ok(Some(value));
                }
                Answer::NotThere => {
                    counts.not_there.fetch_add(1, Ordering::Relaxed);
                    meter::request(host, "not_there");
                    return Ok(None);
                }
                Answer::Failed(failure, error) => (failure, error),
            };
            match patience.next_step(attempt, failure, began.elapsed(), rand::random()) {
                Retry::GiveUp => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    meter::request(host, "failed");
                    return Err(gave_up(error, attempt));
                }
                Retry::After(wait) => {
                    counts.repeated.fetch_add(1, Ordering::Relaxed);
                    meter::request(host, "repeated");
                    tracing::debug!(%error, attempt, wait_ms = wait.as_millis() as u64, "asking again after a wait");
                    tokio::time::sleep(wait).await;
                }
            }
        }
        Err(SourceError::Unavailable(format!("{} at {url} was not asked", self.words.name)))
    }

    fn silenced(&self, url: &Url, rest: Duration) -> SourceError {
        self.http.counts.failed.fetch_add(1, Ordering::Relaxed);
        meter::request(url.host_str().unwrap_or_default(), "failed");
        let name = &self.words.name;
        SourceError::Unavailable(format!("{name} at {url} asks for {} s without requests", rest.as_secs()))
    }
}

fn gave_up(error: SourceError, attempts: u32) -> SourceError {
    match error {
        SourceError::Unavailable(text) if attempts > 1 => {
            SourceError::Unavailable(format!("{text}; gave up after {attempts} attempts"))
        }
        error => error,
    }
}

/// The innermost cause; the outer ones repeat the URL with its query.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
pub(crate) mod tests;
