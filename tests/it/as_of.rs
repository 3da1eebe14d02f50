//! What was known at a moment: the bill before it was corrected, what existed then.

use std::collections::BTreeSet;
use std::net::TcpStream;

use serde_json::Value;
use tributary::domain::Amount;

use crate::harness::{Installation, Running, Upstream, World, free_port, request, succeed};

const RANGE: &str = "from=2026-01-01&to=2026-06-01";

/// Every line that readers see, whole, one below the other.
fn lines(installation: &Installation) -> BTreeSet<String> {
    let of = "concat_ws('|', day, revision, env_id, resource_id, resource_name, product_category, product_type,
              trim_scale(quantity), trim_scale(unit_price), trim_scale(amount), currency, granularity, array_to_string(evidence, '~'))";
    installation.sql(&format!("SELECT {of} FROM billing")).lines().map(str::to_owned).collect()
}

struct Api {
    port: u16,
    tenant: String,
    _running: Running,
}

impl Api {
    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = request(self.port, "GET", &format!("{}{path}", self.tenant), &[], "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// All lines as a file has them, but for ids and tags, in the words of [`lines`].
    fn lines(&self, more: &str) -> BTreeSet<String> {
        let path = format!("{}/billing-lines?{RANGE}{more}", self.tenant);
        let answer = request(self.port, "GET", &path, &["Accept: application/x-ndjson"], "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let line = |text: &str| {
            let line: Value = serde_json::from_str(text).expect("JSON");
            let of = |name: &str| line[name].as_str().map(str::to_owned);
            let evidence: Vec<&str> =
                line["evidence"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
            let parts = [of("day"), Some(line["revision"].to_string())]
                .into_iter()
                .chain(
                    [
                        "env_id",
                        "resource_id",
                        "resource_name",
                        "product_category",
                        "product_type",
                        "quantity",
                        "unit_price",
                        "amount",
                        "currency",
                        "granularity",
                    ]
                    .map(of),
                )
                .chain([Some(evidence.join("~"))]);
            parts.flatten().collect::<Vec<_>>().join("|")
        };
        answer.body.lines().map(line).collect()
    }

    /// The whole bill as it was known, added up by Postgres.
    #[track_caller]
    fn total(&self, more: &str) -> Amount {
        let sums = self.get(&format!("/costs/aggregate?dataset=billing&{RANGE}{more}"));
        let totals = sums["totals"].as_array().expect("totals");
        totals.iter().map(|total| total["amount"].as_str().expect("a text").parse::<Amount>().expect("an amount")).sum()
    }

    fn ids(&self, list: &str, more: &str) -> BTreeSet<String> {
        let page = self.get(&format!("/{list}?limit=1000{more}"));
        assert!(page["next_cursor"].is_null(), "one page holds them");
        page["items"]
            .as_array()
            .expect("things")
            .iter()
            .map(|one| one["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    #[track_caller]
    fn refused(&self, path: &str, part: &str) {
        let answer = request(self.port, "GET", &format!("{}{path}", self.tenant), &[], "");
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
}

/// What the tables held after each run is told for each moment up to the next.
#[test]
fn the_bill_of_each_run_is_told_as_it_was() {
    let Some(world) = World::named("small-ccloud-reruns") else { return };
    let installation = Installation::new("as_of");
    // Its first run has to see the bill that is corrected afterwards.
    let upstream = Upstream::start(&world, &["--no-world-faults"]);
    let config = world.config(&installation, &upstream.url);
    let mut known = Vec::new();
    for now in &world.runs {
        upstream.set_now(now);
        succeed(&mut installation.once(&config, now));
        let total: Amount =
            installation.sql("SELECT coalesce(sum(amount), 0) FROM billing").parse().expect("an amount");
        known.push((now.clone(), lines(&installation), total));
    }
    let corrected = installation.sql("SELECT count(DISTINCT (day, revision)) FROM replaced_lines");
    assert_ne!(corrected, "0", "the world corrects days");
    let port = free_port();
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("{text}auth: {{mode: none}}\napi: {{host: 127.0.0.1, port: {port}}}\n"))
        .expect("written");
    let mut command = installation.service(&config, "api", "as-of");
    let mut running = Running::start(&mut command, installation.dir.path(), "as-of");
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let tenant = format!("/api/v1/tenants/{}", world.name);
    let api = Api { port, tenant, _running: running };

    bills_are_told_as_they_were(&api, &known);
    let (_, newest, total) = known.last().expect("a run");
    assert_eq!((api.lines(""), api.total("")), (newest.clone(), *total), "without a moment: now");
    assert_eq!(api.lines("&as_of=2029-01-01"), *newest, "what has not come is as now");
    single_lines_are_told_as_they_were(&api);
    what_existed_is_told(&api);
    let nothing = "this cannot be had as it was";
    for path in
        ["/chargebacks?", "/topic-costs?", "/costs/aggregate?", "/costs/aggregate?dataset=topic_costs&", "/graph?"]
    {
        api.refused(&format!("{path}{RANGE}&as_of=2026-03-05"), nothing);
    }
    api.refused(&format!("/billing-lines?{RANGE}&as_of=yesterday"), "neither an instant");

    succeed(installation.tributary().arg("rebuild").arg("--config").arg(&config));
    bills_are_told_as_they_were(&api, &known);
    // What is not kept is no empty bill.
    installation
        .sql("DELETE FROM day_revisions r USING day_facts d WHERE r.day = d.day AND r.revision < d.sealed_revision");
    api.refused(&format!("/billing-lines?{RANGE}&as_of={}", known[0].0), "it is not kept what 20");
}

fn bills_are_told_as_they_were(api: &Api, known: &[(String, BTreeSet<String>, Amount)]) {
    assert_eq!(api.lines("&as_of=2026-03-02T06:29:59.999999Z").len(), 0, "nothing was known before the first run");
    for (now, lines, total) in known {
        // From the very moment until the day before the next run is over.
        let day = now.split('T').next().expect("a day");
        for moment in [now.as_str(), day] {
            let as_of = format!("&as_of={moment}");
            assert_eq!(api.lines(&as_of), *lines, "{moment}");
            assert_eq!(api.total(&as_of), *total, "{moment}");
            let count = api.get(&format!("/billing-lines?{RANGE}{as_of}&limit=1&count=exact"));
            assert_eq!(count["total"], lines.len(), "{moment}");
        }
    }
    assert!(known.windows(2).all(|two| two[0].2 != two[1].2), "each run brought something");
}

/// A line that a later run changed, and one that it took away or brought.
fn single_lines_are_told_as_they_were(api: &Api) {
    let page = api.get(&format!("/billing-lines?{RANGE}&limit=1000"));
    let (mut changed, mut came) = (0, 0);
    for line in page["items"].as_array().expect("lines") {
        let path = format!("/billing-lines/{}", line["id"].as_str().expect("an id"));
        let told = api.get(&format!("{path}/revisions"));
        let revisions = told["items"].as_array().expect("revisions");
        if revisions.len() < 2 || changed + came > 20 {
            continue;
        }
        for revision in revisions {
            let at = format!("{path}?as_of={}", revision["gathered_at"].as_str().expect("a moment"));
            if revision["amount"].is_null() {
                came += 1;
                assert_eq!(request(api.port, "GET", &format!("{}{at}", api.tenant), &[], "").status, 404, "{at}");
                continue;
            }
            let one = api.get(&at);
            for name in ["revision", "amount", "quantity", "unit_price", "original_amount", "currency"] {
                assert_eq!(one[name], revision[name], "{name} of {at}");
            }
            changed += i32::from(revision["change"] == "changed");
        }
    }
    assert!(changed > 0, "the world corrects lines");
}

fn what_existed_is_told(api: &Api) {
    let (born, gone) = ("lkc-nbos9b", "lkc-q794nl");
    for (moment, there) in [
        ("2026-02-28T14:21:06Z", [false, true]),
        ("2026-02-28T14:21:07Z", [true, true]),
        ("2026-03-05T06:29:59.999999Z", [true, true]),
        ("2026-03-05T06:30:00Z", [true, false]),
        // The end of the day; in Honolulu it is still the day before.
        ("2026-03-05", [true, false]),
        ("2026-03-04&tz=Pacific/Honolulu", [true, false]),
        ("2026-03-04", [true, true]),
    ] {
        let ids = api.ids("resources", &format!("&as_of={moment}"));
        assert_eq!([born, gone].map(|id| ids.contains(id)), there, "{moment}");
        let one = request(api.port, "GET", &format!("{}/resources/{gone}?as_of={moment}", api.tenant), &[], "");
        assert_eq!(one.status, if there[1] { 200 } else { 404 }, "{moment}: {}", one.body);
        let summary = api.get(&format!("/inventory/summary?as_of={moment}"));
        let types = summary["resources"].as_object().expect("types").values();
        let total: i64 = types.map(|of| of["total"].as_i64().expect("a number")).sum();
        assert_eq!(total, i64::try_from(ids.len()).expect("few"), "{moment}");
        assert!(!api.ids("identities", &format!("&as_of={moment}")).is_empty(), "{moment}");
    }
    api.refused("/resources?as_of=2026-03-05&status=active", "leave `status` out");
    api.refused("/resources?as_of=2026-03-05&from=2026-03-06&to=2026-03-08", "it lies on 2026-03-05");
}
