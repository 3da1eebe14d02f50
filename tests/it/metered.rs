//! Measured costs when something is wrong outside: each fault has a message that says what to do, no day becomes cheap,
//! nothing is lost.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::harness::{Installation, Upstream, World, fail, succeed};

const CLUSTER: &str = "small-selfmanaged";
const SYSTEM: &str = "small-generic";

/// A world, a fresh installation, and its configuration after `edit`. Four days: the last of the window.
fn world(
    name: &str,
    options: &[&str],
    edit: impl Fn(String) -> String,
) -> Option<(World, Installation, Upstream, PathBuf)> {
    let world = World::named(name)?;
    let installation = Installation::new("metered");
    let upstream = Upstream::start(&world, options);
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let short = text.replace("lookback_days: 19", "lookback_days: 9").replace("lookback_days: 15", "lookback_days: 9");
    std::fs::write(&config, edit(short)).expect("written");
    Some((world, installation, upstream, config))
}

#[track_caller]
fn says(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// One run that fails with these words and seals nothing.
#[track_caller]
fn refused(name: &str, options: &[&str], edit: impl Fn(String) -> String, expected: &[&str]) {
    let Some((world, installation, _upstream, config)) = world(name, options, edit) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, expected);
    assert_eq!(installation.records("days"), 0, "a day was sealed:\n{text}");
}

/// One run that holds all four days for these words, then one without the fault that seals them.
#[track_caller]
fn held(name: &str, fault: &str, expected: &[&str]) {
    let Some((world, installation, upstream, config)) = world(name, &["--fault", fault], |text| text) else { return };
    let output = installation.once(&config, &world.runs[0]).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    says(&text, expected);
    assert_eq!(installation.records("days"), 0, "a day was sealed:\n{text}");
    upstream.set_faults("[]");
    succeed(&mut installation.once(&config, &world.runs[0]));
    assert_eq!(installation.records("days"), 4, "all days are there after all");
}

#[test]
fn a_prometheus_that_is_not_there_is_named() {
    let nowhere = |text: String| {
        let line = text.lines().find(|line| line.contains("url: http")).expect("an address").trim().to_owned();
        text.replacen(&line, "url: http://127.0.0.1:1", 1)
    };
    refused(CLUSTER, &[], nowhere, &["127.0.0.1:1", "cannot be reached", "metrics.url"]);
}

#[test]
fn wrong_credentials_are_told_without_telling_them() {
    let wrong = |text: String| text.replace("bearer_token: example-token", "bearer_token: hush-hush");
    let Some((world, installation, _upstream, config)) = world(SYSTEM, &[], wrong) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["401", "`metrics.bearer_token`"]);
    assert!(!text.contains("hush-hush"), "a secret was printed:\n{text}");
    assert_eq!(installation.records("days"), 0);
}

#[test]
fn a_web_page_with_status_200_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<html><body>Sign in</body></html>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    let elsewhere = move |text: String| {
        let line = text.lines().find(|line| line.contains("url: http")).expect("an address").trim().to_owned();
        text.replacen(&line, &format!("url: http://{address}"), 1)
    };
    refused(CLUSTER, &[], elsewhere, &["HTML", "metrics.url"]);
}

#[test]
fn a_metric_that_does_not_exist_holds_the_days() {
    let other = |text: String| {
        text.replace("sum(pg_database_size_bytes)", "sum(pg_size)")
            .replace("sum(increase(app_egress", "sum(increase(no_such")
    };
    let Some((world, installation, _upstream, config)) = world(SYSTEM, &[], other) else { return };
    let output = succeed(&mut installation.once(&config, &world.runs[0]));
    says(
        &String::from_utf8_lossy(&output.stdout),
        &["4 days held (2026-02-25 to 2026-02-28)", "no sample of any cost", "sum(pg_size)", "names and labels"],
    );
    assert_eq!(installation.records("days"), 0);
}

#[test]
fn a_label_that_no_series_has_is_told() {
    let other = |text: String| text.replace("label: principal", "label: who");
    refused(SYSTEM, &[], other, &["has the label `who`", "identity_source.label"]);
    let cluster =
        |text: String| text.replace("cluster_id: ops", "metric_names: {principal_label: who}\n      cluster_id: ops");
    refused(CLUSTER, &[], cluster, &["no series has the label `who`", "quota", "principal_label"]);
}

#[test]
fn a_query_with_a_mistake_is_told_with_the_servers_words() {
    let broken = |text: String| text.replace("sum(pg_database_size_bytes)", "sum(pg_database_size_bytes");
    refused(SYSTEM, &[], broken, &["400"]);
}

#[test]
fn the_same_series_twice_and_half_an_answer_hold_the_days() {
    let one = r#"{\"metric\": {\"principal\": \"a\"}, \"values\": [[1772150400, \"1\"]]}"#;
    let twice =
        format!(r#"{{\"status\": \"success\", \"data\": {{\"resultType\": \"matrix\", \"result\": [{one}, {one}]}}}}"#);
    let fault = format!(r#"{{"match": "query_range", "status": 200, "body": "{twice}"}}"#);
    held(SYSTEM, &fault, &["the series {principal=\"a\"} twice"]);
    let part =
        r#"{\"status\": \"success\", \"isPartial\": true, \"data\": {\"resultType\": \"matrix\", \"result\": []}}"#;
    held(CLUSTER, &format!(r#"{{"match": "query_range", "status": 200, "body": "{part}"}}"#), &["with a part only"]);
}

#[test]
fn a_server_that_allows_fewer_points_is_asked_in_parts() {
    // The first range query is refused for its size; its halves are answered.
    let error = r#"{\"status\": \"error\", \"errorType\": \"bad_data\", \"error\": \"exceeded maximum resolution of 11,000 points per timeseries\"}"#;
    let fault = format!(r#"{{"match": "query_range.*log_size", "status": 400, "times": 1, "body": "{error}"}}"#);
    let Some((world, installation, _upstream, config)) = world(CLUSTER, &["--fault", &fault], |text| text) else {
        return;
    };
    succeed(&mut installation.once(&config, &world.runs[0]));
    assert_eq!(installation.records("days"), 4);
}

#[test]
fn an_answer_that_takes_too_long_is_asked_for_again() {
    // Longer than an attempt may take.
    let fault = r#"{"match": "query_range.*log_size", "status": 0, "times": 1, "delay": 31}"#;
    let Some((world, installation, _upstream, config)) = world(CLUSTER, &["--fault", fault], |text| text) else {
        return;
    };
    let begun = std::time::Instant::now();
    succeed(&mut installation.once(&config, &world.runs[0]));
    assert!(begun.elapsed().as_secs() >= 30, "nobody waited: the fault was not met");
    assert_eq!(installation.records("days"), 4);
}

#[test]
fn usage_that_cannot_be_had_holds_a_day_then_flags_it() {
    // The bill is asked for without principals.
    let fault = r#"{"match": "query_range.*by.{1,6}principal", "status": 422}"#;
    let Some((world, installation, _upstream, config)) = world(CLUSTER, &["--fault", fault], |text| text) else {
        return;
    };
    for _ in 0..2 {
        let output = installation.once(&config, &world.runs[0]).output().expect("it runs");
        says(&String::from_utf8_lossy(&output.stdout), &["held", "of 3"]);
        assert_eq!(installation.records("days"), 0);
    }
    succeed(&mut installation.once(&config, &world.runs[0]));
    let details = "SELECT DISTINCT allocation_detail, identity_id FROM chargebacks";
    assert_eq!(installation.sql(details), "metrics_fetch_failed|UNALLOCATED");
}

/// The day of the hole is 16 days old: nobody waits for its samples any more.
#[test]
fn a_hole_is_flagged_when_it_is_old_and_held_as_long_as_one_wants() {
    let Some(kafka) = World::named(CLUSTER) else { return };
    let upstream = Upstream::start(&kafka, &[]);
    for (wait, sealed, said) in
        [("3", 12, "2026-02-18 is billed with a gap: only"), ("30", 11, "2026-02-18 held: only")]
    {
        let installation = Installation::new("hole");
        let config = kafka.config(&installation, &upstream.url);
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let waits = format!("completeness: {{wait_days: {wait}}}\n      cluster_id: ops");
        std::fs::write(&config, text.replace("cluster_id: ops", &waits)).expect("written");
        let output = succeed(&mut installation.once(&config, &kafka.runs[0]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        says(&text, &[said, "2 days held (2026-02-16 to 2026-02-17)", "no sample of any cost"]);
        assert_eq!(installation.records("days"), sealed, "{text}");
    }
}

#[test]
fn metrics_that_are_forgotten_take_nothing_back() {
    let Some((world, installation, upstream, config)) = world(CLUSTER, &[], |text| text) else { return };
    succeed(&mut installation.once(&config, &world.runs[0]));
    let rows = "SELECT count(*), sum(amount) FROM chargebacks";
    let before = installation.sql(rows);
    let empty = r#"{\"status\": \"success\", \"data\": {\"resultType\": \"matrix\", \"result\": []}}"#;
    upstream.set_faults(&format!(r#"[{{"match": "query_range", "status": 200, "body": "{empty}"}}]"#));
    succeed(&mut installation.once(&config, &world.runs[0]));
    assert_eq!(installation.sql(rows), before);
    assert_eq!(installation.records("days"), 4);
}
