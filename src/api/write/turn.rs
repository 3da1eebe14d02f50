//! Changes that depend on what is there: made one after the other, in all processes together, each on what those before it
//! left.
//!
//! A handler that looks first takes its turn, which waits until the tables have everything that lies in the topic; reads;
//! decides; and hands the turn over with what is to be written. The next one looks when that is in the log.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::catch_up::Waiting;
use super::{By, Change, EventPosition, LedgerError};
use crate::api::Api;
use crate::api::problem::{Code, Problem};
use crate::journal::ends::unread;
use crate::journal::{JournalError, Topic, blocking};
use crate::store::Position;

/// All topics of things that people change have one partition.
const PARTITION: i32 = 0;
/// Tables that seem behind for longer than this may have read everything: what lies behind their position is looked at.
const LOOK_CLOSER_AFTER: Duration = Duration::from_millis(200);

/// The right to look and to change; the next one waits for it.
#[derive(Debug)]
pub(in crate::api) struct Turn {
    everywhere: crate::store::Turn,
    _here: OwnedMutexGuard<()>,
}

impl Api {
    /// Takes the turn to change things of a topic, and sees to it that the tables have all of them.
    ///
    /// # Errors
    /// A [`Problem`] if others keep the turn for longer than a request may take, or the tables are seconds behind.
    pub(in crate::api) async fn turn_to_change(&self, topic: Topic) -> Result<Turn, Problem> {
        // Here first, so that those who wait keep no connection.
        let here = tokio::time::timeout(self.limit(), std::sync::Arc::clone(&self.changing).lock_owned()).await;
        let busy = |_| Problem::new(Code::Busy, "nothing was changed: too many changes are waiting; try again shortly");
        let here = here.map_err(busy)?;
        let everywhere = self.store.turn("changes", self.limit()).await?;
        let turn = Turn { everywhere, _here: here };
        self.caught_up(topic).await?;
        Ok(turn)
    }

    /// Waits until the tables have everything that lies in a topic of one partition now.
    ///
    /// # Errors
    /// A [`Problem`] if they do not for seconds, or Kafka does not answer.
    pub(in crate::api) async fn caught_up(&self, topic: Topic) -> Result<(), Problem> {
        let mut end = None;
        let mut looked_closer = false;
        let waiting = Waiting::begin(&self.moved);
        loop {
            let told = waiting.told();
            if end.is_none() {
                end = self.ledger.end(topic).await?;
            }
            if let Some(end) = &end {
                // Behind the last record lies the marker of its transaction, which readers do not see.
                let last = Position { topic: self.ledger.topic(topic), partition: PARTITION, next: end.high - 1 };
                if end.behind(None) == 0 || !self.store.behind(std::slice::from_ref(&last)).await? {
                    return Ok(());
                }
                if waiting.waited() > LOOK_CLOSER_AFTER && !looked_closer {
                    looked_closer = true;
                    if self.is_read(topic, &last.topic, end.low).await? {
                        return Ok(());
                    }
                }
            }
            if !waiting.goes_on(told).await {
                let behind = "nothing was changed: the tables do not have the last changes yet, and this one depends on \
                              them; try again shortly";
                return Err(Problem::new(Code::Behind, behind));
            }
        }
    }

    /// Is no record left behind the position of the tables? Transactions that were aborted and records that were compacted
    /// leave offsets that nobody reads.
    async fn is_read(&self, topic: Topic, name: &str, low: i64) -> Result<bool, Problem> {
        let positions = self.store.positions().await?;
        let next =
            positions.iter().filter(|(_, at)| at.topic == name && at.partition == PARTITION).map(|(_, at)| at.next);
        let next = next.min().unwrap_or(low);
        let connection = self.ledger.connection.clone();
        let left = blocking(move || unread(&connection, &[(topic, PARTITION, next)])).await;
        left.map(|left| left.is_empty()).map_err(silent)
    }
}

impl Turn {
    /// Writes the changes of a request, and lets the next one look. It does so also if the client does not wait for the
    /// answer any more: else the next one might look while the change is under way.
    ///
    /// # Errors
    /// As [`super::Ledger::write`].
    pub(in crate::api) async fn write(
        self,
        api: &Api,
        by: &By,
        tenant: Option<&str>,
        changes: Vec<Change>,
    ) -> Result<EventPosition, LedgerError> {
        let (ledger, by, tenant) = (api.ledger.clone(), by.clone(), tenant.map(str::to_owned));
        self.during(async move { ledger.write(&by, tenant.as_deref(), changes).await }).await
    }

    /// As [`Self::write`], for a change that is made elsewhere.
    ///
    /// # Errors
    /// Those of the change.
    pub(in crate::api) async fn during(
        self,
        change: impl Future<Output = Result<EventPosition, LedgerError>> + Send + 'static,
    ) -> Result<EventPosition, LedgerError> {
        let written = tokio::spawn(async move {
            let written = change.await;
            self.everywhere.end().await;
            written
        });
        // A task that did not end has not said what it did.
        written.await.unwrap_or(Err(LedgerError::TooSlow))
    }
}

/// What a caller is told whose change was not begun because Kafka did not say what was there.
pub(super) fn silent(error: JournalError) -> Problem {
    tracing::warn!(error = crate::wording::chain(&error), "a change was not begun");
    Problem::new(Code::Unavailable, "nothing was changed: Kafka does not answer now; try again shortly")
}
