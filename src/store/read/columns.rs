//! The columns of each dataset as files have them, and the rows under them as texts.
//!
//! Postgres writes the texts: amounts in plain notation, moments and days as ISO 8601 has them. Nothing is held here but
//! the row in hand.

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::{Postgres, QueryBuilder};

use super::super::ExportedRow;
use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};

/// What a column holds, for formats that tell kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// An exact decimal with at most 14 places.
    Decimal,
    /// A whole number within 32 bits.
    Integer,
    /// A weight, not money.
    Float,
    /// `2026-02-01`.
    Day,
    /// `2026-02-01T00:00:00Z`, to the microsecond.
    Moment,
    /// A JSON value.
    Json,
}

/// A column of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Its text as SQL.
    sql: &'static str,
}

impl Column {
    /// Its text as SQL.
    pub(super) fn sql(&self) -> &'static str {
        self.sql
    }

    /// Has it the tags of a row?
    pub(super) fn is_tags(&self) -> bool {
        self.name == "tags"
    }
}

macro_rules! column {
    ($name:literal, Text, $sql:expr) => {
        Column { name: $name, kind: Kind::Text, sql: $sql }
    };
    ($name:literal, Json, $sql:expr) => {
        Column { name: $name, kind: Kind::Json, sql: $sql }
    };
    ($name:literal, Decimal, $sql:expr) => {
        Column { name: $name, kind: Kind::Decimal, sql: concat!("trim_scale(", $sql, ")::text") }
    };
    ($name:literal, Moment, $sql:expr) => {
        Column {
            name: $name,
            kind: Kind::Moment,
            sql: concat!("rtrim(rtrim(to_char(", $sql, ", 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z'"),
        }
    };
    ($name:literal, $kind:ident, $sql:expr) => {
        Column { name: $name, kind: Kind::$kind, sql: concat!($sql, "::text") }
    };
}

macro_rules! columns {
    ($($name:literal $kind:ident $sql:expr),* $(,)?) => { &[$(column!($name, $kind, $sql)),*] };
}

const BILLING: &[Column] = columns! {
    "id" Text super::rows::LINE_ID,
    "day" Day "f.day",
    "revision" Integer "f.revision",
    "ecosystem" Text "f.ecosystem",
    "env_id" Text "f.env_id",
    "resource_id" Text "f.resource_id",
    "resource_name" Text "f.resource_name",
    "product_category" Text "f.product_category",
    "product_type" Text "f.product_type",
    "quantity" Decimal "f.quantity",
    "unit_price" Decimal "f.unit_price",
    "amount" Decimal "f.amount",
    "original_amount" Decimal "f.original_amount",
    "currency" Text "f.currency",
    "granularity" Text "f.granularity",
    "period_start" Moment "f.period_start",
    "period_end" Moment "f.period_end",
    "evidence" Json "to_json(f.evidence)::text",
    "cloud" Text super::rows::LINE_CLOUD,
    "region" Text super::rows::LINE_REGION,
    "tags" Json super::rows::LINE_TAGS,
};

const CHARGEBACKS: &[Column] = columns! {
    "id" Text "f.day::text || '-' || encode(d.fingerprint, 'hex')",
    "day" Day "f.day",
    "revision" Integer "f.revision",
    "ecosystem" Text "d.ecosystem",
    "env_id" Text "d.env_id",
    "resource_id" Text "d.resource_id",
    "product_category" Text "d.product_category",
    "product_type" Text "d.product_type",
    "identity_id" Text "d.identity_id",
    "target" Text "d.target",
    "cost_type" Text "d.cost_type",
    "allocation_method" Text "d.allocation_method",
    "allocation_detail" Text "d.allocation_detail",
    "amount" Decimal "f.amount",
    "currency" Text "d.currency",
    "tier" Integer "d.tier",
    "share" Float "f.share",
    "usage" Float "f.usage",
    "confidence" Text super::rows::CHARGEBACK_CONFIDENCE,
    "cloud" Text super::rows::CHARGEBACK_CLOUD,
    "region" Text super::rows::CHARGEBACK_REGION,
    "tags" Json super::rows::CHARGEBACK_TAGS,
};

const TOPIC_COSTS: &[Column] = columns! {
    "day" Day "f.day",
    "revision" Integer "f.revision",
    "ecosystem" Text "f.ecosystem",
    "env_id" Text "f.env_id",
    "cluster_resource_id" Text "f.cluster_resource_id",
    "topic_name" Text "f.topic_name",
    "product_category" Text "f.product_category",
    "product_type" Text "f.product_type",
    "attribution_method" Text "f.attribution_method",
    "amount" Decimal "f.amount",
    "currency" Text "f.currency",
    "share" Float "f.share",
    "usage" Float "f.usage",
    "cloud" Text super::rows::TOPIC_CLOUD,
    "region" Text super::rows::TOPIC_REGION,
    "tags" Json super::rows::TOPIC_TAGS,
};

impl Dataset {
    /// Its columns, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Billing => BILLING,
            Self::Chargebacks => CHARGEBACKS,
            Self::TopicCosts => TOPIC_COSTS,
        }
    }
}

/// A question for rows of billing or topic costs as texts. Where tags belong it has the id of what is tagged, which
/// [`Tagged`](super::Tagged) puts them in place of.
pub struct Rows(QueryBuilder<Postgres>);

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rows").field(&self.0.sql().as_str()).finish()
    }
}

impl Rows {
    /// The chosen rows under `columns`, in the order in which pages list them.
    ///
    /// Postgres sorts what is chosen as a whole: ask for a few days at a time.
    pub fn of(dataset: Dataset, columns: &[Column], of: &Selection) -> Self {
        let text = |column: &Column| if column.is_tags() { dataset.resource_id() } else { column.sql };
        let texts: Vec<&str> = columns.iter().map(text).collect();
        let mut query = QueryBuilder::new(format!("SELECT {}", texts.join(", ")));
        dataset.push_from(&mut query, of);
        query.push(format_args!(" ORDER BY {}", dataset.order()));
        Self(query)
    }
}

impl Reader {
    /// The rows, as Postgres sends them.
    pub fn rows<'a>(&'a mut self, rows: &'a mut Rows) -> BoxStream<'a, Result<ExportedRow, StoreError>> {
        let Self { tx, store } = self;
        let found = rows.0.build().fetch(&mut **tx);
        found.map_ok(ExportedRow::of).map_err(|error| store.sort(error)).boxed()
    }
}
