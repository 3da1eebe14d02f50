//! What is accepted, and what it means.

use std::fmt::Write;

use super::*;

#[test]
fn an_empty_file_is_all_defaults() {
    let Config { features, kafka, database, topics, instance, tenants, .. } = good("").config;
    assert_eq!((features.refresh_interval, features.max_parallel_tenants), (1800, 4));
    assert_eq!((kafka, database.url, database.max_connections), (Kafka::default(), None, 10));
    assert_eq!((topics.prefix.as_str(), topics.partitions, topics.replication_factor), ("tributary.", 4, 1));
    assert_eq!((instance.as_str(), tenants.len()), ("host-1", 0));
}

#[test]
fn a_small_tenant_gets_the_documented_defaults() {
    let tenant = good(&with(&[])).config.tenants.remove(0);
    assert_eq!((tenant.name.as_str(), tenant.tenant_id.as_str()), ("a", "t-a"));
    assert_eq!((tenant.lookback_days, tenant.cutoff_days, tenant.retention_days), (200, 5, 250));
    assert_eq!((tenant.zero_gather_deletion_threshold, tenant.tenant_execution_timeout_seconds), (-1, 3600));
    let Ecosystem::ConfluentCloud(settings) = tenant.ecosystem else { panic!("another kind") };
    assert_eq!(settings.api.base_url, "https://api.confluent.cloud");
    assert_eq!((settings.cku_usage_ratio.as_str(), settings.cku_shared_ratio.as_str()), ("0.7", "0.3"));
    assert_eq!(
        (settings.days_per_query, settings.min_refresh_gap_seconds, settings.metrics_step_seconds),
        (15, 1800, 3600)
    );
    assert_eq!(settings.topic_attribution.exclude_topic_patterns, ["__consumer_offsets", "_schemas", "_confluent-*"]);
    assert!(settings.metrics.is_none() && settings.flink.is_empty() && settings.emitters.is_empty());
}

#[test]
fn a_file_of_chitragupta_is_accepted_and_told_what_has_no_effect() {
    let loaded = good(include_str!("../../../tests/config/chitragupta.yaml"));
    let warnings: Vec<_> = loaded.warnings.iter().map(Warning::to_string).collect();
    let about =
        |path: &str| warnings.iter().filter(|warning| warning.starts_with(&format!("warning: {path} "))).count();
    for path in [
        "logging.format",
        "logging.per_module_levels",
        "plugins_path",
        "preview",
        "tenants.acme.storage",
        "tenants.acme.focus_preview",
        "tenants.acme.plugin_settings.chargeback_granularity",
        "tenants.acme.plugin_settings.allocator_params",
    ] {
        assert_eq!(about(path), 1, "{path}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 8, "{warnings:#?}");
    let Ecosystem::ConfluentCloud(settings) = &loaded.config.tenants[0].ecosystem else { panic!("another kind") };
    assert_eq!((settings.cku_usage_ratio.as_str(), settings.cku_shared_ratio.as_str()), ("0.6", "0.4"));
    let emitter = &settings.emitters[0];
    assert_eq!((emitter.name.as_str(), emitter.aggregation), ("csv", Some(Granularity::Monthly)));
    assert_eq!(settings.flink[0].region_id, "us-east-2");
    let topics = &settings.topic_attribution;
    assert_eq!(topics.cost_mapping_overrides["KAFKA_BASE"], TopicMethod::Disabled);
    assert_eq!(topics.metric_name_overrides["topic_bytes_in"], "my_bytes");
    assert_eq!(topics.exclude_topic_patterns, ["tmp-*"]);
}

#[test]
fn variables_and_quoted_numbers_fit_where_a_number_belongs() {
    let text = "features: {refresh_interval: '60', max_parallel_tenants: 8.0, enable_periodic_refresh: no}\n\
                api: {port: '${PORT}', enable_cors: '${NOPE:-true}'}\ninstance: worker-${PORT}\n";
    let Config { features, api, instance, .. } = good(text).config;
    assert_eq!(
        (features.refresh_interval, features.max_parallel_tenants, features.enable_periodic_refresh),
        (60, 8, false)
    );
    assert_eq!((api.port, api.enable_cors, instance.as_str()), (9000, true, "worker-9000"));
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "data_dir: /a\nkafka: {bootstrap_servers: '${NOPE}'}\ndatabase: {url: postgres://a/b}\n";
    let env = |name: &str| {
        let value = match name {
            "TRIBUTARY_DATA_DIR" => "/b",
            "KAFKA_BOOTSTRAP_SERVERS" => "k1:9092, k2:9092",
            "DATABASE_URL" => "postgresql://u:hush-2@h/${d}",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let config = parse(text, &env).expect("good").config;
    assert_eq!(config.data_dir.as_deref(), Some(std::path::Path::new("/b")));
    assert_eq!(config.kafka.bootstrap_servers.as_deref(), Some("k1:9092,k2:9092"));
    assert_eq!(config.database.url.as_ref().map(Secret::expose), Some("postgresql://u:hush-2@h/${d}"));
    let wrong = |name: &str| (name == "DATABASE_URL").then(|| "mysql://u:hush-2@h".to_owned());
    let faults = parse("", &wrong).expect_err("no Postgres").to_string();
    assert!(
        faults.starts_with("error: environment variable DATABASE_URL: *** is an address of kind `mysql`"),
        "{faults}"
    );
}

#[test]
fn an_unused_value_may_name_a_variable_that_is_not_set() {
    good(&with(&["storage: {connection_string: 'sqlite:///${DB_PATH}'}"]));
}

#[test]
fn duplicate_flink_regions_keep_the_later_one() {
    let flink = settings(&[
        "flink:",
        "- {region_id: ' US-East-2 ', key: k1, secret: s}",
        "- {region_id: us-east-2, key: k2, secret: s}",
    ]);
    assert_eq!(ccloud(&flink).flink.iter().map(|region| region.key.as_str()).collect::<Vec<_>>(), ["k2"]);
    assert!(good(&flink).warnings[0].message.contains("the later entry holds"));
}

#[test]
fn no_secret_is_ever_printed() {
    let text = include_str!("../../../tests/config/chitragupta.yaml");
    let loaded = good(text);
    let printed = format!("{:?}{:#?}{}", loaded, loaded.warnings, show(&loaded.config));
    // The same file full of mistakes: every text becomes a list, then a number of keys is renamed.
    let mut told = String::new();
    for wrong in
        [text.replace("secret: ", "secrt: "), text.replace("password: ", "port: "), text.replace("hush-", "[hush-")]
    {
        if let Err(faults) = parse(&wrong, &env) {
            let _ = write!(told, "{faults}{faults:?}");
        }
    }
    assert!(text.matches("hush-").count() >= 6 && told.len() > 500, "the test has lost its object");
    assert!(!printed.contains("hush-"), "{printed}");
    assert!(!told.contains("hush-"), "{told}");
}

#[test]
fn what_is_shown_loads_again() {
    let shown = show(&good(include_str!("../../../tests/config/chitragupta.yaml")).config);
    let again = show(&good(&shown.replace("url: \"***\"", "url: postgres://h/d")).config);
    assert_eq!(shown, again);
}

#[test]
fn the_example_is_valid_and_warns_of_nothing() {
    let env = |name: &str| {
        let line = include_str!("../../../examples/confluent-cloud/.env.example")
            .lines()
            .find(|line| line.starts_with(&format!("{name}=")));
        line.map(|line| line[name.len() + 1..].to_owned())
    };
    let loaded = parse(include_str!("../../../examples/confluent-cloud/tributary.yaml"), &env);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.tenants.len(), 1);
}

#[test]
fn the_examples_of_measured_systems_are_valid_and_warn_of_nothing() {
    let env = |name: &str| Some(if name.ends_with("_URL") { "http://127.0.0.1:9090" } else { "token" }.to_owned());
    for text in [
        include_str!("../../../examples/self-managed-kafka/tributary.yaml"),
        include_str!("../../../examples/generic-metrics/tributary.yaml"),
    ] {
        let known = |name: &str| env(name).filter(|_| name.starts_with("PROMETHEUS_"));
        let loaded = parse(text, &known).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(loaded.warnings, []);
    }
}

#[test]
fn anchors_have_a_place_at_the_top() {
    good("x-common: &c {lookback_days: 20}\ntenants:\n");
}

#[test]
fn files_of_other_systems_are_read() {
    let text = "\u{feff}topics:\r\n  prefix: a.\r\n  partitions: 6\r\n";
    let Topics { prefix, partitions, .. } = good(text).config.topics;
    assert_eq!((prefix.as_str(), partitions), ("a.", 6));
}
