//! The same work by several processes: each does its part, one takes over from another, the result is the same.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::harness::{Installation, Running, Upstream, World, succeed, until};
use crate::worlds::{differences, tables};

const WORLD: &str = "small-ccloud";

/// What one process makes of the world.
fn alone(world: &World, upstream: &Upstream) -> Vec<(String, String)> {
    let installation = Installation::new("alone");
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    tables(&installation.export(&config, &world.name, "out"))
}

/// Exports, without the moments at which another process allocated.
fn comparable(tables: &[(String, String)]) -> Vec<(String, String)> {
    tables.iter().filter(|(name, _)| name != "days.csv").cloned().collect()
}

#[track_caller]
fn same(expected: &[(String, String)], found: &[(String, String)]) {
    let told = differences(&comparable(expected), &comparable(found));
    assert!(told.is_empty(), "other tables\n{told}");
}

/// The roles that nobody has, as the status tells people and programs.
fn nobody_has(installation: &Installation, config: &Path) -> Vec<String> {
    let status = |more: &[&str]| succeed(installation.tributary().arg("status").arg("--config").arg(config).args(more));
    let json: serde_json::Value = serde_json::from_slice(&status(&["--json"]).stdout).expect("JSON");
    let idle = json["roles"].as_array().expect("roles").iter().filter(|role| role["processes"] == 0);
    let idle: Vec<String> = idle.map(|role| role["role"].as_str().expect("a name").to_owned()).collect();
    let told = String::from_utf8(status(&[]).stdout).expect("UTF-8");
    // The two were asked one after the other.
    let hinted = |role: &&String| told.contains(&format!("`tributary run --roles {role}`"));
    idle.iter().filter(hinted).cloned().collect()
}

#[test]
fn three_processes_are_as_good_as_one() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &[]);
    let expected = alone(&world, &upstream);
    let installation = Installation::new("apart");
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    let dir = installation.dir.path();
    let allocating = Running::start(&mut installation.service(&config, "allocate", "allocator"), dir, "allocator");
    let projecting = Running::start(&mut installation.service(&config, "project", "projector"), dir, "projector");
    let mut gathering = installation.service(&config, "gather", "gatherer");
    succeed(gathering.args(["--once", "--now", &world.runs[0]]));
    until("only gathering has nobody", || nobody_has(&installation, &config) == ["gather"]);
    allocating.stop();
    projecting.stop();
    until("nothing has anybody", || nobody_has(&installation, &config) == ["gather", "allocate", "project"]);
    same(&expected, &tables(&installation.export(&config, &world.name, "out")));
}

#[test]
fn an_allocator_takes_over_from_one_that_was_killed() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &[]);
    let expected = alone(&world, &upstream);
    let installation = Installation::new("takeover");
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    let dir = installation.dir.path();
    let start = |name: &str, roles: &str| Running::start(&mut installation.service(&config, roles, name), dir, name);

    let mut first = start("first", "allocate");
    first.until("it has both partitions", |it| partitions(it).len() == 2);
    let mut second = start("second", "allocate");
    second.until("it has a partition", |it| partitions(it).len() == 1);
    first.until("it has the other one", |it| partitions(it).len() == 3);
    let of_second = partitions(&second)[0];

    // Stopped in its tracks, it is a member that does no work: its days stay pending.
    second.signal(Signal::SIGSTOP);
    let mut gathering = installation.service(&config, "gather,project", "gatherer");
    gathering.args(["--once", "--now", &world.runs[0]]);
    let mut gathering = Running::start(&mut gathering, dir, "gatherer");
    let days = expected.iter().find(|(name, _)| name == "days.csv").map_or(0, |(_, text)| text.lines().count() - 1);
    gathering.until("all days are sealed", |_| installation.records("days") == days);
    let pending = installation.partitions("days").iter().filter(|(_, partition)| *partition == of_second).count();
    assert!(pending > 1, "{pending} of {days} days are in the partition of the one that is killed");
    second.signal(Signal::SIGKILL);
    second.ended();
    assert!(gathering.ended().success(), "{}", gathering.said());
    until("the rest was taken over", || installation.records("allocations") == days);
    first.stop();
    same(&expected, &tables(&installation.export(&config, &world.name, "out")));
}

#[test]
fn a_rolling_restart_loses_nothing_and_doubles_nothing() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &["--latency", "0.05"]);
    let expected = alone(&world, &upstream);
    let installation = Installation::new("rolling");
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    let dir = installation.dir.path();
    let start = |name: &str| {
        let mut service = Running::start(&mut installation.service(&config, "allocate,project", name), dir, name);
        service.until("it has work", |it| !partitions(it).is_empty());
        service
    };
    let mut crew = ["one", "two"].map(|name| (name, Some(start(name))));
    let mut gathering = installation.service(&config, "gather", "gatherer");
    let mut gathering = Running::start(gathering.args(["--once", "--now", &world.runs[0]]), dir, "gatherer");
    gathering.until("days arrive", |_| installation.records("days") > 0);
    // Each at least once, and on until everything is done: at every moment one of them is at work or starting.
    let mut restarts = 0;
    while restarts < 2 || gathering.has_ended().is_none() {
        let (name, service) = &mut crew[restarts % 2];
        service.take().expect("it runs").stop();
        *service = Some(start(name));
        restarts += 1;
    }
    assert!(gathering.ended().success(), "{}", gathering.said());
    crew.into_iter().filter_map(|(_, service)| service).for_each(Running::stop);
    eprintln!("{restarts} restarts");
    same(&expected, &tables(&installation.export(&config, &world.name, "out")));
    let rows =
        expected.iter().find(|(name, _)| name == "chargebacks.csv").map_or(0, |(_, text)| text.lines().count() - 1);
    assert_eq!(installation.records("chargebacks"), rows, "each row is in the topic once");
}

/// The partitions that an allocator was given, in the order of its log.
fn partitions(allocator: &Running) -> Vec<i32> {
    let said = allocator.said();
    let events = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let given = events.filter(|event| event["message"] == "allocating");
    given.filter_map(|event| event["partition"].as_i64()?.try_into().ok()).collect()
}
