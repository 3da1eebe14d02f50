//! Who may use the API: tokens, what they may, and what is remembered of those who make them.

mod oidc;

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Answer, Installation, Running, fail, free_port, request, succeed, until};

/// Two tenants that other programs gather.
const TENANTS: &str = "\
tenants:
  one: {ecosystem: external, tenant_id: t-1, plugin_settings: {allocator_overrides: {otherwise: unallocated}}}
  two: {ecosystem: external, tenant_id: t-2, plugin_settings: {allocator_overrides: {otherwise: unallocated}}}
";

/// The API with its projections, and the first token that it printed.
struct Api {
    port: u16,
    first: String,
    config: std::path::PathBuf,
    running: Running,
    installation: Installation,
}

impl Api {
    fn start(name: &str) -> Self {
        let installation = Installation::new(name);
        let port = free_port();
        let config = installation.write_config(&format!("{TENANTS}api: {{port: {port}}}\n"));
        let mut command = installation.service(&config, "project,api", "api");
        let mut running = Running::start(&mut command, installation.dir.path(), "api");
        running.until("the first token is printed", |running| running.said().contains("shown once: "));
        running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
        let said = running.said();
        let line =
            said.lines().find(|line| line.contains("shown once: ")).unwrap_or_else(|| panic!("no token: {said}"));
        let first = line.rsplit_once(' ').expect("a token at the end").1.to_owned();
        let api = Self { port, first, config, running, installation };
        until("the first token is in the tables", || api.get("/api/v1/whoami", &api.first).status == 200);
        api
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        request(self.port, method, path, &[&format!("Authorization: Bearer {token}")], body)
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, "")
    }

    /// Makes a token, sees it in the tables, and gives back id and token.
    #[track_caller]
    fn token(&self, asked: &Value) -> (String, String) {
        let made = self.ask("POST", "/api/v1/tokens", &self.first, &asked.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
        let position = made.header("X-Event-Position").expect("a position");
        let seen = self.get(&format!("/api/v1/tenants/one/events?min_position={position}"), &self.first);
        assert_eq!(seen.status, 200, "{}", seen.body);
        let text = |name: &str| made.json()[name].as_str().expect("a text").to_owned();
        (text("id"), text("token"))
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(u64::from(status))));
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{problem}");
}

#[test]
fn a_token_opens_what_it_is_for_and_nothing_else() {
    let api = Api::start("auth");
    nobody_comes_in_without_a_token(&api);
    scopes_and_tenants_hold(&api);
    faults_are_told_at_once(&api);
    a_token_that_was_taken_back_is_of_no_use(&api);
    a_request_that_is_sent_again_is_not_done_again(&api);
    what_was_done_is_remembered(&api);
    the_command_line_does_the_same(&api);
    the_first_token_is_printed_once(api);
}

fn nobody_comes_in_without_a_token(api: &Api) {
    for path in ["/api/v1/tenants", "/api/v1/tenants/one/days", "/api/v1/tokens", "/api/v1/whoami", "/api/v1/nothing"] {
        let without = request(api.port, "GET", path, &[], "");
        refused(&without, 401, "unauthenticated");
        assert_eq!(without.header("WWW-Authenticate"), Some("Bearer realm=\"tributary\""));
        let made_up = format!("trib_{}_{}", "0".repeat(12), "A".repeat(43));
        for wrong in [made_up.as_str(), &api.first[..api.first.len() - 1], "x", "", "a.b.c", &"trib_9".repeat(2000)] {
            let wrong = api.get(path, wrong);
            refused(&wrong, 401, "bad-token");
            assert!(wrong.header("WWW-Authenticate").is_some_and(|how| how.contains("invalid_token")));
        }
        let basic = request(api.port, "GET", path, &["Authorization: Basic dXNlcjpwYXNz"], "");
        refused(&basic, 401, "bad-token");
    }
    for path in ["/docs/", "/api/v1/openapi.json"] {
        assert_eq!(request(api.port, "GET", path, &[], "").status, 200, "the contract is no secret");
    }
    for path in ["/healthz", "/version"] {
        assert_eq!(request(api.port, "GET", path, &[], "").status, 200, "{path} is for supervisors");
    }
    assert!([200, 503].contains(&request(api.port, "GET", "/readyz", &[], "").status));
    refused(&request(api.port, "POST", "/healthz", &[], ""), 405, "method-not-allowed");
    refused(&request(api.port, "GET", "/metrics", &[], ""), 401, "unauthenticated");
    let root = request(api.port, "GET", "/", &[], "");
    assert_eq!((root.status, root.header("Location")), (307, Some("/docs/")));
    let asked = request(api.port, "GET", "/api/v1/whoami", &["X-Request-Id: deploy-7"], "");
    assert_eq!(asked.header("X-Request-Id"), Some("deploy-7"));
}

fn scopes_and_tenants_hold(api: &Api) {
    let (id, reader) = api.token(&json!({"name": "reader of one", "scopes": ["costs:read"], "tenants": ["one"]}));
    let who = api.get("/api/v1/whoami", &reader).json();
    assert_eq!(
        who,
        json!({"actor": format!("token:{id}"), "scopes": ["costs:read"], "tenants": ["one"], "expires_at": null})
    );
    assert_eq!(api.get("/api/v1/tenants/one/days", &reader).status, 200);
    let names = |token: &str| {
        let tenants = api.get("/api/v1/tenants", token).json();
        tenants["items"].as_array().expect("tenants").iter().map(|t| t["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&reader), ["one"]);
    assert_eq!(names(&api.first), ["one", "two"]);
    // Another tenant looks like one that is not there.
    let (other, none) = (api.get("/api/v1/tenants/two/days", &reader), api.get("/api/v1/tenants/three/days", &reader));
    refused(&other, 404, "not-found");
    refused(&none, 404, "not-found");
    let said = |answer: &Answer| answer.json()["detail"].as_str().expect("a detail").to_owned();
    assert_eq!(said(&other), said(&none).replace("three", "two"));
    assert_eq!(api.get("/api/v1/tenants/t%77o/days", &reader).status, 404, "written otherwise");
    for (method, path) in [("GET", "/api/v1/tokens"), ("POST", "/api/v1/tokens"), ("GET", "/api/v1/events")] {
        refused(&api.ask(method, path, &reader, ""), 403, "forbidden");
    }
    // Metrics name all tenants.
    refused(&api.get("/metrics", &reader), 403, "forbidden");
    let (_, scraper) = api.token(&json!({"name": "scraper", "scopes": ["costs:read"]}));
    assert!(api.get("/metrics", &scraper).body.contains("tributary_build_info"));
    let (_, limited) = api.token(&json!({"name": "admin of one", "scopes": ["admin"], "tenants": ["one"]}));
    assert_eq!(api.get("/api/v1/tenants/one/days", &limited).status, 200);
    refused(&api.get("/api/v1/tenants/two/days", &limited), 404, "not-found");
    refused(&api.ask("POST", "/api/v1/tokens", &limited, "{}"), 403, "forbidden");
    let (_, tagger) = api.token(&json!({"name": "tags", "scopes": ["tags:write"]}));
    refused(&api.get("/api/v1/tenants/one/days", &tagger), 403, "forbidden");
}

fn faults_are_told_at_once(api: &Api) {
    let asked = json!({"name": " ", "scopes": ["root"], "tenants": ["three"], "expires_at": "2020-01-01T00:00:00Z"});
    let refusal = api.ask("POST", "/api/v1/tokens", &api.first, &asked.to_string());
    refused(&refusal, 400, "bad-parameter");
    let errors = refusal.json()["errors"].clone();
    let named: Vec<&str> = errors.as_array().expect("errors").iter().filter_map(|e| e["pointer"].as_str()).collect();
    assert_eq!(named, ["name", "scopes", "tenants", "expires_at"]);
    for (body, status, code) in [
        ("{", 400, "bad-parameter"),
        ("{\"name\": 5}", 400, "bad-parameter"),
        ("{\"name\": \"a\", \"scopes\": [\"admin\"], \"more\": 1}", 400, "bad-parameter"),
        (&format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20)), 413, "too-large"),
    ] {
        refused(&api.ask("POST", "/api/v1/tokens", &api.first, body), status, code);
    }
    let headers = [format!("Authorization: Bearer {}", api.first), "Content-Type: text/plain".to_owned()];
    let plain = request(api.port, "POST", "/api/v1/tokens", &[&headers[0], &headers[1]], "{}");
    refused(&plain, 415, "unsupported-media-type");
    let colour = json!({"name": "\u{1b}[31mred", "scopes": ["costs:read"]}).to_string();
    refused(&api.ask("POST", "/api/v1/tokens", &api.first, &colour), 400, "bad-parameter");
    let mut by_hand = api.installation.tributary();
    by_hand.args(["token", "create", "--name", "\u{1b}[31mred", "--scope", "costs:read", "--config"]).arg(&api.config);
    assert!(fail(&mut by_hand).contains("no control characters"));
    refused(&api.get("/api/v1/tenants/one/days?min_position=x", &api.first), 400, "bad-parameter");
    refused(&api.ask("DELETE", "/api/v1/tokens/none", &api.first, ""), 404, "not-found");
}

fn a_token_that_was_taken_back_is_of_no_use(api: &Api) {
    let (id, token) = api.token(&json!({"name": "short-lived", "scopes": ["costs:read"]}));
    assert_eq!(api.get("/api/v1/tenants", &token).status, 200);
    let gone = api.ask("DELETE", &format!("/api/v1/tokens/{id}"), &api.first, "");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let begun = std::time::Instant::now();
    until("the token lets nobody in", || api.get("/api/v1/tenants", &token).status == 401);
    assert!(begun.elapsed().as_secs() < 30, "that took {:?}", begun.elapsed());
    let left = api.get("/api/v1/tokens", &api.first).json();
    assert!(left["items"].as_array().expect("tokens").iter().all(|of| of["id"] != *id), "{left}");
    assert!(!left.to_string().contains("hash"), "{left}");
}

fn a_request_that_is_sent_again_is_not_done_again(api: &Api) {
    let authorization = format!("Authorization: Bearer {}", api.first);
    let post = |key: &str, body: &Value| {
        let key = format!("Idempotency-Key: {key}");
        request(api.port, "POST", "/api/v1/tokens", &[&authorization, &key], &body.to_string())
    };
    let wanted = json!({"name": "once", "scopes": ["costs:read"], "tenants": ["two"]});
    // Sent many times at once it is done once; the secret is shown once.
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..8).map(|_| scope.spawn(|| post("order-66", &wanted))).collect();
        sent.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    answers.iter().filter(|answer| answer.status != 201).for_each(|answer| refused(answer, 409, "conflict"));
    let again = post("order-66", &wanted);
    refused(&again, 409, "conflict");
    assert!(again.json()["detail"].as_str().expect("a detail").contains("secret"), "{}", again.body);
    refused(&post("order-66", &json!({"name": "other", "scopes": ["costs:read"]})), 422, "idempotency-key-reused");
    // What did nothing gives its key back.
    refused(&post("order-67", &json!({"name": "", "scopes": []})), 400, "bad-parameter");
    assert_eq!(post("order-67", &wanted).status, 201);
    refused(&post("two words", &wanted), 400, "bad-parameter");
    let kept = api.installation.sql("SELECT string_agg(convert_from(body, 'UTF8'), '') FROM request_answers");
    assert!(!kept.contains("trib_"), "no secret is kept: {kept}");
}

fn what_was_done_is_remembered(api: &Api) {
    let of = |query: &str| api.get(&format!("/api/v1/events?{query}"), &api.first).json()["items"].clone();
    let all = of("limit=1000");
    let deeds: Vec<&str> = all.as_array().expect("events").iter().filter_map(|e| e["action"].as_str()).collect();
    assert_eq!(deeds.iter().filter(|deed| **deed == "token.created").count(), 8, "{deeds:?}");
    assert_eq!(all[0]["actor"], "service");
    assert_eq!(all[0]["after"]["scopes"], json!(["admin"]));
    assert!(!all.to_string().contains("hash"), "{all}");
    let revoked = of("type=token.revoked");
    assert_eq!(revoked.as_array().expect("events").len(), 1);
    assert_eq!((&revoked[0]["before"]["name"], &revoked[0]["after"]), (&json!("short-lived"), &Value::Null));
    let id = revoked[0]["entity_id"].as_str().expect("an id");
    assert_eq!(of(&format!("entity=token:{id}")).as_array().expect("events").len(), 2);
    // Page by page it is the same.
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/events?limit=2{cursor}"), &api.first).json();
        pages.extend(page["items"].as_array().expect("events").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(pages), all);
    // The same from the other end, of one actor, and of a time.
    let events = all.as_array().expect("events");
    let newest = of("order=desc&limit=1000");
    assert!(newest.as_array().expect("events").iter().eq(events.iter().rev()), "{newest}");
    let next = api.get("/api/v1/events?order=desc&limit=1", &api.first).json();
    let cursor = next["next_cursor"].as_str().expect("more");
    assert_eq!(of(&format!("order=desc&limit=1&cursor={cursor}"))[0], events[events.len() - 2]);
    let other = api.get(&format!("/api/v1/events?limit=1&cursor={cursor}"), &api.first);
    refused(&other, 400, "bad-parameter");
    assert_eq!(of("actor=service"), json!([all[0]]));
    let second = all[1]["at"].as_str().expect("a moment");
    assert_eq!(of(&format!("to={second}")), json!([all[0]]));
    assert_eq!(of(&format!("from={second}&limit=1")), json!([all[1]]));
    refused(&api.get("/api/v1/events?from=yesterday", &api.first), 400, "bad-parameter");
    assert_eq!(api.get("/api/v1/tenants/one/events", &api.first).json()["items"], json!([]));
}

fn the_command_line_does_the_same(api: &Api) {
    let run = |words: &[&str]| {
        let mut command = api.installation.tributary();
        let out = succeed(command.arg("token").args(words).arg("--config").arg(&api.config));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let made = run(&["create", "--name", "by hand", "--scope", "costs:read", "--tenant", "one", "--expires-in", "7"]);
    let token = made.lines().last().expect("a token").to_owned();
    until("the token opens", || api.get("/api/v1/tenants/one", &token).status == 200);
    refused(&api.get("/api/v1/tenants/two", &token), 404, "not-found");
    let id = token.rsplit_once('_').map(|_| token[..17].to_owned()).expect("an id");
    assert!(run(&["list"]).contains(&id));
    assert!(run(&["revoke", &id]).contains("by hand"));
    until("the token lets nobody in", || api.get("/api/v1/tenants/one", &token).status == 401);
    let mut again = api.installation.tributary();
    let told = fail(again.args(["token", "revoke", &id, "--config"]).arg(&api.config));
    assert!(told.contains("tributary token list"), "{told}");
}

fn the_first_token_is_printed_once(api: Api) {
    let Api { port, first, config, running, installation } = api;
    running.stop();
    let mut command = installation.service(&config, "project,api", "api");
    let mut again = Running::start(&mut command, installation.dir.path(), "again");
    let header = format!("Authorization: Bearer {first}");
    again.until("the first token still opens", |_| {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
            && request(port, "GET", "/api/v1/whoami", &[&header], "").status == 200
    });
    assert!(!again.said().contains("shown once"), "{}", again.said());
    // Neither did the log of the first start tell it.
    assert!(!again.said().contains(&first));
}

#[test]
fn of_processes_that_start_together_one_prints_a_first_token() {
    let installation = Installation::new("together");
    let started = ["api-1", "api-2", "api-3"].map(|instance| {
        let port = free_port();
        let config = installation.write_config(&format!("{TENANTS}api: {{port: {port}}}\n"));
        let mut command = installation.service(&config, "api", instance);
        (port, Running::start(&mut command, installation.dir.path(), instance))
    });
    let mut printed = 0;
    for (port, mut running) in started {
        running.until("the API answers", |_| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && request(port, "GET", "/api/v1/whoami", &[], "").status == 401
        });
        printed += running.said().matches("shown once: ").count();
        running.stop();
    }
    assert_eq!(printed, 1);
}

#[test]
fn an_api_that_asks_nobody_is_not_for_the_network() {
    let installation = Installation::new("open");
    let open = |auth: &str| {
        let port = free_port();
        let text = format!("{TENANTS}api: {{host: 0.0.0.0, port: {port}}}\nauth: {auth}\n");
        (installation.write_config(&text), port)
    };
    let (config, _) = open("{mode: none}");
    let told = fail(&mut installation.service(&config, "api", "open"));
    assert!(told.contains("auth.mode: tokens") && told.contains("auth.open_to_network: true"), "{told}");
    let (config, port) = open("{mode: none, open_to_network: true}");
    let mut command = installation.service(&config, "api", "open");
    let mut running = Running::start(&mut command, installation.dir.path(), "open");
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(request(port, "GET", "/api/v1/whoami", &[], "").json()["actor"], "nobody");
    assert!(!running.said().contains("shown once"));
}

#[test]
fn a_client_that_asks_too_fast_is_told_when_to_come_back() {
    let installation = Installation::new("pace");
    let port = free_port();
    let text = format!("{TENANTS}api: {{port: {port}, requests_per_second: 2}}\nauth: {{mode: none}}\n");
    let config = installation.write_config(&text);
    let mut command = installation.service(&config, "api", "pace");
    let mut running = Running::start(&mut command, installation.dir.path(), "pace");
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut last = None;
    until("it was too much", || {
        let answer = request(port, "GET", "/api/v1/whoami", &[], "");
        let refused = answer.status == 429;
        last = Some(answer);
        refused
    });
    let last = last.expect("an answer");
    refused(&last, 429, "too-fast");
    assert_eq!(last.header("Retry-After"), Some("1"));
    until("it may ask again", || request(port, "GET", "/api/v1/whoami", &[], "").status == 200);
}

/// Everything that a stranger may try in an address: refused or answered, never a mistake of ours, and nothing of the inside.
#[test]
fn hostile_requests_are_answered_with_problems_that_tell_nothing() {
    let installation = Installation::new("hostile");
    let port = free_port();
    let config = installation.write_config(&format!("{TENANTS}api: {{port: {port}}}\nauth: {{mode: none}}\n"));
    let mut command = installation.service(&config, "project,api", "hostile");
    let mut running = Running::start(&mut command, installation.dir.path(), "hostile");
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let contract = request(port, "GET", "/api/v1/openapi.json", &[], "").json();
    let hostile = [
        "'; DROP TABLE tenants; --",
        "' OR '1'='1",
        "1) UNION SELECT hash FROM api_tokens --",
        "$1",
        "\\x00",
        "\u{0}",
        "%",
        "_",
        "../../etc/passwd",
        "-1",
        "0",
        "99999999999999999999",
        "NaN",
        "1e400",
        "2026-02-30",
        "0000-01-01",
        "9999-12-31T23:59:59-23:59",
        "1969-12-31T23:59:60Z",
        "Pacific/Kiritimati",
        "Etc/GMT+12",
        "\u{202e}",
        "\u{1f4a5}",
        "resource_id:eq:'; SELECT pg_sleep(60); --",
        "resource_id:in:|||",
        "amount:gt:0",
        "eq:eq:eq",
        "AAAA",
        "e30",
    ];
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut asked = 0;
    for (path, item) in contract["paths"].as_object().expect("paths") {
        let Some(parameters) = item["get"]["parameters"].as_array() else { continue };
        for name in parameters.iter().filter_map(|of| of["name"].as_str()) {
            for text in hostile {
                let value = encode(text);
                let place = path.replace("{tenant}", if name == "tenant" { &value } else { "one" });
                let inside = place.contains(&format!("{{{name}}}"));
                let place = place.replace(&format!("{{{name}}}"), &value);
                // Other parts of the path.
                let place: String =
                    place.split('/').map(|s| if s.starts_with('{') { "x" } else { s }).collect::<Vec<_>>().join("/");
                let place = if inside || name == "tenant" { place } else { format!("{place}?{name}={value}") };
                let answer = request(port, "GET", &place, &[], "");
                asked += 1;
                assert!(answer.status < 500, "{place}: {} {}", answer.status, answer.body);
                if answer.status >= 400 {
                    let problem = answer.json();
                    assert_eq!(problem["status"], answer.status, "{place}: {}", answer.body);
                    let told = answer.body.to_lowercase();
                    for inner in ["sqlx", "postgres", "syntax error", "pg_", "relation", "panicked", ".rs:"] {
                        let own = text.to_lowercase();
                        assert!(!told.contains(inner) || own.contains(inner), "{place}: {}", answer.body);
                    }
                }
            }
        }
    }
    assert!(asked > 500, "only {asked} requests");
    let large = request(port, "POST", "/api/v1/tokens", &[], &"x".repeat(10 << 20));
    assert!(large.status == 413 || large.status == 400, "{} {}", large.status, large.body);
    assert_eq!(installation.sql("SELECT count(*) FROM api_tokens"), "0");
    assert!(!running.said().contains("\"ERROR\""), "{}", running.said());
}
