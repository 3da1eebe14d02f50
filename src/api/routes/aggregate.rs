//! Sums over any dimensions, in buckets of any length.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::as_of;
use super::days::DatasetParam;
use super::lists::Question;
use crate::api::Api;
use crate::api::answer::{Kept, decimal, tag};
use crate::api::fold::{self, Sum, Total};
use crate::api::params::{Body, Filters, Params, Range, RangeParams, conditions, moment_of, unknown_field};
use crate::api::periods::{Incomplete, Periods};
use crate::api::problem::{Fault, Problem};
use crate::domain::Amount;
use crate::store::Projection;
use crate::store::read::{Aggregate, Bucket, Dataset, Field, Selection};

/// More sums than anybody looks at; the answer says so when there are more.
const MOST_CELLS: u32 = 50_000;
const MOST_GROUPS: usize = 6;
const MOST_TOP: u32 = 1000;

/// Length of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BucketParam {
    /// All days together.
    #[default]
    None,
    Day,
    /// ISO weeks, from Monday.
    Week,
    Month,
    Quarter,
    Year,
}

/// What to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compare {
    /// As many days right before the range.
    Previous,
}

/// How to add up.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AggregateParams {
    #[serde(default)]
    #[param(inline)]
    dataset: DatasetParam,
    /// A field to group by, or `tag.<key>`; repeated for several, at most 6. None: one sum for each currency.
    #[serde(default)]
    #[param(example = json!(["identity_id", "tag.team"]))]
    group_by: Vec<String>,
    #[serde(default)]
    #[param(inline)]
    bucket: BucketParam,
    /// Keep the so many largest groups, 1 to 1000, and add up the rest as one.
    #[param(minimum = 1, maximum = 1000)]
    top: Option<u32>,
    /// `previous`: put the sums of as many days right before beside these; without buckets only.
    #[param(inline)]
    compare: Option<Compare>,
    /// With `dataset=billing`: sums of what was known at this moment, an instant (RFC 3339) or a date, which means its end in
    /// `tz`; as in the list of billing lines. The period before is as of the same moment.
    #[param(example = "2026-03-01T12:00:00Z")]
    as_of: Option<String>,
}

/// One sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SumItem {
    /// `2026-02-01`, `2026-W06`, `2026-02`, `2026-Q1`, `2026`; null where all days are together.
    bucket: Option<String>,
    /// First day of the bucket, within the range.
    from: NaiveDate,
    /// Last day, excluded, within the range.
    to: NaiveDate,
    /// Is everything of all days between in the sum? If not, the bucket stands in `incomplete`.
    complete: bool,
    /// Each field of `group_by` with its value; null where a row has none.
    dimensions: BTreeMap<String, Option<String>>,
    /// True for the sum of all groups that are not among the `top` largest; `dimensions` is empty then.
    other: bool,
    currency: String,
    /// A decimal text.
    amount: String,
    /// Of chargebacks, what was charged because of use; null of billing lines and topics, which do not say.
    usage_amount: Option<String>,
    /// The rest of the amount, in the same way.
    shared_amount: Option<String>,
    /// Of the total of this currency, percent.
    share_percent: Option<f64>,
    rows: u64,
    /// The amount of the period before, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_amount: Option<String>,
    /// This amount less the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
    /// The change in percent of the amount before; null where that was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_percent: Option<f64>,
}

/// The sum of everything chosen, in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TotalItem {
    currency: String,
    /// A decimal text.
    amount: String,
    /// As in the items.
    usage_amount: Option<String>,
    shared_amount: Option<String>,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_amount: Option<String>,
}

/// Sums, by bucket and then by the values of their dimensions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sums {
    from: NaiveDate,
    /// Excluded.
    to: NaiveDate,
    items: Vec<SumItem>,
    totals: Vec<TotalItem>,
    /// Buckets with days that are not gathered, not allocated or not in the tables yet, also those without any sum.
    incomplete: Vec<Incomplete>,
    /// The same of the period before, if it is asked for and not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_incomplete: Option<Incomplete>,
    /// True if there are more sums than one answer holds (50,000): ask for fewer days or dimensions, or for the `top` ones.
    /// The totals are of everything that was chosen, also then.
    truncated: bool,
}

/// Sums of costs over any dimensions
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/costs/aggregate", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, AggregateParams),
    responses((status = 200, body = Sums), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn aggregate(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(filters): Params<Filters>,
    Params(params): Params<AggregateParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&api, &tenant, &range, &filters, &params, Some(&headers)).await
}

/// The same question in a body, for what is too long for an address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AggregateWish {
    #[serde(default)]
    dataset: DatasetParam,
    /// Fields to group by, or `tag.<key>`, at most 6.
    #[serde(default)]
    group_by: Vec<String>,
    #[serde(default)]
    bucket: BucketParam,
    /// Keep the so many largest groups, 1 to 1000, and add up the rest as one.
    #[schema(minimum = 1, maximum = 1000)]
    top: Option<u32>,
    /// `previous`: as many days right before beside these; without buckets only.
    compare: Option<Compare>,
    /// Conditions `field:operator:value`, as `filter` has them; all must hold.
    #[serde(default)]
    filters: Vec<String>,
    /// First day, included: as in lists.
    from: Option<String>,
    /// Last day, excluded: as in lists.
    to: Option<String>,
    /// The calendar in which instants and "tomorrow" are read.
    tz: Option<String>,
    /// With `dataset: billing`: as it was known at this moment; as in lists.
    as_of: Option<String>,
}

/// Sums of costs over any dimensions, asked for in a body: for filters that are too long for an address
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/costs/aggregate", tag = "costs", request_body = AggregateWish,
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 200, body = Sums), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_body(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Body(wish): Body<AggregateWish>,
) -> Result<Response, Problem> {
    let (range, filters, params) = wish.parts();
    answer(&api, &tenant, &range, &filters, &params, None).await
}

impl AggregateWish {
    fn parts(self) -> (RangeParams, Filters, AggregateParams) {
        let Self { dataset, group_by, bucket, top, compare, filters, from, to, tz, as_of } = self;
        let params = AggregateParams { dataset, group_by, bucket, top, compare, as_of };
        (RangeParams { from, to, tz }, Filters { filter: filters }, params)
    }

    /// Can it be answered?
    ///
    /// # Errors
    /// The [`Problem`] that a caller is told.
    pub(super) fn check(self, now: DateTime<Utc>) -> Result<(), Problem> {
        let (range, filters, params) = self.parts();
        let dataset = params.dataset.into();
        range.read(now)?;
        conditions(dataset, &filters.filter)?;
        moment_of(params.as_of.as_deref(), &range)?;
        read(&params, dataset).map(drop)
    }
}

/// `asked`: the headers of a question whose answer a client may keep.
async fn answer(
    api: &Api,
    tenant: &str,
    range: &RangeParams,
    filters: &Filters,
    params: &AggregateParams,
    asked: Option<&HeaderMap>,
) -> Result<Response, Problem> {
    let dataset = params.dataset.into();
    let question = Question::read(api, tenant, dataset, range, filters, params.as_of.as_deref())?;
    let range = range.read(api.clock.now())?;
    let group_by = read(params, dataset)?;
    let (mut reader, _turn) = api.reader(&question.of.tenant).await?;
    let made_from = [dataset.projection(), Projection::Days, Projection::Resources, Projection::Tags];
    let version = reader.version(&made_from).await?;
    let tag = tag(&version, &format!("{question:?} {params:?}"));
    if asked.is_some_and(|headers| tag.is_known(headers)) {
        return Ok(tag.not_modified());
    }
    let (of, bucket) = (question.of.clone(), bucket(params.bucket));
    let ask = Aggregate { dataset, of, group_by, bucket, top: params.top, limit: MOST_CELLS + 1 };
    let there = as_of::complete_days(&mut reader, dataset, &ask.of).await?;
    let mut cells = reader.aggregate(&ask).await?;
    let truncated = cells.len() > MOST_CELLS as usize;
    let periods = Periods::of(range, bucket, &there);
    let mut previous = None;
    let sums = if params.compare.is_some() {
        let before = range.before();
        let of = Selection { from: before.from, to: before.to, ..question.of.clone() };
        previous = Some(Periods::of(before, bucket, &as_of::complete_days(&mut reader, dataset, &of).await?));
        let before = reader.aggregate(&Aggregate { of, top: None, ..ask.clone() }).await?;
        if truncated || before.len() > MOST_CELLS as usize {
            let message =
                format!("there are more than {MOST_CELLS} groups, too many to compare: group by fewer fields");
            return Err(Problem::of_parameters(vec![Fault::new("compare", message)]));
        }
        fold::compare(cells, before)
    } else {
        cells.truncate(MOST_CELLS as usize);
        cells.into_iter().map(Sum::alone).collect()
    };
    let totals = if truncated {
        let whole = Aggregate { group_by: Vec::new(), bucket: Bucket::None, top: None, ..ask.clone() };
        let cells: Vec<Sum> = reader.aggregate(&whole).await?.into_iter().map(Sum::alone).collect();
        fold::totals(cells.iter())
    } else {
        fold::totals(sums.iter())
    };
    let mut body = shape(range, &ask, &sums, &totals, &periods);
    body.truncated = truncated;
    body.previous_incomplete = previous.and_then(|periods| periods.into_incomplete().pop());
    body.incomplete = periods.into_incomplete();
    Ok(match asked {
        Some(headers) => Kept { tag, body }.respond(headers),
        None => Json(body).into_response(),
    })
}

fn read(params: &AggregateParams, dataset: Dataset) -> Result<Vec<Field>, Problem> {
    let mut faults = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    if params.group_by.len() > MOST_GROUPS {
        faults.push(Fault::new("group_by", format!("at most {MOST_GROUPS} fields can be combined")));
    }
    for name in params.group_by.iter().take(MOST_GROUPS) {
        match dataset.field(name) {
            Some(field) if fields.contains(&field) => {
                faults.push(Fault::new("group_by", format!("{name} is there twice")));
            }
            Some(field) => fields.push(field),
            None => faults.push(Fault::new("group_by", unknown_field(dataset, name))),
        }
    }
    if params.top.is_some_and(|top| !(1..=MOST_TOP).contains(&top)) {
        faults.push(Fault::new("top", format!("top takes 1 to {MOST_TOP}")));
    }
    if params.compare.is_some() && params.bucket != BucketParam::None {
        faults.push(Fault::new("compare", "periods are compared as wholes: leave out `bucket`"));
    }
    if faults.is_empty() { Ok(fields) } else { Err(Problem::of_parameters(faults)) }
}

fn bucket(param: BucketParam) -> Bucket {
    match param {
        BucketParam::None => Bucket::None,
        BucketParam::Day => Bucket::Day,
        BucketParam::Week => Bucket::Week,
        BucketParam::Month => Bucket::Month,
        BucketParam::Quarter => Bucket::Quarter,
        BucketParam::Year => Bucket::Year,
    }
}

fn shape(range: Range, ask: &Aggregate, sums: &[Sum], totals: &BTreeMap<String, Total>, periods: &Periods) -> Sums {
    let items = sums.iter().map(|sum| item(ask, sum, totals, periods)).collect();
    let total = |(currency, total): (&String, &Total)| TotalItem {
        currency: currency.clone(),
        amount: decimal(total.amount),
        usage_amount: total.usage_amount.map(decimal),
        shared_amount: total.usage_amount.map(|used| decimal(total.amount - used)),
        rows: total.rows,
        previous_amount: total.previous.map(decimal),
    };
    Sums {
        from: range.from.date(),
        to: range.to.date(),
        items,
        totals: totals.iter().map(total).collect(),
        incomplete: Vec::new(),
        previous_incomplete: None,
        truncated: false,
    }
}

fn item(ask: &Aggregate, sum: &Sum, totals: &BTreeMap<String, Total>, periods: &Periods) -> SumItem {
    let Sum { cell, previous } = sum;
    let period = periods.period(cell.start);
    let names = ask.group_by.iter().map(Field::name);
    let total = totals.get(&cell.currency).map_or(Amount::ZERO, |total| total.amount);
    let change = previous.map(|previous| cell.amount - previous);
    SumItem {
        bucket: period.label,
        from: period.from.date(),
        to: period.to.date(),
        complete: period.complete,
        dimensions: cell.group.clone().map(|values| names.zip(values).collect()).unwrap_or_default(),
        other: cell.group.is_none(),
        currency: cell.currency.clone(),
        amount: decimal(cell.amount),
        usage_amount: cell.usage_amount.map(decimal),
        shared_amount: cell.usage_amount.map(|used| decimal(cell.amount - used)),
        share_percent: fold::percent(cell.amount, total),
        rows: cell.rows,
        previous_amount: previous.map(decimal),
        change: change.map(decimal),
        change_percent: change.zip(*previous).and_then(|(change, previous)| fold::percent(change, previous)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_named_at_once() {
        let params = AggregateParams {
            group_by: vec!["team".into(), "env_id".into(), "env_id".into()],
            top: Some(0),
            compare: Some(Compare::Previous),
            bucket: BucketParam::Day,
            ..AggregateParams::default()
        };
        let told = read(&params, Dataset::Chargebacks).unwrap_err().detail;
        assert!(["\"team\"", "twice", "1 to 1000", "leave out"].iter().all(|part| told.contains(part)), "{told}");
    }
}
