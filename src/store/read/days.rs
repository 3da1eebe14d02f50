//! Tenants and their days: how far each has come.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};
use crate::domain::Day;

/// What the tables hold of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TenantFacts {
    pub tenant_id: String,
    pub days_sealed: i64,
    /// Days whose newest seal is allocated.
    pub days_allocated: i64,
    pub days_refused: i64,
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
    pub last_allocated_at: Option<DateTime<Utc>>,
}

/// How far a day has come; revisions are those of the newest that is there, absent where there is none.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DayOf {
    pub day: NaiveDate,
    pub sealed_revision: Option<i32>,
    pub seal_digest: Option<String>,
    pub seal_reason: Option<String>,
    pub gathered_at: Option<DateTime<Utc>>,
    pub billing_lines: Option<i32>,
    pub metrics_failed: Option<Vec<String>>,
    pub quarantined: Option<i32>,
    pub allocated_revision: Option<i32>,
    pub rows: Option<i32>,
    /// Plain decimal text.
    pub amount: Option<String>,
    pub allocated_at: Option<DateTime<Utc>>,
    pub outcome: Option<String>,
    pub refused_revision: Option<i32>,
    pub refused_reason: Option<String>,
    pub billing_revision: Option<i32>,
    pub chargebacks_revision: Option<i32>,
    /// Files and gauges of the day: those that are out, those that failed, those that were left out.
    pub emitted: i64,
    pub emissions_failed: i64,
    pub emissions_skipped: i64,
}

/// A day that has rows.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Availability {
    pub day: NaiveDate,
    pub revision: i32,
    pub rows: i32,
}

impl Reader {
    /// What is known of these tenants, in their order; nothing of one that was never seen.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tenants(&mut self, ids: &[String]) -> Result<Vec<TenantFacts>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT w.tenant_id, count(d.sealed_revision) AS days_sealed,
                    count(*) FILTER (WHERE d.allocated_revision >= d.sealed_revision) AS days_allocated,
                    count(*) FILTER (WHERE d.refused_revision > coalesce(d.allocated_revision, 0)) AS days_refused,
                    min(d.day) FILTER (WHERE d.sealed_revision IS NOT NULL) AS first_day,
                    max(d.day) FILTER (WHERE d.sealed_revision IS NOT NULL) AS last_day,
                    max(d.allocated_at) AS last_allocated_at
             FROM unnest(",
        );
        query.push_bind(ids.to_vec()).push(
            ") WITH ORDINALITY AS w (tenant_id, place) LEFT JOIN tenants t ON t.tenant_id = w.tenant_id
             LEFT JOIN day_facts d ON d.tenant_key = t.tenant_key GROUP BY w.tenant_id, w.place ORDER BY w.place",
        );
        self.all(query).await
    }

    /// The days `[from, to)` of which anything is known, in order.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn days(&mut self, tenant: &str, from: Day, to: Day) -> Result<Vec<DayOf>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT day, sealed_revision, seal_digest, seal_reason, gathered_at, billing_lines, metrics_failed,
                    quarantined, allocated_revision, rows, trim_scale(amount)::text AS amount, allocated_at, outcome,
                    refused_revision, refused_reason, billing_revision, chargebacks_revision,
                    e.emitted, e.emissions_failed, e.emissions_skipped
             FROM days, LATERAL (
                SELECT count(*) FILTER (WHERE m.outcome = 'emitted') AS emitted,
                       count(*) FILTER (WHERE m.outcome = 'failed') AS emissions_failed,
                       count(*) FILTER (WHERE m.outcome = 'skipped') AS emissions_skipped
                FROM emissions m
                WHERE m.tenant_id = days.tenant_id AND m.day = days.day AND m.aggregation <> 'monthly') e
             WHERE tenant_id = ",
        );
        query.push_bind(tenant.to_owned()).push(" AND day >= ").push_bind(from.date());
        query.push(" AND day < ").push_bind(to.date()).push(" ORDER BY day");
        self.all(query).await
    }

    /// The days of which readers see the newest revision that was sealed, in order; conditions do not matter.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn complete_days(&mut self, dataset: Dataset, of: &Selection) -> Result<Vec<NaiveDate>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT d.day FROM day_facts d JOIN tenants t USING (tenant_key)
             JOIN slices s ON s.tenant_key = d.tenant_key AND s.day = d.day AND s.complete
                          AND s.revision >= d.sealed_revision AND s.projection = ",
        );
        query.push_bind(dataset.projection().name()).push(" WHERE t.tenant_id = ").push_bind(of.tenant.clone());
        query.push(" AND d.day >= ").push_bind(of.from.date()).push(" AND d.day < ").push_bind(of.to.date());
        query.push(" ORDER BY d.day");
        let days: Vec<(NaiveDate,)> = self.all(query).await?;
        Ok(days.into_iter().map(|(day,)| day).collect())
    }

    /// The days `[from, to)` that have rows, in order.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn available(
        &mut self,
        dataset: Dataset,
        tenant: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Availability>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT s.day, s.revision, s.expected AS rows FROM slices s JOIN tenants t USING (tenant_key)
             WHERE s.complete AND s.projection = ",
        );
        query.push_bind(dataset.projection().name()).push(" AND t.tenant_id = ").push_bind(tenant.to_owned());
        query.push(" AND s.day >= ").push_bind(from.date()).push(" AND s.day < ").push_bind(to.date());
        query.push(" ORDER BY s.day, s.revision");
        self.all(query).await
    }
}
