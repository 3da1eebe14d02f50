//! Bills that are corrected and entities that come and go: the newest bill holds, every lifetime is kept.

use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use tributary::domain::{GatherState, Lifetime};
use tributary::journal::{Codec, Connection, Topic, scan};

use crate::harness::{Installation, Running, Upstream, World, free_port, request, succeed};

const ACCOUNT: &str = "sa-8o5iw5";

/// The tiny world with a line that is corrected twice, and a service account that goes, comes back and goes again.
fn changed(world: &World, into: &Path) -> World {
    let kit = world.dir.parent().expect("the kit");
    std::os::unix::fs::symlink(kit.join("fakeccloud.py"), into.join("fakeccloud.py")).expect("linked");
    let text = std::fs::read_to_string(world.dir.join("world.json")).expect("world.json");
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    let costs = json["costs"].as_array_mut().expect("costs");
    let first = costs.remove(0);
    assert_eq!(first["amount"], json!(18.0), "the line that is corrected");
    for (amount, from, until) in [
        (json!(18.0), json!("2026-03-01T00:00:00Z"), json!("2026-03-06T07:00:00Z")),
        (json!(20.5), json!("2026-03-06T07:00:00Z"), json!("2026-03-06T08:00:00Z")),
        (json!(19.25), json!("2026-03-06T08:00:00Z"), Value::Null),
    ] {
        let mut line = first.clone();
        line["amount"] = amount;
        line["_from"] = from;
        if !until.is_null() {
            line["_until"] = until;
        }
        costs.push(line);
    }
    let accounts = json["entities"]["service_accounts"].as_array_mut().expect("accounts");
    let at = accounts.iter().position(|account| account["item"]["id"] == ACCOUNT).expect("the account");
    let mut again = accounts[at].clone();
    accounts[at]["until"] = json!("2026-03-06T07:00:00Z");
    again["item"]["metadata"]["created_at"] = json!("2026-03-06T08:10:00Z");
    again["from"] = json!("2026-03-06T08:10:00Z");
    again["until"] = json!("2026-03-06T10:00:00Z");
    accounts.push(again);
    let dir = into.join(&world.name);
    std::fs::create_dir(&dir).expect("a folder");
    std::fs::write(dir.join("world.json"), json.to_string()).expect("written");
    std::fs::copy(world.dir.join("reference-config.yaml"), dir.join("reference-config.yaml")).expect("copied");
    World::in_folder(&dir)
}

/// The account's lifetimes as gather remembers them: moments of creation and deletion.
fn lifetimes(installation: &Installation) -> Vec<(String, String)> {
    let (kafka, prefix) = (installation.kafka.clone(), installation.prefix.clone());
    let connection = Connection::new(kafka, Default::default(), prefix, "reader".to_owned()).expect("plain settings");
    let (codec, mut found) = (Codec::builtin(), Vec::new());
    scan(&connection, Topic::GatherState, None, |record| {
        let state: GatherState = codec.decode(record.payload.expect("nothing is forgotten here")).expect("ours");
        if let Some(entity) = state.entity.filter(|entity| entity.id == ACCOUNT) {
            found = entity.lifetimes;
        }
    })
    .expect("the topic can be read");
    let told = |moment: Option<chrono::DateTime<chrono::Utc>>| {
        moment.map(|moment| moment.format("%m-%d %H:%M").to_string()).unwrap_or_default()
    };
    found.iter().map(|Lifetime { created_at, deleted_at }| (told(*created_at), told(*deleted_at))).collect()
}

#[test]
fn a_bill_corrected_twice_and_an_account_deleted_back_and_deleted() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let world = changed(&world, folder.path());
    let installation = Installation::new("corrections");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    let run = |time: &str, faults: &str| {
        let now = format!("2026-03-06T{time}:00Z");
        upstream.set_now(&now);
        upstream.set_faults(faults);
        let mut command = installation.once(&config, &now);
        match faults {
            "[]" => drop(succeed(&mut command)),
            _ => assert!(!command.output().expect("it runs").status.success(), "a failed listing is told"),
        }
    };
    let base = |from: &str, column: &str| {
        let day = "day = '2026-02-26' AND product_type = 'KAFKA_BASE'";
        installation.sql(&format!("SELECT sum({column})::float FROM {from} WHERE {day} AND resource_id = 'lkc-olhqvp'"))
    };
    let revision = || installation.sql("SELECT sealed_revision FROM days WHERE day = '2026-02-26'");
    let (born, born_again) = ("12-02 07:12".to_owned(), "03-06 08:10".to_owned());
    let open = String::new;

    run("06:30", "[]");
    assert_eq!(
        (base("billing", "amount"), base("chargebacks", "amount"), revision()),
        ("18".into(), "18".into(), "1".into())
    );
    assert_eq!(lifetimes(&installation), [(born.clone(), open())]);

    run("07:30", "[]");
    assert_eq!(
        (base("billing", "amount"), base("chargebacks", "amount"), revision()),
        ("20.5".into(), "20.5".into(), "2".into())
    );
    let first = (born, "03-06 07:30".to_owned());
    assert_eq!(lifetimes(&installation), std::slice::from_ref(&first));
    let others = installation.sql("SELECT max(sealed_revision) FROM days WHERE day <> '2026-02-26'");
    assert_eq!(others, "1", "days whose bill is as it was stay as they are");

    run("08:30", "[]");
    assert_eq!(
        (base("billing", "amount"), base("chargebacks", "amount"), revision()),
        ("19.25".into(), "19.25".into(), "3".into())
    );
    assert_eq!(lifetimes(&installation), [first.clone(), (born_again.clone(), open())]);

    let failing = r#"[{"match": "GET /iam/v2/service-accounts", "status": 403}]"#;
    run("10:30", failing);
    assert_eq!(
        lifetimes(&installation),
        [first.clone(), (born_again.clone(), open())],
        "a failed listing says nothing"
    );
    run("11:30", "[]");
    assert_eq!(lifetimes(&installation), [first, (born_again, "03-06 11:30".to_owned())]);
    assert_eq!(revision(), "3", "what happened after the day does not change it");
    assert_eq!(
        installation.sql("SELECT string_agg(status, ' ' ORDER BY started_at) FROM runs"),
        "completed completed completed failed completed"
    );

    let told = history(&installation, &config, &world.name);
    let of = |name: &str| told.iter().map(|item| item[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("amount"), ["18", "20.5", "19.25"]);
    assert_eq!(of("difference"), [Value::Null, json!("2.5"), json!("-1.25")]);
    assert_eq!(of("change"), ["first", "changed", "changed"]);
    assert_eq!(of("reason"), ["new", "bill", "bill"]);
    assert_eq!(of("revision"), [1, 2, 3]);
    assert_eq!(of("current"), [false, false, true]);
    let gathered = of("gathered_at").into_iter().map(|at| at.as_str().expect("a moment")[..16].to_owned());
    assert_eq!(gathered.collect::<Vec<_>>(), ["2026-03-06T06:30", "2026-03-06T07:30", "2026-03-06T08:30"]);
    succeed(installation.tributary().arg("rebuild").arg("--config").arg(&config));
    assert_eq!(history(&installation, &config, &world.name), told, "after a rebuild");
}

/// What the API tells of the revisions of the corrected line; of a line that was not corrected there is one.
fn history(installation: &Installation, config: &Path, tenant: &str) -> Vec<Value> {
    let port = free_port();
    let text = std::fs::read_to_string(config).expect("the configuration");
    let served = config.with_extension("served.yaml");
    let api = format!("auth: {{mode: none}}\napi: {{host: 127.0.0.1, port: {port}}}\n");
    std::fs::write(&served, format!("{text}{api}")).expect("written");
    let mut command = installation.service(&served, "api", "history");
    let mut running = Running::start(&mut command, installation.dir.path(), "history");
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let lines = format!("/api/v1/tenants/{tenant}/billing-lines");
    let page = request(port, "GET", &format!("{lines}?from=2026-02-26&to=2026-02-27&limit=1000"), &[], "").json();
    let (mut corrected, mut others) = (Vec::new(), 0);
    for line in page["items"].as_array().expect("lines") {
        let path = format!("{lines}/{}/revisions", line["id"].as_str().expect("an id"));
        let answer = request(port, "GET", &path, &[], "");
        let items = answer.json()["items"].as_array().expect("revisions").clone();
        let newest = items.last().expect("at least one");
        for name in ["revision", "amount", "quantity", "unit_price", "original_amount", "currency"] {
            assert_eq!(newest[name], line[name], "{name} of {line}");
        }
        if line["product_type"] == "KAFKA_BASE" && line["resource_id"] == "lkc-olhqvp" {
            let tag = format!("If-None-Match: {}", answer.header("etag").expect("a tag"));
            assert_eq!(request(port, "GET", &path, &[&tag], "").status, 304);
            corrected = items;
        } else {
            let changes: Vec<&Value> = items.iter().map(|item| &item["change"]).collect();
            assert_eq!(changes, ["first", "same", "same"], "{line}");
            others += 1;
        }
    }
    assert!(others > 0, "{page}");
    let missing = format!("{lines}/2026-02-26-{}/revisions", "0".repeat(32));
    assert_eq!(request(port, "GET", &missing, &[], "").status, 404);
    running.stop();
    corrected
}
