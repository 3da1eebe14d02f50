//! The made-up company, as tables: who runs what, where, and how much of it.
//!
//! Out: constant data only. Names of accounts begin with their team (`checkout-cart`), as many companies do;
//! that is how the report knows a team. Some things have nobody, on purpose: bills have such lines too.

use super::shape::Shape::{self, Growing, Nightly, Office, Replay, Shop, Steady};

/// Name and governance package of each environment.
pub const ENVIRONMENTS: [(&str, &str); 3] = [("prod", "ADVANCED"), ("staging", "ESSENTIALS"), ("dev", "ESSENTIALS")];

/// A Kafka cluster. `ckus`: from which day (from 0) how many; empty unless dedicated.
#[derive(Debug)]
pub struct Cluster {
    pub name: &'static str,
    pub env: &'static str,
    pub kind: &'static str,
    pub region: &'static str,
    pub partitions: u32,
    /// The day on which it was created, at 9 o'clock; 0 = long ago.
    pub born: u32,
    pub ckus: &'static [(u32, u32)],
}

/// Everything runs on one cloud, in two regions.
pub const CLOUD: &str = "AWS";
pub const REGIONS: [&str; 2] = ["us-east-2", "eu-central-1"];
const US: &str = REGIONS[0];
const EU: &str = REGIONS[1];

const fn cluster(
    name: &'static str,
    env: &'static str,
    kind: &'static str,
    region: &'static str,
    partitions: u32,
) -> Cluster {
    Cluster { name, env, kind, region, partitions, born: 0, ckus: &[] }
}

pub const CLUSTERS: [Cluster; 7] = [
    Cluster { ckus: &[(0, 4), (18, 6)], ..cluster("orders", "prod", "Dedicated", US, 1800) },
    Cluster { ckus: &[(0, 2)], ..cluster("payments", "prod", "Dedicated", EU, 640) },
    cluster("clickstream", "prod", "Standard", US, 960),
    cluster("features", "prod", "Standard", US, 320),
    cluster("staging", "staging", "Standard", US, 900),
    cluster("dev", "dev", "Basic", US, 260),
    Cluster { born: 12, ..cluster("sandbox", "dev", "Basic", EU, 60) },
];

/// Service accounts, `team-service`.
pub const ACCOUNTS: [&str; 22] = [
    "checkout-cart",
    "checkout-orders",
    "checkout-pricing",
    "payments-gateway",
    "payments-ledger",
    "payments-settlement",
    "fraud-scoring",
    "fraud-rules",
    "fraud-features",
    "analytics-clickstream",
    "analytics-sessions",
    "analytics-warehouse",
    "ml-recommender",
    "ml-feature-store",
    "ml-training",
    "platform-connect",
    "platform-monitoring",
    "platform-ci",
    "search-indexer",
    "search-suggest",
    "logistics-tracking",
    "logistics-routing",
];
pub const USERS: [&str; 4] = ["Ada Nwosu", "Jonas Lind", "Priya Raman", "Tomás Vega"];
pub const POOLS: [&str; 2] = ["ml-notebooks", "analytics-dashboards"];
/// Still uses a cluster, but was deleted before anybody looked: its id is all that is known.
pub const GONE: &str = "legacy-loader";

/// A principal's traffic on a topic, in megabytes an hour.
#[derive(Debug)]
pub struct Flow(pub &'static str, pub &'static str, pub &'static str, pub u32, pub u32, pub Shape);

pub const FLOWS: [Flow; 43] = [
    Flow("orders", "checkout-cart", "checkout.carts", 8_200, 1_100, Shop),
    Flow("orders", "checkout-orders", "checkout.orders", 12_400, 5_200, Shop),
    Flow("orders", "checkout-pricing", "checkout.prices", 2_300, 6_900, Shop),
    Flow("orders", "logistics-tracking", "logistics.shipments", 5_600, 3_100, Office),
    Flow("orders", "logistics-routing", "logistics.shipments", 300, 6_800, Office),
    Flow("orders", "search-indexer", "checkout.prices", 0, 11_500, Shop),
    Flow("orders", "search-suggest", "search.suggestions", 900, 3_700, Shop),
    Flow("orders", "fraud-scoring", "checkout.orders", 0, 11_800, Shop),
    Flow("orders", "fraud-features", "fraud.features", 2_100, 4_400, Replay),
    Flow("orders", "analytics-warehouse", "checkout.orders", 0, 9_600, Nightly),
    Flow("orders", "ml-recommender", "checkout.carts", 600, 7_900, Growing),
    Flow("orders", "platform-monitoring", "platform.metrics", 750, 820, Steady),
    Flow("payments", "payments-gateway", "payments.authorisations", 6_100, 2_700, Shop),
    Flow("payments", "payments-ledger", "payments.ledger", 4_300, 7_800, Steady),
    Flow("payments", "payments-settlement", "payments.settlements", 1_700, 5_200, Nightly),
    Flow("payments", "fraud-scoring", "payments.authorisations", 520, 6_100, Shop),
    Flow("payments", "fraud-rules", "payments.authorisations", 260, 3_100, Shop),
    Flow("payments", "checkout-orders", "payments.results", 380, 2_300, Shop),
    Flow("payments", "platform-monitoring", "platform.metrics", 310, 340, Steady),
    Flow("clickstream", "analytics-clickstream", "web.clicks", 15_400, 900, Growing),
    Flow("clickstream", "analytics-sessions", "web.sessions", 3_600, 15_200, Growing),
    Flow("clickstream", "ml-feature-store", "web.clicks", 0, 10_300, Growing),
    Flow("clickstream", "ml-training", "web.clicks", 0, 13_500, Nightly),
    Flow("clickstream", "search-suggest", "web.searches", 2_100, 2_400, Shop),
    Flow("clickstream", "ml-notebooks", "web.sessions", 0, 1_900, Office),
    Flow("clickstream", GONE, "web.clicks", 0, 620, Steady),
    Flow("features", "ml-feature-store", "features.online", 3_100, 900, Steady),
    Flow("features", "ml-recommender", "features.online", 0, 4_200, Shop),
    Flow("features", "fraud-features", "features.online", 210, 1_700, Replay),
    Flow("features", "analytics-dashboards", "features.online", 0, 350, Office),
    Flow("staging", "platform-ci", "ci.loadtest", 900, 1_800, Office),
    Flow("staging", "checkout-orders", "checkout.orders", 260, 310, Office),
    Flow("staging", "payments-ledger", "payments.ledger", 180, 240, Office),
    Flow("staging", "fraud-scoring", "checkout.orders", 0, 260, Office),
    Flow("staging", "logistics-tracking", "logistics.shipments", 120, 140, Office),
    Flow("dev", "platform-ci", "ci.smoke", 60, 90, Office),
    Flow("dev", "checkout-cart", "checkout.carts", 35, 40, Office),
    Flow("dev", "Ada Nwosu", "checkout.carts", 8, 95, Office),
    Flow("dev", "Jonas Lind", "payments.ledger", 12, 60, Office),
    Flow("dev", "search-indexer", "search.suggestions", 25, 70, Office),
    Flow("sandbox", "ml-notebooks", "experiments.embeddings", 140, 420, Office),
    Flow("sandbox", "Priya Raman", "experiments.embeddings", 20, 160, Office),
    Flow("sandbox", "ml-training", "experiments.runs", 90, 120, Nightly),
];

/// How a connector proves who it is.
#[derive(Debug, Clone, Copy)]
pub enum Login {
    Account(&'static str),
    /// An API key of this account.
    Key(&'static str),
    /// A key that the API answers as asterisks.
    Masked,
}

/// Cluster, name, class, login, tasks, megabytes an hour.
#[derive(Debug)]
pub struct Connector(pub &'static str, pub &'static str, pub &'static str, pub Login, pub u32, pub u32);

pub const CONNECTORS: [Connector; 6] = [
    Connector("orders", "orders-db-cdc", "PostgresCdcSourceV2", Login::Account("checkout-orders"), 4, 2_900),
    Connector("orders", "orders-to-warehouse", "SnowflakeSink", Login::Key("analytics-warehouse"), 6, 4_100),
    Connector("orders", "catalogue-to-search", "ElasticsearchSink", Login::Account("search-indexer"), 2, 1_300),
    Connector("payments", "ledger-to-archive", "S3_SINK", Login::Account("payments-ledger"), 2, 1_900),
    Connector("clickstream", "clicks-to-lake", "S3_SINK", Login::Key("analytics-clickstream"), 8, 9_800),
    Connector("staging", "old-mainframe-feed", "IbmMQSource", Login::Masked, 1, 90),
];

/// Cluster, name, owner, CSUs.
pub const KSQLDBS: [(&str, &str, &str, u32); 2] =
    [("payments", "fraud-signals", "fraud-rules", 4), ("clickstream", "session-rollups", "analytics-sessions", 4)];

/// Environment, region, name of each Flink compute pool.
pub const FLINK_POOLS: [(&str, &str, &str); 3] =
    [("prod", US, "streams-prod"), ("prod", EU, "payments-prod"), ("dev", US, "streams-dev")];

/// Pool, name, owner, CFU-minutes an hour, rhythm; a statement that uses nothing has stopped.
#[derive(Debug)]
pub struct Statement(pub &'static str, pub &'static str, pub &'static str, pub u32, pub Shape);

pub const STATEMENTS: [Statement; 9] = [
    Statement("streams-prod", "enrich-orders", "checkout-orders", 180, Shop),
    Statement("streams-prod", "sessionise-clicks", "analytics-sessions", 320, Growing),
    Statement("streams-prod", "online-features", "ml-feature-store", 410, Growing),
    Statement("streams-prod", "eta-predictions", "logistics-routing", 150, Office),
    Statement("payments-prod", "score-authorisations", "fraud-scoring", 360, Shop),
    Statement("payments-prod", "settle-batches", "payments-settlement", 90, Nightly),
    Statement("payments-prod", "velocity-checks-v1", "fraud-rules", 0, Steady),
    Statement("streams-dev", "try-embeddings", "Priya Raman", 25, Office),
    Statement("streams-dev", "replay-orders", "checkout-orders", 30, Office),
];

/// The environment of a cluster.
pub fn env_of(cluster: &str) -> &'static str {
    CLUSTERS.iter().find(|c| c.name == cluster).map_or("", |c| c.env)
}
