//! Why a chargeback row is what it is.

use axum::Json;
use axum::extract::{Path, State};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::chargebacks::parse_id;
use crate::api::Api;
use crate::api::problem::{Code, Problem};
use crate::domain::explanation::{Applied, Explanation as Told, Inputs};
use crate::store::read::ChargebackRowOf;

/// Who pays, by which rule, from which inputs, with which share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The row's id.
    id: String,
    /// All of it in one sentence.
    sentence: String,
    day: NaiveDate,
    /// An identity, the resource's own id, or `UNALLOCATED`, as `target` says.
    identity_id: String,
    /// What people call it, where the inventory says so.
    identity_name: Option<String>,
    /// `identity`, `resource` or `unallocated`.
    target: String,
    /// What was billed.
    resource_id: String,
    resource_name: Option<String>,
    /// The row's own amount, decimal text.
    amount: String,
    currency: String,
    /// `usage` or `shared`.
    cost_type: String,
    allocation_method: String,
    allocation_detail: Option<String>,
    line: ExplainedLine,
    /// The rule that was applied; `null` while a newer revision of the day is on its way, and for a row that no rule made: the part
    /// of a line in which its resource did not exist, and a line that could not be split.
    rule: Option<ExplainedRule>,
    /// What was split in the same way as the row's amount: the line, or a part of it. Decimal text.
    split_amount: String,
    /// How many share that, also those whose part is too small for a unit.
    targets: usize,
    /// The row's share of it, 0 to 1.
    share: f64,
    /// The usage that the share rests on, where it rests on usage.
    inputs: Option<ExplainedInputs>,
    /// `up`, `down` or `not_at_all`: amounts are whole units of 0.0001, or finer where the line is finer.
    rounded: String,
}

/// The billing line behind the row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedLine {
    day: NaiveDate,
    env_id: String,
    resource_id: String,
    product_category: String,
    product_type: String,
    /// Decimal text.
    amount: String,
    currency: String,
    /// All rows that the line was split into.
    rows: usize,
    /// The provider's rows behind the line, as received.
    evidence: Vec<String>,
}

/// The rule and the tier of it that found somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedRule {
    /// Is there a rule for just this product type? If not, it is the one for all others.
    own_rule: bool,
    /// Which part of the line it splits, decimal text; `null` where several parts ended alike.
    ratio: Option<String>,
    /// Place of the tier, from 0.
    tier: u32,
    /// The tiers before it, which found nobody.
    passed_over: Vec<String>,
    split: String,
}

/// The usage of the row's target beside that of everybody who shares.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedInputs {
    /// Metrics that are added up; none where the usage was worked out from what was running.
    metrics: Vec<String>,
    usage: f64,
    total: f64,
}

/// Why a chargeback row is what it is
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/chargebacks/{id}/explanation", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the row")),
    responses((status = 200, body = Explanation), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_chargeback(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<Explanation>, Problem> {
    let tenant = api.tenant(&tenant)?;
    let missing = || Problem::not_found("chargeback row", &id);
    let (day, fingerprint) = parse_id(&id).ok_or_else(missing)?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let row = reader.chargeback(&tenant.tenant_id, day, &fingerprint).await?.ok_or_else(missing)?;
    let explained = reader.explained(&tenant.tenant_id, &row).await?;
    let told = explained.told(&row)?;
    let line = explained.line.ok_or_else(behind)?;
    let line = ExplainedLine {
        day: line.day,
        env_id: line.env_id,
        resource_id: line.resource_id,
        product_category: line.product_category,
        product_type: line.product_type,
        amount: line.amount,
        currency: line.currency,
        rows: explained.rows.len(),
        evidence: line.evidence,
    };
    let names = (explained.identity_name, explained.resource_name);
    Ok(Json(body(id, row, names, line, told.ok_or_else(behind)?)))
}

fn behind() -> Problem {
    Problem::new(Code::Unavailable, "the billing line of that revision is not in the tables yet; try again shortly")
}

fn body(
    id: String,
    row: ChargebackRowOf,
    (identity_name, resource_name): (Option<String>, Option<String>),
    line: ExplainedLine,
    told: Told,
) -> Explanation {
    let rule = |Applied { own_rule, ratio, tier, passed_over, split }| ExplainedRule {
        own_rule,
        ratio,
        tier,
        passed_over,
        split,
    };
    let inputs = |Inputs { metrics, usage, total }| ExplainedInputs { metrics, usage, total };
    Explanation {
        id,
        sentence: told.sentence,
        day: row.day,
        identity_id: row.identity_id,
        identity_name,
        target: row.target,
        resource_id: row.resource_id,
        resource_name,
        amount: row.amount,
        currency: row.currency,
        cost_type: row.cost_type,
        allocation_method: row.allocation_method,
        allocation_detail: row.allocation_detail,
        line,
        rule: told.rule.map(rule),
        split_amount: told.split_amount.to_string(),
        targets: told.targets,
        share: told.share,
        inputs: told.inputs.map(inputs),
        rounded: told.rounded.as_str().to_owned(),
    }
}
