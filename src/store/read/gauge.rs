//! The series behind gauges: sums over days or months by the labels that are exposed, each series with its points.

use chrono::NaiveDate;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Reader, StoreError, amount};
use crate::domain::{Amount, Day};

/// A family of series: what it counts, by which labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GaugeFamily {
    Chargeback,
    Billing,
    Resource,
    Identity,
    Topic,
    /// What a day cost, by the labels of an hourly cost; only amounts in USD.
    HourlyUsd,
}

/// Which points to read.
#[derive(Debug, Clone)]
pub struct GaugeQuery {
    pub tenant: String,
    /// First days of the periods, in order.
    pub periods: Vec<Day>,
    /// The day after the last period.
    pub end: Day,
    /// Are the periods months? Days otherwise.
    pub monthly: bool,
}

/// One point of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaugePoint {
    /// In the order of [`GaugeFamily::labels`].
    pub values: Vec<String>,
    /// First day of its period.
    pub day: Day,
    pub value: Amount,
}

/// Who found out whose cost it is: measured for this identity; known as its owner; shared out or nobody's.
const CONFIDENCE: &str = "CASE WHEN f.usage IS NOT NULL THEN 'high'
    WHEN f.target <> 'identity' OR f.allocation_method IN ('even_split', 'default', 'unknown', 'terminal') THEN 'low'
    ELSE 'medium' END";

impl GaugeFamily {
    /// Each label with the expression that it is read by.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Chargeback => &[
                ("tenant_id", "f.tenant_id"),
                ("ecosystem", "f.ecosystem"),
                ("identity_id", "f.identity_id"),
                ("resource_id", "f.resource_id"),
                ("product_type", "f.product_type"),
                ("cost_type", "f.cost_type"),
                ("allocation_method", "f.allocation_method"),
                ("currency", "f.currency"),
            ],
            Self::Billing => &[
                ("tenant_id", "f.tenant_id"),
                ("ecosystem", "f.ecosystem"),
                ("resource_id", "f.resource_id"),
                ("product_type", "f.product_type"),
                ("product_category", "f.product_category"),
                ("currency", "f.currency"),
            ],
            Self::Resource => &[
                ("tenant_id", "f.tenant_id"),
                ("ecosystem", "f.ecosystem"),
                ("resource_id", "f.resource_id"),
                ("resource_type", "f.resource_type"),
            ],
            Self::Identity => &[
                ("tenant_id", "f.tenant_id"),
                ("ecosystem", "f.ecosystem"),
                ("identity_id", "f.identity_id"),
                ("identity_type", "f.identity_type"),
            ],
            Self::Topic => &[
                ("tenant_id", "f.tenant_id"),
                ("ecosystem", "f.ecosystem"),
                ("env_id", "f.env_id"),
                ("cluster_resource_id", "f.cluster_resource_id"),
                ("topic_name", "f.topic_name"),
                ("product_category", "f.product_category"),
                ("product_type", "f.product_type"),
                ("attribution_method", "f.attribution_method"),
                ("currency", "f.currency"),
            ],
            Self::HourlyUsd => &[
                ("org_id", "f.tenant_id"),
                ("env_id", "coalesce(nullif(f.env_id, ''), 'unknown')"),
                ("cluster_id", "coalesce(nullif(f.resource_id, ''), 'unknown')"),
                ("principal_id", "f.identity_id"),
                ("business_unit", "'unknown'"),
                ("product", "f.product_category"),
                ("cost_center", "'unknown'"),
                ("allocation_confidence", CONFIDENCE),
            ],
        }
    }

    /// The labels, in order.
    pub fn labels(self) -> impl Iterator<Item = &'static str> {
        self.columns().iter().map(|(label, _)| *label)
    }

    fn view(self) -> &'static str {
        match self {
            Self::Chargeback | Self::HourlyUsd => "chargebacks",
            Self::Billing => "billing",
            Self::Resource => "resources",
            Self::Identity => "identities",
            Self::Topic => "topic_attributions",
        }
    }

    /// Does it count what exists, rather than add up money?
    fn counts(self) -> bool {
        matches!(self, Self::Resource | Self::Identity)
    }

    fn query(self, monthly: bool) -> String {
        let columns: Vec<&str> = self.columns().iter().map(|(_, column)| *column).collect();
        let labels = self.columns().len();
        let (value, bucket) = match (self.counts(), monthly) {
            // What is there as a period begins.
            (true, _) => ("'1'", "f.day"),
            (false, true) => ("sum(f.amount)::text", "date_trunc('month', f.day)::date"),
            (false, false) => ("sum(f.amount)::text", "f.day"),
        };
        let only = match self {
            Self::Resource | Self::Identity => {
                " AND (f.created_at IS NULL OR f.created_at <= f.day::timestamp AT TIME ZONE 'UTC')
                  AND (f.deleted_at IS NULL OR f.deleted_at > f.day::timestamp AT TIME ZONE 'UTC')"
            }
            Self::HourlyUsd => " AND f.currency = 'USD'",
            _ => "",
        };
        let grouped: Vec<String> = (1..=labels + 1).map(|column| column.to_string()).collect();
        let ordered: Vec<String> = (1..=labels).map(|column| format!("l{column} COLLATE \"C\"")).collect();
        let named: Vec<String> = columns.iter().zip(1..).map(|(column, n)| format!("{column} AS l{n}")).collect();
        format!(
            "SELECT * FROM (
                SELECT {}, {bucket} AS bucket, {value} AS value FROM {} f
                WHERE f.tenant_id = $1 AND f.day >= $2 AND f.day < $3 AND {bucket} = ANY($4){only}
                GROUP BY {}
             ) points ORDER BY {}, bucket",
            named.join(", "),
            self.view(),
            grouped.join(", "),
            ordered.join(", ")
        )
    }
}

impl Reader {
    /// The points of a family, series by series in the order of their labels, each from its first period on.
    pub fn gauge<'a>(
        &'a mut self,
        family: GaugeFamily,
        ask: &GaugeQuery,
    ) -> BoxStream<'a, Result<GaugePoint, StoreError>> {
        let labels = family.columns().len();
        let store = self.store.clone();
        let begin = ask.periods.first().copied().unwrap_or(ask.end);
        sqlx::query(sqlx::AssertSqlSafe(family.query(ask.monthly)))
            .bind(ask.tenant.clone())
            .bind(begin.date())
            .bind(ask.end.date())
            .bind(ask.periods.iter().map(|day| day.date()).collect::<Vec<NaiveDate>>())
            .fetch(&mut *self.tx)
            .map_err(move |error| store.sort(error))
            .and_then(move |row| std::future::ready(point(&row, labels)))
            .boxed()
    }
}

fn point(row: &PgRow, labels: usize) -> Result<GaugePoint, StoreError> {
    let read = || -> Result<(Vec<String>, NaiveDate, String), sqlx::Error> {
        let values = (0..labels).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
        Ok((values, row.try_get(labels)?, row.try_get(labels + 1)?))
    };
    let (values, day, value) = read().map_err(StoreError::Statement)?;
    Ok(GaugePoint { values, day: day.into(), value: amount("chargebacks", &value)? })
}
