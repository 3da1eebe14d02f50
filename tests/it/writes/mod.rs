//! What the API writes, while the tables are behind and beside another process: no change is decided on what was there
//! before the last one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::{ScopedJoinHandle, scope};

use serde_json::{Value, json};

use crate::harness::{Answer, Installation, Running, free_port, request, until};

/// A tenant that another program gathers, and one that would be gathered here if this process had the role.
const TENANTS: &str = "\
tenants:
  one: {ecosystem: external, tenant_id: t-1, plugin_settings: {allocator_overrides: {otherwise: unallocated}}}
  two:
    ecosystem: confluent_cloud
    tenant_id: t-2
    plugin_settings: {ccloud_api: {key: ABCDEFGHIJKLMNOP, secret: none}}
auth: {mode: none}
";

/// Two processes over the same log and tables; the first one projects, too.
struct Api {
    ports: [u16; 2],
    _running: [Running; 2],
    installation: Installation,
}

impl Api {
    fn start(name: &str) -> Self {
        let installation = Installation::new(name);
        let started = [("project,api", "first"), ("api", "second")].map(|(roles, instance)| {
            let port = free_port();
            let config = installation.write_config(&format!("{TENANTS}api: {{port: {port}}}\n"));
            let mut command = installation.service(&config, roles, instance);
            let mut running = Running::start(&mut command, installation.dir.path(), instance);
            running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
            (port, running)
        });
        let [(first, project), (second, beside)] = started;
        let api = Self { ports: [first, second], _running: [project, beside], installation };
        // The projections have begun when they show something.
        let seen = api.ask("PUT", &tag("begun"), &json!({"value": "x"}));
        assert_eq!(seen.status, 201, "{}", seen.body);
        until("the tables follow", || api.value("begun").as_deref() == Some("x"));
        api
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        ask(self.ports[0], method, path, body)
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The value of a tag of the one resource, as the tables have it.
    fn value(&self, key: &str) -> Option<String> {
        let tags = self.get("/api/v1/tenants/one/entities/resource/lkc-1/tags");
        let tags = tags["items"].as_array().expect("tags").clone();
        tags.iter().find(|tag| tag["key"] == key).map(|tag| tag["value"].as_str().expect("a text").to_owned())
    }

    /// Values before and after, by what the audit says of a tag of the one resource.
    fn told(&self, key: &str) -> Vec<(Value, Value)> {
        let events = self.get("/api/v1/tenants/one/events?entity=resource:lkc-1&limit=1000");
        let of = |side: &Value| side["value"].clone();
        let events = events["items"].as_array().expect("events").clone();
        let mine = events.iter().filter(|event| event["before"]["key"] == key || event["after"]["key"] == key);
        mine.map(|event| (of(&event["before"]), of(&event["after"]))).collect()
    }

    fn somebody_has_the_turn(&self) -> bool {
        let held = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
                    WHERE locktype = 'advisory' AND datname = current_database()";
        self.installation.sql(held) != "0"
    }

    /// Keeps a projection from its tables until it is dropped.
    fn hold(&self, projection: &str) -> Held {
        let mut session = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &self.installation.database_url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql");
        let lock = format!("BEGIN; SELECT 'held' FROM projections WHERE projection = '{projection}' FOR UPDATE;\n");
        session.stdin.as_mut().expect("piped").write_all(lock.as_bytes()).expect("sent");
        let mut line = String::new();
        BufReader::new(session.stdout.as_mut().expect("piped")).read_line(&mut line).expect("an answer");
        assert_eq!(line.trim(), "held");
        Held(session)
    }
}

struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // With its input the session ends, and with it the lock.
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }
}

fn ask(port: u16, method: &str, path: &str, body: &Value) -> Answer {
    request(port, method, path, &[], &if body.is_null() { String::new() } else { body.to_string() })
}

fn tag(key: &str) -> String {
    format!("/api/v1/tenants/one/entities/resource/lkc-1/tags/{key}")
}

#[test]
fn a_change_knows_the_one_before_it_although_the_tables_do_not() {
    let api = Api::start("writes");
    the_last_value_stays(&api);
    what_was_just_set_can_be_removed(&api);
    a_batch_knows_what_was_just_set(&api);
    two_processes_change_one_tag(&api);
    a_token_can_be_taken_back_at_once(&api);
    a_wish_can_be_taken_back_at_once(&api);
    a_question_is_answered_anew(&api);
    a_large_batch_has_a_key_too(&api);
    tables_that_stay_behind_are_told(&api);
}

/// Sends a change while the tables cannot follow the one before it, and lets them when it waits.
fn while_held(api: &Api, projection: &str, first: impl FnOnce(), second: impl FnOnce() -> Answer + Send) -> Answer {
    scope(|threads| {
        let held = api.hold(projection);
        first();
        let second: ScopedJoinHandle<'_, Answer> = threads.spawn(second);
        // Whoever decides on the tables as they are answers at once; whoever waits, does so in its turn.
        until("it waits, or has answered", || second.is_finished() || api.somebody_has_the_turn());
        drop(held);
        second.join().expect("an answer")
    })
}

fn the_last_value_stays(api: &Api) {
    let put = |value: &str| api.ask("PUT", &tag("team"), &json!({"value": value}));
    assert_eq!(put("A").status, 201);
    until("the tables have it", || api.value("team").as_deref() == Some("A"));
    let second = while_held(api, "tags", || assert_eq!(put("B").status, 200), || put("A"));
    assert_eq!((second.status, second.header("X-Event-Position").is_some()), (200, true), "{}", second.body);
    // Written, but not there yet, is also the same again.
    let again = put("A");
    assert_eq!((again.status, again.header("X-Event-Position")), (200, None), "{}", again.body);
    until("it is told", || api.told("team").len() == 3);
    assert_eq!(api.value("team").as_deref(), Some("A"));
    let told = [(Value::Null, json!("A")), (json!("A"), json!("B")), (json!("B"), json!("A"))];
    assert_eq!(api.told("team"), told);
    // Two that are equal are one.
    let twice = |_| api.ask("PUT", &tag("twice"), &json!({"value": "x"})).status;
    assert_eq!([1, 2].map(twice), [201, 200]);
    until("it is told", || api.told("twice") == [(Value::Null, json!("x"))]);
}

fn what_was_just_set_can_be_removed(api: &Api) {
    let put = || assert_eq!(api.ask("PUT", &tag("brief"), &json!({"value": "x"})).status, 201);
    let removed = while_held(api, "tags", put, || api.ask("DELETE", &tag("brief"), &Value::Null));
    assert_eq!(removed.status, 204, "{}", removed.body);
    let gone = api.ask("DELETE", &tag("brief"), &Value::Null);
    assert_eq!(gone.status, 404, "{}", gone.body);
    until("it is gone", || api.told("brief").len() == 2 && api.value("brief").is_none());
}

fn a_batch_knows_what_was_just_set(api: &Api) {
    let put = |value: &str| api.ask("PUT", &tag("stage"), &json!({"value": value}));
    assert_eq!(put("A").status, 201);
    until("the tables have it", || api.value("stage").as_deref() == Some("A"));
    let items = json!([{"entity_type": "resource", "entity_id": "lkc-1", "key": "stage", "value": "A"}]);
    let batch = json!({"items": items, "override_existing": true});
    let batch = || api.ask("POST", "/api/v1/tenants/one/tags:batch", &batch);
    let done = while_held(api, "tags", || assert_eq!(put("B").status, 200), batch);
    assert_eq!(done.json()["counts"], json!({"updated": 1}), "{}", done.body);
    until("it is told", || api.told("stage").len() == 3);
    assert_eq!(api.value("stage").as_deref(), Some("A"));
}

fn two_processes_change_one_tag(api: &Api) {
    let put = |n: usize, value: &str| ask(api.ports[n], "PUT", &tag("shared"), &json!({"value": value}));
    assert_eq!(put(0, "A").status, 201);
    until("the tables have it", || api.value("shared").as_deref() == Some("A"));
    let second = while_held(api, "tags", || assert_eq!(put(1, "B").status, 200), || put(0, "A"));
    assert_eq!((second.status, second.header("X-Event-Position").is_some()), (200, true), "{}", second.body);
    // Of many at the same time each knows the one before it.
    scope(|threads| {
        let put = &put;
        for n in 0..12 {
            threads.spawn(move || assert_eq!(put(n % 2, &format!("value {n}")).status, 200));
        }
    });
    until("all are told", || api.told("shared").len() == 15);
    let told = api.told("shared");
    assert!(told.windows(2).all(|two| two[0].1 == two[1].0), "a chain: {told:?}");
    let last = told[told.len() - 1].1.as_str().expect("a text").to_owned();
    until("the tables have the last one", || api.value("shared") == Some(last.clone()));
}

fn a_token_can_be_taken_back_at_once(api: &Api) {
    let id = std::sync::OnceLock::new();
    let make = || {
        let made = api.ask("POST", "/api/v1/tokens", &json!({"name": "brief", "scopes": ["costs:read"]}));
        id.set(made.json()["id"].as_str().expect("an id").to_owned()).expect("one");
    };
    let path = || format!("/api/v1/tokens/{}", id.get().expect("made"));
    let removed = while_held(api, "tokens", make, || api.ask("DELETE", &path(), &Value::Null));
    assert_eq!(removed.status, 204, "{}", removed.body);
    assert_eq!(api.ask("DELETE", &path(), &Value::Null).status, 404);
}

fn a_wish_can_be_taken_back_at_once(api: &Api) {
    let held = api.hold("audit");
    let asked = api.ask("POST", "/api/v1/tenants/two/runs", &json!({"force": true}));
    assert_eq!(asked.status, 202, "{}", asked.body);
    let cancel = format!("{}:cancel", asked.header("Location").expect("a place"));
    let early = api.ask("POST", &cancel, &Value::Null);
    assert_eq!((early.status, early.json()["code"].as_str()), (503, Some("behind")), "{}", early.body);
    drop(held);
    let cancelled = api.ask("POST", &cancel, &Value::Null);
    assert_eq!(cancelled.status, 202, "{}", cancelled.body);
    let unknown = api.ask("POST", "/api/v1/tenants/two/runs/nothing:cancel", &Value::Null);
    assert_eq!(unknown.status, 404, "{}", unknown.body);
}

fn tables_that_stay_behind_are_told(api: &Api) {
    let _held = api.hold("tags");
    assert_eq!(api.ask("PUT", &tag("late"), &json!({"value": "A"})).status, 201);
    let second = api.ask("PUT", &tag("late"), &json!({"value": "B"}));
    assert_eq!((second.status, second.json()["code"].as_str()), (503, Some("behind")), "{}", second.body);
    assert!(second.json()["detail"].as_str().expect("a text").starts_with("nothing was changed"), "{}", second.body);
    assert!(second.header("Retry-After").is_some());
}

fn with_key(api: &Api, path: &str, body: &Value) -> Answer {
    let key = format!("Idempotency-Key: {}", path.rsplit_once('/').expect("a path").1);
    request(api.ports[0], "POST", path, &[&key], &body.to_string())
}

fn a_question_is_answered_anew(api: &Api) {
    for _ in 0..2 {
        let sums =
            with_key(api, "/api/v1/tenants/one/costs/aggregate", &json!({"from": "2026-01-01", "to": "2026-02-01"}));
        assert_eq!((sums.status, sums.header("Idempotency-Replayed")), (200, None), "{}", sums.body);
    }
    assert_eq!(api.installation.sql("SELECT count(*) FROM request_answers"), "0", "there is nothing to do twice");
}

fn a_large_batch_has_a_key_too(api: &Api) {
    let item = |n: usize| json!({"entity_type": "resource", "entity_id": format!("lkc-{n}"), "key": "note", "value": "x".repeat(150)});
    let batch = json!({"items": (0..10_000).map(item).collect::<Vec<_>>()});
    assert!(batch.to_string().len() > 2_000_000);
    let path = "/api/v1/tenants/one/tags:batch";
    let done = with_key(api, path, &batch);
    assert_eq!((done.status, &done.json()["counts"]), (200, &json!({"created": 10_000})));
    let again = with_key(api, path, &batch);
    assert_eq!((again.status, again.header("Idempotency-Replayed")), (200, Some("true")));
    assert_eq!(again.body, done.body);
    // An answer that is larger than what is kept is given all the same, once.
    let wrong =
        |n: usize| json!({"entity_type": "resource", "entity_id": format!("{n}"), "key": "no key", "value": "x"});
    let wrong = json!({"items": (0..10_000).map(wrong).collect::<Vec<_>>()});
    let path = "/api/v1/tenants/two/tags:batch";
    let key = |body: &Value| request(api.ports[0], "POST", path, &["Idempotency-Key: large"], &body.to_string());
    let told = key(&wrong);
    assert!(told.status == 200 && told.body.len() > 1 << 20, "{} {}", told.status, told.body.len());
    let again = key(&wrong);
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("conflict")), "{}", again.body);
    // A body that no route takes is refused with a key as without.
    let huge = json!({"name": "x".repeat(2 << 20), "scopes": ["costs:read"]});
    assert_eq!(with_key(api, "/api/v1/tokens", &huge).status, 413);
}
