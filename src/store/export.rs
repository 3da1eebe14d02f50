//! Reads whole tables of a tenant in a stable total order, one row at a time.
//!
//! In: tenant and days. Out: a stream of rows whose columns are texts, as they are written to files. Postgres sorts and
//! sends; nothing is held here but the row in hand.

use chrono::NaiveDate;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Store, StoreError};
use crate::domain::Day;

/// A tenant's days from `from` (included) to `to` (excluded); no limit where there is none.
#[derive(Debug, Clone)]
pub struct ExportRange {
    pub tenant: String,
    pub from: Option<Day>,
    pub to: Option<Day>,
}

/// A table that can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    Billing,
    Resources,
    Identities,
    Chargebacks,
    TopicAttributions,
    Days,
}

/// Moments to the microsecond, without trailing zeros.
macro_rules! moment {
    ($column:literal) => {
        concat!("rtrim(rtrim(to_char(", $column, ", 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z'")
    };
}

/// Amounts in plain notation, without trailing zeros.
macro_rules! amount {
    ($column:literal) => {
        concat!("trim_scale(", $column, ")::text")
    };
}

macro_rules! midnight {
    () => {
        "to_char(day, 'YYYY-MM-DD') || 'T00:00:00Z'"
    };
}

macro_rules! chosen {
    () => {
        " WHERE tenant_id = $1 AND day >= $2 AND day < $3"
    };
}

const BILLING: &str = concat!(
    "SELECT ecosystem, tenant_id, ",
    midnight!(),
    ", env_id, resource_id, product_category, product_type, ",
    amount!("quantity"),
    ", ",
    amount!("unit_price"),
    ", ",
    amount!("amount"),
    ", currency, granularity, '0' FROM billing",
    chosen!(),
    " ORDER BY day, env_id COLLATE \"C\", resource_id COLLATE \"C\", product_category COLLATE \"C\",
      product_type COLLATE \"C\", currency COLLATE \"C\", ecosystem COLLATE \"C\""
);

const RESOURCES: &str = concat!(
    "SELECT ecosystem, tenant_id, resource_id, resource_type, display_name, parent_id, owner_id,
            CASE WHEN deleted_at IS NULL THEN 'active' ELSE 'deleted' END,
            attributes->>'cloud', attributes->>'region', ",
    moment!("created_at"),
    ", ",
    moment!("deleted_at"),
    ", (attributes - 'cloud' - 'region')::text
     FROM (SELECT DISTINCT ON (resource_id COLLATE \"C\") * FROM resources",
    chosen!(),
    " ORDER BY resource_id COLLATE \"C\", day DESC) newest ORDER BY resource_id COLLATE \"C\""
);

const IDENTITIES: &str = concat!(
    "SELECT ecosystem, tenant_id, identity_id, identity_type, display_name, ",
    moment!("created_at"),
    ", ",
    moment!("deleted_at"),
    ", (attributes || jsonb_strip_nulls(jsonb_build_object('owner_id', owner_id, 'resource_id', resource_id)))::text
     FROM (SELECT DISTINCT ON (identity_id COLLATE \"C\") * FROM identities",
    chosen!(),
    " ORDER BY identity_id COLLATE \"C\", day DESC) newest ORDER BY identity_id COLLATE \"C\""
);

const CHARGEBACKS: &str = concat!(
    "SELECT ecosystem, tenant_id, ",
    midnight!(),
    ", env_id, resource_id, product_category, product_type, identity_id, cost_type, allocation_method,
     allocation_detail, ",
    amount!("amount"),
    " FROM chargebacks",
    chosen!(),
    " ORDER BY day, env_id COLLATE \"C\", resource_id COLLATE \"C\", product_category COLLATE \"C\",
      product_type COLLATE \"C\", identity_id COLLATE \"C\", cost_type COLLATE \"C\", allocation_method COLLATE \"C\",
      allocation_detail COLLATE \"C\" NULLS FIRST, currency COLLATE \"C\", target COLLATE \"C\", tier,
      ecosystem COLLATE \"C\""
);

const TOPIC_ATTRIBUTIONS: &str = concat!(
    "SELECT ecosystem, tenant_id, ",
    midnight!(),
    ", env_id, cluster_resource_id, topic_name, product_category, product_type, attribution_method, ",
    amount!("amount"),
    ", currency FROM topic_attributions",
    chosen!(),
    " ORDER BY day, env_id COLLATE \"C\", cluster_resource_id COLLATE \"C\", product_category COLLATE \"C\",
      product_type COLLATE \"C\", topic_name COLLATE \"C\", attribution_method COLLATE \"C\", currency COLLATE \"C\",
      ecosystem COLLATE \"C\""
);

const DAYS: &str = concat!(
    "SELECT to_char(day, 'YYYY-MM-DD'), (billing_revision IS NOT NULL)::int::text,
            (resources_revision IS NOT NULL AND identities_revision IS NOT NULL)::int::text,
            (chargebacks_revision IS NOT NULL)::int::text, coalesce(topic_rows > 0, false)::int::text,
            coalesce(topic_rows > 0, false)::int::text,
            sealed_revision::text, allocated_revision::text, outcome, refused_reason, billing_lines::text, rows::text, ",
    amount!("amount"),
    ", quarantined::text, array_to_string(metrics_failed, ' '), ",
    moment!("gathered_at"),
    " FROM days LEFT JOIN day_topic_attributions USING (tenant_id, day)",
    chosen!(),
    " AND (sealed_revision IS NOT NULL OR outcome IS NOT NULL)",
    " ORDER BY day"
);

impl Exported {
    /// The names of the columns, in order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Billing => &[
                "ecosystem",
                "tenant_id",
                "timestamp",
                "env_id",
                "resource_id",
                "product_category",
                "product_type",
                "quantity",
                "unit_price",
                "total_cost",
                "currency",
                "granularity",
                "allocation_attempts",
            ],
            Self::Resources => &[
                "ecosystem",
                "tenant_id",
                "resource_id",
                "resource_type",
                "display_name",
                "parent_id",
                "owner_id",
                "status",
                "cloud",
                "region",
                "created_at",
                "deleted_at",
                "metadata",
            ],
            Self::Identities => &[
                "ecosystem",
                "tenant_id",
                "identity_id",
                "identity_type",
                "display_name",
                "created_at",
                "deleted_at",
                "metadata",
            ],
            Self::Chargebacks => &[
                "ecosystem",
                "tenant_id",
                "timestamp",
                "env_id",
                "resource_id",
                "product_category",
                "product_type",
                "identity_id",
                "cost_type",
                "allocation_method",
                "allocation_detail",
                "amount",
            ],
            Self::TopicAttributions => &[
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
            Self::Days => &[
                "tracking_date",
                "billing_gathered",
                "resources_gathered",
                "chargeback_calculated",
                "topic_overlay_gathered",
                "topic_attribution_calculated",
                "revision",
                "allocated_revision",
                "outcome",
                "reason",
                "billing_lines",
                "rows",
                "amount",
                "quarantined",
                "metrics_failed",
                "gathered_at",
            ],
        }
    }

    /// The column that holds a JSON object, if there is one.
    pub fn json_column(self) -> Option<usize> {
        self.columns().iter().position(|name| *name == "metadata")
    }

    fn query(self) -> &'static str {
        match self {
            Self::Billing => BILLING,
            Self::Resources => RESOURCES,
            Self::Identities => IDENTITIES,
            Self::Chargebacks => CHARGEBACKS,
            Self::TopicAttributions => TOPIC_ATTRIBUTIONS,
            Self::Days => DAYS,
        }
    }
}

impl Store {
    /// The rows of a table, as texts.
    pub fn export(&self, what: Exported, range: &ExportRange) -> BoxStream<'_, Result<ExportedRow, StoreError>> {
        let earliest = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default();
        let latest = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or_default();
        sqlx::query(what.query())
            .bind(range.tenant.clone())
            .bind(range.from.map_or(earliest, Day::date))
            .bind(range.to.map_or(latest, Day::date))
            .fetch(self.pool())
            .map_ok(ExportedRow)
            .map_err(|error| self.sort(error))
            .boxed()
    }
}

/// One row of an exported table.
pub struct ExportedRow(PgRow);

impl std::fmt::Debug for ExportedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportedRow({} columns)", self.0.len())
    }
}

impl ExportedRow {
    pub(super) fn of(row: PgRow) -> Self {
        Self(row)
    }

    /// A column's text, `None` where there is no value.
    ///
    /// # Errors
    /// [`StoreError::Statement`] if the column does not exist.
    pub fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        self.0.try_get(column).map_err(StoreError::Statement)
    }
}
