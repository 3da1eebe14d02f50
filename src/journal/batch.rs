//! Many records in few pieces of memory.
//!
//! A record read from Kafka lives only until the next poll; copying each into a box of its own would cost an
//! allocation or two per record. A batch copies keys and payloads behind each other into one buffer; batches that are put
//! together keep their buffers, so nothing is copied twice.

use super::topic::Topic;
use crate::domain::TenantDay;
use crate::domain::quarantine::{Quarantined, Stage, Status};

/// Records in the order they were read, and where reading goes on behind them.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records lie in one of them whole.
    buffers: Vec<Vec<u8>>,
    records: Vec<Place>,
    ends: Vec<(Topic, i32, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    topic: Topic,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    buffer: u32,
    key: Span,
    payload: Span,
}

/// A part of a buffer, or nothing (a null key, a tombstone).
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    len: Option<u32>,
}

/// One record of a [`Batch`].
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
}

impl RecordRef<'_> {
    /// The quarantine entry of a record that cannot be used. The same record gives an entry of the same id, whoever
    /// sets it aside and however often.
    pub fn set_aside(&self, stage: Stage, reason: String) -> Quarantined {
        let source = format!("{}[{}]@{}", self.topic.name(), self.partition, self.offset);
        let payload = self.payload.unwrap_or_default();
        let mut digest = blake3::Hasher::new();
        digest.update(source.as_bytes()).update(&[0]).update(payload);
        let key = self.key.and_then(|key| std::str::from_utf8(key).ok()?.parse::<TenantDay>().ok());
        let (tenant, day) = key.map(|key| (key.tenant, key.day)).unzip();
        Quarantined {
            id: digest.finalize().to_hex().to_string(),
            tenant,
            day,
            stage,
            source,
            topic: Some(self.topic.name().to_owned()),
            partition: Some(self.partition),
            offset: Some(self.offset),
            key: self.key.map(<[u8]>::to_vec),
            payload: payload.to_vec(),
            reason,
            status: Status::Open,
            // When it was written: reading it again, after a rebuild, must not make it look new.
            at: chrono::DateTime::from_timestamp_millis(self.timestamp_ms).unwrap_or_default(),
        }
        .cut()
    }
}

impl Batch {
    /// None, with room for as much as `other` has: the next batch is mostly as large as the last.
    pub fn none_but_room_for(other: &Self) -> Self {
        Self {
            buffers: vec![Vec::with_capacity(other.size())],
            records: Vec::with_capacity(other.len()),
            ends: Vec::with_capacity(other.ends.len()),
        }
    }

    /// Adds a record behind the others.
    pub fn push(&mut self, record: RecordRef<'_>) {
        if self.buffers.is_empty() {
            self.buffers.push(Vec::new());
        }
        // Batches are a few: their count fits.
        let last = self.buffers.len() - 1;
        let (buffer, bytes) = (last as u32, &mut self.buffers[last]);
        let (key, payload) = (keep(record.key, bytes), keep(record.payload, bytes));
        let RecordRef { topic, partition, offset, timestamp_ms, .. } = record;
        self.records.push(Place { topic, partition, offset, timestamp_ms, buffer, key, payload });
        self.end((topic, partition, offset + 1));
    }

    /// Adds what was read next behind what is here.
    pub fn append(&mut self, next: Self) {
        let shift = self.buffers.len() as u32;
        self.buffers.extend(next.buffers);
        self.records.extend(next.records.into_iter().map(|place| Place { buffer: place.buffer + shift, ..place }));
        for end in next.ends {
            self.end(end);
        }
    }

    /// The records, in the order they were read.
    pub fn records(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        self.records.iter().map(|place| RecordRef {
            topic: place.topic,
            partition: place.partition,
            offset: place.offset,
            timestamp_ms: place.timestamp_ms,
            key: place.key.of(&self.buffers[place.buffer as usize]),
            payload: place.payload.of(&self.buffers[place.buffer as usize]),
        })
    }

    /// For each partition in the batch, the offset to read next.
    pub fn ends(&self) -> &[(Topic, i32, i64)] {
        &self.ends
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys and payloads.
    pub fn size(&self) -> usize {
        self.buffers.iter().map(Vec::len).sum()
    }

    /// Reading goes on there.
    fn end(&mut self, end: (Topic, i32, i64)) {
        let (topic, partition, _) = end;
        // Runs of one partition are the rule: look from the back.
        match self.ends.iter_mut().rev().find(|(t, p, _)| *t == topic && *p == partition) {
            Some(known) => *known = end,
            None => self.ends.push(end),
        }
    }
}

impl Span {
    fn of(self, buffer: &[u8]) -> Option<&[u8]> {
        let start = self.start as usize;
        self.len.map(|len| &buffer[start..start + len as usize])
    }
}

fn keep(part: Option<&[u8]>, buffer: &mut Vec<u8>) -> Span {
    let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    if let Some(part) = part {
        buffer.extend_from_slice(part);
    }
    Span { start, len: part.map(|p| u32::try_from(p.len()).unwrap_or(u32::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64, key: Option<&'static [u8]>, payload: &'static [u8]) -> RecordRef<'static> {
        RecordRef { topic: Topic::Days, partition, offset, timestamp_ms: 0, key, payload: Some(payload) }
    }

    #[test]
    fn a_batch_behind_another_reads_as_if_it_had_been_one() {
        let records =
            [record(0, 7, Some(b"a"), b"one"), record(1, 2, None, b"two"), record(0, 9, Some(b"c"), b"three")];
        for cut in 0..=records.len() {
            let (mut first, mut next) = (Batch::default(), Batch::default());
            records[..cut].iter().for_each(|record| first.push(*record));
            records[cut..].iter().for_each(|record| next.push(*record));
            first.append(next);
            let read: Vec<_> = first.records().map(|r| (r.partition, r.offset, r.key, r.payload)).collect();
            assert_eq!(read, records.map(|r| (r.partition, r.offset, r.key, r.payload)));
            assert_eq!(first.ends(), [(Topic::Days, 0, 10), (Topic::Days, 1, 3)]);
        }
    }
}
