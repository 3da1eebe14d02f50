//! Billing lines: what was charged, as the provider said it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::chargebacks::{CountParams, Question};
use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag};
use crate::api::params::{Filters, PageParams, Params, RangeParams};
use crate::api::problem::Problem;
use crate::domain::Day;
use crate::store::read::{BillingRow, Dataset};

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
}

/// Place in the list and in ids: the day and the texts of the line's key.
type Place = (NaiveDate, [String; 5]);

/// Billing lines of a range, by day and key
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/billing-lines", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, PageParams, CountParams),
    responses((status = 200, body = Listing<BillingLine>), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(filters): Params<Filters>,
    Params(page): Params<PageParams>,
    Params(count): Params<CountParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let question = Question::read(&api, &tenant, Dataset::Billing, &range, &filters)?;
    let (mut reader, _turn) = api.reader().await?;
    let version = reader.version(&[Dataset::Billing.projection()]).await?;
    let cursor = question.cursor("");
    let page = cursor.page::<Place>(&page)?;
    let after = page.after.clone().map(|(day, texts)| (Day::from(day), texts));
    let rows = reader.billing(&question.of, after.as_ref(), page.limit + 1).await?;
    let place = |row: &BillingRow| cursor.text(&place(row));
    let mut body = Listing::of(rows, page.limit, place, item);
    if count.exact() {
        body.total = Some(reader.count(Dataset::Billing, &question.of).await?);
    }
    let tag = tag(&version, &format!("{question:?} {page:?} {count:?}"));
    Ok(Kept { tag, body }.respond(&headers))
}

/// One billing line
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/billing-lines/{id}", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the line")),
    responses((status = 200, body = BillingLine), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<BillingLine>, Problem> {
    let tenant = api.tenant(&tenant)?;
    let missing = || Problem::not_found("billing line", &id);
    let bytes = URL_SAFE_NO_PAD.decode(&id).map_err(|_| missing())?;
    let (day, texts): Place = serde_json::from_slice(&bytes).map_err(|_| missing())?;
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(missing());
    }
    let (mut reader, _turn) = api.reader().await?;
    let row = reader.billing_line(&tenant.tenant_id, &(Day::from(day), texts)).await?;
    row.map(item).map(Json).ok_or_else(missing)
}

fn place(row: &BillingRow) -> Place {
    let (day, texts) = row.key();
    (day.date(), texts)
}

fn item(row: BillingRow) -> BillingLine {
    BillingLine {
        id: URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place(&row)).expect("a place is plain data")),
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
    }
}
