//! What goes wrong outside: each fault has a message that says what to do, and costs nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::harness::{Installation, Upstream, World, fail, succeed};

const TINY: &str = "tiny-ccloud";

/// The tiny organisation, a fresh installation, and its configuration after `edit`.
fn tiny(options: &[&str], edit: impl Fn(String) -> String) -> Option<(World, Installation, Upstream, PathBuf)> {
    let world = World::named(TINY)?;
    let installation = Installation::new("bad");
    let upstream = Upstream::start(&world, options);
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, edit(text)).expect("written");
    Some((world, installation, upstream, config))
}

#[track_caller]
fn says(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn wrong_credentials_name_the_key_and_the_rights_it_needs() {
    let wrong = |text: String| text.replace("secret: bvth", "secret: wrong-bvth");
    let Some((world, installation, _upstream, config)) = tiny(&[], wrong) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["401", "ccloud_api"]);
    assert!(!text.contains("bvthnw6rjps"), "a secret was printed:\n{text}");
}

#[test]
fn wrong_credentials_of_the_metrics_hold_the_days() {
    let wrong = |text: String| text.replace("password: example-password", "password: not-the-password");
    let Some((world, installation, _upstream, config)) = tiny(&[], wrong) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["held", "metrics"]);
    assert!(!text.contains("not-the-password"), "a secret was printed:\n{text}");
    assert_eq!(installation.records("days"), 0, "nothing is sealed without its usage");
}

#[test]
fn an_address_where_nobody_listens_is_named() {
    let nobody = |text: String| {
        let line = text.lines().find(|line| line.contains("base_url:")).expect("an address").trim().to_owned();
        text.replacen(&line, "base_url: http://127.0.0.1:1", 1)
    };
    let Some((world, installation, _upstream, config)) = tiny(&[], nobody) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["127.0.0.1:1"]);
}

#[test]
fn a_web_page_instead_of_the_api_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<html><body>Welcome</body></html>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    let elsewhere = move |text: String| {
        let line = text.lines().find(|line| line.contains("base_url:")).expect("an address").trim().to_owned();
        text.replacen(&line, &format!("base_url: http://{address}"), 1)
    };
    let Some((world, installation, _upstream, config)) = tiny(&[], elsewhere) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["base_url"]);
}

#[test]
fn kafka_that_is_not_there_is_named() {
    let Some((world, installation, _upstream, config)) = tiny(&[], |text| text) else { return };
    let mut command = installation.once(&config, &world.runs[0]);
    let text = fail(command.env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"));
    says(&text, &["127.0.0.1:1", "kafka.bootstrap_servers"]);
}

#[test]
fn a_postgres_that_is_not_there_is_named_without_its_password() {
    let Some((world, installation, _upstream, config)) = tiny(&[], |text| text) else { return };
    let mut command = installation.once(&config, &world.runs[0]);
    let text = fail(command.env("DATABASE_URL", "postgres://someone:s3cret@127.0.0.1:1/tributary"));
    says(&text, &["127.0.0.1:1", "database.url"]);
    assert!(!text.contains("s3cret"), "a password was printed:\n{text}");
}

#[test]
fn a_wrong_postgres_password_is_named_as_such() {
    let Some((world, installation, _upstream, config)) = tiny(&[], |text| text) else { return };
    let (start, rest) = installation.database_url.split_once("://").expect("a scheme");
    let (credentials, place) = rest.split_once('@').expect("credentials");
    let user = credentials.split(':').next().expect("a user");
    let wrong = format!("{start}://{user}:wrong-one@{place}");
    let text = fail(installation.once(&config, &world.runs[0]).env("DATABASE_URL", wrong));
    says(&text, &["password"]);
    assert!(!text.contains("wrong-one"), "a password was printed:\n{text}");
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let broken = |text: String| {
        text.replace("lookback_days: 8", "lookback_dayz: 8")
            .replace("cutoff_days: 5", "cutoff_days: 99")
            .replace("auth_type: basic", "auth_type: bearer")
    };
    let Some((_, installation, _upstream, config)) = tiny(&[], broken) else { return };
    let text = fail(installation.tributary().args(["config", "check"]).arg(&config));
    says(&text, &["lookback_dayz", "did you mean", "lookback_days", "cutoff_days", "99", "bearer_token"]);
    assert!(!text.contains("example-password"), "a secret was printed:\n{text}");
}

/// A fault that passes leaves no trace in the result.
fn passes(faults: &[&str]) {
    let options: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", *fault]).collect();
    let Some((world, installation, _upstream, config)) = tiny(&options, |text| text) else { return };
    succeed(&mut installation.once(&config, &world.runs[0]));
    world.check(&installation.export(&config, TINY, "out"));
}

#[test]
fn too_many_requests_with_seconds_to_wait() {
    passes(&[r#"{"match": "GET /(iam|billing)/", "status": 429, "every": 3, "retry_after": 1}"#]);
}

#[test]
fn too_many_requests_with_a_date_to_wait_for() {
    // A date in the past: go on at once.
    passes(&[r#"{"match": "GET /iam/", "status": 429, "times": 2, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}"#]);
}

#[test]
fn server_errors_and_truncated_answers_that_pass() {
    passes(&[
        r#"{"match": "GET /cmk/", "status": 500, "times": 1}"#,
        r#"{"match": "GET /billing/", "status": 503, "times": 1}"#,
        r#"{"match": "GET /org/", "status": 200, "times": 1, "body": "{\"data\": [{\"id\": \"env"}"#,
        r#"{"match": "/api/v1/query", "status": 502, "times": 2}"#,
    ]);
}

#[test]
fn garbage_that_stays_fails_the_tenant_and_seals_nothing() {
    let garbage = r#"{"match": "GET /cmk/", "status": 200, "body": "{not json"}"#;
    let Some((world, installation, upstream, config)) = tiny(&["--fault", garbage], |text| text) else { return };
    let text = fail(&mut installation.once(&config, &world.runs[0]));
    says(&text, &["/cmk/v2/clusters", "JSON"]);
    assert_eq!(installation.records("days"), 0);

    // It passes: the next run catches up.
    upstream.set_faults("[]");
    succeed(&mut installation.once(&config, &world.runs[0]));
    world.check(&installation.export(&config, TINY, "out"));
}

#[test]
fn an_empty_organisation_is_no_error() {
    let Some(tiny) = World::named(TINY) else { return };
    let installation = Installation::new("empty");
    let text = std::fs::read_to_string(tiny.dir.join("world.json")).expect("a world");
    let mut world: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    world["entities"] = serde_json::json!({});
    world["series"] = serde_json::json!([]);
    world["costs"] = serde_json::json!([]);
    let path = installation.dir.path().join("world.json");
    std::fs::write(&path, world.to_string()).expect("written");
    // The later option wins: the kit serves the empty world.
    let upstream = Upstream::start(&tiny, &["--world", path.to_str().expect("UTF-8")]);
    let config = tiny.config(&installation, &upstream.url);
    let output = succeed(&mut installation.once(&config, &tiny.runs[0]));
    let text = String::from_utf8_lossy(&output.stdout);
    says(&text, &[TINY, "no billing lines"]);
}

#[test]
fn malformed_billing_rows_are_set_aside_with_their_bytes() {
    let Some(world) = World::named("small-ccloud") else { return };
    let installation = Installation::new("malformed");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    let mut list = installation.tributary();
    let listed = succeed(list.args(["quarantine", "list", "--config"]).arg(&config));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    says(&listed, &["start_date", "amount"]);
    let id = listed.split_whitespace().find(|word| word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit()));
    let mut show = installation.tributary();
    let shown = succeed(show.args(["quarantine", "show", id.expect("an id"), "--config"]).arg(&config));
    says(&String::from_utf8_lossy(&shown.stdout), &["line_type", "reason"]);
}
