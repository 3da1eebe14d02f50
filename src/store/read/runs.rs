//! Cycles of a tenant, newest first, and the newest day that has rows.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{Reader, StoreError};

/// A cycle of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RunRow {
    pub run_id: String,
    pub instance: String,
    pub trigger: String,
    /// Ids of the commands that it answers.
    pub commands: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub status: String,
    pub from_day: Option<NaiveDate>,
    pub to_day: Option<NaiveDate>,
    /// Days that it looks at; `None` until it has read the bill.
    pub wanted: Option<i32>,
    pub sealed: i32,
    pub unchanged: i32,
    pub held: i32,
    pub quarantined: i32,
    pub errors: Vec<String>,
    pub failures_in_a_row: i32,
    pub suspended: Option<String>,
    pub next_due_at: Option<DateTime<Utc>>,
    /// Of the sealed days those that are allocated, those that allocation refused, and those whose rows can be read.
    pub allocated: i32,
    pub refused: i32,
    pub projected: i32,
}

/// A place in the order of runs.
pub type RunPlace = (DateTime<Utc>, String);

/// How far the tables of a tenant are.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TenantReadiness {
    pub tenant_id: String,
    pub last_billing_day: Option<NaiveDate>,
    pub last_chargeback_day: Option<NaiveDate>,
    pub last_run_status: Option<String>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub suspended: Option<String>,
}

/// Runs with what became of the days that they sealed. Which those are is told by when: a tenant has one gatherer, so its runs are
/// one after the other, and what is sealed within one has been sealed by it. Where clocks stand still it may be more, and no more
/// than the run says counts.
const RUNS: &str = "SELECT r.run_id, r.instance, r.trigger, r.commands, r.started_at, r.ended_at, r.status, r.from_day, r.to_day, \
     r.wanted, r.sealed, r.unchanged, r.held, r.quarantined, r.errors, r.failures_in_a_row, r.suspended, r.next_due_at, \
     least(c.allocated, r.sealed)::int AS allocated, least(c.refused, r.sealed)::int AS refused, \
     least(c.projected, r.sealed)::int AS projected \
     FROM run_facts r CROSS JOIN LATERAL ( \
         SELECT count(*) FILTER (WHERE d.allocated_revision >= v.revision) AS allocated, \
             count(*) FILTER (WHERE d.refused_revision >= v.revision AND d.allocated_revision IS DISTINCT FROM v.revision) AS refused, \
             count(*) FILTER (WHERE d.allocated_revision >= v.revision AND 2 = ( \
                 SELECT count(*) FROM slices s WHERE s.tenant_key = r.tenant_key AND s.day = v.day AND s.complete \
                     AND s.projection IN ('billing', 'chargebacks') AND s.revision >= v.revision)) AS projected \
         FROM (SELECT day, max(revision) AS revision FROM day_revisions \
               WHERE tenant_key = r.tenant_key AND gathered_at >= r.started_at \
                 AND gathered_at <= coalesce(r.ended_at, 'infinity') GROUP BY day) v \
         LEFT JOIN day_facts d ON d.tenant_key = r.tenant_key AND d.day = v.day) c \
     WHERE r.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ";

impl Reader {
    /// Runs after `after`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn runs(
        &mut self,
        tenant: &str,
        after: Option<&RunPlace>,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut query = QueryBuilder::new(RUNS);
        query.push_bind(tenant.to_owned()).push(")");
        if let Some((started, id)) = after {
            query.push(" AND (r.started_at, r.run_id COLLATE \"C\") < (").push_bind(*started);
            query.push(", ").push_bind(id.clone()).push(")");
        }
        query.push(" ORDER BY r.started_at DESC, r.run_id COLLATE \"C\" DESC LIMIT ").push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The run of this id, or the newest that answers the command of this id.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn run(&mut self, tenant: &str, id: &str) -> Result<Option<RunRow>, StoreError> {
        let mut query = QueryBuilder::new(RUNS);
        query.push_bind(tenant.to_owned()).push(") AND (r.run_id = ").push_bind(id.to_owned());
        query.push(" OR r.commands @> ARRAY[").push_bind(id.to_owned());
        query.push("]) ORDER BY r.started_at DESC, r.run_id COLLATE \"C\" DESC LIMIT 1");
        self.one(query).await
    }

    /// How far the tables of these tenants are, in their order.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn readiness(&mut self, tenants: &[String]) -> Result<Vec<TenantReadiness>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT w.tenant_id,
                (SELECT max(day) FROM slices s WHERE s.tenant_key = t.tenant_key AND s.projection = 'billing'
                    AND s.complete AND s.expected > 0) AS last_billing_day,
                (SELECT max(day) FROM slices s WHERE s.tenant_key = t.tenant_key AND s.projection = 'chargebacks'
                    AND s.complete AND s.expected > 0) AS last_chargeback_day,
                r.status AS last_run_status, coalesce(r.ended_at, r.started_at) AS last_run_at, r.suspended
             FROM unnest(",
        );
        query.push_bind(tenants.to_vec()).push(
            ") WITH ORDINALITY AS w (tenant_id, place) LEFT JOIN tenants t ON t.tenant_id = w.tenant_id
             LEFT JOIN LATERAL (SELECT * FROM run_facts f WHERE f.tenant_key = t.tenant_key AND f.status <> 'skipped'
                 ORDER BY f.started_at DESC LIMIT 1) r ON true ORDER BY w.place",
        );
        self.all(query).await
    }
}
