//! What could not be used, kept with its bytes and its reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// Bytes of key and payload that an entry keeps. It travels as one Kafka record of at most 8 MiB with its story, and
/// the record that it holds may be larger than that: what was compressed well, or written elsewhere.
const KEPT: usize = 7 << 20;

/// A provider's row or a Kafka record that was set aside. Topic `quarantine`, compacted, key `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Hex digest of what it is (source and bytes): the same thing set aside twice is one entry.
    pub id: String,
    pub tenant: Option<String>,
    pub day: Option<Day>,
    pub stage: Stage,
    /// Where it came from, for a reader: `GET /billing/v1/costs 2026-02-01..2026-02-16` or `billing[3]@1207`.
    pub source: String,
    /// For a Kafka record: where it stood, so that it can be sent again.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    #[serde(with = "serde_bytes")]
    pub key: Option<Vec<u8>>,
    /// The bytes as they were received; the first of them if there were too many ([`Quarantined::cut`]).
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// What is wrong and what to do.
    pub reason: String,
    pub status: Status,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
}

impl Quarantined {
    /// Cuts off what one Kafka record cannot hold, and says so in the reason.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let whole = self.size();
        if whole >= KEPT {
            let key = self.key.as_mut().map_or(0, |key| {
                key.truncate(KEPT / 2);
                key.len()
            });
            self.payload.truncate(KEPT - key);
            self.reason.push_str(&format!("; its {whole} bytes are too many to keep, these are the first {KEPT}"));
        }
        self
    }

    /// Is something of it missing, so that it cannot be sent again?
    pub fn is_cut(&self) -> bool {
        self.size() >= KEPT
    }

    fn size(&self) -> usize {
        self.payload.len() + self.key.as_ref().map_or(0, Vec::len)
    }
}

/// Who set it aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Gather,
    Allocate,
    Project,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    /// Put back into its topic by `tributary quarantine resend`.
    Resent,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: usize, payload: usize) -> Quarantined {
        Quarantined {
            id: "1".into(),
            tenant: None,
            day: None,
            stage: Stage::Allocate,
            source: "billing[0]@0".into(),
            topic: Some("billing".into()),
            partition: Some(0),
            offset: Some(0),
            key: Some(vec![0; key]),
            payload: vec![0; payload],
            reason: "garbage".into(),
            status: Status::Open,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        let whole = entry(10, KEPT - 11);
        assert_eq!((whole.clone().cut(), whole.is_cut()), (whole, false));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        for (key, payload) in [(10, KEPT), (KEPT, 10), (KEPT, KEPT)] {
            let cut = entry(key, payload).cut();
            assert!(cut.size() <= KEPT && cut.reason.contains(&(key + payload).to_string()), "{}", cut.reason);
        }
        assert!(entry(10, KEPT).cut().is_cut());
    }
}
