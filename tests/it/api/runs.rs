//! Runs: asked for over HTTP, done by whoever gathers, watched to their end.

use serde_json::{Value, json};

use super::Served;
use crate::harness::{Running, fail, succeed, until};

pub(super) fn runs_are_asked_for_and_watched(served: &Served) {
    let before = served.get(&format!("{}/runs", served.tenant));
    assert_eq!(before["items"][0]["status"], "completed", "{before}");
    let path = format!("{}/runs", served.tenant);
    let post =
        |body: &Value| served.send("POST", &path, "Content-Type: application/json\r\n", body.to_string().as_bytes());
    for wrong in [
        json!({"from": "2026-02-02", "to": "2026-02-02"}),
        json!({"stages": ["focus"]}),
        json!({"reason": "x".repeat(501)}),
        json!({"days": 3}),
        // Too old, and not yet: nothing could be gathered of it.
        json!({"from": "2020-11-01", "to": "2020-12-01"}),
        json!({"from": "2999-01-01"}),
    ] {
        let (status, _, body) = post(&wrong);
        let told = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 400, "{wrong}: {told}");
        let of_days = wrong["from"] == "2020-11-01" || wrong["from"] == "2999-01-01";
        assert!(!of_days || told.contains("what can be gathered now are the days from"), "{told}");
    }
    let (status, head, body) = post(&json!({"from": "2020-11-01", "force": true, "reason": "a test"}));
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    let wished: Value = serde_json::from_slice(&body).expect("JSON");
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place").trim();
    let position = head.lines().find_map(|line| line.strip_prefix("x-event-position: ")).expect("a position").trim();
    let asked = served.get(&format!("{place}?min_position={position}"));
    assert_eq!(asked["status"], "requested", "{asked}");
    assert_eq!(asked["wishes"], wished["wishes"], "{asked}");
    let wish = &asked["wishes"][0];
    assert_eq!(
        (&wish["by"], &wish["reason"], &wish["from"], &wish["to"]),
        (&json!("nobody"), &json!("a test"), &json!("2020-11-01"), &Value::Null),
        "{asked}"
    );
    let events = served.get(&format!("{}/events?type=run.asked", served.tenant));
    let said =
        json!({"at": wish["at"], "from": "2020-11-01", "to": null, "force": true, "resume": false, "reason": "a test"});
    assert_eq!((&events["items"][0]["actor"], &events["items"][0]["after"]), (&json!("nobody"), &said), "{events}");

    // Somebody who gathers takes it up.
    let mut command = served.installation.service(&served.config, "gather", "gatherer");
    let clock = served.installation.dir.path().join("now");
    std::fs::write(&clock, &served.now).expect("written");
    let gatherer = Running::start(command.arg("--clock-file").arg(&clock), served.installation.dir.path(), "gatherer");
    let (status, head, body) = served.raw(&format!("{place}/events"), "");
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("text/event-stream"), "{head}");
    let mut told: Vec<Value> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    assert_eq!(told.pop(), Some(json!({"why": "run_ended"})), "{body}");
    assert!(body.trim_end().rsplit_once("event: ").expect("events").1.starts_with("end\n"), "{body}");
    let last = told.last().expect("an event");
    assert!(told.len() >= 2 && !last["ended_at"].is_null(), "{body}");
    assert_eq!(last["status"], "completed", "{last}");
    // What nobody could gather is said, and where the run began.
    assert_eq!(last["wishes"], wished["wishes"], "{last}");
    let left = json!([{"from": "2020-11-01", "to": last["from"], "why": "older than what is kept (retention_days)"}]);
    assert!(last["from"].is_string() && last["left_out"] == left, "{last}");
    let run = served.get(place);
    assert_eq!(&run, last);
    assert_eq!(served.get(&format!("{path}/{}", run["id"].as_str().expect("an id"))), run);
    // The clock stands still, so both runs began at the same moment: then the id decides.
    let runs = served.get(&path)["items"].as_array().expect("runs").clone();
    let place = |run: &Value| (run["started_at"].to_string(), run["id"].to_string());
    assert!(runs.contains(&run) && runs.is_sorted_by(|a, b| place(a) > place(b)), "newest first: {runs:?}");
    assert_eq!(served.get(&format!("{path}?limit=1"))["items"], serde_json::json!([runs[0]]));
    served.problem(&format!("{path}/nothing"), 404);
    served.problem(&format!("{path}/nothing/events"), 404);
    until("the tables tell how far they are", || {
        let readiness = served.get("/api/v1/readiness");
        let tenant = &readiness["tenants"][0];
        readiness["status"] == "ready"
            && tenant["last_billing_day"].is_string()
            && tenant["last_run_status"] == "completed"
    });
    a_run_tells_how_far_it_is(served);
    runs_are_cancelled(served, gatherer);
}

/// Of each run how many days it looked at, and that it was done with all of them.
fn a_run_tells_how_far_it_is(served: &Served) {
    let runs = served.get(&format!("{}/runs", served.tenant));
    for run in runs["items"].as_array().expect("runs") {
        let progress = &run["progress"];
        assert_eq!(progress["sealed"], run["days_sealed"], "{run}");
        assert!(progress["wanted"].as_i64().expect("it read the bill") > 5, "{run}");
        assert_eq!(progress["gathered"], progress["wanted"], "{run}");
    }
}

/// One that is under way, and one that nobody has taken up.
fn runs_are_cancelled(served: &Served, gatherer: Running) {
    let path = format!("{}/runs", served.tenant);
    let post =
        |path: &str, body: &str| served.send("POST", path, "Content-Type: application/json\r\n", body.as_bytes());
    let ask = || {
        let (status, head, _) = post(&path, r#"{"force": true}"#);
        assert_eq!(status, 202);
        let of =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).expect("a header").trim().to_owned();
        let (place, position) = (of("location: "), of("x-event-position: "));
        served.get(&format!("{place}?min_position={position}"));
        place
    };
    let days = served.installation.records("days");

    served.upstream.set_faults(r#"[{"match": "GET /billing", "status": 0, "delay": 3000}]"#);
    let hangs = ask();
    until("it is under way", || served.get(&hangs)["status"] == "running");
    let run = served.get(&hangs)["id"].as_str().expect("an id").to_owned();
    let (status, head, body) = post(&format!("{path}/{run}:cancel"), "");
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    assert!(head.contains("x-event-position: "), "{head}");
    until("it has ended", || served.get(&hangs)["status"] == "cancelled");
    let ended = served.get(&hangs);
    assert!(!ended["ended_at"].is_null() && ended["id"] == run.as_str(), "{ended}");
    assert!(ended["errors"][0].as_str().expect("a reason").starts_with("cancelled by nobody"), "{ended}");
    served.upstream.set_faults("[]");
    for id in [run.as_str(), hangs.rsplit_once('/').expect("a path").1] {
        let (status, _, body) = post(&format!("{path}/{id}:cancel"), "");
        assert_eq!(status, 409, "it has ended: {}", String::from_utf8_lossy(&body));
    }
    assert_eq!(post(&format!("{path}/nothing:cancel"), "").0, 404);
    assert_eq!(post(&format!("{path}/{run}"), "").0, 405);

    // While nobody gathers.
    gatherer.stop();
    let waits = ask();
    assert_eq!(post(&format!("{waits}:cancel"), "").0, 202);
    let mut command = served.installation.service(&served.config, "gather", "gatherer");
    command.arg("--clock-file").arg(served.installation.dir.path().join("now"));
    let _gatherer = Running::start(&mut command, served.installation.dir.path(), "gatherer-again");
    until("it is answered", || served.get(&waits)["status"] == "cancelled");
    let never = served.get(&waits);
    assert_eq!(never["started_at"], never["ended_at"], "{never}");
    assert!(never["errors"][0].as_str().expect("a reason").ends_with("before it began"), "{never}");
    assert_eq!(served.installation.records("days"), days, "neither of them sealed anything");
    // The command line ends runs, too.
    served.upstream.set_faults(r#"[{"match": "GET /billing", "status": 0, "delay": 3000}]"#);
    let hangs = ask();
    until("it is under way", || served.get(&hangs)["status"] == "running");
    let tenant = served.tenant.rsplit_once('/').expect("a path").1;
    let by_hand = |words: &[&str]| {
        let mut command = served.installation.tributary();
        command.arg("cancel").args(words).arg("--config").arg(&served.config);
        command
    };
    let run = served.get(&hangs)["id"].as_str().expect("an id").to_owned();
    let told = succeed(&mut by_hand(&[tenant]));
    assert!(String::from_utf8_lossy(&told.stdout).starts_with(&format!("run {run} ends")), "{told:?}");
    until("it has ended", || served.get(&hangs)["status"] == "cancelled");
    let told = succeed(&mut by_hand(&[tenant]));
    assert!(String::from_utf8_lossy(&told.stdout).starts_with("no run of"), "{told:?}");
    assert!(fail(&mut by_hand(&[tenant, "nothing"])).contains("has no run and no wish \"nothing\""));
    served.upstream.set_faults("[]");
    // What comes after that is as ever.
    let after = ask();
    until("it has ended", || !served.get(&after)["ended_at"].is_null());
    assert_eq!(served.get(&after)["status"], "completed");
    let after = after.rsplit_once('/').expect("a path").1;
    assert!(fail(&mut by_hand(&[tenant, after])).contains("has ended already: completed"));
    let of = |events: &Value| -> Vec<String> {
        let actors = events["items"].as_array().expect("events").iter().map(|event| event["actor"].as_str());
        actors.map(|actor| actor.expect("a text").split(':').next().expect("a kind").to_owned()).collect()
    };
    until("all are told", || {
        let events = served.get(&format!("{}/events?type=run.cancel_asked", served.tenant));
        of(&events) == ["nobody", "nobody", "cli", "cli"]
    });
}
