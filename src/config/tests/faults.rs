//! What is refused, and how that is told.

use proptest::prelude::*;

use super::*;

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
fn an_unknown_ecosystem_is_told_with_the_known_ones() {
    let text = |name: &str| format!("tenants: {{x: {{ecosystem: {name}, tenant_id: x, plugin_settings: {{}}}}}}");
    refused_with(&text("self_managed_kafk"), &["did you mean `self_managed_kafka`?"]);
    refused_with(&text("aws"), &["use one of `confluent_cloud`, `self_managed_kafka`, `generic_metrics_only`"]);
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

proptest! {
    /// Whatever the file says, we answer. Broken copies of a whole file reach more places than noise does.
    #[test]
    fn no_text_breaks_the_reader(noise in ".{0,60}", at in 0usize..4000, cut in 0usize..80) {
        let whole = include_str!("../../../tests/config/chitragupta.yaml");
        let bytes = whole.as_bytes();
        let (at, end) = (at.min(bytes.len()), (at + cut).min(bytes.len()));
        let broken = [&bytes[..at], noise.as_bytes(), &bytes[end..]].concat();
        let _ = parse(&String::from_utf8_lossy(&broken), &env);
        let _ = parse(&noise, &env);
        let _ = dotenv::parse(&noise, &env);
        let _ = substitute::substitute(&format!("${{{noise}}}${{"), &env);
    }
}
