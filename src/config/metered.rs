//! What an operator decided about costs that are measured: `self_managed_kafka` and `generic_metrics_only`.

use std::collections::BTreeMap;

use super::model::Metrics;
use super::{Emitter, Rules, Secret, TopicAttribution};
use crate::domain::Amount;

/// A Kafka cluster of one's own: `plugin_settings` of ecosystem `self_managed_kafka`.
#[derive(Debug, Clone)]
pub struct SelfManagedKafka {
    /// Id of the billed resource, never empty.
    pub cluster_id: String,
    /// At least 1.
    pub broker_count: u32,
    pub region: Option<String>,
    pub cost_model: CostModel,
    pub identities: IdentitySource,
    pub resources: ResourceSource,
    pub names: MetricNames,
    /// At least 1.
    pub discovery_window_hours: u32,
    pub topic_attribution: TopicAttribution,
    pub metered: Metered,
}

/// What all measured ecosystems have.
#[derive(Debug, Clone)]
pub struct Metered {
    pub metrics: Metrics,
    /// Three capital letters.
    pub currency: String,
    /// Part of a day that has to be measured, 0 to 1.
    pub minimum_coverage: Amount,
    /// Days that a day with a gap waits for late samples.
    pub wait_days: u32,
    /// Least time between two gathers, seconds; 0: none.
    pub min_refresh_gap_seconds: u64,
    /// In place of some of the built-in rules.
    pub rules: Rules,
    /// Names are unique.
    pub emitters: Vec<Emitter>,
}

/// A rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostModel {
    pub base: Rates<Amount>,
    /// Region to the rates that differ there.
    pub region_overrides: BTreeMap<String, Rates<Option<Amount>>>,
}

/// Prices, none of them negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates<T> {
    /// A broker for an hour.
    pub compute_hourly: T,
    /// A GiB for an hour.
    pub storage_per_gib_hourly: T,
    pub ingress_per_gib: T,
    pub egress_per_gib: T,
}

impl CostModel {
    /// The rates that hold in a region; an override of 0 is one.
    pub fn rates(&self, region: Option<&str>) -> Rates<Amount> {
        let base = self.base;
        let Some(own) = region.and_then(|region| self.region_overrides.get(region)) else { return base };
        Rates {
            compute_hourly: own.compute_hourly.unwrap_or(base.compute_hourly),
            storage_per_gib_hourly: own.storage_per_gib_hourly.unwrap_or(base.storage_per_gib_hourly),
            ingress_per_gib: own.ingress_per_gib.unwrap_or(base.ingress_per_gib),
            egress_per_gib: own.egress_per_gib.unwrap_or(base.egress_per_gib),
        }
    }
}

/// Who there is.
#[derive(Debug, Clone)]
pub struct IdentitySource {
    pub origin: IdentityOrigin,
    /// Principal to team; exact.
    pub principal_to_team: BTreeMap<String, String>,
    pub default_team: String,
    /// Ids are distinct.
    pub static_identities: Vec<StaticIdentity>,
}

/// Where identities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityOrigin {
    Prometheus,
    Static,
    Both,
}

/// An identity that is there because the file says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticIdentity {
    pub id: String,
    pub kind: String,
    pub display_name: Option<String>,
    pub team: Option<String>,
}

/// Where brokers and topics are found.
#[derive(Debug, Clone)]
pub enum ResourceSource {
    Prometheus,
    Admin(AdminApi),
}

/// A cluster as a Kafka client reaches it.
#[derive(Debug, Clone)]
pub struct AdminApi {
    /// `host:port,…`
    pub bootstrap_servers: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub security_protocol: &'static str,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`, with user name and password.
    pub sasl: Option<Sasl>,
    /// PEM file of certificates to trust; `None`: the system's.
    pub ssl_ca_file: Option<std::path::PathBuf>,
}

/// Credentials of a Kafka client.
#[derive(Debug, Clone)]
pub struct Sasl {
    pub mechanism: &'static str,
    pub username: String,
    pub password: Secret,
}

/// What a cluster's metrics and their labels are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricNames {
    pub bytes_in: String,
    pub bytes_out: String,
    pub log_size: String,
    /// Names of bytes by principal, both or neither.
    pub by_principal: Option<[String; 2]>,
    /// Are the metrics by principal rates, not counters?
    pub principal_rates: bool,
    pub broker_label: String,
    pub topic_label: String,
    pub partition_label: String,
    pub principal_label: String,
    /// Label to value; all series of the cluster have them.
    pub selector: BTreeMap<String, String>,
}

/// Any measured system: `plugin_settings` of ecosystem `generic_metrics_only`.
#[derive(Debug, Clone)]
pub struct GenericMetrics {
    /// Id of the billed resource, never empty.
    pub cluster_id: String,
    pub display_name: String,
    pub identities: IdentitySource,
    /// Names the identity in answers to `discovery_query`.
    pub label: String,
    /// Not empty where identities come from Prometheus.
    pub discovery_query: String,
    /// At least one; names are distinct.
    pub cost_types: Vec<CostType>,
    pub metered: Metered,
}

/// A cost of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostType {
    pub name: String,
    pub product_category: String,
    pub rate: Amount,
    pub quantity: CostQuantity,
    pub split: CostSplit,
}

/// How much of it a day has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CostQuantity {
    /// So many, all the time; the rate is for an hour of one.
    Fixed { count: u32 },
    /// Bytes kept; the rate is for a GiB over an hour.
    StorageGib { query: String },
    /// Bytes moved; the rate is for a GiB.
    NetworkGib { query: String },
    /// Units of any kind; the rate is for one, and if `hourly` for one over an hour.
    UnitRate { query: String, aggregation: Aggregation, hourly: bool },
}

/// How the values of a day become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    Sum,
    Average,
    Maximum,
}

/// How a cost is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CostSplit {
    Even,
    Usage { query: String, label: String },
}
