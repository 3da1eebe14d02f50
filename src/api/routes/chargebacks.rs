//! Chargeback rows: who pays which part, and what could not be split as its rule wished.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::lists::{self, Asked, CountParams, Question};
use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag, tags};
use crate::api::params::{Filters, PageParams, Params, RangeParams};
use crate::api::problem::Problem;
use crate::domain::Day;
use crate::store::Projection;
use crate::store::read::{ChargebackRowOf, Dataset, Issue};

/// One target's part of one billing line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chargeback {
    /// Stays the same when the day is corrected or the tables are rebuilt.
    id: String,
    day: NaiveDate,
    /// The revision of the day that this is.
    revision: i32,
    ecosystem: String,
    env_id: String,
    resource_id: String,
    product_category: String,
    product_type: String,
    /// An identity, the resource's own id, or `UNALLOCATED`, as `target` says.
    identity_id: String,
    /// `identity`, `resource` or `unallocated`.
    target: String,
    /// `usage` or `shared`.
    cost_type: String,
    allocation_method: String,
    allocation_detail: Option<String>,
    /// Decimal text.
    amount: String,
    currency: String,
    /// Which tier of the product type's rule fired, from 0.
    tier: i32,
    /// The target's share of the part that was split, 0 to 1.
    share: f64,
    /// The usage that the share rests on, where it rests on usage.
    usage: Option<f64>,
    /// How well the share is founded: `high` (on measured usage of this target, or the rule names the target), `medium` (on inferred
    /// usage, on usage of an unknown principal, or it is the product's rule to split evenly), `low` (a stand-in, or nobody found).
    confidence: String,
    /// The cloud of the resource, and below its region, where its provider says so.
    cloud: Option<String>,
    region: Option<String>,
    /// Of the resource, and where that has none of a key, of the identity.
    tags: BTreeMap<String, String>,
}

/// Chargeback rows of a range, by day
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/chargebacks", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, PageParams, CountParams),
    responses((status = 200, content((Listing<Chargeback> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    lists::list(&api, &tenant, asked, item).await
}

/// One chargeback row
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/chargebacks/{id}", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the row")),
    responses((status = 200, body = Chargeback), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?;
    let missing = || Problem::not_found("chargeback row", &id);
    let (day, fingerprint) = parse_id(&id).ok_or_else(missing)?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let version = reader.version(&[Projection::Chargebacks, Projection::Resources, Projection::Tags]).await?;
    let row = reader.chargeback(&tenant.tenant_id, day, &fingerprint).await?;
    let body = row.map(item).ok_or_else(missing)?;
    Ok(Kept { tag: tag(&version, &format!("chargeback {} {id}", tenant.tenant_id)), body }.respond(&headers))
}

/// What fell back, added up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssueItem {
    ecosystem: String,
    env_id: String,
    resource_id: String,
    product_type: String,
    identity_id: String,
    /// Why the row is not what its rule wished.
    allocation_detail: String,
    currency: String,
    row_count: i64,
    /// Decimal texts.
    usage_amount: String,
    shared_amount: String,
    amount: String,
}

/// Rows that were not split as their rule wished, added up, dearest first
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/allocation-issues", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, PageParams),
    responses((status = 200, body = Listing<IssueItem>), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn issues(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(filters): Params<Filters>,
    Params(page): Params<PageParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let question = Question::read(&api, &tenant, Dataset::Chargebacks, &range, &filters, None)?;
    let (mut reader, _turn) = api.reader(&question.of.tenant).await?;
    // Sums move when days come; a place among them holds as long as the tables do.
    let version = reader.version(&[Projection::Chargebacks, Projection::Resources, Projection::Tags]).await?;
    let cursor = question.cursor(&version);
    let page = cursor.page::<u32>(&page)?;
    let tag = tag(&version, &format!("issues {question:?} {page:?}"));
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    let skip = page.after.unwrap_or(0);
    let rows = reader.issues(&question.of, skip, page.limit + 1).await?;
    let next = cursor.text(&skip.saturating_add(page.limit));
    Ok(Kept { tag, body: Listing::of(rows, page.limit, |_| next.clone(), issue) }.page(&headers))
}

fn issue(of: Issue) -> IssueItem {
    IssueItem {
        ecosystem: of.ecosystem,
        env_id: of.env_id,
        resource_id: of.resource_id,
        product_type: of.product_type,
        identity_id: of.identity_id,
        allocation_detail: of.allocation_detail,
        currency: of.currency,
        row_count: of.row_count,
        usage_amount: of.usage_amount,
        shared_amount: of.shared_amount,
        amount: of.amount,
    }
}

fn item(row: ChargebackRowOf) -> Chargeback {
    Chargeback {
        id: id(row.day, &row.fingerprint),
        day: row.day,
        revision: row.revision,
        ecosystem: row.ecosystem,
        env_id: row.env_id,
        resource_id: row.resource_id,
        product_category: row.product_category,
        product_type: row.product_type,
        identity_id: row.identity_id,
        target: row.target,
        cost_type: row.cost_type,
        allocation_method: row.allocation_method,
        allocation_detail: row.allocation_detail,
        amount: row.amount,
        currency: row.currency,
        tier: row.tier,
        share: row.share,
        usage: row.usage,
        confidence: row.confidence,
        cloud: row.cloud,
        region: row.region,
        tags: tags(&row.tags),
    }
}

/// `2026-02-01-<hex of the dimensions' fingerprint>`.
fn id(day: NaiveDate, fingerprint: &[u8]) -> String {
    let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{day}-{hex}")
}

pub(super) fn parse_id(id: &str) -> Option<(Day, Vec<u8>)> {
    let (day, hex) = (id.get(..10)?, id.get(11..)?);
    let digits = id.as_bytes()[10] == b'-' && hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    let fingerprint = digits.then(|| (0..32).step_by(2).map(byte).collect::<Option<Vec<u8>>>())??;
    Some((day.parse().ok()?, fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        let day: Day = "2026-02-01".parse().unwrap();
        let fingerprint: Vec<u8> = (0..16).map(|n| n * 16 + 1).collect();
        assert_eq!(parse_id(&id(day.date(), &fingerprint)), Some((day, fingerprint)));
        for text in ["", "2026-02-01", "2026-02-01-", "2026-02-01-zz", "2026-02-01-é", "0123456789a"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
