//! The service that is left alone: it gathers by itself, answers commands, suspends, and shares its tenants.
//!
//! Its clock is a file, so that days pass when the test says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use tributary::journal::partition_of;

use crate::harness::{Installation, Running, Upstream, World, fail, succeed, until};

/// An installation whose processes all follow one clock.
struct Bench {
    installation: Installation,
    config: PathBuf,
    clock: PathBuf,
}

impl Bench {
    /// `tenants` is the configuration; cycles are half an hour apart.
    fn new(name: &str, now: &str, config: impl FnOnce(&Installation) -> PathBuf) -> Self {
        let installation = Installation::new(name);
        let config = config(&installation);
        let text = std::fs::read_to_string(&config).expect("the configuration");
        // A member that is gone is missed sooner than after ten seconds.
        let sooner = "kafka:\n  properties:\n    session.timeout.ms: \"6000\"\n    heartbeat.interval.ms: \"500\"\n";
        let text = text.replace("  enable_periodic_refresh: false", "  refresh_interval: 1800");
        std::fs::write(&config, format!("{sooner}{text}")).expect("written");
        let bench = Self { clock: installation.dir.path().join("now"), installation, config };
        bench.set(now);
        succeed(bench.installation.tributary().args(["topology", "apply", "--config"]).arg(&bench.config));
        bench
    }

    /// Moves the clock; nobody reads half a moment.
    fn set(&self, now: &str) {
        let beside = self.clock.with_extension("next");
        std::fs::write(&beside, now).expect("written");
        std::fs::rename(beside, &self.clock).expect("renamed");
    }

    fn start(&self, name: &str, roles: &str) -> Running {
        let mut command = self.installation.service(&self.config, roles, name);
        Running::start(command.arg("--clock-file").arg(&self.clock), self.installation.dir.path(), name)
    }

    fn tributary(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.installation.tributary();
        command.args(words).arg("--config").arg(&self.config);
        command
    }

    fn count(&self, rows: &str) -> usize {
        self.installation.sql(&format!("SELECT count(*) FROM {rows}")).parse().expect("a number")
    }

    /// Is every revision that was sealed in every table?
    fn settled(&self) -> bool {
        let everywhere = "allocated_revision = sealed_revision AND chargebacks_revision = sealed_revision
             AND billing_revision = sealed_revision AND resources_revision = sealed_revision
             AND identities_revision = sealed_revision";
        let sums = format!("SELECT coalesce(sum(sealed_revision) FILTER (WHERE {everywhere}), 0) FROM days");
        self.installation.has("runs") && self.installation.sql(&sums) == self.installation.records("days").to_string()
    }

    fn status(&self) -> serde_json::Value {
        let output = succeed(&mut self.tributary(&["status", "--json"]));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn later(now: &str, minutes: i64) -> String {
    let now: DateTime<Utc> = now.parse().expect("a moment");
    (now + TimeDelta::minutes(minutes)).to_rfc3339()
}

/// Every moment of a world through a service that gathers when it is time, judged by the kit's own check.
fn left_alone(name: &str) {
    let Some(world) = World::named(name) else { return };
    let upstream = Upstream::start(&world, &[]);
    let config = |installation: &Installation| world.config(installation, &upstream.url);
    let bench = Bench::new(&format!("{name}-alone"), &world.runs[0], config);
    upstream.set_now(&world.runs[0]);
    let mut service = bench.start("alone", "gather,allocate,project");
    for (i, now) in world.runs.iter().enumerate() {
        upstream.set_now(now);
        bench.set(now);
        service.until(&format!("run {i} has ended"), |_| {
            bench.installation.has("runs") && bench.count("runs WHERE ended_at IS NOT NULL") == i + 1
        });
    }
    until("all of it is in the tables", || bench.settled());
    let now = world.runs.last().expect("a run");
    assert_eq!(bench.count(&format!("runs WHERE started_at = '{now}' AND status = 'completed'")), 1);
    let status = bench.status();
    let tenant = &status["tenants"][0];
    assert_eq!(tenant["sealed"], tenant["projected"], "{status}");
    let due: DateTime<Utc> = tenant["next_due_at"].as_str().expect("a moment").parse().expect("a moment");
    assert_eq!(due, later(now, 30).parse::<DateTime<Utc>>().expect("a moment"), "{status}");
    world.check(&bench.installation.export(&bench.config, &world.name, "out"));
    service.stop();
}

#[test]
fn late_bills_and_a_broken_listing_in_a_service_that_is_left_alone() {
    left_alone("small-ccloud-reruns");
}

#[test]
fn an_outage_of_metrics_in_a_service_that_is_left_alone() {
    left_alone("small-ccloud-outage");
}

/// Tenants of one world, each with its own name, address and further settings.
fn tenants(world: &World, installation: &Installation, of: &[(&str, &str, &str)]) -> PathBuf {
    let whole = |upstream: &str| std::fs::read_to_string(world.config(installation, upstream)).expect("configuration");
    let one = whole("http://127.0.0.1:1");
    let (head, rest) = one.split_once("tenants:\n").expect("tenants");
    let foot = &rest[rest.find("\ntopics:\n").expect("topics") + 1..];
    let mut text = format!("{head}tenants:\n");
    for (name, url, settings) in of {
        let own = whole(url);
        let block = &own[own.find("tenants:\n").expect("tenants") + 9..own.find("\ntopics:\n").expect("topics") + 1];
        let block = block.replace("    tenant_execution_timeout_seconds: 0\n", settings);
        text.push_str(
            &block
                .replace(&format!("  {}:\n", world.name), &format!("  {name}:\n"))
                .replace(&format!("tenant_id: {}", world.name), &format!("tenant_id: {name}")),
        );
    }
    let path = world.config(installation, "unused");
    std::fs::write(&path, format!("{text}{foot}")).expect("written");
    path
}

#[test]
fn a_tenant_that_fails_and_one_that_hangs_delay_nobody_and_a_suspension_is_lifted() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let now = &world.runs[0];
    let good = Upstream::start(&world, &[]);
    let refusing = Upstream::start(&world, &["--fault", r#"{"match": "GET /billing", "status": 401}"#]);
    let hanging = Upstream::start(&world, &["--fault", r#"{"match": "GET /billing", "status": 0, "delay": 3000}"#]);
    let bench = Bench::new("three", now, |installation| {
        let settings = [
            ("good", good.url.as_str(), ""),
            ("refused", refusing.url.as_str(), "    gather_failure_threshold: 2\n"),
            ("hanging", hanging.url.as_str(), "    tenant_execution_timeout_seconds: 25\n"),
        ];
        tenants(&world, installation, &settings)
    });
    let mut service = bench.start("three", "gather,allocate,project");
    let ended = |tenant: &str, status: &str| {
        let rows = format!("runs WHERE tenant_id = '{tenant}' AND status = '{status}'");
        if bench.installation.has("runs") { bench.count(&rows) } else { 0 }
    };
    service.until("two have ended", |_| ended("good", "completed") == 1 && ended("refused", "failed") == 1);
    assert_eq!(ended("hanging", "running"), 1, "it hangs and has not reached its limit");
    let second = later(now, 31);
    bench.set(&second);
    service.until("they have ended again", |_| ended("good", "completed") == 2 && ended("refused", "failed") == 2);
    assert_eq!(bench.count(&format!("runs WHERE tenant_id = 'good' AND started_at = '{second}'")), 1, "it was on time");
    service.until("the limit has stopped the one that hangs", |_| ended("hanging", "timed_out") == 1);

    let status = bench.status();
    let of = |name: &str| {
        let all = status["tenants"].as_array().expect("tenants").iter();
        all.clone().find(|tenant| tenant["name"] == name).expect("a tenant").clone()
    };
    let why = of("refused")["suspended"].as_str().expect("it is suspended").to_owned();
    assert!(why.contains("2 runs in a row") && why.contains("401"), "{why}");
    assert_eq!(of("good")["suspended"], serde_json::Value::Null);
    let third = later(now, 93);
    bench.set(&third);
    service.until("the good one goes on", |_| ended("good", "completed") == 3);
    assert_eq!(ended("refused", "failed"), 2, "a suspended tenant rests");

    let skipped = fail(&mut bench.tributary(&["gather", "--tenant", "refused", "--wait"]));
    assert!(skipped.contains("skipped: it is suspended") && skipped.contains("tributary resume"), "{skipped}");
    refusing.set_faults("[]");
    let resumed = succeed(&mut bench.tributary(&["resume", "refused", "--wait"]));
    assert!(String::from_utf8_lossy(&resumed.stdout).contains("completed: "), "{resumed:?}");
    let listed = succeed(&mut bench.tributary(&["runs", "--tenant", "refused"]));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("skipped") && listed.contains("failed") && listed.contains("completed"), "{listed}");
    let chosen = ["gather", "--tenant", "good", "--from", "2026-02-27", "--to", "2026-02-28", "--force", "--wait"];
    let again = succeed(&mut bench.tributary(&chosen));
    assert!(String::from_utf8_lossy(&again.stdout).contains("completed: 1 sealed"), "{again:?}");
    until("the day says why", || {
        bench.count("days WHERE tenant_id = 'good' AND day = '2026-02-27' AND seal_reason = 'requested'") == 1
    });
    until("it is allocated anew", || bench.settled());
    let unknown = fail(&mut bench.tributary(&["gather", "--tenant", "goood"]));
    assert!(
        unknown.contains("there is no tenant \"goood\"") && unknown.contains("good, refused, hanging"),
        "{unknown}"
    );
    service.stop();
}

#[test]
fn a_gatherer_takes_over_the_tenants_of_one_that_was_killed() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let now = &world.runs[0];
    let upstream = Upstream::start(&world, &[]);
    // Names whose keys lie in both of the two partitions.
    let names = ["t-0", "t-1", "t-2", "t-3", "t-4", "t-5"];
    let lies_in = |name: &str| partition_of(name.as_bytes(), 2);
    assert_eq!(names.map(lies_in).into_iter().collect::<BTreeSet<_>>().len(), 2);
    let all = names.map(|name| (name, upstream.url.as_str(), ""));
    let bench = Bench::new("shared", now, |installation| tenants(&world, installation, &all));
    let runs = |of: &str| bench.count(&format!("runs WHERE {of}"));

    let _others = bench.start("others", "allocate,project");
    let mut first = bench.start("first", "gather");
    first.until("it has all tenants", |it| it.said().contains("tenants were shared out"));
    let mut second = bench.start("second", "gather");
    // A cycle that loses its tenant to the other process ends unfinished, and is begun again there.
    let completed = |from: &str| {
        let of = format!("status = 'completed' AND started_at >= '{from}'");
        bench.installation.sql(&format!("SELECT count(DISTINCT tenant_id) FROM runs WHERE {of}"))
            == names.len().to_string()
    };
    // Who is put out takes its turn again some seconds later, by the clock: it moves on while we wait.
    let mut looks = 0;
    let mut tick = |base: &str| {
        looks += 1;
        if looks % 40 == 0 {
            let base: DateTime<Utc> = base.parse().expect("a moment");
            bench.set(&(base + TimeDelta::seconds(11 * looks / 40)).to_rfc3339());
        }
    };
    second.until("every tenant was gathered", |_| {
        tick(now);
        bench.installation.has("runs") && completed(now)
    });
    let mut later_now = now.clone();
    // The second process joins when the first has begun, so who has whom shows in the runs after that.
    let mut minutes = 0;
    let shared =
        || bench.installation.sql("SELECT count(DISTINCT instance) FROM runs WHERE ended_at IS NOT NULL") == "2";
    until("both have gathered", || {
        if !shared() && completed(&later_now) && runs("status = 'running'") == 0 {
            minutes += 31;
            later_now = later(now, minutes);
            bench.set(&later_now);
        } else {
            tick(&later_now);
        }
        shared() && runs("status = 'running'") == 0
    });

    // Killed in the middle of its cycles.
    upstream.set_faults(r#"[{"match": "GET /billing", "status": 0, "delay": 3000}]"#);
    let last = later(&later_now, 31);
    bench.set(&last);
    until("the second is at work", || {
        runs(&format!("status = 'running' AND instance = 'second' AND started_at = '{last}'")) > 0
    });
    second.signal(Signal::SIGKILL);
    drop(second);
    upstream.set_faults("[]");
    first.until("the first has all of them", |_| {
        let of_second =
            |status: &str| runs(&format!("status = '{status}' AND instance = 'second' AND started_at = '{last}'"));
        of_second("running") == 0 && of_second("interrupted") > 0
    });
    let asked = succeed(&mut bench.tributary(&["gather", "--force", "--wait"]));
    assert_eq!(String::from_utf8_lossy(&asked.stdout).matches(" completed: ").count(), names.len(), "{asked:?}");
    for (key, partition) in bench.installation.partitions("commands") {
        assert_eq!(partition_of(&key, 2), partition, "our producers put {key:?} elsewhere");
    }
    until("all of it is in the tables", || bench.settled());
    check_each(&world, &bench, &names);
    first.stop();
}

/// Each tenant has what the world's only tenant must have.
fn check_each(world: &World, bench: &Bench, names: &[&str]) {
    for name in names {
        let exported = bench.installation.export(&bench.config, name, name);
        rename(&exported, name, &world.name);
        world.check(&exported);
    }
}

fn rename(exported: &Path, from: &str, to: &str) {
    for table in ["billing", "chargebacks", "resources", "identities"] {
        let file = exported.join(format!("{table}.csv"));
        let text = std::fs::read_to_string(&file).expect("a table");
        std::fs::write(&file, text.replace(&format!(",{from},"), &format!(",{to},"))).expect("written");
    }
}
