//! The door to the log: one transaction, all of it or nothing.
//!
//! In: a revision, quarantine entries, changes of memory. Out: records in Kafka. Absent: decisions, `async`; every
//! call blocks.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::{Quarantined, Run, TenantDay};
use crate::journal::{Codec, Connection, JournalError, Record, Topic, TransactionalProducer};

use super::GatherError;
use super::memory::Change;
use super::seal::Revision;

/// How often a transaction that Kafka aborted is tried again.
const ATTEMPTS: u32 = 3;

/// What becomes visible together.
#[derive(Debug, Default)]
pub struct Transaction {
    pub revision: Option<Revision>,
    pub quarantined: Vec<Quarantined>,
    pub changes: Vec<Change>,
    /// Runs that started, went on or ended.
    pub runs: Vec<Run>,
}

impl Transaction {
    /// Changes of memory alone.
    pub fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        Self { changes: changes.into_iter().collect(), ..Self::default() }
    }

    /// Is there nothing to write?
    pub fn is_empty(&self) -> bool {
        self.revision.is_none() && self.quarantined.is_empty() && self.changes.is_empty() && self.runs.is_empty()
    }
}

/// Writes the transactions of one tenant, one after the other.
pub struct Publisher {
    tenant: String,
    producer: TransactionalProducer,
    codec: Arc<Codec>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publisher({})", self.tenant)
    }
}

impl Publisher {
    /// Fences the tenant's earlier publisher, of whatever instance, and aborts what it left open.
    ///
    /// # Errors
    /// [`JournalError`] if Kafka does not answer.
    pub fn open(connection: &Connection, tenant: &str, codec: Arc<Codec>) -> Result<Self, JournalError> {
        let producer = TransactionalProducer::of_tenant(connection, tenant)?;
        Ok(Self { tenant: tenant.to_owned(), producer, codec, buffer: Vec::new() })
    }

    /// Makes the transaction visible.
    ///
    /// # Errors
    /// [`GatherError::Encode`]: nothing was written, and the publisher is as good as before.
    /// [`GatherError::Journal`]: whether it was written is unknown; open a new publisher and load the memory anew.
    pub fn publish(&mut self, transaction: &Transaction) -> Result<(), GatherError> {
        let mut attempt = 1;
        loop {
            match self.attempt(transaction) {
                Err(GatherError::Journal(JournalError::Abort(cause))) if attempt < ATTEMPTS => {
                    tracing::warn!(tenant = self.tenant, %cause, attempt, "Kafka aborted a transaction, trying again");
                    self.producer.abort()?;
                    attempt += 1;
                }
                Err(GatherError::Encode(error)) => {
                    self.producer.abort()?;
                    return Err(GatherError::Encode(error));
                }
                Err(GatherError::Journal(JournalError::Fenced { .. })) => {
                    return Err(GatherError::TakenOver { tenant: self.tenant.clone() });
                }
                done => return done,
            }
        }
    }

    fn attempt(&mut self, transaction: &Transaction) -> Result<(), GatherError> {
        self.producer.begin()?;
        if let Some(revision) = &transaction.revision {
            self.put_revision(revision)?;
        }
        for entry in &transaction.quarantined {
            self.put(Topic::Quarantine, &entry.id, entry)?;
        }
        for run in &transaction.runs {
            self.put(Topic::Runs, &format!("{}/{}", self.tenant, run.id), run)?;
        }
        for change in &transaction.changes {
            let key = change.key(&self.tenant);
            match change.record(&self.tenant) {
                Some(state) => self.put(Topic::GatherState, &key, &state)?,
                None => self.producer.send(Topic::GatherState, None, key.as_bytes(), None)?,
            }
        }
        Ok(self.producer.commit()?)
    }

    fn put_revision(&mut self, revision: &Revision) -> Result<(), GatherError> {
        let key = TenantDay::new(&self.tenant, revision.seal.day).to_string();
        revision.billing.iter().try_for_each(|record| self.put(Topic::Billing, &key, record))?;
        revision.resources.iter().try_for_each(|record| self.put(Topic::Resources, &key, record))?;
        revision.identities.iter().try_for_each(|record| self.put(Topic::Identities, &key, record))?;
        revision.metrics.iter().try_for_each(|record| self.put(Topic::Metrics, &key, record))?;
        self.put(Topic::Days, &key, &revision.seal)
    }

    fn put<T: Record + Serialize>(&mut self, topic: Topic, key: &str, record: &T) -> Result<(), GatherError> {
        self.buffer.clear();
        self.codec.encode(record, &mut self.buffer)?;
        Ok(self.producer.send(topic, None, key.as_bytes(), Some(&self.buffer))?)
    }
}
