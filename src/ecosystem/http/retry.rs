//! When to ask again.
//!
//! In: what went wrong, how often, for how long. Out: a wait, or the decision to give up.
//! Absent: clocks, sockets, sleeping; the caller brings the time and the dice.

use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How patient one request is. Only idempotent requests are repeated.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Attempts in all, the first included, while the server does not say when to come again. Where it does,
    /// it is believed four times as often.
    pub attempts: u32,
    /// Attempts in all while no connection can be made: a wrong address should be told soon.
    pub connect_attempts: u32,
    /// Wait after the first attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// The doubling stops here.
    pub longest_wait: Duration,
    /// No wait may end later than this after the first attempt.
    pub deadline: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 7,
            connect_attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            deadline: Duration::from_secs(180),
        }
    }
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Asking again may help; the server may have said when.
    Passing { advised: Option<Duration> },
    /// No connection: unknown host, refused, TLS.
    Unreachable,
    /// Asking again does not help.
    Final,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    After(Duration),
    GiveUp,
}

impl Patience {
    /// Decides after attempt number `attempt` (from 1), `elapsed` after the first began. `dice` is from 0 to 1.
    ///
    /// The server's advice is never undercut, and never waited for if it lies behind the deadline.
    pub fn next_step(&self, attempt: u32, failure: Failure, elapsed: Duration, dice: f64) -> Retry {
        let (attempts, advised) = match failure {
            Failure::Final => return Retry::GiveUp,
            Failure::Unreachable => (self.connect_attempts, None),
            Failure::Passing { advised: None } => (self.attempts, None),
            Failure::Passing { advised } => (self.attempts.saturating_mul(4), advised),
        };
        if attempt >= attempts {
            return Retry::GiveUp;
        }
        let wait = match advised {
            Some(advised) => advised.max(self.first_wait).mul_f64(1.0 + dice / 10.0),
            None => self.backoff(attempt).mul_f64(0.75 + dice / 2.0),
        };
        if elapsed + wait > self.deadline { Retry::GiveUp } else { Retry::After(wait) }
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.checked_pow(attempt.saturating_sub(1)).and_then(|n| self.first_wait.checked_mul(n));
        doubled.unwrap_or(self.longest_wait).min(self.longest_wait)
    }
}

/// How long the server asks to wait: `Retry-After` (seconds or a date), `RateLimit-Reset` (seconds),
/// `X-RateLimit-Reset` (Unix time). Dates count from the answer's own `Date`, else from `now`.
pub fn advised_wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let now = text(DATE.as_str()).and_then(unix_seconds).unwrap_or(now.timestamp() as f64);
    let retry_after = text(RETRY_AFTER.as_str());
    let seconds = retry_after
        .and_then(seconds)
        .or_else(|| retry_after.and_then(unix_seconds).map(|at| at - now))
        .or_else(|| text("ratelimit-reset").and_then(seconds))
        .or_else(|| {
            text("x-ratelimit-reset").and_then(seconds).map(|at| if at < FIRST_UNIX_TIME { at } else { at - now })
        });
    seconds.and_then(|s| Duration::try_from_secs_f64(s.clamp(0.0, LONGEST_ADVICE)).ok())
}

/// An hour, in seconds. Whoever asks for more is asked again before that: a slip in one header must not keep a host
/// closed for days, nor overflow the clock.
const LONGEST_ADVICE: f64 = 3600.0;

/// Some servers send relative seconds where a Unix time is expected; no reset lies 31 years ahead.
const FIRST_UNIX_TIME: f64 = 1e9;

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|s: &f64| s.is_finite())
}

fn unix_seconds(http_date: &str) -> Option<f64> {
    let at = httpdate::parse_http_date(http_date).ok()?;
    at.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSING: Failure = Failure::Passing { advised: None };

    fn step(attempt: u32, failure: Failure, elapsed_s: u64) -> Retry {
        Patience::default().next_step(attempt, failure, Duration::from_secs(elapsed_s), 0.5)
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        assert_eq!(step(1, PASSING, 0), Retry::After(Duration::from_millis(500)));
        assert_eq!(step(2, PASSING, 0), Retry::After(Duration::from_secs(1)));
        assert_eq!(step(4, PASSING, 0), Retry::After(Duration::from_secs(4)));
        assert_eq!(step(6, PASSING, 0), Retry::After(Duration::from_secs(16)));
        let eager = Patience { attempts: 50, ..Patience::default() };
        assert_eq!(eager.next_step(40, PASSING, Duration::ZERO, 0.5), Retry::After(Duration::from_secs(30)));
    }

    #[test]
    fn gives_up_without_a_last_wait() {
        assert_eq!(step(7, PASSING, 0), Retry::GiveUp);
        assert_eq!(step(28, Failure::Passing { advised: Some(Duration::ZERO) }, 0), Retry::GiveUp);
        assert_eq!(step(5, Failure::Unreachable, 0), Retry::GiveUp);
        assert_eq!(step(1, Failure::Final, 0), Retry::GiveUp);
        assert_eq!(step(2, PASSING, 180), Retry::GiveUp);
        assert_eq!(step(1, Failure::Passing { advised: Some(Duration::from_secs(200)) }, 0), Retry::GiveUp);
    }

    #[test]
    fn follows_the_advice_and_a_little_more() {
        let advised = Failure::Passing { advised: Some(Duration::from_secs(20)) };
        assert_eq!(step(1, advised, 0), Retry::After(Duration::from_secs(21)));
        let at_once = Failure::Passing { advised: Some(Duration::ZERO) };
        assert_eq!(step(9, at_once, 0), Retry::After(Duration::from_millis(525)));
    }

    fn advice(headers: &[(&'static str, &'static str)]) -> Option<f64> {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        advised_wait(&headers, "2026-02-28T08:49:30Z".parse().unwrap()).map(|d| d.as_secs_f64())
    }

    #[test]
    fn reads_every_form_of_advice() {
        assert_eq!(advice(&[("retry-after", "1.5")]), Some(1.5));
        assert_eq!(advice(&[("retry-after", "Sat, 28 Feb 2026 08:49:37 GMT")]), Some(7.0));
        let skewed = [("retry-after", "Sat, 28 Feb 2026 08:49:37 GMT"), ("date", "Sat, 28 Feb 2026 08:49:35 GMT")];
        assert_eq!(advice(&skewed), Some(2.0));
        assert_eq!(advice(&[("retry-after", "Sat, 28 Feb 2026 08:00:00 GMT")]), Some(0.0));
        assert_eq!(advice(&[("ratelimit-reset", "9")]), Some(9.0));
        assert_eq!(advice(&[("x-ratelimit-reset", "1772268580")]), Some(10.0));
        assert_eq!(advice(&[("x-ratelimit-reset", "12")]), Some(12.0));
        assert_eq!(advice(&[("retry-after", "soon"), ("ratelimit-reset", "3")]), Some(3.0));
        assert_eq!(advice(&[("retry-after", "inf")]), None);
        assert_eq!(advice(&[("retry-after", "1e300")]), Some(3600.0));
        assert_eq!(advice(&[]), None);
    }
}
