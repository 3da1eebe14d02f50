//! The settings of measured ecosystems.

use super::super::metered::{CostQuantity, IdentityOrigin, ResourceSource};
use super::*;

const METRICS: &str = "      metrics: {url: 'http://p:9090'}\n";
const RATES: &str = "      cost_model: {compute_hourly_rate: '0.5', storage_per_gib_hourly: 0.0001, \
                     network_ingress_per_gib: 0, network_egress_per_gib: '9e-2'";

fn tenant(ecosystem: &str, settings: &str) -> String {
    format!(
        "tenants:\n  a:\n    ecosystem: {ecosystem}\n    tenant_id: t-a\n    plugin_settings:\n      cluster_id: c\n{settings}"
    )
}

/// A cluster with these further lines.
fn kafka(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    tenant("self_managed_kafka", &format!("      broker_count: 3\n{RATES}}}\n{METRICS}{lines}"))
}

/// A system with one cost type of these keys.
fn generic(cost_type: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    let who = "      identity_source: {discovery_query: 'sum by (principal) (up)'}\n";
    let cost = format!("      cost_types:\n      - {{name: A, product_category: x, rate: 1, {cost_type}}}\n");
    tenant("generic_metrics_only", &format!("{METRICS}{who}{cost}{lines}"))
}

fn cluster(text: &str) -> SelfManagedKafka {
    match good(text).config.tenants.remove(0).ecosystem {
        Ecosystem::SelfManagedKafka(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rates_are_exact_and_regions_override_them_one_by_one() {
    let text = kafka(&[]).replace(
        "'9e-2'}",
        "'9e-2', region_overrides: {west: {compute_hourly_rate: 0, network_egress_per_gib: '0.0301'}}}",
    );
    let model = cluster(&text).cost_model;
    let told = |region| {
        let rates = model.rates(region);
        [rates.compute_hourly, rates.storage_per_gib_hourly, rates.ingress_per_gib, rates.egress_per_gib]
            .map(|price| price.to_string())
    };
    assert_eq!(told(None), ["0.5", "0.0001", "0", "0.09"]);
    assert_eq!(told(Some("west")), ["0", "0.0001", "0", "0.0301"]);
    assert_eq!(told(Some("east")), told(None));
}

#[test]
fn a_cluster_gets_the_documented_defaults() {
    let settings = cluster(&kafka(&[]));
    assert_eq!((settings.metered.currency.as_str(), settings.metered.wait_days), ("USD", 3));
    assert_eq!((settings.metered.minimum_coverage.to_string(), settings.discovery_window_hours), ("0.9".into(), 1));
    assert_eq!(settings.names.log_size, "kafka_log_log_size");
    assert_eq!(settings.identities.origin, IdentityOrigin::Prometheus);
    assert!(matches!(settings.resources, ResourceSource::Prometheus));
}

#[test]
fn all_faults_of_a_cluster_are_told_at_once() {
    let text = kafka(&[
        "currency: dollars",
        "completeness: {minimum_coverage: 1.5}",
        "resource_source: {source: admin_api, security_protocol: SASL_SSL}",
        "identity_source: {static_identities: [{identity_id: x, identity_type: t}, {identity_id: x, identity_type: t}]}",
        "metric_names: {bytes_in: 'a b', principal_bytes_in: q, selector: {'a-b': c}}",
    ])
    .replace("broker_count: 3", "broker_count: 0")
    .replace("'0.5'", "-0.5")
    .replace("'9e-2'", "NaN");
    let faults = faults(&text);
    for told in [
        "broker_count (line 7): 0 is not between 1",
        "compute_hourly_rate (line 8): -0.5 is less than nothing",
        "network_egress_per_gib (line 8): \"NaN\" is not a decimal number",
        "currency (line 10): \"dollars\" is not a currency",
        "minimum_coverage (line 11): 1.5 is more than the whole day",
        "resource_source.bootstrap_servers (line 12): is missing for `source: admin_api`",
        "resource_source.security_protocol (line 12): SASL_SSL does not go with no `sasl_mechanism`",
        "static_identities[1] (line 13): \"x\" is there twice",
        "metric_names.bytes_in (line 14): \"a b\" is no name",
        "metric_names.principal_bytes_out (line 14): is missing although `principal_bytes_in` is there",
        "selector.a-b (line 14): is no name of a label",
    ] {
        assert!(faults.contains(told), "{told:?} is missing in\n{faults}");
    }
    assert_eq!(faults.lines().count(), 11, "{faults}");
}

#[test]
fn required_keys_are_told_one_by_one() {
    let faults = faults(&tenant("self_managed_kafka", ""));
    for key in ["broker_count", "cost_model", "metrics"] {
        assert!(faults.contains(&format!("plugin_settings.{key} (line")), "{key} is missing in\n{faults}");
    }
}

#[test]
fn sasl_is_whole_or_not_there() {
    let admin =
        |text: &str| kafka(&[&format!("resource_source: {{source: admin_api, bootstrap_servers: 'k:9092', {text}}}")]);
    let whole =
        "security_protocol: SASL_PLAINTEXT, sasl_mechanism: SCRAM-SHA-512, sasl_username: u, sasl_password: hush-1";
    let ResourceSource::Admin(api) = cluster(&admin(whole)).resources else { panic!("not the admin API") };
    assert_eq!(api.sasl.map(|sasl| (sasl.mechanism, sasl.username)), Some(("SCRAM-SHA-512", "u".into())));
    refused_with(&admin("security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u"), &["sasl_password"]);
    refused_with(
        &admin("sasl_mechanism: PLAIN, sasl_username: u, sasl_password: hush-2"),
        &["PLAINTEXT does not go with a"],
    );
}

#[test]
fn cost_types_have_what_their_type_needs_and_nothing_else() {
    let even =
        |quantity: &str| generic(&format!("cost_quantity: {{{quantity}}}, allocation_strategy: even_split"), &[]);
    let quantity = |text: &str| match good(&even(text)).config.tenants.remove(0).ecosystem {
        Ecosystem::GenericMetrics(settings) => settings.cost_types[0].quantity.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(quantity("type: fixed, count: 3"), CostQuantity::Fixed { count: 3 });
    assert!(matches!(
        quantity("type: unit_rate, query: up, aggregation: maximum, per: hour"),
        CostQuantity::UnitRate { hourly: true, .. }
    ));
    refused_with(&even("type: fixed"), &["cost_quantity.count", "is missing for `type: fixed`"]);
    refused_with(&even("type: fixed, count: 1.5"), &["cost_quantity.count", "not a whole number"]);
    refused_with(&even("type: storage_gib"), &["cost_quantity.query", "is missing"]);
    refused_with(&even("type: storage_gib, query: up, count: 2"), &["cost_quantity.count", "does not belong"]);
    refused_with(&even("type: unit_rate, query: up"), &["cost_quantity.aggregation", "is missing"]);
    refused_with(&even("type: network_gib, query: 'sum(increase(x[7h]))'"), &["420 min", "does not divide a day"]);
    let warned = good(&even("type: network_gib, query: 'sum(rate(x[5m]))'")).warnings;
    assert!(warned[0].message.contains("write `increase`"), "{warned:?}");
    let by_usage = generic("cost_quantity: {type: fixed, count: 1}, allocation_strategy: usage_ratio", &[]);
    let faults = faults(&by_usage);
    assert!(faults.contains("allocation_query") && faults.contains("allocation_label"), "{faults}");
}

#[test]
fn costs_follow_usage_that_is_measured() {
    let usage = "cost_quantity: {type: fixed, count: 1}, allocation_strategy: usage_ratio, allocation_query: up, \
                 allocation_label: l";
    let even = "cost_quantity: {type: fixed, count: 1}, allocation_strategy: even_split";
    let followed = |cost: &str, of: &str, by: &str| {
        generic(cost, &[&format!("allocator_overrides: {{{of}: {{first_that_fits: [{{by_usage: {by}}}, even]}}}}")])
    };
    assert!(good(&followed(usage, "A", "alloc_A")).warnings.is_empty());
    assert!(good(&followed(usage, "otherwise", "alloc_A")).warnings.is_empty());
    refused_with(&followed(usage, "A", "[alloc_A, alloc_B]"), &["allocator_overrides.A", "\"alloc_B\"", "`alloc_A`?"]);
    refused_with(&followed(even, "A", "alloc_A"), &["\"alloc_A\" is no usage", "allocation_strategy: usage_ratio"]);
    let warned = good(&followed(usage, "B", "alloc_A")).warnings;
    assert!(warned[0].message.contains("`B` is the name of no cost type"), "{warned:?}");
}

#[test]
fn names_of_cost_types_are_distinct_and_somebody_has_to_be_found() {
    let twice = generic("cost_quantity: {type: fixed, count: 1}, allocation_strategy: even_split", &[]);
    let entry = twice.lines().find(|line| line.contains("name: A")).expect("the cost type").to_owned();
    let text = twice.replace(&entry, &format!("{entry}\n{entry}"));
    refused_with(&text, &["cost_types[1]", "\"A\" is the name of another cost type too"]);
    let nobody = twice.replace("identity_source: {discovery_query: 'sum by (principal) (up)'}", "identity_source: {}");
    refused_with(&nobody, &["identity_source.discovery_query", "nobody knows who there is"]);
    let fixed = twice.replace("{discovery_query: 'sum by (principal) (up)'}", "{source: static}");
    assert!(good(&fixed).warnings[0].message.contains("all costs go to UNALLOCATED"));
}

#[test]
fn headers_and_tls_of_the_metrics_server() {
    let metrics = |text: &str| kafka(&[]).replace("url: 'http://p:9090'", &format!("url: 'https://p', {text}"));
    let read = cluster(&metrics("headers: {X-Scope-OrgID: '${SECRET}'}, tls: {ca_file: /ca.pem}")).metered.metrics;
    assert_eq!(read.headers, [("X-Scope-OrgID".to_owned(), Secret::new("hush-9"))]);
    assert_eq!(read.tls.ca_file.as_deref(), Some(std::path::Path::new("/ca.pem")));
    refused_with(&metrics("headers: {Authorization: hush-3}"), &["headers.Authorization", "`auth_type`"]);
    refused_with(&metrics("tls: {cert_file: /c.pem}"), &["tls.key_file", "is missing although `cert_file`"]);
    assert!(good(&metrics("tls: {insecure_skip_verify: true}")).warnings[0].message.contains("any certificate"));
}

#[test]
fn what_is_shown_loads_again_and_tells_no_secret() {
    let cluster = kafka(&[
        "resource_source: {source: admin_api, bootstrap_servers: 'k:9092', security_protocol: SASL_SSL, sasl_mechanism: PLAIN, \
         sasl_username: u, sasl_password: hush-1}",
        "identity_source: {source: both, static_identities: [{identity_id: x, identity_type: t}]}",
        "metric_names: {principal_bytes_in: q_in, principal_bytes_out: q_out, selector: {cluster: c}}",
    ]);
    let system = generic(
        "cost_quantity: {type: unit_rate, query: up, aggregation: sum}, allocation_strategy: usage_ratio, \
         allocation_query: q, allocation_label: l",
        &[],
    );
    for text in [cluster, system] {
        let shown = show(&good(&text).config);
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(shown, show(&good(&shown).config));
    }
}
