//! The one way to change something: an event on Kafka first, the tables from it.
//!
//! In: changes of a request, each with what it is a change of. Out: the position that a reader who wants to see them gives
//! as `min_position`. The events and what the audit says of them go into one Kafka transaction, so there is neither
//! without the other. Absent: whether the caller may (see [`super::auth`]); what the events mean.
//!
//! A handler whose change depends on what is there takes its turn, reads, decides, and ends with
//!
//! ```ignore
//! let turn = api.turn_to_change(Topic::Tags).await?;
//! // ...
//! let change = Change::put(&api.ledger, Topic::Tags, &key, &tag)?.of("tag.set", "resource", id).from(&before).to(&after);
//! let position = turn.write(&api, &caller.by(), Some(&tenant.tenant_id), vec![change]).await?;
//! Ok((StatusCode::OK, position, Json(item)))
//! ```
//!
//! One that depends on nothing writes to the ledger at once.

mod catch_up;
mod position;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub(super) use catch_up::catch_up;
pub use position::EventPosition;
pub(super) use position::HEADER as POSITION_HEADER;

use super::problem::{Code, Problem};
use crate::clock::Clock;
use crate::domain::AuditEvent;
use crate::journal::codec::{EncodeError, Record};
use crate::journal::ends::End;
use crate::journal::{Codec, Connection, EndWatch, EventWriter, Outgoing, Topic, WriteError, blocking};

/// How long a change may take; Kafka takes one in milliseconds as a rule.
const PATIENCE: Duration = Duration::from_secs(30);
/// Texts of things before and after in the audit, in bytes; longer ones are left out there.
const LONGEST_VALUE: usize = 64 << 10;

/// Writes changes and what is remembered of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    writer: EventWriter,
    codec: Arc<Codec>,
    connection: Connection,
    ends: Arc<EndWatch>,
    clock: Clock,
}

/// On whose behalf something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// As in [`AuditEvent::actor`].
    pub actor: String,
    /// All changes of one request have the same.
    pub request_id: String,
}

/// One change of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `None`: the audit is all that is remembered of it.
    record: Option<Outgoing>,
    action: &'static str,
    entity: (String, String),
    before: Option<String>,
    after: Option<String>,
}

/// Why a change was not written, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Write(#[from] WriteError),
    /// All of it will be in the log, or nothing.
    #[error("Kafka did not take the change in time; it is not known whether it still will")]
    TooSlow,
}

impl Ledger {
    /// A ledger of this process; `role` tells its producer from others of the instance.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn open(connection: Connection, codec: Arc<Codec>, clock: Clock, role: &str) -> std::io::Result<Self> {
        let (writer, ends) = (EventWriter::start(connection.clone(), role)?, EndWatch::new(connection.clone()));
        Ok(Self { writer, codec, connection, ends: Arc::new(ends), clock })
    }

    /// What it is now, to the microsecond, as events have it.
    pub fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Writes the changes of a request, all or none; `tenant` is the id of the one they belong to.
    ///
    /// # Errors
    /// [`LedgerError`] tells whether anything can have been written.
    pub async fn write(
        &self,
        by: &By,
        tenant: Option<&str>,
        changes: Vec<Change>,
    ) -> Result<EventPosition, LedgerError> {
        let at = self.now();
        let mut records = Vec::with_capacity(changes.len() * 2);
        for (n, change) in changes.into_iter().enumerate() {
            let event = AuditEvent {
                id: format!("{}-{n}", by.request_id),
                tenant: tenant.map(str::to_owned),
                at,
                actor: by.actor.clone(),
                action: change.action.to_owned(),
                entity_type: change.entity.0,
                entity_id: change.entity.1,
                before: change.before,
                after: change.after,
                request_id: by.request_id.clone(),
            };
            records.extend(change.record);
            records.push(self.record(Topic::Audit, event.key(), &event)?);
        }
        let written = tokio::time::timeout(PATIENCE, self.writer.write(records)).await;
        let written = written.map_err(|_| LedgerError::TooSlow)??;
        Ok(EventPosition::of(&written))
    }

    fn record<T: Record + Serialize>(&self, topic: Topic, key: &str, value: &T) -> Result<Outgoing, EncodeError> {
        let mut payload = Vec::new();
        self.codec.encode(value, &mut payload)?;
        Ok(Outgoing { topic, key: key.as_bytes().to_vec(), payload: Some(payload) })
    }

    /// Where a topic of one partition ends; `None` while something is being written to it.
    async fn end(&self, topic: Topic) -> Result<Option<End>, Problem> {
        let ends = Arc::clone(&self.ends);
        blocking(move || ends.settled(topic, 0)).await.map_err(turn::silent)
    }

    /// The name of a topic in this installation.
    fn topic(&self, topic: Topic) -> String {
        self.connection.topic(topic)
    }
}

impl Change {
    /// A thing of a compacted topic as it is from now on.
    ///
    /// # Errors
    /// [`EncodeError`] if a value does not fit the schema.
    pub fn put<T: Record + Serialize>(
        ledger: &Ledger,
        topic: Topic,
        key: &str,
        value: &T,
    ) -> Result<Self, EncodeError> {
        ledger.record(topic, key, value).map(Self::by)
    }

    /// A thing of a compacted topic that is gone from now on.
    pub fn remove(topic: Topic, key: &str) -> Self {
        Self::by(Outgoing { topic, key: key.as_bytes().to_vec(), payload: None })
    }

    /// Something that changes no thing of the log, and that somebody may ask for later all the same.
    pub fn told() -> Self {
        Self { record: None, action: "", entity: Default::default(), before: None, after: None }
    }

    fn by(record: Outgoing) -> Self {
        Self { record: Some(record), action: "", entity: Default::default(), before: None, after: None }
    }

    /// What was done, as `<kind>.<deed>`, and to which thing.
    #[must_use]
    pub fn of(self, action: &'static str, entity_type: impl Into<String>, entity_id: impl Into<String>) -> Self {
        Self { action, entity: (entity_type.into(), entity_id.into()), ..self }
    }

    /// The thing as it was; no secrets.
    #[must_use]
    pub fn from(self, before: &impl Serialize) -> Self {
        Self { before: value(before), ..self }
    }

    /// The thing as it is now; no secrets.
    #[must_use]
    pub fn to(self, after: &impl Serialize) -> Self {
        Self { after: value(after), ..self }
    }
}

fn value(of: &impl Serialize) -> Option<String> {
    serde_json::to_string(of).ok().filter(|text| text.len() <= LONGEST_VALUE)
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Write(WriteError::Unknown(_)) | LedgerError::TooSlow => Self::new(
                Code::Unknown,
                "Kafka did not say whether the change was written: all of it was, or nothing. Look before you send it again",
            ),
            LedgerError::Write(_) => {
                Self::new(Code::Unavailable, "nothing was changed: Kafka does not take it now; try again shortly")
            }
            LedgerError::Encode(error) => {
                tracing::error!(error = crate::wording::chain(&error), "a change does not fit its schema");
                Self::new(Code::Internal, "nothing was changed: the service made a mistake; its log says which")
            }
        }
    }
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        LedgerError::from(error).into()
    }
}

#[cfg(test)]
mod tests;
