//! Chargebacks of whole months, added up by dimension: what sums over long spans are made of.
//!
//! In: slices that readers see. Out: a sum for each dimension of a tenant's month, and which slices are in it. A reader takes
//! sums only if those slices are what it sees ([`super::read`]), so nothing here has to keep up with a projection. Absent: when
//! it is time to add up.

use chrono::NaiveDate;
use sqlx::FromRow;

use super::transaction::lock_generation;
use super::{Projection, Store, StoreError};

/// A tenant's month whose sums are not of the slices that readers see.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct MonthBehind {
    /// Key in table `tenants`.
    pub tenant_key: i32,
    /// Its first day.
    pub month: NaiveDate,
    /// The days that readers see; none: all of them are gone.
    pub days: Vec<NaiveDate>,
    /// Of these days.
    pub revisions: Vec<i32>,
}

impl Store {
    /// The months that are to be added up, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn months_behind(&self) -> Result<Vec<MonthBehind>, StoreError> {
        let found = sqlx::query_as(
            "SELECT tenant_key, month, coalesce(s.days, '{}') AS days, coalesce(s.revisions, '{}') AS revisions
             FROM (SELECT tenant_key, date_trunc('month', day)::date AS month, array_agg(day ORDER BY day) AS days,
                          array_agg(revision ORDER BY day) AS revisions
                   FROM slices WHERE projection = 'chargebacks' AND complete GROUP BY 1, 2) s
             FULL JOIN chargeback_months m USING (tenant_key, month)
             WHERE s.days IS DISTINCT FROM m.days OR s.revisions IS DISTINCT FROM m.revisions ORDER BY month, tenant_key",
        );
        found.fetch_all(self.pool()).await.map_err(|error| self.sort(error))
    }

    /// Adds a month up anew; one without slices goes. The rows and what is said of them are of one moment, whatever is
    /// written meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; a transient one also if another process did the same, or the projection was emptied. Nothing has
    /// changed then.
    pub async fn add_up_month(&self, tenant_key: i32, month: NaiveDate) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 4] = [
            "DELETE FROM chargeback_months WHERE tenant_key = $1 AND month = $2",
            "DELETE FROM chargeback_sums WHERE tenant_key = $1 AND month = $2",
            "INSERT INTO chargeback_months (tenant_key, month, days, revisions)
             SELECT $1, $2, array_agg(day ORDER BY day), array_agg(revision ORDER BY day) FROM slices
             WHERE projection = 'chargebacks' AND complete AND tenant_key = $1
               AND day >= $2 AND day < ($2 + interval '1 month')::date HAVING count(*) > 0",
            "INSERT INTO chargeback_sums (tenant_key, month, dimension_key, amount, rows)
             SELECT $1, $2, f.dimension_key, sum(f.amount), count(*) FROM chargeback_facts f
             JOIN slices s ON s.projection = 'chargebacks' AND s.tenant_key = f.tenant_key AND s.day = f.day
                          AND s.revision = f.revision AND s.complete
             WHERE f.tenant_key = $1 AND f.day >= $2 AND f.day < ($2 + interval '1 month')::date
             GROUP BY f.dimension_key ORDER BY f.dimension_key",
        ];
        let added = async {
            let mut tx = self.pool().begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
            // Keeps rebuilds and retention out: they would empty what is being read.
            lock_generation(&mut tx, Projection::Chargebacks).await?;
            for statement in STATEMENTS {
                sqlx::query(statement).bind(tenant_key).bind(month).execute(&mut *tx).await?;
            }
            tx.commit().await
        };
        added.await.map_err(|error| self.sort(error))
    }
}
