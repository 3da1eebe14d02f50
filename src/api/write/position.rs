//! Where a change lies in the log, as an opaque text: what a writer is told, and a reader gives to see it.

use axum::http::HeaderValue;
use axum::response::{IntoResponseParts, ResponseParts};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::journal::{Topic, Written};

/// The header that every change is answered with.
pub(in crate::api) const HEADER: &str = "x-event-position";
/// More topics than there are.
const MOST: usize = 64;
const LONGEST: usize = 2048;

/// The last record of each partition that a request wrote to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPosition(Vec<Written>);

impl EventPosition {
    /// The position behind these records.
    pub fn of(written: &[Written]) -> Self {
        let mut last = written.to_vec();
        last.sort_unstable_by(|a, b| b.cmp(a));
        last.dedup_by_key(|at| (at.topic, at.partition));
        last.reverse();
        Self(last)
    }

    /// The last record of each partition.
    pub fn records(&self) -> &[Written] {
        &self.0
    }

    /// The text: topics, partitions and offsets, and a mark by which a text that was made up or cut is recognised.
    pub fn text(&self) -> String {
        let plain = |Written { topic, partition, offset }: &Written| format!("{topic}:{partition}:{offset}");
        let plain = self.0.iter().map(plain).collect::<Vec<_>>().join(",");
        URL_SAFE_NO_PAD.encode(format!("{}.{plain}", mark(&plain)))
    }

    /// Reads the text back; `None` if it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let text = (text.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let text = String::from_utf8(text).ok()?;
        let (given, plain) = text.split_once('.')?;
        if given != mark(plain) {
            return None;
        }
        let record = |part: &str| {
            let mut parts = part.split(':');
            let topic = Topic::by_name(parts.next()?)?;
            let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Written { topic, partition, offset })
        };
        plain.split(',').take(MOST).map(record).collect::<Option<Vec<_>>>().map(Self)
    }
}

fn mark(plain: &str) -> String {
    blake3::hash(plain.as_bytes()).to_hex()[..8].to_owned()
}

impl IntoResponseParts for EventPosition {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let value = HeaderValue::from_str(&self.text()).expect("base64 is a header's value");
        parts.headers_mut().insert(HEADER, value);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(topic: Topic, partition: i32, offset: i64) -> Written {
        Written { topic, partition, offset }
    }

    #[test]
    fn a_position_is_the_last_record_of_each_partition_and_survives_its_text() {
        let written =
            [at(Topic::Tokens, 0, 3), at(Topic::Audit, 0, 9), at(Topic::Tokens, 0, 4), at(Topic::Audit, 0, 8)];
        let position = EventPosition::of(&written);
        let mut records = position.records().to_vec();
        records.sort_unstable();
        assert_eq!(records, [at(Topic::Audit, 0, 9), at(Topic::Tokens, 0, 4)]);
        assert_eq!(EventPosition::parse(&position.text()), Some(position));
    }

    #[test]
    fn what_is_made_up_is_no_position() {
        let good = EventPosition::of(&[at(Topic::Audit, 0, 9)]).text();
        let made_up = URL_SAFE_NO_PAD.encode("00000000.audit:0:9");
        for text in ["", "audit:0:9", &made_up, &good[1..], &good[..good.len() - 4], &"A".repeat(5000)] {
            assert_eq!(EventPosition::parse(text), None, "{text}");
        }
    }
}
