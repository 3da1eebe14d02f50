//! Killed without warning at any moment, started again: the same tables.

use std::process::Stdio;

use crate::harness::{Installation, Upstream, World, succeed};
use crate::worlds::{differences, tables};

const KILLS: u32 = 20;

#[test]
fn kill_at_random_moments_changes_nothing() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let upstream = Upstream::start(&world, &[]);
    let now = &world.runs[0];
    let undisturbed = Installation::new("undisturbed");
    let config = world.config(&undisturbed, &upstream.url);
    let began = std::time::Instant::now();
    succeed(&mut undisturbed.once(&config, now));
    let whole = began.elapsed();
    let expected = tables(&undisturbed.export(&config, &world.name, "out"));

    let seed = std::env::var("TRIBUTARY_CRASH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1_u64);
    let mut random = seed;
    for round in 0..KILLS {
        let installation = Installation::new("killed");
        let config = world.config(&installation, &upstream.url);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Anywhere in a run, start-up and end included.
        let after = whole.mul_f64((random >> 33) as f64 / f64::from(1_u32 << 31));
        let mut command = installation.once(&config, now);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // The moment of the kill is the point of the test, not a condition to wait for.
        std::thread::park_timeout(after);
        child.kill().expect("it can be killed");
        child.wait().expect("it is gone");
        succeed(&mut installation.once(&config, now));
        let found = tables(&installation.export(&config, &world.name, "out"));
        let told = differences(&expected, &found);
        assert!(told.is_empty(), "round {round}, killed after {after:?} (seed {seed}): other tables\n{told}");
        assert_eq!(installation.records("chargebacks"), undisturbed.records("chargebacks"), "rows in the topic");
    }
}
