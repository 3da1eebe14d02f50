//! Topic costs: which topics the cost of Kafka clusters went to.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::lists::{self, Asked, CountParams};
use crate::api::Api;
use crate::api::answer::{Listing, tags};
use crate::api::params::{Filters, PageParams, RangeParams};
use crate::api::problem::Problem;
use crate::store::read::TopicRow;

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
    /// The cloud of the cluster, and below its region, where its provider says so.
    cloud: Option<String>,
    region: Option<String>,
    /// Of the topic.
    tags: BTreeMap<String, String>,
}

/// Topic rows of a range, by day and key
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/topic-costs", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, Filters, PageParams, CountParams),
    responses((status = 200, content((Listing<TopicCost> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    lists::list(&api, &tenant, asked, item).await
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
        cloud: row.cloud,
        region: row.region,
        tags: tags(&row.tags),
    }
}
