//! The rows that emitters write, in their stable order, and the days that have any.

use chrono::NaiveDate;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::FromRow;

use super::super::{ExportedRow, Projection};
use super::{Reader, StoreError};
use crate::domain::{Aggregation, Day, EmittedRows};

/// A day that readers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleDay {
    pub day: Day,
    pub revision: u32,
    /// Its rows in the table.
    pub rows: u32,
}

#[derive(FromRow)]
struct Found {
    day: NaiveDate,
    revision: i32,
    rows: i32,
}

/// Bytes decide the order, not the server's language.
macro_rules! by {
    ($first:literal $(, $column:literal)*) => { concat!($first, " COLLATE \"C\"" $(, ", ", $column, " COLLATE \"C\"")*) };
}

macro_rules! midnight {
    ($day:literal) => {
        concat!("to_char(", $day, ", 'YYYY-MM-DD') || 'T00:00:00+00:00'")
    };
}

const CHOSEN: &str = " WHERE tenant_id = $1 AND day >= $2 AND day < $3 ";

const CHARGEBACKS: (&str, &str) = (
    concat!(
        "SELECT ecosystem, tenant_id, ",
        midnight!("day"),
        ", resource_id, product_category, product_type, identity_id, cost_type, trim_scale(amount)::text,
         allocation_method, allocation_detail, env_id, currency FROM chargebacks"
    ),
    concat!(
        "ORDER BY day, ",
        by!(
            "env_id",
            "resource_id",
            "product_category",
            "product_type",
            "identity_id",
            "cost_type",
            "allocation_method",
            "coalesce(allocation_detail, '')",
            "currency",
            "target"
        ),
        ", tier"
    ),
);

/// Environments are added up; a group of several methods shows the last of them by name.
const CHARGEBACK_SUMS: (&str, &str) = (
    concat!(
        "SELECT ecosystem, tenant_id, ",
        midnight!("$2"),
        ", resource_id, product_category, product_type, identity_id, cost_type, trim_scale(sum(amount))::text,
         max(allocation_method COLLATE \"C\"), NULL::text, NULL::text, currency FROM chargebacks"
    ),
    concat!(
        "GROUP BY ecosystem, tenant_id, resource_id, product_category, product_type, identity_id, cost_type, currency
         ORDER BY ",
        by!("resource_id", "product_category", "product_type", "identity_id", "cost_type", "currency", "ecosystem")
    ),
);

const TOPICS: (&str, &str) = (
    concat!(
        "SELECT ecosystem, tenant_id, ",
        midnight!("day"),
        ", env_id, cluster_resource_id, topic_name, product_category, product_type, attribution_method,
         trim_scale(amount)::text, currency FROM topic_attributions"
    ),
    concat!(
        "ORDER BY day, ",
        by!(
            "env_id",
            "cluster_resource_id",
            "product_category",
            "product_type",
            "topic_name",
            "attribution_method",
            "currency",
            "ecosystem"
        )
    ),
);

const TOPIC_SUMS: (&str, &str) = (
    concat!(
        "SELECT ecosystem, tenant_id, ",
        midnight!("$2"),
        ", env_id, cluster_resource_id, topic_name, product_category, product_type,
         max(attribution_method COLLATE \"C\"), trim_scale(sum(amount))::text, currency FROM topic_attributions"
    ),
    concat!(
        "GROUP BY ecosystem, tenant_id, env_id, cluster_resource_id, topic_name, product_category, product_type, currency
         ORDER BY ",
        by!("env_id", "cluster_resource_id", "product_category", "product_type", "topic_name", "currency", "ecosystem")
    ),
);

/// The columns of an emitted table, in order.
pub fn emitted_columns(dataset: EmittedRows) -> &'static [&'static str] {
    match dataset {
        EmittedRows::Chargebacks => &[
            "ecosystem",
            "tenant_id",
            "timestamp",
            "resource_id",
            "product_category",
            "product_type",
            "identity_id",
            "cost_type",
            "amount",
            "allocation_method",
            "allocation_detail",
            "env_id",
            "currency",
        ],
        EmittedRows::TopicAttributions => &[
            "ecosystem",
            "tenant_id",
            "timestamp",
            "env_id",
            "cluster_resource_id",
            "topic_name",
            "product_category",
            "product_type",
            "attribution_method",
            "amount",
            "currency",
        ],
    }
}

fn projection(dataset: EmittedRows) -> Projection {
    match dataset {
        EmittedRows::Chargebacks => Projection::Chargebacks,
        EmittedRows::TopicAttributions => Projection::TopicAttributions,
    }
}

impl Reader {
    /// The days `[from, to)` that readers see whole, in order.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn visible(
        &mut self,
        dataset: EmittedRows,
        tenant: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<VisibleDay>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT s.day, s.revision, s.expected AS rows FROM slices s JOIN tenants t USING (tenant_key)
             WHERE s.complete AND s.projection = ",
        );
        query.push_bind(projection(dataset).name()).push(" AND t.tenant_id = ").push_bind(tenant.to_owned());
        query.push(" AND s.day >= ").push_bind(from.date()).push(" AND s.day < ").push_bind(to.date());
        query.push(" ORDER BY s.day");
        let found: Vec<Found> = self.all(query).await?;
        // Written from `u32`s that were checked to fit.
        let day = |found: Found| VisibleDay {
            day: found.day.into(),
            revision: found.revision as u32,
            rows: found.rows as u32,
        };
        Ok(found.into_iter().map(day).collect())
    }

    /// The rows of the days `[from, to)` under [`emitted_columns`], as texts.
    pub fn emitted<'a>(
        &'a mut self,
        dataset: EmittedRows,
        aggregation: Aggregation,
        tenant: &str,
        from: Day,
        to: Day,
    ) -> BoxStream<'a, Result<ExportedRow, StoreError>> {
        let summed = aggregation != Aggregation::Rows;
        let (select, rest) = match (dataset, summed) {
            (EmittedRows::Chargebacks, false) => CHARGEBACKS,
            (EmittedRows::Chargebacks, true) => CHARGEBACK_SUMS,
            (EmittedRows::TopicAttributions, false) => TOPICS,
            (EmittedRows::TopicAttributions, true) => TOPIC_SUMS,
        };
        let store = self.store.clone();
        sqlx::query(sqlx::AssertSqlSafe(format!("{select}{CHOSEN}{rest}")))
            .bind(tenant.to_owned())
            .bind(from.date())
            .bind(to.date())
            .fetch(&mut *self.tx)
            .map_ok(ExportedRow::of)
            .map_err(move |error| store.sort(error))
            .boxed()
    }
}
