//! Any system that a Prometheus measures: its bill from cost types of the operator's own.
//!
//! In: cost types, queries, a Prometheus. Out: what [`Source`](crate::ecosystem::Source) answers. Absent: what the
//! system is; how quantities become lines, which is [`metered`](mod@crate::ecosystem::metered)'s.

pub mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};

use super::http::Http;
use super::metered::people::{PRINCIPAL, People};
use super::metered::tariff::{Cost, Tariff};
use super::metered::usage::{self, Question};
use super::metered::{self};
use super::prometheus::{self, Prometheus, Sample};
use super::{Bill, Inventory, Listing, SourceError, UsageNeed, UsageOf};
use crate::clock::Clock;
use crate::domain::promql::{Fold, Sampling, sampling_of};
use crate::domain::usage::metric_of_product;
use crate::domain::{Day, Resource, Subject};

/// Name of this kind of source in facts and rows.
pub const ECOSYSTEM: &str = "generic_metrics_only";
/// The type of the one billed resource.
const CLUSTER: &str = "cluster";
/// How far back a look at who there is reaches.
const LOOK_BACK: TimeDelta = TimeDelta::hours(1);

/// What to bill, and where to measure it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Id of the billed resource.
    pub cluster_id: String,
    pub display_name: String,
    /// ISO 4217.
    pub currency: String,
    pub people: People,
    /// Names the identity in the answers to `discovery_query`.
    pub label: String,
    /// Never empty where [`People::origin`] asks.
    pub discovery_query: String,
    pub metrics: prometheus::Settings,
    /// Names are distinct.
    pub cost_types: Vec<CostType>,
    /// As in [`Tariff`].
    pub minimum_coverage: f64,
    /// As in [`Tariff`].
    pub wait_days: u32,
}

/// A cost and how it is split.
#[derive(Debug, Clone)]
pub struct CostType {
    pub cost: Cost,
    pub split: Split,
}

/// How a cost is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    Even,
    /// In proportion to the values of a query, by the identity that a label names.
    ByUsage {
        query: String,
        label: String,
    },
}

/// A measured system.
#[derive(Debug, Clone)]
pub struct GenericMetrics {
    prometheus: Prometheus,
    settings: Settings,
    tariff: Tariff,
    questions: Vec<Question>,
    clock: Clock,
}

impl GenericMetrics {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if an address is none or a file cannot be read.
    pub fn new(http: &Http, settings: Settings, clock: Clock) -> Result<Self, SourceError> {
        let prometheus = Prometheus::new(http, &settings.metrics)?;
        let tariff = Tariff {
            ecosystem: ECOSYSTEM,
            resource_id: settings.cluster_id.clone(),
            resource_name: settings.display_name.clone(),
            currency: settings.currency.clone(),
            costs: settings.cost_types.iter().map(|cost_type| cost_type.cost.clone()).collect(),
            minimum_coverage: settings.minimum_coverage,
            wait_days: settings.wait_days,
            presence: None,
            once: None,
        };
        let questions = questions(&settings);
        Ok(Self { prometheus, settings, tariff, questions, clock })
    }

    /// The bill of `[from, until)`, from the rates that hold now.
    ///
    /// # Errors
    /// [`SourceError`] if a question could not be answered.
    pub async fn bill(&self, from: Day, until: Day) -> Result<Bill, SourceError> {
        metered::bill(&self.prometheus, &self.tariff, (from, until), self.clock.now()).await
    }

    /// The system and its identities.
    ///
    /// # Errors
    /// None; what could not be listed is in [`Inventory::listings`].
    pub async fn inventory(&self) -> Result<Inventory, SourceError> {
        let settings = &self.settings;
        let found = if settings.people.origin.asks() { self.look().await } else { Ok(BTreeSet::new()) };
        let identities = settings.people.identities(ECOSYSTEM, found.as_ref().unwrap_or(&BTreeSet::new()));
        let listing = |name: &str, types, outcome| Listing { name: name.to_owned(), types, outcome };
        let fixed = [vec![CLUSTER.to_owned()], settings.people.fixed_types()].concat();
        let listings = vec![
            listing("configuration", fixed, Ok(())),
            listing("identities", vec![PRINCIPAL.to_owned()], found.map(drop)),
        ];
        Ok(Inventory { resources: vec![self.system()], identities, listings })
    }

    /// What the queries of the cost types say, by identity.
    pub async fn usage(&self, day: Day, needs: &[UsageNeed]) -> Vec<UsageOf> {
        usage::of_day(&self.prometheus, ECOSYSTEM, &self.questions, day, needs).await
    }

    /// The identities of the last hour, looked for as often as a value stays visible.
    async fn look(&self) -> Result<BTreeSet<String>, SourceError> {
        let (now, query, label) = (self.clock.now(), &self.settings.discovery_query, &self.settings.label);
        let moments = [now, now - LOOK_BACK / 4, now - LOOK_BACK / 2, now - LOOK_BACK];
        let answers = moments.iter().map(|at| self.prometheus.instant(query, *at));
        let samples: Vec<Sample> = futures_util::future::try_join_all(answers).await?.into_iter().flatten().collect();
        let any = !samples.is_empty();
        let named = samples.into_iter().filter_map(|mut sample| sample.labels.remove(label));
        let found: BTreeSet<String> = named.filter(|id| !id.is_empty()).collect();
        if any && found.is_empty() {
            return Err(SourceError::Unusable(format!(
                "no series of {query} has the label `{label}`; is `identity_source.label` right?"
            )));
        }
        Ok(found)
    }

    fn system(&self) -> Resource {
        Resource {
            tenant: String::new(),
            day: Day::from(NaiveDate::default()),
            revision: 0,
            ordinal: 0,
            count: 0,
            ecosystem: ECOSYSTEM.to_owned(),
            resource_id: self.settings.cluster_id.clone(),
            resource_type: CLUSTER.to_owned(),
            display_name: Some(self.settings.display_name.clone()),
            parent_id: None,
            owner_id: None,
            created_at: None,
            deleted_at: None,
            attributes: BTreeMap::new(),
        }
    }
}

fn questions(settings: &Settings) -> Vec<Question> {
    let question = |name: String, query: &str, label: &str, setting: String| Question {
        name,
        expressions: vec![query.to_owned()],
        // Only the proportion matters: any range may be asked for.
        sampling: sampling_of(query, Fold::Mean).unwrap_or(Sampling::FINE),
        subject: Subject::Principal,
        label: label.to_owned(),
        label_setting: setting,
    };
    let asks = settings.people.origin.asks();
    let discovery = asks.then(|| {
        let setting = "identity_source.label".to_owned();
        question(rules::DISCOVERY.to_owned(), &settings.discovery_query, &settings.label, setting)
    });
    let by_usage = settings.cost_types.iter().filter_map(|cost_type| match &cost_type.split {
        Split::Even => None,
        Split::ByUsage { query, label } => {
            let name = &cost_type.cost.product_type;
            Some(question(metric_of_product(name), query, label, format!("allocation_label of cost type {name}")))
        }
    });
    discovery.into_iter().chain(by_usage).collect()
}
