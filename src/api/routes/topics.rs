//! Topic costs: which topics the cost of Kafka clusters went to.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::chargebacks::{CountParams, Question};
use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag};
use crate::api::params::{Filters, PageParams, Params, RangeParams};
use crate::api::problem::Problem;
use crate::domain::Day;
use crate::store::read::{Dataset, TopicRow};

/// One topic's part of one billing line of its cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicCost {
    day: NaiveDate,
    /// The revision of the day that this is.
    revision: i32,
    ecosystem: String,
    env_id: String,
    cluster_resource_id: String,
    /// A topic, or `__UNATTRIBUTED__` for what could not be measured.
    topic_name: String,
    product_category: String,
    product_type: String,
    attribution_method: String,
    /// Decimal text.
    amount: String,
    currency: String,
    /// The topic's share of the line, 0 to 1.
    share: f64,
    /// The usage that the share rests on, where it rests on usage.
    usage: Option<f64>,
}

/// Topic rows of a range, by day and key
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/topic-costs", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, PageParams, CountParams),
    responses((status = 200, body = Listing<TopicCost>), (status = 304, description = "Nothing changed since"),
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
    let question = Question::read(&api, &tenant, Dataset::TopicCosts, &range, &filters)?;
    let (mut reader, _turn) = api.reader().await?;
    let version = reader.version(&[Dataset::TopicCosts.projection()]).await?;
    let cursor = question.cursor("");
    let page = cursor.page::<(NaiveDate, [String; 6])>(&page)?;
    let after = page.after.clone().map(|(day, texts)| (Day::from(day), texts));
    let rows = reader.topic_costs(&question.of, after.as_ref(), page.limit + 1).await?;
    let place = |row: &TopicRow| {
        let (day, texts) = row.key();
        cursor.text(&(day.date(), texts))
    };
    let mut body = Listing::of(rows, page.limit, place, item);
    if count.exact() {
        body.total = Some(reader.count(Dataset::TopicCosts, &question.of).await?);
    }
    let tag = tag(&version, &format!("{question:?} {page:?} {count:?}"));
    Ok(Kept { tag, body }.respond(&headers))
}

fn item(row: TopicRow) -> TopicCost {
    TopicCost {
        day: row.day,
        revision: row.revision,
        ecosystem: row.ecosystem,
        env_id: row.env_id,
        cluster_resource_id: row.cluster_resource_id,
        topic_name: row.topic_name,
        product_category: row.product_category,
        product_type: row.product_type,
        attribution_method: row.attribution_method,
        amount: row.amount,
        currency: row.currency,
        share: row.share,
        usage: row.usage,
    }
}
