//! Confluent Cloud: its bill, its inventory, and the usage it exports to a Prometheus.
//!
//! In: API credentials and a period. Out: what [`Source`](crate::ecosystem::Source) answers. The asynchronous
//! part is here and in `inventory` and `flink`; what an answer means is decided by the pure modules
//! `row`, `billing`, `resources`, `identities`, `usage`. Absent: the secrets of connectors and keys,
//! which are never read.

mod api;
pub mod billing;
mod flink;
pub mod identities;
mod inventory;
mod json;
pub mod resources;
pub mod row;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod topics;
mod usage;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use self::api::{Absence, Api, Listed};
use self::billing::Costs;
use super::http::{Auth, Http, Words};
use super::prometheus::{self, Prometheus};
use super::{Bill, Inventory, Secret, SourceError, UsageNeed, UsageOf};
use crate::domain::{Day, Granularities, MetricValue};

/// Name of this kind of source in facts and rows.
pub const ECOSYSTEM: &str = "confluent_cloud";
/// The public API.
pub const BASE_URL: &str = "https://api.confluent.cloud";

/// How to reach an organisation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cloud API key; its service account needs OrganizationAdmin, BillingAdmin and MetricsViewer.
    pub key: String,
    pub secret: Secret,
    /// [`BASE_URL`], or a stand-in.
    pub base_url: String,
    /// Days of costs in one request, 1 to 30.
    pub days_per_query: u32,
    /// Where usage is exported to; without it there is no usage.
    pub metrics: Option<prometheus::Settings>,
    /// Exported names of metrics where they differ from the usual ones, by the name in the rules.
    pub renamed_metrics: BTreeMap<String, String>,
    /// How long charges are that do not say their end.
    pub granularities: Granularities,
    /// Resources whose usage is asked for at the same time, at least 1.
    pub metrics_workers: usize,
    /// Regions whose Flink statements can be listed. Of one region's entries the last counts.
    pub flink: Vec<FlinkRegion>,
}

/// Credentials of a Flink region.
#[derive(Debug, Clone)]
pub struct FlinkRegion {
    /// As in the compute pools, without the cloud: `us-east-2`. Spaces around it and case do not matter.
    pub region_id: String,
    pub key: String,
    pub secret: Secret,
    /// Without it `https://flink.<region>.<cloud>.confluent.cloud`.
    pub base_url: Option<String>,
}

/// An organisation at Confluent Cloud.
#[derive(Debug, Clone)]
pub struct ConfluentCloud {
    http: Http,
    api: Api,
    metrics: Option<Prometheus>,
    settings: Settings,
}

/// Requests of one kind under way at a time; the limit per host is that of [`Http`].
const PARALLEL: usize = 8;
/// Rows per request for costs.
const COSTS_PER_PAGE: &str = "2000";

impl ConfluentCloud {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if an address is none.
    pub fn new(http: &Http, settings: Settings) -> Result<Self, SourceError> {
        let auth = Auth::Basic { username: settings.key.clone(), password: settings.secret.clone() };
        let words = Words {
            name: "Confluent Cloud".to_owned(),
            url_setting: "ccloud_api.base_url".to_owned(),
            credentials: "`ccloud_api.key` and `ccloud_api.secret`; the key must be a Cloud API key, and its service \
                account needs the role bindings OrganizationAdmin, BillingAdmin and MetricsViewer"
                .to_owned(),
        };
        let api = Api::new(http.door(&settings.base_url, &auth, words)?);
        let metrics = settings.metrics.as_ref().map(|metrics| Prometheus::new(http, metrics)).transpose()?;
        Ok(Self { http: http.clone(), api, metrics, settings })
    }

    /// The bill of `[from, until)`: each day's part of every charge that touches it.
    ///
    /// Costs are listed by the day a charge begins. So that a month's charge does not shrink when its first day
    /// leaves the period, the days before are asked for too, as many as the longest granularity has and 31 at least, as far as the provider still has it.
    ///
    /// # Errors
    /// [`SourceError`] if any part of the period could not be listed to its end.
    pub async fn bill(&self, from: Day, until: Day) -> Result<Bill, SourceError> {
        let (days, reach_back) = (self.settings.days_per_query, self.settings.granularities.longest_days());
        let earlier = billing::windows(from.minus(reach_back), from, days).into_iter().map(|w| (w, true));
        let asked = billing::windows(from, until, days).into_iter().map(|w| (w, false));
        let requests = earlier.chain(asked).map(|((from, until), before)| self.costs(from, until, before));
        let requests: Vec<_> = if from < until { requests.collect() } else { Vec::new() };
        let answers: Vec<Costs> = stream::iter(requests).buffered(PARALLEL).try_collect().await?;
        Ok(billing::bill(from, until, &answers, &self.settings.granularities))
    }

    async fn costs(&self, from: Day, until: Day, before: bool) -> Result<Costs, SourceError> {
        const PATH: &str = "/billing/v1/costs";
        let (start, end) = (from.to_string(), until.to_string());
        let query = [("page_size", COSTS_PER_PAGE), ("start_date", start.as_str()), ("end_date", end.as_str())];
        let Listed { items, outcome } = self.api.raw_list(PATH, &query, Absence::Wrong).await;
        match outcome {
            // The provider keeps a year, and the period may be almost that long.
            Err(SourceError::Unusable(why)) if before => {
                tracing::warn!(%from, %until, why, "charges that began before the period are not known");
            }
            outcome => outcome?,
        }
        let rows = items.into_iter().map(|row| String::from(Box::<str>::from(row))).collect();
        let source = format!("GET {} from {from} until {until}", self.api.url(PATH));
        Ok(Costs { from, until, before, source, rows })
    }

    /// Everything that exists now.
    ///
    /// # Errors
    /// [`SourceError`] if environments or clusters could not be listed, without which nothing else can be. Of
    /// other kinds a failure is in [`Inventory::listings`].
    pub async fn inventory(&self) -> Result<Inventory, SourceError> {
        inventory::gather(self).await
    }

    /// The usage of a day, an answer to each need, in their order. Without a metrics server no values.
    pub async fn usage(&self, day: Day, needs: &[UsageNeed]) -> Vec<UsageOf> {
        let answers: Vec<_> = needs.iter().map(|need| self.usage_of(day, need)).collect();
        stream::iter(answers).buffered(self.settings.metrics_workers.max(1)).collect().await
    }

    async fn usage_of(&self, day: Day, need: &UsageNeed) -> UsageOf {
        let questions = need.metrics.iter().map(|name| self.usage_by(day, &need.resource_id, name));
        let values = try_join_all(questions).await.map(|values| values.into_iter().flatten().collect());
        UsageOf { need: need.clone(), values }
    }

    async fn usage_by(&self, day: Day, resource: &str, name: &str) -> Result<Vec<MetricValue>, SourceError> {
        let Some(prometheus) = &self.metrics else { return Ok(Vec::new()) };
        let metric = usage::metric(name).ok_or_else(|| {
            SourceError::Unusable(format!("a rule asks for the metric {name:?}, which Confluent Cloud does not have"))
        })?;
        let expression = metric.expression(resource, &self.settings.renamed_metrics);
        let samples = prometheus.instant(&expression, day.end()).await?;
        Ok(metric.values(resource, day, samples))
    }
}
