//! Runs: asked for over HTTP, done by whoever gathers, watched to their end.

use serde_json::{Value, json};

use super::Served;
use crate::harness::{Running, until};

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
    ] {
        assert_eq!(post(&wrong).0, 400, "{wrong}");
    }
    let (status, head, body) = post(&json!({"force": true, "reason": "a test"}));
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place").trim();
    let position = head.lines().find_map(|line| line.strip_prefix("x-event-position: ")).expect("a position").trim();
    let asked = served.get(&format!("{place}?min_position={position}"));
    assert_eq!(asked["status"], "requested", "{asked}");
    let events = served.get(&format!("{}/events?type=run.asked", served.tenant));
    assert!(events["items"][0]["after"]["requested_by"].as_str().expect("who").ends_with(": a test"), "{events}");

    // Somebody who gathers takes it up.
    let mut command = served.installation.service(&served.config, "gather", "gatherer");
    let clock = served.installation.dir.path().join("now");
    std::fs::write(&clock, &served.now).expect("written");
    let _gatherer = Running::start(command.arg("--clock-file").arg(&clock), served.installation.dir.path(), "gatherer");
    let (status, head, body) = served.raw(&format!("{place}/events"), "");
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("text/event-stream"), "{head}");
    let told: Vec<Value> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    let last = told.last().expect("an event");
    assert!(told.len() >= 2 && !last["ended_at"].is_null(), "{body}");
    assert_eq!(last["status"], "completed", "{last}");
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
}
