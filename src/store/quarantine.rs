//! What was set aside, as a table: written from its topic, read by people.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::text::storable;
use super::{ProjectionTx, Store, StoreError};
use crate::domain::Quarantined;
use crate::domain::quarantine::{Stage, Status};

/// Names of stages in the table.
const STAGES: [(Stage, &str); 3] =
    [(Stage::Gather, "gather"), (Stage::Allocate, "allocate"), (Stage::Project, "project")];
/// Names of what became of an entry.
const STATUSES: [(Status, &str); 2] = [(Status::Open, "open"), (Status::Resent, "resent")];

fn name<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(known, _)| known == value).map_or("", |(_, name)| name)
}

/// The name of a stage.
pub fn stage_name(stage: Stage) -> &'static str {
    name(&STAGES, &stage)
}

/// The name of what became of an entry.
pub fn status_name(status: Status) -> &'static str {
    name(&STATUSES, &status)
}

impl ProjectionTx {
    /// The ids of those entries that are in quarantine already, or were forgotten with their tenant. Asked in the open
    /// transaction: a second connection for each projection could be one more than the pool has.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn known_quarantined(&mut self, entries: &[Quarantined]) -> Result<Vec<String>, StoreError> {
        let found = sqlx::query_scalar(
            "SELECT id FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS given (id, tenant_id, written_at)
             WHERE EXISTS (SELECT FROM quarantine q WHERE q.id = given.id)
                OR EXISTS (SELECT FROM tenants t WHERE t.tenant_id = given.tenant_id AND given.written_at <= t.forgotten_at)",
        )
        .bind(entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.tenant.as_deref().map(storable)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.at).collect::<Vec<_>>());
        found.fetch_all(&mut *self.tx).await.map_err(|error| StoreError::of(error, self.store.address()))
    }

    /// Deletes the entries of these ids: their topic has a tombstone for them.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn delete_quarantine(&mut self, ids: &[String]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let deleted = sqlx::query("DELETE FROM quarantine WHERE id = ANY($1)").bind(ids).execute(&mut *self.tx).await;
        deleted.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }

    /// Writes entries, each id once. What was sent again stays so, whatever arrives later.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_quarantine(&mut self, entries: &[&Quarantined]) -> Result<(), StoreError> {
        // Entries are few and may be large: one by one keeps the statement small.
        for entry in entries {
            let written = sqlx::query(
                "INSERT INTO quarantine AS q
                    (id, tenant_id, day, stage, source, topic, partition, \"offset\", key, payload, reason, status, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT (id) DO UPDATE SET
                    tenant_id = excluded.tenant_id, day = excluded.day, stage = excluded.stage,
                    source = excluded.source, topic = excluded.topic, partition = excluded.partition,
                    \"offset\" = excluded.\"offset\", key = excluded.key, payload = excluded.payload,
                    reason = excluded.reason, status = excluded.status, at = excluded.at
                 WHERE q.status <> 'resent'",
            )
            .bind(storable(&entry.id))
            .bind(entry.tenant.as_deref().map(storable))
            .bind(entry.day.map(|day| day.date()))
            .bind(stage_name(entry.stage))
            .bind(storable(&entry.source))
            .bind(entry.topic.as_deref().map(storable))
            .bind(entry.partition)
            .bind(entry.offset)
            .bind(entry.key.as_deref())
            .bind(&entry.payload)
            .bind(storable(&entry.reason))
            .bind(status_name(entry.status))
            .bind(entry.at)
            .execute(&mut *self.tx)
            .await;
            written.map_err(|error| StoreError::of(error, self.store.address()))?;
        }
        Ok(())
    }
}

impl Store {
    /// Entries, newest first, without their bytes; `open` leaves out what was sent again.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn quarantine(&self, open: bool, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, day, stage, source, topic, partition, \"offset\", NULL::bytea AS key,
                    ''::bytea AS payload, reason, status, at
             FROM quarantine WHERE status = 'open' OR NOT $1 ORDER BY at DESC, id LIMIT $2",
        )
        .bind(open)
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await
        .map_err(|error| self.sort(error))?;
        rows.iter().map(|row| self.entry(row)).collect()
    }

    /// Entries whose id begins with `id`; people type the first few characters.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn quarantined(&self, id: &str) -> Result<Vec<Quarantined>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, day, stage, source, topic, partition, \"offset\", key, payload, reason, status, at
             FROM quarantine WHERE starts_with(id, $1) ORDER BY id LIMIT 10",
        )
        .bind(id)
        .fetch_all(self.pool())
        .await
        .map_err(|error| self.sort(error))?;
        rows.iter().map(|row| self.entry(row)).collect()
    }

    fn entry(&self, row: &PgRow) -> Result<Quarantined, StoreError> {
        let text = |column: &'static str| row.try_get::<String, _>(column).map_err(|error| self.sort(error));
        let (stage, status) = (text("stage")?, text("status")?);
        let read = || -> Result<Quarantined, sqlx::Error> {
            Ok(Quarantined {
                id: row.try_get("id")?,
                tenant: row.try_get("tenant_id")?,
                day: row.try_get::<Option<NaiveDate>, _>("day")?.map(Into::into),
                stage: STAGES.iter().find(|(_, name)| *name == stage).map_or(Stage::Project, |(stage, _)| *stage),
                source: row.try_get("source")?,
                topic: row.try_get("topic")?,
                partition: row.try_get("partition")?,
                offset: row.try_get("offset")?,
                key: row.try_get("key")?,
                payload: row.try_get("payload")?,
                reason: row.try_get("reason")?,
                status: STATUSES.iter().find(|(_, name)| *name == status).map_or(Status::Open, |(status, _)| *status),
                at: row.try_get::<DateTime<Utc>, _>("at")?,
            })
        };
        read().map_err(|error| self.sort(error))
    }
}
