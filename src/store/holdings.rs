//! What the tables hold by month, and how it goes: by whole partitions, by days, by tenant.
//!
//! In: questions, and decisions that were made elsewhere. Out: what is held; rows deleted. Absent: retention periods.

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Projection, Store, StoreError, TenantKey, history};
use crate::domain::{Day, TenantEvent};

/// How long a partition's drop waits for readers before it is tried again: whoever comes after it waits, too.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// Days of a tenant in one projection, within one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub projection: Projection,
    /// Key in table `tenants`.
    pub key: i32,
    pub tenant: String,
    /// The month's first day.
    pub month: Day,
    pub first: Day,
    pub last: Day,
}

/// The same as Postgres says it.
#[derive(sqlx::FromRow)]
struct Held {
    projection: String,
    tenant_key: i32,
    tenant_id: String,
    month: NaiveDate,
    first: NaiveDate,
    last: NaiveDate,
}

impl Store {
    /// Everything that is kept by day.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn holdings(&self) -> Result<Vec<Holding>, StoreError> {
        let rows: Result<Vec<Held>, _> = sqlx::query_as(
            "SELECT projection, tenant_key, tenant_id, date_trunc('month', day)::date AS month,
                    min(day) AS first, max(day) AS last
             FROM (SELECT projection, tenant_key, day FROM slices
                   UNION ALL SELECT 'days', tenant_key, day FROM day_facts
                   UNION ALL SELECT 'gathering', tenant_key, day FROM held_days
                   UNION ALL SELECT 'gathering', tenant_key, (started_at AT TIME ZONE 'UTC')::date FROM run_facts) AS held
             JOIN tenants USING (tenant_key) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4",
        )
        .fetch_all(self.pool())
        .await;
        let rows = rows.map_err(|error| self.sort(error))?.into_iter();
        let told = rows.filter_map(|held| {
            Some(Holding {
                projection: Projection::by_name(&held.projection)?,
                key: held.tenant_key,
                tenant: held.tenant_id,
                month: held.month.into(),
                first: held.first.into(),
                last: held.last.into(),
            })
        });
        Ok(told.collect())
    }

    /// The months that there are partitions of, by their first day.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn months(&self) -> Result<Vec<(Projection, Day)>, StoreError> {
        let mut months = Vec::new();
        for projection in Projection::ALL {
            let Some(table) = projection.slice_table() else { continue };
            let found: Result<Vec<NaiveDate>, _> = sqlx::query_scalar(
                "SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM '''([0-9-]+)''')::date
                 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass ORDER BY 1",
            )
            .bind(table)
            .fetch_all(self.pool())
            .await;
            let found = found.map_err(|error| self.sort(error))?.into_iter();
            months.extend(found.map(|month| (projection, Day::from(month))));
        }
        Ok(months)
    }

    /// Drops a month's partition with what says that it was there.
    ///
    /// Projectors keep in mind which partitions there are: the new generation makes them look again.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] also while readers hold the table; nothing has changed then.
    pub async fn drop_month(&self, projection: Projection, month: Day) -> Result<(), StoreError> {
        let Some(table) = projection.slice_table() else { return Ok(()) };
        let partition = format!("{table}_{}", month.date().format("%Y_%m"));
        let dropped = async {
            let mut tx = self.pool().begin().await?;
            sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
            next_generation(&mut tx, projection).await?;
            sqlx::query(
                "DELETE FROM slices WHERE projection = $1 AND day >= $2 AND day < ($2 + interval '1 month')::date",
            )
            .bind(projection.name())
            .bind(month.date())
            .execute(&mut *tx)
            .await?;
            if projection == Projection::Billing {
                history::delete_month(&mut tx, month).await?;
            }
            sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE IF EXISTS {partition}"))).execute(&mut *tx).await?;
            tx.commit().await
        };
        dropped.await.map_err(|error| self.sort(error))
    }

    /// Deletes a tenant's days `[from, before)` of a projection; gives back how many rows that were.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn delete_days(
        &self,
        projection: Projection,
        key: i32,
        from: Day,
        before: Day,
    ) -> Result<u64, StoreError> {
        let tables: &[(&str, &str)] = match (projection.slice_table(), projection) {
            (Some(table), Projection::Billing) => &[(table, "day"), ("replaced_lines", "day")],
            (Some(table), _) => &[(table, "day")],
            (None, Projection::Days) => &[("day_facts", "day"), ("day_revisions", "day")],
            (None, Projection::Gathering) => {
                &[("held_days", "day"), ("run_facts", "(started_at AT TIME ZONE 'UTC')::date")]
            }
            (None, _) => &[],
        };
        let deleted = async {
            let mut tx = self.pool().begin().await?;
            let mut rows = 0;
            // A projector in the middle of a batch would call a revision whole whose first rows are gone.
            hold(&mut tx, projection).await?;
            for (table, day) in tables {
                let facts = format!("DELETE FROM {table} WHERE tenant_key = $1 AND {day} >= $2 AND {day} < $3");
                let done = sqlx::query(AssertSqlSafe(facts)).bind(key).bind(from.date()).bind(before.date());
                rows += done.execute(&mut *tx).await?.rows_affected();
            }
            sqlx::query("DELETE FROM slices WHERE tenant_key = $1 AND day >= $2 AND day < $3 AND projection = $4")
                .bind(key)
                .bind(from.date())
                .bind(before.date())
                .bind(projection.name())
                .execute(&mut *tx)
                .await?;
            if projection == Projection::Days {
                delete_idle_rule_books(&mut tx, key).await?;
            }
            tx.commit().await?;
            Ok(rows)
        };
        deleted.await.map_err(|error| self.sort(error))
    }

    /// Deletes the dimensions that no row has any more, and the places of resources that no day has; gives back how many that
    /// were.
    ///
    /// Projectors keep keys of dimensions in mind: the new generation makes them look again, and keeps them out meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn delete_idle_dimensions(&self) -> Result<u64, StoreError> {
        let deleted = async {
            let mut tx = self.pool().begin().await?;
            next_generation(&mut tx, Projection::Chargebacks).await?;
            let deleted = sqlx::query(
                "DELETE FROM chargeback_dimensions d
                 WHERE NOT EXISTS (SELECT FROM chargeback_facts f WHERE f.dimension_key = d.dimension_key)",
            );
            let mut rows = deleted.execute(&mut *tx).await?.rows_affected();
            // A batch under way may be about to show a day with a resource whose place is there already.
            hold(&mut tx, Projection::Resources).await?;
            let placed = sqlx::query(
                "DELETE FROM resource_places p WHERE NOT EXISTS (
                     SELECT FROM resource_facts f WHERE f.tenant_key = p.tenant_key AND f.resource_id = p.resource_id)",
            );
            rows += placed.execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
            Ok(rows)
        };
        deleted.await.map_err(|error| self.sort(error))
    }

    /// Removes what the tables hold of a tenant that was forgotten, and keeps in mind what is not to come back.
    /// Repeated it does no more. Rows of later revisions stay.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer: what is left goes when it is called again.
    pub async fn forget(&self, event: &TenantEvent) -> Result<u64, StoreError> {
        let keys = self.tenant_keys(&[event.tenant.as_str()]).await?;
        let Some(TenantKey { tenant_key: key, .. }) = keys.into_iter().next() else { return Ok(0) };
        let last = i32::try_from(event.last_revision).unwrap_or(i32::MAX);
        let forgotten = async {
            self.mark_forgotten(key, last, event).await?;
            let mut rows = 0;
            for table in self.tables_of_revisions().await? {
                let delete = format!("DELETE FROM {table} WHERE tenant_key = $1 AND revision <= $2");
                rows +=
                    sqlx::query(AssertSqlSafe(delete)).bind(key).bind(last).execute(self.pool()).await?.rows_affected();
            }
            let entries = sqlx::query("DELETE FROM quarantine WHERE tenant_id = $1 AND at <= $2");
            rows += entries.bind(&event.tenant).bind(event.at).execute(self.pool()).await?.rows_affected();
            let runs = sqlx::query("DELETE FROM run_facts WHERE tenant_key = $1 AND started_at <= $2");
            rows += runs.bind(key).bind(event.at).execute(self.pool()).await?.rows_affected();
            let emitted = sqlx::query("DELETE FROM emission_facts WHERE tenant_key = $1 AND at <= $2");
            rows += emitted.bind(key).bind(event.at).execute(self.pool()).await?.rows_affected();
            let audit = sqlx::query("DELETE FROM audit_facts WHERE tenant_key = $1 AND at <= $2");
            rows += audit.bind(key).bind(event.at).execute(self.pool()).await?.rows_affected();
            let tags = sqlx::query("DELETE FROM tag_facts WHERE tenant_key = $1 AND at <= $2");
            rows += tags.bind(key).bind(event.at).execute(self.pool()).await?.rows_affected();
            let held = sqlx::query("DELETE FROM held_days WHERE tenant_key = $1 AND written_ms <= $2");
            rows += held.bind(key).bind(event.at.timestamp_millis()).execute(self.pool()).await?.rows_affected();
            for table in ["chargeback_months", "chargeback_sums"] {
                // Of rows that came later they are made again.
                let sums = AssertSqlSafe(format!("DELETE FROM {table} WHERE tenant_key = $1"));
                rows += sqlx::query(sums).bind(key).execute(self.pool()).await?.rows_affected();
            }
            rows += forget_days(self, key, last).await?;
            let mut tx = self.pool().begin().await?;
            hold(&mut tx, Projection::Days).await?;
            rows += delete_idle_rule_books(&mut tx, key).await?;
            tx.commit().await?;
            Ok(rows)
        };
        let rows: u64 = forgotten.await.map_err(|error| self.sort(error))?;
        Ok(rows + self.delete_idle_dimensions().await?)
    }

    /// From the commit on no projector writes what was forgotten: those in the middle of a batch are waited for.
    async fn mark_forgotten(&self, key: i32, last: i32, event: &TenantEvent) -> Result<(), sqlx::Error> {
        let mut tx = self.pool().begin().await?;
        sqlx::query("SELECT FROM projections ORDER BY projection FOR UPDATE").execute(&mut *tx).await?;
        sqlx::query(
            "UPDATE tenants SET forgotten_revision = greatest(forgotten_revision, $2),
                                forgotten_at = greatest(forgotten_at, $3) WHERE tenant_key = $1",
        )
        .bind(key)
        .bind(last)
        .bind(event.at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Tables with rows of tenants' revisions. All others have rules of their own.
    async fn tables_of_revisions(&self) -> Result<Vec<String>, sqlx::Error> {
        let found = sqlx::query_scalar(
            "SELECT c.oid::regclass::text
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_key'
             JOIN pg_attribute r ON r.attrelid = c.oid AND r.attname = 'revision'
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND c.relname <> 'held_days' ORDER BY 1",
        );
        found.fetch_all(self.pool()).await
    }
}

/// Days that were only known before are gone; of one that has come back, what was before is.
async fn forget_days(store: &Store, key: i32, last: i32) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query(
        "DELETE FROM day_facts WHERE tenant_key = $1 AND coalesce(sealed_revision, 0) <= $2
             AND coalesce(allocated_revision, 0) <= $2 AND coalesce(refused_revision, 0) <= $2",
    );
    let gone = gone.bind(key).bind(last).execute(store.pool()).await?.rows_affected();
    let statements = [
        "UPDATE day_facts SET allocated_revision = NULL, rows = NULL, amount = NULL, facts_digest = NULL,
             rows_digest = NULL, allocated_at = NULL WHERE tenant_key = $1 AND allocated_revision <= $2",
        "UPDATE day_facts SET refused_revision = NULL, refused_reason = NULL
         WHERE tenant_key = $1 AND refused_revision <= $2",
    ];
    for statement in statements {
        sqlx::query(statement).bind(key).bind(last).execute(store.pool()).await?;
    }
    Ok(gone)
}

/// Deletes a tenant's texts of rules that no day has any more. The projection `days` is held, so none is about to be used.
async fn delete_idle_rule_books(tx: &mut PgConnection, key: i32) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM rule_books b WHERE tenant_key = $1 AND NOT EXISTS (
             SELECT FROM day_facts d WHERE d.tenant_key = b.tenant_key AND d.rules_digest = b.digest)",
    );
    deleted.bind(key).execute(tx).await.map(|done| done.rows_affected())
}

/// Waits for whoever writes the projection, and keeps others from it until the transaction ends.
async fn hold(tx: &mut PgConnection, projection: Projection) -> Result<(), sqlx::Error> {
    let held = sqlx::query("SELECT FROM projections WHERE projection = $1 FOR UPDATE");
    held.bind(projection.name()).execute(tx).await.map(drop)
}

async fn next_generation(tx: &mut PgConnection, projection: Projection) -> Result<(), sqlx::Error> {
    let raised = sqlx::query("UPDATE projections SET generation = generation + 1 WHERE projection = $1");
    raised.bind(projection.name()).execute(tx).await.map(drop)
}
