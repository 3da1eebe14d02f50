//! The configuration as an operator meets it: text in, values, faults and warnings out.

use std::fmt::Write;

use super::*;

const KEY: &str = "\n      ccloud_api: {key: K, secret: hush-1}";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "FAKE_URL" => "http://127.0.0.1:9090",
        "PORT" => "9000",
        "HOSTNAME" => "host-1",
        "SECRET" => "hush-9",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

#[track_caller]
fn good(text: &str) -> Loaded {
    parse(text, &env).unwrap_or_else(|faults| panic!("{faults}\n--\n{text}"))
}

/// The faults and their lines, without the rest of the world.
#[track_caller]
fn faults(text: &str) -> String {
    match parse(text, &env) {
        Ok(_) => panic!("no fault in\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

/// A tenant `a` with these lines, and these in its `plugin_settings` (each begins with a line break).
fn tenant(lines: &str, settings: &str) -> String {
    format!(
        "tenants:\n  a:\n    ecosystem: confluent_cloud\n    tenant_id: t-a{lines}\n    plugin_settings:{KEY}{settings}\n"
    )
}

/// Lines of a tenant.
fn with(lines: &[&str]) -> String {
    tenant(&indented(lines, 4), "")
}

/// Lines of `plugin_settings`.
fn settings(lines: &[&str]) -> String {
    tenant("", &indented(lines, 6))
}

fn indented(lines: &[&str], by: usize) -> String {
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = write!(out, "\n{}{line}", " ".repeat(by));
        out
    })
}

#[track_caller]
fn ccloud(text: &str) -> ConfluentCloud {
    let Ecosystem::ConfluentCloud(settings) = good(text).config.tenants.remove(0).ecosystem;
    *settings
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(faults(text), expected, "\n{text}");
}

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
    let Ecosystem::ConfluentCloud(settings) = tenant.ecosystem;
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
    let loaded = good(include_str!("../../tests/config/chitragupta.yaml"));
    let warnings: Vec<_> = loaded.warnings.iter().map(Warning::to_string).collect();
    let about =
        |path: &str| warnings.iter().filter(|warning| warning.starts_with(&format!("warning: {path} "))).count();
    for path in [
        "logging.format",
        "logging.per_module_levels",
        "plugins_path",
        "api",
        "preview",
        "tenants.acme.storage",
        "tenants.acme.focus_preview",
        "tenants.acme.plugin_settings.granularity_durations",
        "tenants.acme.plugin_settings.chargeback_granularity",
        "tenants.acme.plugin_settings.emitters",
        "tenants.acme.plugin_settings.topic_attribution",
        "tenants.acme.plugin_settings.allocator_params",
    ] {
        assert_eq!(about(path), 1, "{path}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 12, "{warnings:#?}");
    let Ecosystem::ConfluentCloud(settings) = &loaded.config.tenants[0].ecosystem;
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
fn every_fault_is_told_at_once_with_path_line_value_and_remedy() {
    let text = "\
logging: {level: LOUD}
feature: {}
tenants:
  a:
    ecosystem: confluent_clod
    tenant_id: 5
    lookback_dayz: 3
  b:
    ecosystem: confluent_cloud
    tenant_id: t-b
    lookback_days: 0
    plugin_settings:
      ccloud_api: {key: '${NO_KEY}', secret: 12345}
      metrics: {url: localhost:9090, password: hush-3}
";
    refused(
        text,
        "\
error: logging.level (line 1): \"LOUD\" is not known here; use one of `INFO`, `CRITICAL`, `ERROR`, `WARNING`, `DEBUG`
error: feature (line 2): is not a known key; did you mean `features`?
error: tenants.a.ecosystem (line 5): \"confluent_clod\" is not a known ecosystem; did you mean `confluent_cloud`?
error: tenants.a.tenant_id (line 6): the number 5 is not text; put it in quotes: \"5\"
error: tenants.a.lookback_dayz (line 7): is not a known key; did you mean `lookback_days`?
error: tenants.b.lookback_days (line 11): 0 is not between 1 and 364; write a whole number between 1 and 364
error: tenants.b.plugin_settings.ccloud_api.key (line 13): the variable `NO_KEY` is not set; \
set it in the environment or in `.env`, or write `${NO_KEY:-default}`
error: tenants.b.plugin_settings.ccloud_api.secret (line 13): the number *** is not text; put it in quotes: \"***\"
error: tenants.b.plugin_settings.metrics.url (line 14): \"localhost:9090\" does not begin with http:// or https://; \
write it like `https://prometheus.example.com:9090`
error: tenants.b.plugin_settings.metrics.password (line 14): is given, but `auth_type` is `none`; \
set `auth_type: basic` or `bearer`, or remove it",
    );
}

#[track_caller]
fn refused_with(text: &str, words: &[&str]) {
    let faults = faults(text);
    assert_eq!(faults.lines().count(), 1, "{faults}\n--\n{text}");
    for word in words {
        assert!(faults.contains(word), "`{word}` is not in: {faults}");
    }
}

#[test]
fn days_must_go_together() {
    let days = "tenants.a.lookback_days (line 5): 5 is not more than `cutoff_days`, which is 5";
    refused_with(&with(&["lookback_days: 5"]), &[days, "at least 6"]);
    let days = "tenants.a.retention_days (line 6): 29 is less than `lookback_days`, which is 30";
    refused_with(&with(&["lookback_days: 30", "retention_days: 29"]), &[days, "write at least 30"]);
    good(&with(&["lookback_days: 30", "retention_days: 30"]));
}

#[test]
fn ranges_hold_at_both_ends() {
    for (key, least, most) in [
        ("lookback_days", 6, 364),
        ("cutoff_days", 1, 30),
        ("retention_days", 200, 730),
        ("allocation_retry_limit", 1, 10),
        ("topic_attribution_retry_limit", 1, 10),
        ("metrics_prefetch_workers", 1, 20),
    ] {
        let at = |value: i64| {
            with(&["retention_days: 730", &format!("{key}: {value}")][usize::from(key == "retention_days")..])
        };
        good(&at(least));
        good(&at(most));
        refused_with(&at(most + 1), &[key, "is not between"]);
        refused_with(&at(0), &[key, "is not between"]);
    }
    for key in
        ["gather_failure_threshold: 0", "zero_gather_deletion_threshold: -2", "tenant_execution_timeout_seconds: -1"]
    {
        refused_with(&with(&[key]), &["is not at least"]);
    }
    good(&with(&["zero_gather_deletion_threshold: -1", "tenant_execution_timeout_seconds: 0"]));
    refused_with("api: {port: 65536}", &["api.port (line 1): 65536 is not between 1 and 65535"]);
    refused_with("features: {max_parallel_tenants: 65}", &["features.max_parallel_tenants"]);
}

#[test]
fn tenants_are_told_apart_by_their_id() {
    let text = with(&[]) + &with(&[]).replace("tenants:\n", "").replace("  a:", "  b:");
    let expected = "error: tenants.b (line 7): \"b\" has the same `tenant_id` as \"a\": \"t-a\"; \
                    give each tenant its own; facts are kept by it";
    refused(&text, expected);
    refused_with(
        &with(&[]).replace("tenant_id: t-a", "tenant_id: ''"),
        &["tenants.a.tenant_id (line 4): \"\" is empty"],
    );
    refused_with(&with(&[]).replace("\n    tenant_id: t-a", ""), &["tenants.a.tenant_id (line 2): is missing; add it"]);
}

#[test]
fn ecosystems_of_later_versions_are_named() {
    for name in ["self_managed_kafka", "generic_metrics_only"] {
        let text = format!("tenants: {{x: {{ecosystem: {name}, tenant_id: x, plugin_settings: {{cluster_id: c}}}}}}");
        refused_with(&text, &[&format!("`{name}` comes in a later version")]);
    }
}

#[test]
fn the_cku_ratios_are_numbers_within_bounds_that_add_up() {
    let params = |text: &str| settings(&[&format!("allocator_params: {{{text}}}")]);
    let both = ccloud(&params("kafka_cku_usage_ratio: 0.60, kafka_cku_shared_ratio: 0.4"));
    assert_eq!((both.cku_usage_ratio.as_str(), both.cku_shared_ratio.as_str()), ("0.6", "0.4"));
    ccloud(&params("kafka_cku_usage_ratio: 1, kafka_cku_shared_ratio: 0"));
    ccloud(&params("kafka_cku_usage_ratio: 0.7, kafka_cku_shared_ratio: 0.3001"));
    let lone = "kafka_cku_usage_ratio 0.6 and kafka_cku_shared_ratio 0.3 (its default) add up to 0.9, not 1";
    refused_with(&params("kafka_cku_usage_ratio: 0.6"), &[lone, "`kafka_cku_shared_ratio: 0.4`"]);
    refused_with(&params("kafka_cku_usage_ratio: 0.7, kafka_cku_shared_ratio: 0.3002"), &["add up to 1.0002"]);
    let outside = faults(&params("kafka_cku_usage_ratio: 1.5, kafka_cku_shared_ratio: -0.5"));
    assert!(
        outside.contains("1.5 is not a ratio between 0 and 1") && outside.contains("-0.5 is not a ratio"),
        "{outside}"
    );
    refused_with(&params("kafka_cku_usage_ratio: true"), &["true is a truth value, not a number"]);
    refused_with(&params("kafka_cku_usage_ratio: '0.7'"), &["\"0.7\" is text, not a number"]);
    refused_with(&params("my_ratio: '0.7'"), &["allocator_params.my_ratio (line 7): \"0.7\" is text"]);
    let typo = good(&params("kafka_cku_usage_ration: 0.7"));
    assert!(typo.warnings[0].message.contains("did you mean `kafka_cku_usage_ratio`?"), "{:?}", typo.warnings);
}

#[test]
fn metrics_credentials_fit_their_kind() {
    let metrics = |text: &str| settings(&[&format!("metrics: {{url: 'http://p:9090/prom/', {text}}}")]);
    let auth = |text: &str| ccloud(&metrics(text)).metrics.expect("metrics").auth;
    assert_eq!(ccloud(&metrics("")).metrics.expect("metrics").url, "http://p:9090/prom");
    assert_eq!(auth("auth_type: none, username: '', password: '${EMPTY}'"), MetricsAuth::None);
    let password = Secret::new("hush-4");
    assert_eq!(
        auth("auth_type: basic, username: u, password: hush-4"),
        MetricsAuth::Basic { username: "u".into(), password }
    );
    assert_eq!(auth("auth_type: BEARER, bearer_token: t"), MetricsAuth::Bearer { token: Secret::new("t") });
    refused_with(&metrics("auth_type: basic, username: u"), &["metrics.password", "is missing for `auth_type: basic`"]);
    refused_with(&metrics("auth_type: basic, username: u, password: ''"), &["metrics.password", "is missing"]);
    refused_with(&metrics("auth_type: bearer"), &["metrics.bearer_token", "is missing for `auth_type: bearer`"]);
    for key in ["username", "password", "bearer_token"] {
        refused_with(&metrics(&format!("{key}: hush-5")), &[key, "is given, but `auth_type` is `none`"]);
    }
    refused_with(&metrics("type: influx"), &["metrics.type", "\"influx\" is not known here"]);
    refused_with(&settings(&["metrics: {}"]), &["metrics.url (line 7): is missing"]);
    good(&settings(&["metrics: null", "flink: null"]));
}

#[test]
fn addresses_are_checked() {
    let url = |url: &str| settings(&[&format!("metrics: {{url: {url:?}}}")]);
    refused_with(&url("http://u:hush-6@h"), &["\"http://***@h\" contains credentials"]);
    refused_with(&url("https://"), &["is not a URL"]);
    refused_with(&url("ftp://h"), &["does not begin with http"]);
    refused_with(
        "database: {url: 'postgresql+psycopg2://u:hush-7@h/d'}",
        &["database.url", "***", "postgresql+psycopg2"],
    );
    refused_with("kafka: {bootstrap_servers: 'http://k:9092'}", &["kafka.bootstrap_servers", "host:port"]);
    refused_with("topics: {prefix: 'a b'}", &["topics.prefix", "not a name Kafka allows"]);
    good("topics: {prefix: ''}");
}

#[test]
fn topic_attribution_needs_metrics() {
    let without = settings(&["topic_attribution: {enabled: true}"]);
    refused_with(&without, &["topic_attribution (line 7)", "there is no `metrics` section"]);
    let wrong =
        settings(&["topic_attribution: {metric_name_overrides: {bytes_in: x}, cost_mapping_overrides: {K: half}}"]);
    let faults = faults(&wrong);
    assert!(faults.contains("topic_attribution.metric_name_overrides.bytes_in"), "{faults}");
    assert!(faults.contains("topic_attribution.cost_mapping_overrides.K") && faults.contains("\"half\""), "{faults}");
}

#[test]
fn emitters_are_told_apart_and_not_finer_than_what_they_get() {
    let emitters = |text: &str| settings(&[&format!("emitters: [{text}]")]);
    let csv = "{type: csv, params: {output_dir: /x}}";
    refused_with(
        &emitters(&format!("{csv}, {csv}")),
        &["emitters[1] (line 7): \"csv\" is the name of emitters[0] too"],
    );
    let named = "{type: csv, name: other, params: {output_dir: /y}}";
    assert_eq!(ccloud(&emitters(&format!("{csv}, {named}"))).emitters[1].name, "other");
    refused_with(&emitters("{type: prometheus, aggregation: hourly}"), &["aggregation `hourly` is finer"]);
    good(&settings(&["chargeback_granularity: hourly", "emitters: [{type: prometheus, aggregation: hourly}]"]));
    refused_with(&emitters("{type: csv}"), &["emitters[0].params.output_dir (line 7): is missing"]);
    refused_with(&emitters("{type: prometheus, params: {port: 0}}"), &["emitters[0].params.port"]);
    refused_with(&emitters("{type: prometheus, params: {output_dir: /x}}"), &["does not belong to this type"]);
    refused_with(&emitters("{type: csvv, params: {output_dir: /x}}"), &["did you mean `csv`?"]);
    refused_with(&emitters("{type: csv, params: {output_dir: /x, filename_template: '{day}.csv'}}"), &["{day}"]);
    let Sink::Csv { filename_template, .. } = &ccloud(&emitters(csv)).emitters[0].sink else { panic!("csv") };
    assert_eq!(filename_template, "{tenant_id}_{date}.csv");
    let topics = settings(&["topic_attribution: {emitters: [{type: csv}]}"]);
    let Sink::Csv { output_dir, filename_template } = &ccloud(&topics).topic_attribution.emitters[0].sink else {
        panic!()
    };
    assert_eq!(output_dir.to_str(), Some("/tmp/topic_attribution"));
    assert_eq!(filename_template, "topic_attr_{tenant_id}_{date}.csv");
}

#[test]
fn python_code_is_refused_and_an_empty_map_of_it_is_not() {
    good(&settings(&["allocator_overrides: {}", "identity_resolution_overrides:"]));
    for key in ["allocator_overrides", "identity_resolution_overrides"] {
        let text = settings(&[&format!("{key}: {{KAFKA_BASE: 'my.module:split'}}")]);
        refused_with(&text, &[&format!("{key}.KAFKA_BASE (line 7): names Python code"), "later version", "remove it"]);
    }
}

#[test]
fn librdkafka_properties_pass_except_those_that_are_ours() {
    let text = "kafka:\n  properties:\n    security.protocol: SASL_SSL\n    sasl.password: hush-8\n    \
                socket.timeout.ms: 60000\n    isolation.level: read_committed\n";
    let properties = good(text).config.kafka.properties;
    assert!(!properties.contains_key("isolation.level"), "ours anyway");
    assert_eq!((properties["socket.timeout.ms"].as_str(), properties["sasl.password"].as_str()), ("60000", "hush-8"));
    for (property, value) in [
        ("isolation.level", "read_uncommitted"),
        ("enable.auto.commit", "true"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("transactional.id", "x"),
        ("group.id", "x"),
        ("bootstrap.servers", "k:9092"),
    ] {
        let text = format!("kafka: {{properties: {{{property}: {value}}}}}");
        refused_with(
            &text,
            &[&format!("kafka.properties.{property:?} (line 1): `{property}` is not free"), "remove"]
                [..usize::from(property != "bootstrap.servers") + 1],
        );
    }
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
fn unknown_keys_are_faults_at_every_depth_and_never_tell_their_value() {
    for (text, path) in [
        ("kafk: hush", "kafk"),
        ("kafka: {bootstrap_server: hush}", "kafka.bootstrap_server"),
        ("database: {uri: hush}", "database.uri"),
        ("schema_registry: {url: 'http://r', pasword: hush}", "schema_registry.pasword"),
        (&settings(&["ccloud_apy: hush"]), "tenants.a.plugin_settings.ccloud_apy"),
        (&settings(&["billing_api: {days_per_qury: hush}"]), "tenants.a.plugin_settings.billing_api.days_per_qury"),
        (&settings(&["emitters: [{type: prometheus, nam: hush}]"]), "tenants.a.plugin_settings.emitters[0].nam"),
        ("preview: {max_worker: hush}", "preview.max_worker"),
    ] {
        let faults = faults(text);
        assert!(faults.contains(&format!("{path} (line ")) && faults.contains("did you mean"), "{faults}");
        assert!(!faults.contains("hush"), "{faults}");
    }
}

#[test]
fn a_section_in_the_wrong_shape_is_told() {
    refused_with("tenants: [a]", &["tenants (line 1): is a list, not a map"]);
    refused_with("kafka: hush", &["kafka (line 1): is a single value, not a section"]);
    refused_with("features: {refresh_interval: }", &["features.refresh_interval (line 1): has no value"]);
    refused_with("features: {refresh_interval: [1]}", &["is a list, not a whole number"]);
    refused_with("- a", &["(file) (line 1)"]);
    refused_with("api: {port: 010}", &["octal"]);
}

#[test]
fn the_focus_settings_are_checked_as_chitragupta_does() {
    refused_with("preview: {max_workers: 2, max_running_generations_per_tenant: 3}", &["3 is more than `max_workers`"]);
    refused_with("preview: {max_queued_generations: 2, max_queued_generations_per_tenant: 2}", &["does not go with"]);
    let focus = |text: &str| with(&[&format!("focus_preview: {{commercial_profile: direct_payg, {text}}}")]);
    good(&focus("effective_start_date: 2026-01-01, billing_currency: ' eur '"));
    refused_with(&focus("effective_start_date: 2026-01-01, billing_currency: EURO"), &["\"EURO\" is not a currency"]);
    refused_with(&focus("effective_start_date: 2026-01-02, effective_end_date: 2026-01-02"), &["is not after"]);
    refused_with(&focus("effective_start_date: tomorrow"), &["\"tomorrow\" is not a date"]);
}

#[test]
fn no_secret_is_ever_printed() {
    let text = include_str!("../../tests/config/chitragupta.yaml");
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
    let shown = show(&good(include_str!("../../tests/config/chitragupta.yaml")).config);
    let again = show(&good(&shown.replace("url: \"***\"", "url: postgres://h/d")).config);
    assert_eq!(shown, again);
}

/// Keys of the tree that the schema does not know, at any depth.
fn unknown(node: &yaml::Node, schema: &serde_json::Value, path: &str) -> Vec<String> {
    let shapes = schema["anyOf"].as_array().map_or(vec![schema], |shapes| shapes.iter().collect());
    match &node.content {
        yaml::Content::Scalar { .. } => vec![],
        yaml::Content::List(items) => {
            let items_schema = shapes.iter().map(|shape| &shape["items"]).find(|items| items.is_object());
            let Some(items_schema) = items_schema else { return vec![path.to_owned()] };
            items.iter().flat_map(|item| unknown(item, items_schema, &format!("{path}[]"))).collect()
        }
        yaml::Content::Map(entries) => {
            let inner = |key: &yaml::Key, node: &yaml::Node| {
                let path = yaml::join(path, &key.text);
                let of = |shape: &&serde_json::Value| {
                    [&shape["properties"][&key.text], &shape["additionalProperties"]]
                        .into_iter()
                        .find(|schema| schema.is_object())
                        .cloned()
                };
                match shapes.iter().find_map(of) {
                    Some(schema) => unknown(node, &schema, &path),
                    None => vec![path],
                }
            };
            entries.iter().flat_map(|(key, node)| inner(key, node)).collect()
        }
    }
}

#[test]
fn the_schema_knows_every_key_that_is_read() {
    let (root, _) = yaml::parse(include_str!("../../tests/config/chitragupta.yaml")).expect("a tree");
    let strangers = unknown(&root.expect("not empty"), &schema(), "");
    // An ignored section is not looked into.
    assert_eq!(strangers, ["tenants.acme.storage.backend", "tenants.acme.storage.connection_string"]);
}

#[test]
fn the_schema_tells_defaults_ranges_and_what_is_required() {
    let schema = schema();
    let tenant = &schema["properties"]["tenants"]["anyOf"][0]["additionalProperties"];
    assert_eq!(tenant["required"], serde_json::json!(["ecosystem", "tenant_id"]));
    assert_eq!(tenant["additionalProperties"], false);
    let lookback = &tenant["properties"]["lookback_days"];
    assert_eq!((&lookback["default"], &lookback["anyOf"][0]["maximum"]), (&200.into(), &364.into()));
    assert_eq!(tenant["properties"]["storage"]["deprecated"], true);
    assert!(lookback["description"].is_string());
}

#[test]
fn the_example_is_valid_and_warns_of_nothing() {
    let env = |name: &str| {
        let line = include_str!("../../examples/confluent-cloud/.env.example")
            .lines()
            .find(|line| line.starts_with(&format!("{name}=")));
        line.map(|line| line[name.len() + 1..].to_owned())
    };
    let loaded = parse(include_str!("../../examples/confluent-cloud/tributary.yaml"), &env);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.tenants.len(), 1);
}
