//! A tenant's days: what stage each is in, and which have rows.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::api::answer::{Kept, tag};
use crate::api::params::{Params, RangeParams};
use crate::api::problem::Problem;
use crate::domain::Day;
use crate::store::Projection;
use crate::store::read::{Availability, Dataset, DayOf};

/// What the list of days is made of.
const FROM: [Projection; 7] = [
    Projection::Days,
    Projection::Gathering,
    Projection::Billing,
    Projection::Resources,
    Projection::Identities,
    Projection::Chargebacks,
    Projection::Emissions,
];

/// How far a day has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Sealed, not allocated yet.
    Sealed,
    /// Allocated, its rows are not all in the tables yet.
    Allocated,
    /// Its rows can be read.
    Visible,
    /// Allocation refused its newest seal; the rows of the revision before it stay.
    Refused,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayItem {
    day: NaiveDate,
    stage: Stage,
    sealed_revision: Option<i32>,
    /// Why it was gathered: the reason of the newest seal.
    seal_reason: Option<String>,
    /// Digest of everything that the day is allocated from.
    seal_digest: Option<String>,
    gathered_at: Option<DateTime<Utc>>,
    allocated_revision: Option<i32>,
    allocated_at: Option<DateTime<Utc>>,
    refused_revision: Option<i32>,
    refused_reason: Option<String>,
    billing_lines: Option<i32>,
    rows: Option<i32>,
    /// Sum of the lines, which is the sum of the rows; null where the day is not allocated.
    amount: Option<String>,
    /// Provider rows that could not be booked.
    quarantined: Option<i32>,
    /// Resources whose usage could not be had.
    metrics_failed: Vec<String>,
    emissions: EmissionCounts,
}

/// What became of a day's files and gauges; those of whole months are not counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmissionCounts {
    emitted: i64,
    failed: i64,
    skipped: i64,
}

/// Days in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Days {
    items: Vec<DayItem>,
}

/// The days of a range, with the stage of each
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/days", tag = "days",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams),
    responses((status = 200, body = Days), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?;
    let range = range.read(api.clock.now())?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let tag = tag(&reader.version(&FROM).await?, &format!("days {} {range:?}", tenant.tenant_id));
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    let days = reader.days(&tenant.tenant_id, range.from, range.to).await?;
    Ok(Kept { tag, body: Days { items: days.into_iter().map(item).collect() } }.respond(&headers))
}

fn item(day: DayOf) -> DayItem {
    let reached = |revision: Option<i32>| revision.is_some() && revision >= day.sealed_revision;
    let stage = match day.outcome.as_deref() {
        Some("refused") if reached(day.refused_revision) => Stage::Refused,
        _ if !reached(day.allocated_revision) => Stage::Sealed,
        _ if reached(day.chargebacks_revision) && reached(day.billing_revision) => Stage::Visible,
        _ => Stage::Allocated,
    };
    DayItem {
        day: day.day,
        stage,
        sealed_revision: day.sealed_revision,
        seal_reason: day.seal_reason,
        seal_digest: day.seal_digest,
        gathered_at: day.gathered_at,
        allocated_revision: day.allocated_revision,
        allocated_at: day.allocated_at,
        refused_revision: day.refused_revision,
        refused_reason: day.refused_reason,
        billing_lines: day.billing_lines,
        rows: day.rows,
        amount: day.amount,
        quarantined: day.quarantined,
        metrics_failed: day.metrics_failed.unwrap_or_default(),
        emissions: EmissionCounts {
            emitted: day.emitted,
            failed: day.emissions_failed,
            skipped: day.emissions_skipped,
        },
    }
}

/// Which rows are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DatasetParam {
    Billing,
    #[default]
    Chargebacks,
    TopicCosts,
}

impl From<DatasetParam> for Dataset {
    fn from(param: DatasetParam) -> Self {
        match param {
            DatasetParam::Billing => Self::Billing,
            DatasetParam::Chargebacks => Self::Chargebacks,
            DatasetParam::TopicCosts => Self::TopicCosts,
        }
    }
}

/// Which rows.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DatasetParams {
    #[serde(default)]
    #[param(inline)]
    pub dataset: DatasetParam,
}

/// A day that has rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AvailableDay {
    day: NaiveDate,
    revision: i32,
    rows: i32,
    /// Was the day replaced after it was first there?
    corrected: bool,
}

/// Which days of the range have rows, and which have none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Available {
    from: NaiveDate,
    /// Excluded.
    to: NaiveDate,
    present: Vec<AvailableDay>,
    /// Days of the range without rows.
    missing: Vec<NaiveDate>,
}

/// Which days have rows
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/availability", tag = "days",
    params(("tenant" = String, Path, description = "Name of the tenant"), DatasetParams, RangeParams),
    responses((status = 200, body = Available), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn availability(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(dataset): Params<DatasetParams>,
    Params(range): Params<RangeParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?;
    let range = range.read(api.clock.now())?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let dataset: Dataset = dataset.dataset.into();
    let question = format!("availability {dataset:?} {} {range:?}", tenant.tenant_id);
    let tag = tag(&reader.version(&[dataset.projection()]).await?, &question);
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    let days = reader.available(dataset, &tenant.tenant_id, range.from, range.to).await?;
    Ok(Kept { tag, body: available(range.from, range.to, days) }.respond(&headers))
}

fn available(from: Day, to: Day, days: Vec<Availability>) -> Available {
    let missing = from.until(to).map(Day::date).filter(|day| days.binary_search_by_key(day, |one| one.day).is_err());
    let missing = missing.collect();
    let present = days.into_iter().map(|one| AvailableDay {
        day: one.day,
        revision: one.revision,
        rows: one.rows,
        corrected: one.revision > 1,
    });
    Available { from: from.date(), to: to.date(), present: present.collect(), missing }
}
