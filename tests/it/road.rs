//! The road as other programs see it: topics that any consumer can read.

use std::path::Path;
use std::process::Command;

use crate::harness::{Installation, Upstream, World, succeed};

/// A reader in another language knows the topic and the schemas, and finds exactly the rows of Postgres.
#[test]
fn a_python_consumer_finds_the_rows_of_postgres() {
    let Some(world) = World::named("small-ccloud") else { return };
    let installation = Installation::new("python");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    let exported = installation.export(&config, &world.name, "out");

    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = std::process::Command::new("bash").arg(project.join("scripts/python-env.sh")).output();
    let made = made.expect("the Python of the tests can be made");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let python = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let mut read = Command::new(python);
    read.arg(project.join("tests/python/read_chargebacks.py"))
        .args(["--bootstrap", &installation.kafka, "--topic", &format!("{}chargebacks", installation.prefix)])
        .arg("--schemas")
        .arg(project.join("schemas"))
        .arg("--expect")
        .arg(exported.join("chargebacks.csv"))
        .args(["--tenant", &world.name]);
    succeed(&mut read);
}

/// The same facts, allocated by another process into other topics, give the same rows.
#[test]
fn the_same_facts_give_the_same_rows() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let upstream = Upstream::start(&world, &[]);
    let digests: Vec<String> = ["once", "twice"]
        .map(|name| {
            let installation = Installation::new(name);
            let config = world.config(&installation, &upstream.url);
            succeed(&mut installation.once(&config, &world.runs[0]));
            installation.sql("SELECT day, facts_digest, rows_digest FROM days ORDER BY day")
        })
        .into();
    assert!(!digests[0].is_empty());
    assert_eq!(digests[0], digests[1]);
}
