//! The settings of a Confluent Cloud organisation.

use super::*;

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
fn a_digest_tells_configurations_apart_and_gives_no_secret_away() {
    let digest = |text: &str| good(&settings(&[text])).config.tenants[0].digest();
    let with = |password: &str| {
        digest(&format!("metrics: {{url: 'http://p', auth_type: basic, username: u, password: {password}}}"))
    };
    assert_eq!(with("hush-4"), with("hush-4"));
    assert_ne!(with("hush-4"), with("hush-5"));
    assert_ne!(digest("min_refresh_gap_seconds: 1"), digest("min_refresh_gap_seconds: 2"));
}

#[test]
fn granularities_have_an_hour_at_least_and_months_are_the_calendars() {
    let durations = |text: &str| settings(&[&format!("granularity_durations: {{{text}}}")]);
    let own = ccloud(&durations("Weekly: 168, daily: 12")).granularity_durations;
    assert_eq!((own["weekly"], own["daily"]), (168, 12));
    refused_with(&durations("shift: 0"), &["granularity_durations.shift", "0 is not"]);
    refused_with(&durations("monthly: 700"), &["granularity_durations.monthly", "as long as the calendar says"]);
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
    let full = settings(&["metrics: {url: 'http://p:9090/api/v1/'}"]);
    assert_eq!(ccloud(&full).metrics.expect("metrics").url, "http://p:9090");
    assert!(good(&full).warnings[0].message.contains("left out"));
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
    refused_with(&emitters("{type: prometheus, aggregation: hourly}"), &["`hourly` is finer than the rows"]);
    let hourly = settings(&["chargeback_granularity: hourly", "emitters: [{type: prometheus, aggregation: hourly}]"]);
    refused_with(&hourly, &["emitters[0].aggregation", "the rows, which are by day"]);
    refused_with(&emitters("{type: csv}"), &["emitters[0].params.output_dir (line 7): is missing"]);
    refused_with(&emitters("{type: prometheus, params: {port: 0}}"), &["emitters[0].params.port"]);
    refused_with(&emitters("{type: prometheus, params: {output_dir: /x}}"), &["does not belong to this type"]);
    refused_with(&emitters("{type: csvv, params: {output_dir: /x}}"), &["did you mean `csv`?"]);
    refused_with(&emitters("{type: csv, params: {output_dir: /x, filename_template: '{day}.csv'}}"), &["{day}"]);
    for (bad, why) in
        [("'{tenant_id}.csv'", "has no {date}"), ("'../{date}'", "leads out"), ("'/x/{date}'", "leads out")]
    {
        let text = format!("{{type: csv, params: {{output_dir: /x, filename_template: {bad}}}}}");
        refused_with(&emitters(&text), &["emitters[0].params.filename_template", why]);
    }
    refused_with(&emitters("{type: csv, name: a/b, params: {output_dir: /x}}"), &["emitters[0].name"]);
    refused_with(&emitters("{type: prometheus, params: {prefix: 1-x}}"), &["cannot begin the name of a metric"]);
    let gauges = "{type: prometheus}, {type: prometheus, name: months, aggregation: monthly";
    refused_with(&emitters(&format!("{gauges}}}")), &["emitters[1]", "the same gauges at the same port"]);
    assert_eq!(ccloud(&emitters(&format!("{gauges}, params: {{port: 8001}}}}"))).emitters[1].lookback_days, Some(31));
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
fn emitters_do_not_write_each_others_files() {
    let csv = |name: &str, template: &str| {
        format!("{{type: csv, name: {name}, params: {{output_dir: /x, filename_template: '{template}'}}}}")
    };
    let of = |first: &str, second: &str| settings(&[&format!("emitters: [{first}, {second}]")]);
    good(&of(&csv("a", "{date}.csv"), &csv("b", "{tenant_id}-{date}.csv")));
    let same = of(&csv("a", "{date}.csv"), &csv("b", "{date}.csv"));
    refused_with(&same, &["tenants.a", "\"b\" writes the same files as one of \"a\": {date}.csv in /x"]);
}
