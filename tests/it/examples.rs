//! The examples as their pages say they are run, over a real Prometheus.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Installation, Prometheus, installed, succeed, until};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
/// What is measured begins at 00:00 of 1 February 2026, Unix seconds.
const BEGIN: i64 = 1_769_904_000;
/// As often as a value stays visible.
const STEP: i64 = 300;
const NOW: &str = "2026-02-05T06:30:00Z";
const UNTIL: i64 = BEGIN + 4 * 86_400 + 6 * 3600 + 1800;
const GIB: f64 = 1_073_741_824.0;

/// An example's configuration and `.env`, in the folder of an installation of its own.
fn prepared(name: &str) -> (Installation, PathBuf) {
    let installation = Installation::new("example");
    let example = Path::new(EXAMPLES).join(name);
    let text = std::fs::read_to_string(example.join("tributary.yaml")).expect("the example");
    let env = example.join(".env.example");
    if env.exists() {
        std::fs::copy(env, installation.dir.path().join(".env")).expect("copied");
    }
    let config = installation.write_config(&text);
    (installation, config)
}

#[test]
fn every_example_is_checked_without_a_word() {
    let mut seen = 0;
    for entry in std::fs::read_dir(EXAMPLES).expect("the examples") {
        let name = entry.expect("an example").file_name().into_string().expect("UTF-8");
        let (installation, _) = prepared(&name);
        let checked = succeed(installation.tributary().args(["config", "check", "tributary.yaml"]));
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!said.contains("warning"), "{name}: {said}");
        seen += 1;
    }
    assert!(seen >= 4, "the examples are there");
}

/// A series with a value for each moment: its selector, and the value after so many seconds.
type Made<'a> = (String, &'a dyn Fn(i64) -> f64);

/// A Prometheus that has had these series since the beginning.
fn measured(dir: &TempDir, series: &[Made<'_>]) -> Prometheus {
    let mut text = String::new();
    for (selector, value) in series {
        for at in (BEGIN..=UNTIL).step_by(STEP as usize) {
            writeln!(text, "{selector} {} {at}", value(at - BEGIN)).expect("a text takes it");
        }
    }
    let (file, tsdb) = (dir.path().join("series.om"), dir.path().join("tsdb"));
    std::fs::write(&file, text + "# EOF\n").expect("written");
    let mut blocks = Command::new(installed("promtool"));
    succeed(blocks.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(&tsdb));
    // What is here is as old as it is.
    let prometheus = Prometheus::start(dir.path(), "", &tsdb, &["--storage.tsdb.retention.time=100y"]);
    until("Prometheus answers", || !prometheus.ask("vector(1)", None).is_empty());
    prometheus
}

/// Runs an example once, as its page says, and returns the sums of its three days by what is asked for.
fn billed(installation: &Installation, config: &Path, prometheus: &Prometheus, columns: &str) -> Vec<String> {
    succeed(installation.once(config, NOW).env("PROMETHEUS_URL", &prometheus.url));
    assert_eq!(installation.records("days"), 3, "three days are over");
    let conserved = "SELECT (SELECT sum(amount) FROM billing) = (SELECT sum(amount) FROM chargebacks)";
    assert_eq!(installation.sql(conserved), "t");
    let sums = installation.sql(&format!(
        "SELECT {columns}, trim_scale(round(sum(amount), 6)) FROM chargebacks GROUP BY {columns} ORDER BY 1, 2"
    ));
    sums.lines().map(str::to_owned).collect()
}

#[test]
fn a_kafka_cluster_of_ones_own() {
    let dir = TempDir::with_prefix("tributary-example-").expect("a folder");
    // A GiB an hour is written and twice as much read; 45 GiB lie on three disks; checkout writes three quarters.
    let (hourly, twice) = (|t: i64| t as f64 / 3600.0 * GIB, |t: i64| t as f64 / 1800.0 * GIB);
    let (log, three, one) = (|_| 15.0 * GIB, |_| 3000.0, |_| 1000.0);
    let mut series: Vec<Made<'_>> = Vec::new();
    let cluster = |rest: &str| format!("{{cluster=\"orders-dc1\",{rest}}}");
    for (way, value) in [("in", &hourly as &dyn Fn(i64) -> f64), ("out", &twice)] {
        // The broker's own sum over all topics, under the same name, is not counted again.
        for labels in ["broker=\"1\",topic=\"orders\"", "broker=\"1\""] {
            series.push((format!("kafka_server_brokertopicmetrics_bytes{way}_total{}", cluster(labels)), value));
        }
    }
    for broker in 1..=3 {
        let labels = format!("broker=\"{broker}\",topic=\"orders\",partition=\"0\"");
        series.push((format!("kafka_log_log_size{}", cluster(&labels)), &log));
    }
    for metric in ["kafka_server_produce_byte_rate", "kafka_server_fetch_byte_rate"] {
        series.push((format!("{metric}{}", cluster("principal=\"User:checkout\"")), &three));
        series.push((format!("{metric}{}", cluster("principal=\"User:etl\"")), &one));
    }
    // Another cluster in the same Prometheus, which the selector leaves out.
    series.push(("kafka_log_log_size{cluster=\"other\",broker=\"9\",topic=\"x\",partition=\"0\"}".to_owned(), &log));
    let prometheus = measured(&dir, &series);

    let (installation, config) = prepared("self-managed-kafka");
    let sums = billed(&installation, &config, &prometheus, "product_type, identity_id, currency");
    let expected = [
        "SELF_KAFKA_COMPUTE|User:checkout|EUR|51.84",
        "SELF_KAFKA_COMPUTE|User:etl|EUR|51.84",
        "SELF_KAFKA_NETWORK_EGRESS|User:checkout|EUR|9.72",
        "SELF_KAFKA_NETWORK_EGRESS|User:etl|EUR|3.24",
        "SELF_KAFKA_NETWORK_INGRESS|User:checkout|EUR|0.54",
        "SELF_KAFKA_NETWORK_INGRESS|User:etl|EUR|0.18",
        "SELF_KAFKA_STORAGE|User:checkout|EUR|0.1296",
        "SELF_KAFKA_STORAGE|User:etl|EUR|0.1296",
    ];
    assert_eq!(sums, expected);
    let names = installation.sql("SELECT DISTINCT identity_id, display_name FROM identities ORDER BY 1");
    assert_eq!(names, "User:checkout|payments\nUser:etl|analytics");
}

#[test]
fn anything_that_a_prometheus_measures() {
    let dir = TempDir::with_prefix("tributary-example-").expect("a folder");
    // Ten GiB are kept, a GiB an hour leaves the house; at noon there are eight sessions, else four.
    let (most, rest) = (|t: i64| t as f64 / 4800.0 * GIB, |t: i64| t as f64 / 14_400.0 * GIB);
    let sessions = |t: i64| if t % 86_400 == 43_200 { 6.0 } else { 2.0 };
    let series: [Made<'_>; 6] = [
        ("pg_database_size_bytes{datname=\"a\"}".to_owned(), &|_| 7.0 * GIB),
        ("pg_database_size_bytes{datname=\"b\"}".to_owned(), &|_| 3.0 * GIB),
        ("app_egress_bytes_total{principal=\"user:etl\"}".to_owned(), &most),
        ("app_egress_bytes_total{principal=\"user:web\"}".to_owned(), &rest),
        ("pg_stat_activity_count{principal=\"user:etl\"}".to_owned(), &sessions),
        ("pg_stat_activity_count{principal=\"user:web\"}".to_owned(), &|_| 2.0),
    ];
    let prometheus = measured(&dir, &series);

    let (installation, config) = prepared("generic-metrics");
    let sums = billed(&installation, &config, &prometheus, "product_type, allocation_method");
    let expected = [
        "PG_COMPUTE|even_split|108",
        "PG_NETWORK|usage_ratio|3.6",
        "PG_SESSIONS|usage_ratio|0.48",
        "PG_STORAGE|even_split|0.072",
    ];
    assert_eq!(sums, expected);
    let network =
        "SELECT identity_id, round(sum(amount), 3) FROM chargebacks WHERE product_type = 'PG_NETWORK' GROUP BY 1";
    assert_eq!(installation.sql(&format!("{network} ORDER BY 1")), "user:etl|2.700\nuser:web|0.900");
    let even = "SELECT DISTINCT identity_id FROM chargebacks WHERE product_type = 'PG_COMPUTE' ORDER BY 1";
    assert_eq!(installation.sql(even), "team-platform\nuser:etl\nuser:web");

    // Rules of one's own: storage follows the traffic.
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let own = "    plugin_settings:\n      allocator_overrides: {PG_STORAGE: {by_usage: alloc_PG_NETWORK}}\n";
    std::fs::write(&config, text.replacen("    plugin_settings:\n", own, 1)).expect("written");
    succeed(installation.once(&config, NOW).env("PROMETHEUS_URL", &prometheus.url));
    let storage =
        "SELECT identity_id, round(sum(amount), 3) FROM chargebacks WHERE product_type = 'PG_STORAGE' GROUP BY 1";
    assert_eq!(installation.sql(&format!("{storage} ORDER BY 1")), "user:etl|0.054\nuser:web|0.018");
}
