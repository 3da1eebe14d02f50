//! Whole organisations through the whole road, judged by the kit's own check.

use std::path::Path;

use crate::harness::{Installation, Upstream, World, succeed, worlds};

/// Runs a world's moments in order; a run may report a failed tenant where the world breaks a listing.
fn run_all(world: &World, installation: &Installation, upstream: &Upstream, config: &Path) {
    for (i, now) in world.runs.iter().enumerate() {
        upstream.set_now(now);
        let mut command = installation.once(config, now);
        let last = i + 1 == world.runs.len();
        if last {
            succeed(&mut command);
        } else {
            let output = command.output().expect("it runs");
            eprintln!("{} at {now}: {}\n{}", world.name, output.status, String::from_utf8_lossy(&output.stdout));
        }
    }
}

fn check(name: &str) {
    let Some(world) = World::named(name) else { return };
    let installation = Installation::new(name);
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    run_all(&world, &installation, &upstream, &config);
    let exported = installation.export(&config, &world.name, "first");
    world.check(&exported);

    // Nothing changed upstream: no day is published, no row moves.
    let records = || ["days", "chargebacks", "topic-attributions"].map(|topic| installation.records(topic));
    let before = (records(), tables(&exported));
    let now = world.runs.last().expect("a run");
    succeed(&mut installation.once(&config, now));
    let again = installation.export(&config, &world.name, "second");
    let after = (records(), tables(&again));
    let told = differences(&before.1, &after.1);
    assert!(before == after, "an unchanged upstream changed something\n{told}");

    // The tables come again from the topics alone.
    succeed(installation.tributary().arg("rebuild").arg("--config").arg(&config));
    let rebuilt = installation.export(&config, &world.name, "rebuilt");
    let told = differences(&tables(&again), &tables(&rebuilt));
    assert!(tables(&again) == tables(&rebuilt), "rebuild gave other tables\n{told}");
}

/// The text of every exported table.
pub fn tables(dir: &Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .expect("a folder of exports")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("text")))
        .map(|(path, text)| (path.rsplit('/').next().unwrap_or_default().to_owned(), text))
        .collect();
    found.sort();
    assert_eq!(found.len(), 6, "six tables are exported");
    found
}

/// The first lines in which two sets of tables differ; empty if they are the same.
pub fn differences(expected: &[(String, String)], found: &[(String, String)]) -> String {
    let mut told = String::new();
    for ((table, expected), (_, found)) in expected.iter().zip(found) {
        let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
        let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("{table} -{line}\n"));
        let new = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("{table} +{line}\n"));
        told.extend(missing.take(5).chain(new.take(5)));
    }
    told
}

#[test]
fn tiny() {
    check("tiny-ccloud");
}

#[test]
fn small() {
    check("small-ccloud");
}

#[test]
fn reruns_with_late_bills_and_a_broken_listing() {
    check("small-ccloud-reruns");
}

#[test]
fn outage_of_metrics_and_passing_errors() {
    check("small-ccloud-outage");
}

#[test]
fn self_managed_kafka_with_a_hole_in_the_metrics() {
    check("small-selfmanaged");
}

#[test]
fn generic_metrics_with_a_hole_in_the_metrics() {
    check("small-generic");
}

#[test]
fn no_world_of_the_kit_is_forgotten() {
    let tested = [
        "small-ccloud",
        "small-ccloud-outage",
        "small-ccloud-reruns",
        "small-generic",
        "small-selfmanaged",
        "tiny-ccloud",
    ];
    let found: Vec<String> = worlds().into_iter().map(|world| world.name).collect();
    assert!(found.is_empty() || found == tested, "the kit has {found:?}");
}
