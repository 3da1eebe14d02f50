//! What Acme runs itself and nobody sends a bill for: a Kafka cluster in its factory, a PostgreSQL and GPUs.
//!
//! In: a rhythm for each hour. Out: the series that a Prometheus has of them, and the settings of two tenants that bill them
//! ([`FACTORY`], [`WAREHOUSE`]). Absent: costs; they follow from rates and series, as they do for anybody.

use std::collections::BTreeMap;

use super::organisation::{Series, Traffic, add, retain};
use super::shape::Shape::{self, Growing, Nightly, Office, Shop, Steady};

/// A user's traffic on a topic of the factory's cluster, in megabytes an hour: written, read.
struct Flow(&'static str, &'static str, u64, u64, Shape);

const FLOWS: [Flow; 9] = [
    Flow("User:plc-gateway", "machines.telemetry", 7_400, 300, Steady),
    Flow("User:anomaly-watch", "machines.telemetry", 0, 7_100, Steady),
    Flow("User:anomaly-watch", "maintenance.alerts", 120, 0, Office),
    Flow("User:work-orders", "maintenance.alerts", 40, 480, Office),
    Flow("User:vision-inspect", "quality.images", 5_200, 2_600, Office),
    Flow("User:stock-sync", "stock.movements", 900, 2_100, Shop),
    Flow("User:stock-forecast", "stock.movements", 0, 3_300, Nightly),
    Flow("User:meter-reader", "energy.readings", 650, 700, Steady),
    Flow("User:bi-export", "quality.images", 0, 800, Nightly),
];
/// Each has a copy of every topic.
const BROKERS: [&str; 3] = ["1", "2", "3"];

/// The plugin settings of the factory's cluster, without `metrics`.
pub const FACTORY: &str = "
      cluster_id: factory-kafka
      broker_count: 3
      cost_model:
        compute_hourly_rate: \"0.45\"
        storage_per_gib_hourly: \"0.00008\"
        network_ingress_per_gib: \"0.01\"
        network_egress_per_gib: \"0.09\"
      metric_names:
        principal_bytes_in: kafka_server_produce_byte_rate
        principal_bytes_out: kafka_server_fetch_byte_rate
        selector: {cluster: factory-kafka}
      identity_source:
        principal_to_team:
          \"User:plc-gateway\": automation
          \"User:anomaly-watch\": maintenance
          \"User:work-orders\": maintenance
          \"User:vision-inspect\": quality
          \"User:stock-sync\": logistics
          \"User:stock-forecast\": logistics
          \"User:meter-reader\": energy
          \"User:bi-export\": analytics
      topic_attribution: {enabled: true}";

/// A team's use of something: metric, team, how much an hour or at a time.
struct Use(&'static str, &'static str, u64, Shape);

const USES: [Use; 13] = [
    Use("pg_stat_activity_count", "analytics", 14, Office),
    Use("pg_stat_activity_count", "checkout", 22, Shop),
    Use("pg_stat_activity_count", "fraud", 5, Shop),
    Use("pg_stat_activity_count", "logistics", 9, Office),
    Use("pg_stat_activity_count", "ml", 4, Nightly),
    Use("pg_stat_activity_count", "quality", 3, Office),
    Use("gpu_in_use", "ml", 3, Growing),
    Use("gpu_in_use", "quality", 2, Office),
    Use("gpu_in_use", "fraud", 1, Nightly),
    Use("app_egress_bytes_total", "analytics", 9_500_000_000, Office),
    Use("app_egress_bytes_total", "checkout", 6_200_000_000, Shop),
    Use("app_egress_bytes_total", "logistics", 3_100_000_000, Office),
    Use("app_egress_bytes_total", "ml", 2_400_000_000, Nightly),
];

/// A database that only grows: its bytes at first, and what is added an hour.
struct Database(&'static str, u64, u64, Shape);

const DATABASES: [Database; 2] =
    [Database("orders", 1_400_000_000_000, 210_000_000, Shop), Database("stock", 600_000_000_000, 90_000_000, Office)];

/// The plugin settings of the warehouse, without `metrics`.
pub const WAREHOUSE: &str = "
      cluster_id: warehouse
      display_name: Warehouse
      identity_source: {label: team, discovery_query: group by (team) (pg_stat_activity_count)}
      cost_types:
        - name: PG_SERVERS
          product_category: postgres
          rate: \"0.62\"
          cost_quantity: {type: fixed, count: 3}
          allocation_strategy: even_split
        - name: PG_STORAGE
          product_category: postgres
          rate: \"0.00016\"
          cost_quantity: {type: storage_gib, query: sum(pg_database_size_bytes)}
          allocation_strategy: even_split
        - name: PG_EGRESS
          product_category: postgres
          rate: \"0.05\"
          cost_quantity: {type: network_gib, query: \"sum(increase(app_egress_bytes_total[1h]))\"}
          allocation_strategy: usage_ratio
          allocation_query: sum by (team) (increase(app_egress_bytes_total[1h]))
          allocation_label: team
        - name: GPU_HOURS
          product_category: gpu
          rate: \"1.90\"
          cost_quantity: {type: unit_rate, query: sum(gpu_in_use), aggregation: average, per: hour}
          allocation_strategy: usage_ratio
          allocation_query: sum by (team) (gpu_in_use)
          allocation_label: team";

/// What Prometheus measures of both.
pub fn series(traffic: &Traffic) -> Vec<Series> {
    let one = |metric, labels: &[(&'static str, &str)], hours| Series {
        metric,
        labels: labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect(),
        hours,
    };
    let mut all = factory(traffic, one);
    all.extend(USES.iter().map(|Use(metric, team, per_hour, shape)| {
        one(metric, &[("team", team)], traffic.hours(&format!("{metric}/{team}"), *per_hour, *shape, 0))
    }));
    all.extend(DATABASES.iter().map(|Database(name, at_first, per_hour, shape)| {
        let added = traffic.hours(name, *per_hour, *shape, 0).into_iter();
        let size = added.scan(*at_first, |size, more| {
            *size += more;
            Some(*size)
        });
        one("pg_database_size_bytes", &[("datname", name)], size.collect())
    }));
    all
}

/// Bytes by topic on the broker that leads it, rates by user as Kafka's quota metrics have them, and the logs of all copies.
fn factory(traffic: &Traffic, one: impl Fn(&'static str, &[(&'static str, &str)], Vec<u64>) -> Series) -> Vec<Series> {
    let cluster = ("cluster", "factory-kafka");
    let mut by_topic: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    let mut by_user = by_topic.clone();
    for Flow(user, topic, written, read, shape) in &FLOWS {
        let ways = [
            (written, "kafka_server_brokertopicmetrics_bytesin_total", "kafka_server_produce_byte_rate"),
            (read, "kafka_server_brokertopicmetrics_bytesout_total", "kafka_server_fetch_byte_rate"),
        ];
        for (megabytes, of_topic, of_user) in ways.into_iter().filter(|(megabytes, ..)| **megabytes > 0) {
            let hours = traffic.hours(&format!("{user}/{topic}/{of_topic}"), megabytes * 1_000_000, *shape, 0);
            add(by_topic.entry((of_topic, topic)).or_default(), &hours);
            add(by_user.entry((of_user, user)).or_default(), &hours);
        }
    }
    let mut all = Vec::new();
    for (at, ((metric, topic), hours)) in by_topic.into_iter().enumerate() {
        if metric.contains("bytesin") {
            let log = |broker| [cluster, ("broker", broker), ("topic", topic), ("partition", "0")];
            all.extend(BROKERS.map(|broker| one("kafka_log_log_size", &log(broker), retain(&hours))));
        }
        all.push(one(metric, &[cluster, ("broker", BROKERS[at % BROKERS.len()]), ("topic", topic)], hours));
    }
    for ((metric, user), hours) in by_user {
        let per_second = hours.iter().map(|bytes| bytes / 3600).collect();
        all.push(one(metric, &[cluster, ("principal", user)], per_second));
    }
    all
}
