//! Writes what the worker decided, on a thread of its own: the worker reads and decides on meanwhile.
//!
//! In: transactions, one at a time, in the order of the decisions. Out: what became visible, or why nothing did. Absent: what
//! is decided, and when it is time for a transaction.
//!
//! To encode rows takes about as long as to read their facts, and a transaction waits for the broker several times; so the
//! two halves of the work go on side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::partitions::{Decided, Transaction};
use super::worker::{AllocateError, TOPICS};
use crate::domain::{DayAllocated, TenantDay};
use crate::journal::codec::Codec;
use crate::journal::{JournalError, Membership, NextOffset, Topic, TransactionalProducer};

/// How often a transaction that Kafka aborted is tried again.
const ATTEMPTS: u32 = 3;

/// Whoever writes, seen from the worker.
pub(super) struct Writer {
    runtime: Handle,
    /// `None` while it is in use.
    pen: Option<Pen>,
    under_way: Option<JoinHandle<(Pen, Result<Written, AllocateError>)>>,
}

/// A transaction that is visible.
#[derive(Debug)]
pub(super) struct Written {
    pub days: Vec<DayAllocated>,
    pub took: Duration,
}

struct Pen {
    producer: TransactionalProducer,
    codec: Arc<Codec>,
}

impl Writer {
    pub(super) fn new(producer: TransactionalProducer, codec: Arc<Codec>, runtime: Handle) -> Self {
        Self { runtime, pen: Some(Pen { producer, codec }), under_way: None }
    }

    /// Is no transaction under way?
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Begins to make a transaction visible; the one before must have been told by [`Self::written`].
    ///
    /// `membership`: as whom its positions are committed. A group that moves on from then makes the transaction fail.
    pub(super) fn write(&mut self, transaction: Transaction, membership: Option<Membership>) {
        if let Some(mut pen) = self.pen.take() {
            self.under_way = Some(self.runtime.spawn_blocking(move || {
                let written = pen.write(transaction, membership);
                (pen, written)
            }));
        }
    }

    /// What became of the transaction that is under way; pending for ever if there is none.
    pub(super) async fn written(&mut self) -> Result<Written, AllocateError> {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let ended = under_way.await;
        self.under_way = None;
        match ended {
            Ok((pen, written)) => {
                self.pen = Some(pen);
                written
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(AllocateError::NotBegun),
            },
        }
    }
}

impl Pen {
    fn write(&mut self, transaction: Transaction, membership: Option<Membership>) -> Result<Written, AllocateError> {
        let (began, mut attempt) = (Instant::now(), 1);
        loop {
            match self.try_to_write(&transaction, membership.clone()) {
                Ok(()) => break,
                Err(AllocateError::Journal(JournalError::Abort(cause))) if attempt < ATTEMPTS => {
                    tracing::warn!(%cause, attempt, "a transaction was aborted, nothing of it is visible: once more");
                    self.producer.abort()?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Written { days: transaction.ready.outcomes(), took: began.elapsed() })
    }

    fn try_to_write(&mut self, transaction: &Transaction, membership: Option<Membership>) -> Result<(), AllocateError> {
        let Self { codec, producer } = self;
        let Transaction { ready, positions } = transaction;
        let mut bytes = Vec::with_capacity(512);
        producer.begin_for(ready.rows())?;
        for Decided { partition, outcome, allocation } in &ready.days {
            let key = TenantDay::new(&outcome.tenant, outcome.day).to_string();
            let mut rows = codec.row_writer();
            for row in allocation.iter().flat_map(|allocation| allocation.iter()) {
                bytes.clear();
                rows.write(&row, &mut bytes)?;
                producer.send(Topic::Chargebacks, Some(*partition), key.as_bytes(), Some(&bytes))?;
            }
            for row in allocation.iter().flat_map(|allocation| allocation.topics()) {
                bytes.clear();
                codec.encode(&row, &mut bytes)?;
                producer.send(Topic::TopicAttributions, Some(*partition), key.as_bytes(), Some(&bytes))?;
            }
            bytes.clear();
            codec.encode(outcome, &mut bytes)?;
            producer.send(Topic::Allocations, Some(*partition), key.as_bytes(), Some(&bytes))?;
        }
        for (_, bad) in &ready.bad {
            bytes.clear();
            codec.encode(bad, &mut bytes)?;
            producer.send(Topic::Quarantine, None, bad.id.as_bytes(), Some(&bytes))?;
        }
        let next = |(partition, kind, offset): &(i32, _, i64)| NextOffset {
            topic: TOPICS[*kind as usize],
            partition: *partition,
            offset: *offset,
        };
        if let Some(membership) = membership {
            producer.send_offsets(&positions.iter().map(next).collect::<Vec<_>>(), membership)?;
        }
        producer.commit()?;
        Ok(())
    }
}
