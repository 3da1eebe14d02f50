//! Questions of people and programs to the tables: pages of rows, sums over any dimensions, what exists.
//!
//! In: a tenant, days, conditions over known fields. Out: plain values, amounts exact. Each question is one read-only
//! transaction with a time limit that Postgres itself keeps, so work that nobody waits for any more ends. Absent: HTTP,
//! cursors, wording for people.

mod aggregate;
mod audit;
mod chosen;
mod columns;
mod dataset;
mod days;
mod dimensions;
mod emission;
mod explanation;
mod files;
mod gauge;
mod graph;
mod history;
mod inventory;
mod issues;
mod known;
mod rows;
mod runs;
mod span;
mod tagged;
mod tags;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::{FromRow, QueryBuilder, Transaction};

pub use aggregate::{Aggregate, Bucket, Cell};
pub use audit::{AuditQuery, AuditRow};
pub use columns::{Column, Kind, Rows};
pub use dataset::{Condition, Dataset, Field, Operator};
pub use days::{Availability, DayOf, TenantFacts};
pub use dimensions::DimensionValue;
pub use emission::{VisibleDay, emitted_columns};
pub use explanation::Explained;
pub use files::Chargebacks;
pub use gauge::{GaugeFamily, GaugePoint, GaugeQuery};
pub use graph::{FoundRow, ThingRow, Within};
pub use history::LineRevisionRow;
pub use inventory::{EntityCount, EntityOrder, EntityPlace, EntityRow, InventoryQuery, ResourceOrIdentity};
pub use issues::Issue;
pub use known::KnownDay;
pub(super) use rows::LINE_ID;
pub use rows::{BillingRow, ChargebackRowOf, Listed, Place, TopicRow};
pub use runs::{RunPlace, RunRow, TenantReadiness};
pub use tagged::Tagged;
pub use tags::{TagCount, TagPlace, TagQuery, TagRow};

use super::{Store, StoreError};
use crate::domain::{Amount, Day};

/// The rows of a tenant's days that fulfil every condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The tenant's id, as in the facts.
    pub tenant: String,
    /// First day, included.
    pub from: Day,
    /// Last day, excluded.
    pub to: Day,
    pub conditions: Vec<Condition>,
    /// As they were known at this moment, of billing lines; no other rows are kept of revisions that were replaced.
    pub as_of: Option<DateTime<Utc>>,
}

impl Selection {
    /// All rows of one day.
    pub fn of_day(tenant: &str, day: Day) -> Self {
        Self { tenant: tenant.to_owned(), from: day, to: day.plus(1), conditions: Vec::new(), as_of: None }
    }
}

/// One read-only view of the tables: everything asked through it is of one moment.
#[derive(Debug)]
pub struct Reader {
    pub(super) tx: Transaction<'static, Postgres>,
    store: Store,
}

impl Store {
    /// Opens a view of one tenant in which no statement may take longer than `limit`. On a store that is
    /// [walled](Store::walled) it holds no rows of other tenants, whatever is asked; of a tenant that was never seen, none.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if Postgres does not answer or all connections stay busy.
    pub async fn reader_of(&self, tenant: &str, limit: Duration) -> Result<Reader, StoreError> {
        self.view(limit, Some(tenant), self.wall.as_deref()).await
    }

    /// Opens a view of all tenants in which no statement may take longer than `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if Postgres does not answer or all connections stay busy.
    pub async fn reader(&self, limit: Duration) -> Result<Reader, StoreError> {
        self.view(limit, None, None).await
    }

    async fn view(&self, limit: Duration, tenant: Option<&str>, role: Option<&str>) -> Result<Reader, StoreError> {
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut tx = self.pool().begin_with(begin).await.map_err(|error| self.sort(error))?;
        // The role comes last: from then on only the tenant's own row of `tenants` is there. Each question is planned for the
        // days and values it asks for: a plan for any of them reads whole months for one identity's rows. Sums of hundreds of
        // thousands of rows stay in memory.
        let set = sqlx::query(
            "SELECT set_config('statement_timeout', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true),
                    set_config('work_mem', '32MB', true),
                    set_config('tributary.tenant',
                               coalesce((SELECT tenant_key::text FROM tenants WHERE tenant_id = $2), ''), true),
                    set_config('role', $3, true)",
        );
        let limit = format!("{}ms", limit.as_millis().max(1));
        let set = set.bind(limit).bind(tenant).bind(role.unwrap_or("none"));
        set.execute(&mut *tx).await.map_err(|error| self.sort(error))?;
        Ok(Reader { tx, store: self.clone() })
    }
}

impl Reader {
    async fn all<T>(&mut self, mut query: QueryBuilder<Postgres>) -> Result<Vec<T>, StoreError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, sqlx::postgres::PgRow>,
    {
        let rows = query.build_query_as::<T>().fetch_all(&mut *self.tx).await;
        rows.map_err(|error| self.store.sort(error))
    }

    async fn one<T>(&mut self, mut query: QueryBuilder<Postgres>) -> Result<Option<T>, StoreError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, sqlx::postgres::PgRow>,
    {
        let row = query.build_query_as::<T>().fetch_optional(&mut *self.tx).await;
        row.map_err(|error| self.store.sort(error))
    }

    /// What changes whenever a table that `projections` write may have changed: for answers that a client keeps.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn version(&mut self, projections: &[super::Projection]) -> Result<String, StoreError> {
        let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
        let query: sqlx::query::QueryAs<'_, Postgres, (String,), PgArguments> = sqlx::query_as(
            "SELECT md5(coalesce(string_agg(concat_ws('/', p.projection, p.generation, o.topic, o.partition, o.next_offset),
                                            ' ' ORDER BY p.projection, o.topic, o.partition), ''))
             FROM projections p LEFT JOIN positions o USING (projection) WHERE p.projection = ANY($1)",
        );
        let row = query.bind(names).fetch_one(&mut *self.tx).await;
        row.map(|(digest,)| digest).map_err(|error| self.store.sort(error))
    }
}

impl Reader {
    /// How often a projection was rebuilt.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn generation(&mut self, projection: super::Projection) -> Result<i32, StoreError> {
        let query = sqlx::query_scalar("SELECT generation FROM projections WHERE projection = $1");
        let generation = query.bind(projection.name()).fetch_one(&mut *self.tx).await;
        generation.map_err(|error| self.store.sort(error))
    }
}

/// A sum as Postgres prints it.
fn amount(table: &'static str, text: &str) -> Result<Amount, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt { table, what: "an amount", value: text.to_owned() })
}
