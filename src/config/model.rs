//! What an operator decided, as plain values that need no further checking.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::Secret;
use super::metered::{GenericMetrics, SelfManagedKafka};
use crate::domain::Scope;
use crate::domain::rule::change::Changes;

/// A whole configuration. Everything in it was checked when it was read.
#[derive(Debug, Clone)]
pub struct Config {
    pub logging: Logging,
    pub features: Features,
    pub health: Health,
    /// The HTTP API, served by the role `api`.
    pub api: Api,
    /// Who may use it.
    pub auth: Auth,
    pub kafka: Kafka,
    pub database: Database,
    /// `None`: schema ids come from `schemas/`.
    pub schema_registry: Option<SchemaRegistry>,
    pub topics: Topics,
    /// Names this process: transactional ids, static group membership. `[A-Za-z0-9._-]`, never empty.
    pub instance: String,
    /// Where the embedded Kafka and Postgres keep their data; `None`: the system's usual place.
    pub data_dir: Option<PathBuf>,
    /// In the order of the file; names and tenant ids are unique.
    pub tenants: Vec<Tenant>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    pub level: Level,
    /// Module path (`tributary::gather`, `rdkafka`) to level.
    pub per_module_levels: BTreeMap<String, Level>,
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Sentences on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// The least severe line that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

/// How the process works through its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// `false`: one cycle, then stop.
    pub enable_periodic_refresh: bool,
    /// Pause after a cycle, seconds, at least 1.
    pub refresh_interval: u64,
    /// Tenants gathered at the same time, 1 to 64.
    pub max_parallel_tenants: u32,
    /// How long roles may take to end after a signal, seconds, 1 to 3600.
    pub shutdown_timeout_seconds: u64,
}

/// The port of `/healthz`, `/readyz` and `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub enabled: bool,
    pub host: String,
    /// 0: any that is free.
    pub port: u16,
    /// Did anybody ask for this port? One that nobody asked for is done without where it is taken.
    pub asked: bool,
}

/// Where the HTTP API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    pub host: String,
    pub port: u16,
    pub enable_cors: bool,
    pub cors_origins: Vec<String>,
    /// 1 to 300.
    pub request_timeout_seconds: u32,
    /// Of one client; 0: no limit.
    pub requests_per_second: u32,
    /// Does Postgres, too, keep tenants apart in what the API reads?
    pub row_security: bool,
    pub exports: ApiExports,
}

/// Files that are made on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiExports {
    /// `None`: beside the data of the embedded services.
    pub directory: Option<PathBuf>,
    /// 1 to 720.
    pub keep_hours: u32,
}

/// Who may use the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    pub mode: AuthMode,
    /// `mode: none` holds for other than loopback addresses, too.
    pub open_to_network: bool,
    /// There where `mode` uses it.
    pub oidc: Option<Oidc>,
}

/// How callers say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// Not at all: everybody may do everything.
    None,
    /// By tokens of our own.
    #[default]
    Tokens,
    /// By access tokens of an issuer.
    Oidc,
    /// By either.
    Both,
}

/// An issuer of access tokens (OpenID Connect).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// As in the claim `iss`.
    pub issuer: String,
    /// One of the claim `aud`.
    pub audience: String,
    /// 0 to 300.
    pub leeway_seconds: u32,
    pub scopes_claim: String,
    /// Value of the claim and what it gives; empty: values are our scopes by name.
    pub scopes: Vec<(String, Vec<Scope>)>,
    /// None: every caller sees all tenants.
    pub tenants_claim: Option<String>,
    /// Value of the claim and names of tenants, `*` for all; empty: values are names of tenants.
    pub tenants: Vec<(String, Vec<String>)>,
}

/// The Kafka cluster of our log. `Debug` masks the properties that carry credentials.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Kafka {
    /// `host:port,…`; `None`: the embedded one.
    pub bootstrap_servers: Option<String>,
    /// librdkafka's own properties, without those that Tributary fixes.
    pub properties: BTreeMap<String, String>,
}

/// The PostgreSQL of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// `postgres://…`; `None`: the embedded one.
    pub url: Option<Secret>,
    /// At least 2.
    pub max_connections: u32,
}

/// A Confluent-compatible schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistry {
    pub url: String,
    /// Present exactly when `password` is.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// How our topics are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Put before each topic's name as it is; may be empty.
    pub prefix: String,
    /// Partitions of the co-partitioned topics, 1 to 1000.
    pub partitions: u32,
    /// 1 to 16.
    pub replication_factor: u16,
}

/// Somebody whose costs are allocated.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The key in `tenants:`, for people.
    pub name: String,
    /// What facts are keyed by; unique, never empty.
    pub tenant_id: String,
    /// Days before now at which the refresh window begins, 1 to 364, larger than `cutoff_days`.
    pub lookback_days: u32,
    /// Days before now at which the refresh window ends, 1 to 30.
    pub cutoff_days: u32,
    /// Age in days at which data is deleted, at least `lookback_days`, at most 730.
    pub retention_days: u32,
    /// Attempt number at which a failing line goes to `UNALLOCATED`, 1 to 10.
    pub allocation_retry_limit: u32,
    /// The same for topic attribution, 1 to 10.
    pub topic_attribution_retry_limit: u32,
    /// Empty listings in a row that mean deletion; -1: never.
    pub zero_gather_deletion_threshold: i32,
    /// Failed gathers in a row before a tenant is suspended, at least 1.
    pub gather_failure_threshold: u32,
    /// Limit of one run; 0: none.
    pub tenant_execution_timeout_seconds: u64,
    /// Metric queries of one day at the same time, 1 to 20.
    pub metrics_prefetch_workers: u32,
    pub ecosystem: Ecosystem,
}

/// What a tenant's costs come from.
#[derive(Debug, Clone)]
pub enum Ecosystem {
    ConfluentCloud(Box<ConfluentCloud>),
    External(Box<External>),
    SelfManagedKafka(Box<SelfManagedKafka>),
    GenericMetrics(Box<GenericMetrics>),
}

impl Ecosystem {
    /// The word for it in the file and in records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConfluentCloud(_) => "confluent_cloud",
            Self::External(_) => "external",
            Self::SelfManagedKafka(_) => "self_managed_kafka",
            Self::GenericMetrics(_) => "generic_metrics_only",
        }
    }

    /// Where chargebacks are written to.
    pub fn emitters(&self) -> &[Emitter] {
        match self {
            Self::ConfluentCloud(settings) => &settings.emitters,
            Self::SelfManagedKafka(settings) => &settings.metered.emitters,
            Self::GenericMetrics(settings) => &settings.metered.emitters,
            Self::External(settings) => &settings.emitters,
        }
    }

    /// Where topic attributions are written to; nowhere while there are none.
    pub fn topic_emitters(&self) -> &[Emitter] {
        match self {
            Self::ConfluentCloud(settings) if settings.topic_attribution.enabled => {
                &settings.topic_attribution.emitters
            }
            _ => &[],
        }
    }

    /// Do we gather its days? If not, another program writes them.
    pub fn is_gathered(&self) -> bool {
        !matches!(self, Self::External(_))
    }

    /// Least time between the starts of two gathers, seconds; 0: none.
    pub fn min_refresh_gap_seconds(&self) -> u64 {
        match self {
            Self::ConfluentCloud(settings) => settings.min_refresh_gap_seconds,
            Self::SelfManagedKafka(settings) => settings.metered.min_refresh_gap_seconds,
            Self::GenericMetrics(settings) => settings.metered.min_refresh_gap_seconds,
            Self::External(_) => 0,
        }
    }
}

/// A Confluent Cloud organisation: `plugin_settings` of ecosystem `confluent_cloud`.
#[derive(Debug, Clone)]
pub struct ConfluentCloud {
    pub api: CcloudApi,
    /// Days of one billing request, 1 to 30.
    pub days_per_query: u32,
    /// `None`: nothing is known of usage, costs are split without it.
    pub metrics: Option<Metrics>,
    /// One entry per region.
    pub flink: Vec<FlinkRegion>,
    /// Part of a CKU line split by usage: a decimal text within 0 and 1.
    pub cku_usage_ratio: String,
    /// Part of a CKU line split evenly; the two add up to 1 within 0.0001.
    pub cku_shared_ratio: String,
    /// Everything under `allocator_params`, the ratios included.
    pub allocator_params: BTreeMap<String, Param>,
    /// In place of some of the built-in rules.
    pub rules: Rules,
    /// Granularity in lower case to hours, at least 1; never `monthly`.
    pub granularity_durations: BTreeMap<String, u32>,
    /// Kept for a later version.
    pub topic_attribution: TopicAttribution,
    /// Least time between two gathers, seconds; 0: none.
    pub min_refresh_gap_seconds: u64,
    /// Step of range queries, at least 1.
    pub metrics_step_seconds: u32,
    /// Names are unique.
    pub emitters: Vec<Emitter>,
}

/// An operator's own rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub changes: Changes,
    /// The keys of the file that they come from, as they stand there.
    pub written: serde_json::Map<String, serde_json::Value>,
}

/// A tenant whose days another program writes: `plugin_settings` of ecosystem `external`.
#[derive(Debug, Clone)]
pub struct External {
    pub starts_from: BaseBook,
    pub rules: Rules,
    /// Names are unique.
    pub emitters: Vec<Emitter>,
}

/// The rules that an external tenant's own are changes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseBook {
    /// Every product type to its resource.
    None,
    ConfluentCloud,
}

/// The management API of Confluent Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcloudApi {
    pub key: String,
    pub secret: Secret,
    /// Without a slash at the end.
    pub base_url: String,
}

/// A server that answers the Prometheus query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// May have a path; without a slash at the end.
    pub url: String,
    pub auth: MetricsAuth,
    /// Name and value, sent with each query.
    pub headers: Vec<(String, Secret)>,
    pub tls: MetricsTls,
}

/// Whom to trust over TLS, and as whom to appear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricsTls {
    /// PEM file of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// How we present ourselves to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAuth {
    None,
    Basic { username: String, password: Secret },
    Bearer { token: Secret },
}

/// The Flink API key of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlinkRegion {
    /// Trimmed and in lower case.
    pub region_id: String,
    pub key: String,
    pub secret: Secret,
    /// `None`: `https://flink.<region>.<cloud>.confluent.cloud`. Without a slash at the end.
    pub base_url: Option<String>,
}

/// A free parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// Shortest decimal text.
    Number(String),
    Text(String),
    Flag(bool),
}

/// Cluster costs broken down to topics.
#[derive(Debug, Clone)]
pub struct TopicAttribution {
    pub enabled: bool,
    /// Globs over topic names.
    pub exclude_topic_patterns: Vec<String>,
    pub missing_metrics_behavior: MissingMetrics,
    /// Product type in upper case to method.
    pub cost_mapping_overrides: BTreeMap<String, TopicMethod>,
    /// `topic_bytes_in`, `topic_bytes_out`, `topic_retained_bytes` to a metric's name.
    pub metric_name_overrides: BTreeMap<String, String>,
    /// 1 to 365.
    pub retention_days: u32,
    pub emitters: Vec<Emitter>,
}

/// What happens to a topic's cost when nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingMetrics {
    EvenSplit,
    Skip,
}

/// By what a cluster's cost is broken down to topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicMethod {
    BytesRatio,
    RetainedBytesRatio,
    EvenSplit,
    Disabled,
}

/// Somewhere results are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitter {
    /// Unique in its list, without `/`.
    pub name: String,
    /// `None`: rows as they are. Never hourly: rows are by day.
    pub aggregation: Option<Granularity>,
    /// Only days this many before now or younger; gauges always have one.
    pub lookback_days: Option<u32>,
    pub sink: Sink,
}

/// How the names of gauges begin unless said otherwise: dashboards made for Chitragupta go on.
pub const GAUGE_PREFIX: &str = "chitragupta";

/// What an emitter writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The template has `{date}` and stays below the folder.
    Csv { output_dir: PathBuf, filename_template: String },
    Prometheus {
        host: String,
        port: u16,
        /// How the names of gauges begin: letters, digits, `_`.
        prefix: String,
        /// Series of one name and tenant, at least 1; the cheapest are shown as one.
        max_series: u32,
    },
}

/// Length of a period, finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    Hourly,
    Daily,
    Monthly,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<_, _> = self.properties.iter().map(|(key, value)| (key, shown(key, value))).collect();
        f.debug_struct("Kafka").field("bootstrap_servers", &self.bootstrap_servers).field("properties", &shown).finish()
    }
}

/// A client property's value as it may be printed: `***` where the name speaks of a credential.
pub(super) fn shown<'a>(property: &str, value: &'a str) -> &'a str {
    const TELLING: [&str; 7] = ["pass", "secret", "token", "pem", "jaas", "private", "oauthbearer.config"];
    if TELLING.iter().any(|word| property.contains(word)) { "***" } else { value }
}
