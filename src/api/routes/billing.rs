//! Billing lines: what was charged, as the provider said it.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::as_of;
use super::chargebacks::parse_id;
use super::lists::{self, Asked, CountParams};
use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag, tags};
use crate::api::params::{AsOfParams, Filters, PageParams, Params, RangeParams, moment_of};
use crate::api::problem::Problem;
use crate::store::Projection;
use crate::store::read::{BillingRow, Selection};

/// What was charged for one product of one resource on one day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BillingLine {
    /// Stays the same when the day is corrected or the tables are rebuilt.
    id: String,
    day: NaiveDate,
    /// The revision of the day that this is.
    revision: i32,
    ecosystem: String,
    env_id: String,
    resource_id: String,
    resource_name: Option<String>,
    product_category: String,
    product_type: String,
    /// Decimal text, as all amounts.
    quantity: String,
    unit_price: String,
    amount: String,
    /// Before discounts, where the provider tells it.
    original_amount: Option<String>,
    currency: String,
    granularity: String,
    period_start: DateTime<Utc>,
    /// Excluded.
    period_end: DateTime<Utc>,
    /// The provider's own rows behind the line, as received.
    evidence: Vec<String>,
    /// The cloud of the resource, and below its region, where its provider says so.
    cloud: Option<String>,
    region: Option<String>,
    /// Of the resource.
    tags: BTreeMap<String, String>,
}

/// Billing lines of a range, by day and key
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/billing-lines", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, AsOfParams, PageParams, CountParams),
    responses((status = 200, content((Listing<BillingLine> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    lists::list(&api, &tenant, asked, item).await
}

/// One billing line
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/billing-lines/{id}", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the line"), AsOfParams),
    responses((status = 200, body = BillingLine), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    Params(as_of): Params<AsOfParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?;
    let as_of = moment_of(as_of.as_of.as_deref(), &RangeParams::default())?;
    let missing = || Problem::not_found("billing line", &id);
    let (day, _) = parse_id(&id).ok_or_else(missing)?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let made_from = [Projection::Billing, Projection::Days, Projection::Resources, Projection::Tags];
    let version = reader.version(&made_from).await?;
    let of = Selection { as_of, ..Selection::of_day(&tenant.tenant_id, day) };
    as_of::known_days(&mut reader, &of).await?;
    let row = reader.billing_line(&of, &id).await?;
    let body = row.map(item).ok_or_else(missing)?;
    Ok(Kept { tag: tag(&version, &format!("billing line {id} {of:?}")), body }.respond(&headers))
}

fn item(row: BillingRow) -> BillingLine {
    BillingLine {
        id: row.id,
        day: row.day,
        revision: row.revision,
        ecosystem: row.ecosystem,
        env_id: row.env_id,
        resource_id: row.resource_id,
        resource_name: row.resource_name,
        product_category: row.product_category,
        product_type: row.product_type,
        quantity: row.quantity,
        unit_price: row.unit_price,
        amount: row.amount,
        original_amount: row.original_amount,
        currency: row.currency,
        granularity: row.granularity,
        period_start: row.period_start,
        period_end: row.period_end,
        evidence: row.evidence,
        cloud: row.cloud,
        region: row.region,
        tags: tags(&row.tags),
    }
}
