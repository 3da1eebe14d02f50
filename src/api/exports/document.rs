//! What is known of an export, and how that changes.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::table::Format;
use crate::domain::Day;

/// What is to be exported, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// Name of the dataset.
    pub dataset: String,
    pub columns: Vec<String>,
    /// Conditions as the caller wrote them.
    pub filters: Vec<String>,
    /// First day, included.
    pub from: Day,
    /// Last day, excluded.
    pub to: Day,
    pub format: Format,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Waits until others are done.
    Queued,
    Running,
    /// The file is whole.
    Ready,
    Failed,
}

/// An export as its folder remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// 32 hex digits.
    pub id: String,
    /// The tenant's id.
    pub tenant: String,
    pub wish: Wish,
    pub state: State,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// When document and file are removed.
    pub expires_at: Option<DateTime<Utc>>,
    /// Of the whole file, as the two below.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// Hex digits.
    pub sha256: Option<String>,
    /// Why there is no file.
    pub error: Option<String>,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

impl Document {
    /// One that was just asked for.
    pub fn new(id: String, tenant: String, wish: Wish, now: DateTime<Utc>) -> Self {
        let (ended_at, expires_at, rows, bytes, sha256, error) = Default::default();
        let (state, created_at) = (State::Queued, now);
        Self { id, tenant, wish, state, created_at, ended_at, expires_at, rows, bytes, sha256, error }
    }

    /// Is it neither whole nor failed?
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::Queued | State::Running)
    }

    /// As it is when it has ended, to be kept for `keep`.
    pub fn ended(self, how: Result<Whole, String>, now: DateTime<Utc>, keep: TimeDelta) -> Self {
        let ended = Self { ended_at: Some(now), expires_at: Some(now + keep), ..self };
        match how {
            Ok(Whole { rows, bytes, sha256 }) => {
                Self { state: State::Ready, rows: Some(rows), bytes: Some(bytes), sha256: Some(sha256), ..ended }
            }
            Err(error) => Self { state: State::Failed, error: Some(error), ..ended },
        }
    }

    /// As it is after the process that made it has ended.
    pub fn after_restart(self, now: DateTime<Utc>, keep: TimeDelta) -> Self {
        if !self.is_under_way() {
            return self;
        }
        self.ended(Err("the service ended before the file was whole; ask for the export again".to_owned()), now, keep)
    }

    /// Is it to be removed?
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn document(id: &str, now: DateTime<Utc>) -> Document {
        let wish = Wish {
            dataset: "chargebacks".to_owned(),
            columns: vec!["amount".to_owned()],
            filters: Vec::new(),
            from: "2026-02-01".parse().unwrap(),
            to: "2026-03-01".parse().unwrap(),
            format: Format::Csv,
        };
        Document::new(id.to_owned(), "t-1".to_owned(), wish, now)
    }

    #[test]
    fn what_was_under_way_has_failed_after_a_restart() {
        let now: DateTime<Utc> = "2026-03-06T06:30:00Z".parse().unwrap();
        let keep = TimeDelta::hours(24);
        let queued = document("a", now);
        let failed = queued.clone().after_restart(now, keep);
        assert_eq!((failed.state, failed.expires_at), (State::Failed, Some(now + keep)));
        assert!(failed.error.as_ref().unwrap().contains("again"));
        let whole = Whole { rows: 1, bytes: 2, sha256: "ab".to_owned() };
        let ready = queued.ended(Ok(whole), now, keep);
        assert_eq!(ready.clone().after_restart(now + keep, keep), ready);
        assert!(!ready.has_expired(now) && ready.has_expired(now + keep));
    }
}
