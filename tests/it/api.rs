//! The API over the tables of a whole organisation: what it answers is what is exported.

mod exports;
mod files;
mod graph;
mod headers;
mod places;
mod runs;
mod sorted;
mod tags;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use serde_json::Value;
use tributary::domain::Amount;

use crate::harness::{Installation, Running, Upstream, World, succeed, unchunk, until};

/// The API of a world that was gathered, allocated and projected.
struct Served {
    port: u16,
    /// `/api/v1/tenants/<name>`.
    tenant: String,
    /// Its chargeback rows and topic rows, column by column, as exported.
    rows: Vec<BTreeMap<String, String>>,
    topics: Vec<BTreeMap<String, String>>,
    _running: Running,
    installation: Installation,
    config: std::path::PathBuf,
    /// The moment it was gathered.
    now: String,
    upstream: Upstream,
    /// Every answer so far.
    heard: Mutex<Vec<headers::Heard>>,
}

impl Served {
    fn start(world: &World) -> Self {
        let installation = Installation::new("api");
        let upstream = Upstream::start(world, &[]);
        let config = world.config(&installation, &upstream.url);
        succeed(&mut installation.once(&config, &world.runs[0]));
        let exported = installation.export(&config, &world.name, "out");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let folder = installation.dir.path().join("exports").display().to_string();
        let api = format!("api: {{host: 127.0.0.1, port: {port}, exports: {{directory: {folder}}}}}\n");
        std::fs::write(
            &config,
            format!(
                "{text}auth: {{mode: none}}
{api}"
            ),
        )
        .expect("written");
        let mut command = installation.service(&config, "project,api", "reader");
        let mut running = Running::start(&mut command, installation.dir.path(), "api");
        running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
        let read = |table: &str| {
            let mut reader = csv::Reader::from_path(exported.join(table)).expect("an export");
            reader.deserialize().collect::<Result<_, _>>().expect("rows")
        };
        let (rows, topics) = (read("chargebacks.csv"), read("topic_attributions.csv"));
        let tenant = format!("/api/v1/tenants/{}", world.name);
        Self {
            port,
            tenant,
            rows,
            topics,
            _running: running,
            installation,
            config,
            now: world.runs[0].clone(),
            upstream,
            heard: Mutex::default(),
        }
    }

    fn hear(&self, method: &str, path: &str, status: u16, head: &str) {
        let heard = (method.to_owned(), path.to_owned(), status, headers::names(head));
        self.heard.lock().expect("whole").push(heard);
    }

    /// Status, headers and body of a GET; more header lines may be given.
    fn raw(&self, path: &str, more: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        self.hear("GET", path, status, head);
        (status, head.to_owned(), if chunked { unchunk(body) } else { body.to_owned() })
    }

    /// Status, headers and body of any request.
    fn send(&self, method: &str, path: &str, more: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        // A server that has read enough may answer and close.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer).expect("a head of texts");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        self.hear(method, path, status, &head);
        (status, head, if chunked { unchunk(&String::from_utf8(body).expect("UTF-8")).into_bytes() } else { body })
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.raw(path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// A GET below the tenant, over all days of the world.
    #[track_caller]
    fn of_tenant(&self, path: &str) -> Value {
        let separator = if path.contains('?') { '&' } else { '?' };
        self.get(&format!("{}{path}{separator}from=2020-01-01&to=2029-01-01", self.tenant))
    }

    #[track_caller]
    fn problem(&self, path: &str, status: u16) -> Value {
        let (found, head, body) = self.raw(path, "");
        assert_eq!(found, status, "{path}: {body}");
        assert!(head.contains("application/problem+json"), "{path}: {head}");
        let problem: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(problem["status"], status, "{path}: {body}");
        problem
    }

    /// The exported amounts added up by some columns.
    fn sums(&self, columns: &[&str]) -> BTreeMap<Vec<String>, Amount> {
        let mut sums: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
        for row in &self.rows {
            let key = columns.iter().map(|column| row[*column].clone()).collect();
            *sums.entry(key).or_default() += row["amount"].parse().expect("an amount");
        }
        sums
    }
}

fn amount(of: &Value) -> Amount {
    of.as_str().expect("a decimal text").parse().expect("an amount")
}

#[test]
fn the_api_answers_what_is_exported() {
    let Some(world) = World::named("small-ccloud") else { return };
    let served = Served::start(&world);
    tenants_and_days(&served);
    pages_hold_every_row_once(&served);
    sums_are_exact_however_grouped(&served);
    sums_tell_what_they_are_made_of(&served);
    places::rows_say_where_their_resources_are(&served);
    places::rows_say_how_well_they_are_founded(&served);
    single_things_can_be_had(&served);
    sorted::inventory_is_sorted(&served);
    questions_can_be_asked_in_a_body(&served);
    pages_are_linked_and_rows_are_estimated(&served);
    supervisors_are_answered(&served);
    rows_are_explained(&served);
    topics_are_listed_as_they_are_exported(&served);
    graph::costs_are_a_graph(&served);
    files::lists_are_files(&served);
    exports::exports_are_whole_files(&served);
    tags::tags_are_set_and_resolved(&served);
    runs::runs_are_asked_for_and_watched(&served);
    faults_are_problem_documents(&served);
    known_answers_are_not_sent_again(&served);
    the_contract_and_its_pages_are_served(&served);
    every_route_was_asked_for(&served);
    headers::headers_are_those_of_the_contract(&served);
}

fn tenants_and_days(served: &Served) {
    let tenants = served.get("/api/v1/tenants");
    let days = served.of_tenant("/days");
    let count = days["items"].as_array().expect("days").len();
    assert_eq!(tenants["items"][0]["days_allocated"], count);
    assert!(days["items"].as_array().expect("days").iter().all(|day| day["stage"] == "visible"), "{days}");
    let available = served.of_tenant("/availability");
    assert_eq!(available["present"].as_array().expect("days").len(), count);
}

/// Buckets say whether all their days are there.
fn sums_tell_what_they_are_made_of(served: &Served) {
    let days = served.of_tenant("/days");
    let days: Vec<&str> =
        days["items"].as_array().expect("days").iter().filter_map(|day| day["day"].as_str()).collect();
    let (first, last) = (days[0], days[days.len() - 1]);
    for dataset in ["chargebacks", "billing", "topic_costs"] {
        let question = format!("{}/costs/aggregate?dataset={dataset}&from={first}", served.tenant);
        let whole = served.get(&format!("{question}&to={last}&bucket=day"));
        assert_eq!(whole["incomplete"].as_array().map(Vec::len), Some(0), "{whole}");
        assert!(whole["items"].as_array().expect("sums").iter().all(|sum| sum["complete"] == true), "{whole}");
        let beyond = served.get(&format!("{question}&to=2029-01-01"));
        let told = &beyond["incomplete"][0];
        assert_eq!((&told["bucket"], &told["complete_days"]), (&Value::Null, &days.len().into()), "{told}");
        assert!(beyond["items"].as_array().expect("sums").iter().all(|sum| sum["complete"] == false), "{beyond}");
        let compared = served.get(&format!("{question}&to={last}&compare=previous"));
        assert_eq!(compared["previous_incomplete"]["complete_days"], 0, "{compared}");
    }
}

/// One row of each product type and method.
fn rows_are_explained(served: &Served) {
    let mut seen = std::collections::BTreeSet::new();
    let mut told = 0;
    let rows = served.of_tenant("/chargebacks?limit=1000");
    for row in rows["items"].as_array().expect("rows") {
        let of = |name: &str| row[name].as_str().expect("a text").to_owned();
        if !seen.insert([of("product_type"), of("allocation_method")]) {
            continue;
        }
        let why = served.get(&format!("{}/chargebacks/{}/explanation", served.tenant, of("id")));
        let sentence = why["sentence"].as_str().expect("a sentence");
        // What has no resource of the provider's has an id of ours, which says nothing to people.
        let resource = of("resource_id");
        let named = if resource.starts_with("unresolved:") { "without a resource".to_owned() } else { resource };
        for part in [of("amount"), named, of("product_type"), of("day")] {
            assert!(sentence.contains(&part), "{part} is missing in {sentence}");
        }
        for name in ["id", "day", "identity_id", "target", "resource_id", "amount", "currency", "allocation_detail"] {
            assert_eq!(why[name], row[name], "{name}");
        }
        assert!(why["rule"]["split"].is_string(), "{why}");
        assert!(!why["line"]["evidence"].as_array().expect("evidence").is_empty(), "{why}");
        let part = amount(&why["split_amount"]);
        let whole = amount(&why["line"]["amount"]);
        assert!(part.units().abs() <= whole.units().abs(), "{why}");
        assert!(part != whole || why["rule"]["ratio"] != "0.7", "{why}");
        told += 1;
    }
    assert!(told > 5, "only {told} kinds of rows");
    served.problem(&format!("{}/chargebacks/2026-02-01-{}/explanation", served.tenant, "0".repeat(32)), 404);
}

fn topics_are_listed_as_they_are_exported(served: &Served) {
    let (mut sum, mut count, mut cursor) = (Amount::ZERO, 0, String::new());
    loop {
        let page = served.of_tenant(&format!("/topic-costs?limit=333{cursor}"));
        let items = page["items"].as_array().expect("rows");
        sum += items.iter().map(|item| amount(&item["amount"])).sum();
        count += items.len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let exported: Amount = served.topics.iter().map(|row| row["amount"].parse::<Amount>().expect("an amount")).sum();
    assert_eq!((count, sum), (served.topics.len(), exported));
    assert!(count > 0, "the world has topics");
    let summed = served.of_tenant("/costs/aggregate?dataset=topic_costs&group_by=topic_name");
    let total: Amount = summed["items"].as_array().expect("sums").iter().map(|row| amount(&row["amount"])).sum();
    assert_eq!(total, exported);
}

fn pages_hold_every_row_once(served: &Served) {
    for (list, limit) in [("chargebacks", 97), ("billing-lines", 13)] {
        let (mut ids, mut sum, mut cursor) = (Vec::new(), Amount::ZERO, String::new());
        loop {
            let page = served.of_tenant(&format!("/{list}?limit={limit}{cursor}&count=exact"));
            let items = page["items"].as_array().expect("rows");
            ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
            sum += items.iter().map(|item| amount(&item["amount"])).sum();
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => {
                    assert_eq!(page["total"], ids.len(), "{list}");
                    break;
                }
            }
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{list}: no row comes twice");
        assert_eq!(sum, served.sums(&[])[&Vec::new()], "{list}: the bill and its rows are the same money");
    }
}

fn sums_are_exact_however_grouped(served: &Served) {
    let total = served.sums(&[])[&Vec::new()];
    for columns in
        [&[][..], &["identity_id"], &["product_type", "cost_type"], &["env_id", "resource_id", "identity_id"]]
    {
        let asked: String = columns.iter().map(|column| format!("&group_by={column}")).collect();
        let answer = served.of_tenant(&format!("/costs/aggregate?bucket=none{asked}"));
        let mut found: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
        for item in answer["items"].as_array().expect("sums") {
            let value = |column: &&str| item["dimensions"][*column].as_str().unwrap_or_default().to_owned();
            *found.entry(columns.iter().map(value).collect()).or_default() += amount(&item["amount"]);
        }
        assert_eq!(found, served.sums(columns), "{columns:?}");
        for bucket in ["day", "week", "month", "quarter", "year"] {
            let answer = served.of_tenant(&format!("/costs/aggregate?bucket={bucket}&top=3{asked}"));
            let sum: Amount =
                answer["items"].as_array().expect("sums").iter().map(|item| amount(&item["amount"])).sum();
            assert_eq!(sum, total, "{bucket} {columns:?}");
            assert_eq!(amount(&answer["totals"][0]["amount"]), total);
        }
    }
    let filtered = served.of_tenant("/costs/aggregate?group_by=product_type&filter=product_type:prefix:KAFKA_");
    let kafka: Amount = served
        .sums(&["product_type"])
        .iter()
        .filter(|(key, _)| key[0].starts_with("KAFKA_"))
        .map(|(_, sum)| *sum)
        .sum();
    assert_eq!(amount(&filtered["totals"][0]["amount"]), kafka);
    let billed = served.of_tenant("/costs/aggregate?dataset=billing");
    assert_eq!(amount(&billed["totals"][0]["amount"]), total);
}

fn single_things_can_be_had(served: &Served) {
    for list in ["chargebacks", "billing-lines", "resources", "identities"] {
        let page = served.of_tenant(&format!("/{list}?limit=3"));
        for item in page["items"].as_array().expect("things") {
            let id = item["id"].as_str().expect("an id").replace('/', "%2F");
            // Rows are of a day, what exists is as it was within a range.
            let path = format!("/{list}/{id}");
            let one = match list {
                "resources" | "identities" => served.of_tenant(&path),
                _ => served.get(&format!("{}{path}", served.tenant)),
            };
            for (name, value) in item.as_object().expect("an object") {
                assert_eq!(&one[name], value, "{list}: {name}");
            }
            if list == "billing-lines" {
                let told = served.get(&format!("{}{path}/revisions", served.tenant));
                assert_eq!(told["items"].as_array().expect("a list").last().expect("one")["amount"], item["amount"]);
            }
        }
    }
    things_tell_what_is_around_them(served);
    let summary = served.of_tenant("/inventory/summary");
    let clusters = served.of_tenant("/resources?type=kafka_cluster&limit=1000");
    assert_eq!(summary["resources"]["kafka_cluster"]["total"], clusters["items"].as_array().expect("clusters").len());
    let values = served.of_tenant("/dimensions/product_type/values?limit=1000");
    assert_eq!(values["items"].as_array().expect("values").len(), served.sums(&["product_type"]).len());
    let issues = served.of_tenant("/allocation-issues?limit=1000");
    let told: Amount = issues["items"].as_array().expect("issues").iter().map(|item| amount(&item["amount"])).sum();
    let fell_back = served.installation.sql(
        "SELECT trim_scale(sum(amount)) FROM chargebacks
         WHERE allocation_detail NOT IN ('usage_ratio_allocation', 'even_split_allocation')
         AND NOT (allocation_detail = 'no_metrics_located' AND tier = 0)",
    );
    assert_eq!(told.to_string(), fell_back);
}

fn things_tell_what_is_around_them(served: &Served) {
    let env = served.rows.iter().map(|row| row["env_id"].clone()).find(|env| !env.is_empty()).expect("an environment");
    let whole = served.of_tenant(&format!("/resources/{env}"));
    assert_eq!(amount(&whole["costs"][0]["amount"]), served.sums(&["env_id"])[&vec![env]], "{whole}");
    let connectors = served.of_tenant("/resources?type=connector&limit=1");
    let connector = connectors["items"][0]["id"].as_str().expect("an id");
    let one = served.of_tenant(&format!("/resources/{connector}"));
    let types: Vec<&str> =
        one["ancestors"].as_array().expect("a list").iter().filter_map(|a| a["type"].as_str()).collect();
    assert_eq!(types, ["environment", "kafka_cluster"], "{one}");
    let (id, sum) =
        served.sums(&["identity_id"]).into_iter().find(|(id, _)| id[0].starts_with("sa-")).expect("a payer");
    let one = served.of_tenant(&format!("/identities/{}", id[0]));
    assert_eq!(amount(&one["costs"][0]["amount"]), sum, "{one}");
    let keys = served.of_tenant("/identities?type=api_key&limit=1000");
    let owned = keys["items"].as_array().expect("keys").iter().find(|key| key["owner_id"].is_string()).expect("a key");
    let one = served.of_tenant(&format!("/identities/{}", owned["id"].as_str().expect("an id")));
    assert_eq!(one["owner"]["id"], owned["owner_id"], "{one}");
}

fn questions_can_be_asked_in_a_body(served: &Served) {
    let asked = served.of_tenant("/costs/aggregate?group_by=env_id&top=2&filter=product_type:prefix:KAFKA_");
    let body = serde_json::json!({"from": "2020-01-01", "to": "2029-01-01", "group_by": ["env_id"], "top": 2,
        "filters": ["product_type:prefix:KAFKA_"]});
    let path = format!("{}/costs/aggregate", served.tenant);
    let post =
        |body: &Value| served.send("POST", &path, "Content-Type: application/json\r\n", body.to_string().as_bytes());
    let (status, _, answer) = post(&body);
    assert_eq!((status, serde_json::from_slice::<Value>(&answer).expect("JSON")), (200, asked));
    // Longer than any address may be.
    let many: Vec<String> = (0..20_000).map(|n| format!("sa-{n:05}")).collect();
    let (status, _, answer) = post(&serde_json::json!({"filters": [format!("identity_id:in:{}", many.join("|"))]}));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(post(&serde_json::json!({"group_by": ["team"], "bucket": "hourly"})).0, 400);
}

fn pages_are_linked_and_rows_are_estimated(served: &Served) {
    let path = format!("{}/chargebacks?from=2020-01-01&to=2029-01-01&limit=7&count=estimate", served.tenant);
    let (_, head, body) = served.raw(&path, "");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["total"], served.rows.len(), "without filters it is known");
    let link = head.lines().find_map(|line| line.strip_prefix("link: <")).expect("a link");
    let (next, rel) = link.split_once('>').expect("an address");
    assert_eq!(rel.trim(), "; rel=\"next\"");
    let second = served.get(next);
    let by_cursor = served.get(&format!("{path}&cursor={}", body["next_cursor"].as_str().expect("a cursor")));
    assert_eq!(second["items"], by_cursor["items"]);
    for list in ["resources", "identities"] {
        let (_, head, _) = served.raw(&format!("{}/{list}?from=2020-01-01&to=2029-01-01&limit=1", served.tenant), "");
        assert!(head.contains("link: </api/v1/tenants/"), "{list}: {head}");
    }
    for filter in ["cost_type:eq:usage", "identity_id:eq:nobody"] {
        let total =
            |way: &str| served.of_tenant(&format!("/chargebacks?limit=1&count={way}&filter={filter}"))["total"].clone();
        assert_eq!(total("estimate"), total("exact"), "few rows are counted: {filter}");
    }
}

fn supervisors_are_answered(served: &Served) {
    assert_eq!(served.raw("/healthz", "").2, "alive\n");
    let (status, _, told) = served.raw("/readyz", "");
    assert!(status == 200 && told == "ready\n" || status == 503 && told.contains(": not ready"), "{status} {told}");
    assert_eq!(served.get("/version")["service"], "tributary");
    until("the lag was counted", || served.get("/api/v1/readiness")["projection_lag"]["chargebacks"].is_u64());
    assert!(served.of_tenant("/days")["items"][0]["emissions"]["failed"].is_u64());
}

/// Every route of the contract was asked for by this test and answered well, as the service itself counted.
fn every_route_was_asked_for(served: &Served) {
    served.get("/api/v1/whoami");
    served.get("/api/v1/events?limit=1");
    served.get("/api/v1/tokens");
    served.get(&format!("{}/dimensions", served.tenant));
    served.get(&format!("{}/tags/keys", served.tenant));
    served.get(&served.tenant);
    let json = "Content-Type: application/json\r\n";
    let (status, _, made) =
        served.send("POST", "/api/v1/tokens", json, br#"{"name": "routes", "scopes": ["costs:read"]}"#);
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    assert_eq!(status, 201, "{made}");
    let token = format!("/api/v1/tokens/{}", made["id"].as_str().expect("an id"));
    until("the token is gone", || served.send("DELETE", &token, "", b"").0 == 204);
    let counted = served.raw("/metrics", "").2;
    let contract = served.get("/api/v1/openapi.json");
    let mut missing = Vec::new();
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        // Supervisors' questions are not counted.
        if !path.starts_with("/api/") {
            continue;
        }
        let route = path.strip_suffix(":cancel").unwrap_or(path);
        for method in methods.as_object().expect("methods").keys() {
            let label = format!("route=\"{route}\",method=\"{}\",status=\"2", method.to_uppercase());
            if !counted.contains(&label) {
                missing.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert!(missing.is_empty(), "no test asks for {missing:?}; counted are {counted}");
}

fn faults_are_problem_documents(served: &Served) {
    let tenant = &served.tenant;
    served.problem("/api/v1/tenants/nobody/chargebacks", 404);
    served.problem("/api/v1/nothing", 404);
    served.problem(&format!("{tenant}/chargebacks/2026-02-26-00"), 404);
    for query in [
        "from=yesterday",
        "from=2026-02-02&to=2026-02-01",
        "tz=Mars/Base",
        "limit=0",
        "limit=many",
        "limit=99999999999999999999",
        "cursor=x",
        "cursor=%00",
        "filter=identity_id",
        "filter=identity_id%3B%20DROP%20TABLE%20tenants:eq:1",
        "filter=identity_id:eq:%00",
        "count=guess",
        "fliter=identity_id:eq:nobody",
    ] {
        let problem = served.problem(&format!("{tenant}/chargebacks?{query}"), 400);
        assert!(problem["errors"][0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{problem}");
    }
    // Values are values, whatever they look like.
    let odd = served.of_tenant("/chargebacks?filter=identity_id:eq:'%20OR%201=1--&filter=env_id:in:a|'%3B");
    assert_eq!(odd["items"], Value::Array(Vec::new()));
    for query in ["group_by=team", "top=0", "bucket=hour", "compare=previous&bucket=day", "dataset=all"] {
        served.problem(&format!("{tenant}/costs/aggregate?{query}"), 400);
    }
    served.problem(&format!("{tenant}/dimensions/team/values"), 404);
    // A cursor belongs to its question.
    let page = served.of_tenant("/chargebacks?limit=1");
    let next = page["next_cursor"].as_str().expect("more rows");
    let other = format!("{tenant}/chargebacks?from=2020-01-02&to=2029-01-01&cursor={next}");
    assert!(served.problem(&other, 400)["detail"].as_str().expect("text").contains("another question"));
}

fn known_answers_are_not_sent_again(served: &Served) {
    let first = |list: &str| served.of_tenant(&format!("/{list}?limit=1"))["items"][0]["id"].clone();
    let one = |list: &str| format!("/{list}/{}", first(list).as_str().expect("an id"));
    for path in [
        one("chargebacks").as_str(),
        one("billing-lines").as_str(),
        "/chargebacks?limit=5",
        "/costs/aggregate?group_by=env_id",
        "/billing-lines?limit=5",
        "/resources?limit=5",
        "/identities?type=user",
        "/inventory/summary",
        "/days",
        "/availability?dataset=billing",
        "/allocation-issues",
        "/graph?depth=2",
    ] {
        let path = format!("{}{path}", served.tenant);
        let (status, head, _) = served.raw(&path, "");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").trim().to_owned();
        assert_eq!(status, 200);
        assert_eq!(served.raw(&path, &format!("If-None-Match: {tag}\r\n")).0, 304);
        assert_eq!(served.raw(&path, "If-None-Match: W/\"0\"\r\n").0, 200);
    }
}

fn the_contract_and_its_pages_are_served(served: &Served) {
    let contract = served.get("/api/v1/openapi.json");
    assert!(contract["openapi"].as_str().expect("a version").starts_with("3.1"), "{}", contract["openapi"]);
    assert!(contract["paths"]["/api/v1/tenants/{tenant}/costs/aggregate"]["get"].is_object());
    let (status, _, page) = served.raw("/docs/", "");
    assert_eq!(status, 200);
    assert!(!page.contains("https://unpkg.com") && !page.contains("cdn."), "the pages need no network");
}
