//! A Kafka cluster of one's own: its bill from a rate card and measured quantities.
//!
//! In: rates, a Prometheus that scrapes the brokers, perhaps the Kafka Admin API. Out: what
//! [`Source`](crate::ecosystem::Source) answers. Absent: how quantities become lines, which is
//! [`metered`](mod@crate::ecosystem::metered)'s; Kafka as our log.

mod admin;
mod inventory;
mod questions;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod topics;

use chrono::{DateTime, Utc};

pub use self::admin::AdminApi;
pub use self::questions::{Names, PrincipalMetrics};
use super::http::Http;
use super::metered::people::People;
use super::metered::tariff::{Cost, Quantity, Tariff};
use super::metered::{self, usage};
use super::prometheus::{self, Prometheus};
use super::{Bill, Inventory, SourceError, UsageNeed, UsageOf};
use crate::clock::Clock;
use crate::domain::{Amount, Day};

/// Name of this kind of source in facts and rows.
pub const ECOSYSTEM: &str = "self_managed_kafka";

/// Prices; none is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// A broker for an hour.
    pub compute_hourly: Amount,
    /// A GiB kept for an hour, copies included.
    pub storage_per_gib_hourly: Amount,
    /// A GiB written by clients.
    pub ingress_per_gib: Amount,
    /// A GiB read by clients.
    pub egress_per_gib: Amount,
}

/// What to bill, and where to measure it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Id of the billed resource; need not be Kafka's own.
    pub cluster_id: String,
    /// At least 1.
    pub broker_count: u32,
    pub region: Option<String>,
    /// ISO 4217.
    pub currency: String,
    pub rates: Rates,
    pub people: People,
    pub resources: Resources,
    pub metrics: prometheus::Settings,
    pub names: Names,
    /// The names for usage by topic; `None`: costs are not broken down to topics.
    pub topic_names: Option<Names>,
    /// How far back a look at what exists reaches.
    pub discovery_window_hours: u32,
    /// As in [`Tariff`].
    pub minimum_coverage: f64,
    /// As in [`Tariff`].
    pub wait_days: u32,
}

/// Where brokers and topics are found.
#[derive(Debug, Clone)]
pub enum Resources {
    /// Labels of the metrics.
    Prometheus,
    Admin(AdminApi),
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct SelfManagedKafka {
    prometheus: Prometheus,
    settings: Settings,
    tariff: Tariff,
    clock: Clock,
}

impl SelfManagedKafka {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if an address is none or a file cannot be read.
    pub fn new(http: &Http, settings: Settings, clock: Clock) -> Result<Self, SourceError> {
        let prometheus = Prometheus::new(http, &settings.metrics)?;
        let tariff = tariff(&settings);
        Ok(Self { prometheus, settings, tariff, clock })
    }

    /// The bill of `[from, until)`, from the rates that hold now.
    ///
    /// # Errors
    /// [`SourceError`] if a question could not be answered.
    pub async fn bill(&self, from: Day, until: Day) -> Result<Bill, SourceError> {
        metered::bill(&self.prometheus, &self.tariff, (from, until), self.now()).await
    }

    /// The cluster, its brokers, topics and principals. Where costs are broken down to topics, usage says which there are.
    ///
    /// # Errors
    /// None; what could not be listed is in [`Inventory::listings`].
    pub async fn inventory(&self) -> Result<Inventory, SourceError> {
        Ok(inventory::gather(self).await)
    }

    /// Bytes by principal, and by topic if costs are broken down to them.
    pub async fn usage(&self, day: Day, needs: &[UsageNeed]) -> Vec<UsageOf> {
        let Settings { names, topic_names, .. } = &self.settings;
        let of_topics = topic_names.iter().flat_map(questions::by_topic);
        let questions = [questions::bytes(names, true), questions::bytes(names, false)].into_iter().chain(of_topics);
        let questions: Vec<_> = questions.collect();
        usage::of_day(&self.prometheus, ECOSYSTEM, &questions, day, needs).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

fn tariff(settings: &Settings) -> Tariff {
    let Settings { rates, names, .. } = settings;
    let cost = |product_type: &str, unit_price, quantity| Cost {
        product_type: product_type.to_owned(),
        category: "kafka".to_owned(),
        unit_price,
        quantity,
    };
    let brokers = Amount::whole(i64::from(settings.broker_count));
    Tariff {
        ecosystem: ECOSYSTEM,
        resource_id: settings.cluster_id.clone(),
        resource_name: settings.cluster_id.clone(),
        currency: settings.currency.clone(),
        costs: vec![
            cost(rules::COMPUTE, rates.compute_hourly, Quantity::Fixed { per_hour: brokers }),
            cost(rules::STORAGE, rates.storage_per_gib_hourly, Quantity::Measured(questions::storage(names))),
            cost(rules::INGRESS, rates.ingress_per_gib, Quantity::Measured(questions::network(names, true))),
            cost(rules::EGRESS, rates.egress_per_gib, Quantity::Measured(questions::network(names, false))),
        ],
        minimum_coverage: settings.minimum_coverage,
        wait_days: settings.wait_days,
        presence: Some(questions::presence(names, settings.broker_count)),
        once: Some(questions::once(names)),
    }
}
