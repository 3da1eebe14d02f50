//! One process that does everything, killed without warning at any moment and started again: the same tables.

use std::process::Stdio;

use super::number;
use crate::harness::{Dice, Installation, Upstream, World, succeed};
use crate::worlds::{differences, tables};

const KILLS: u32 = 8;

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

    let seed = number("TRIBUTARY_CRASH_SEED").unwrap_or(1);
    let mut dice = Dice::new(seed);
    for round in 0..KILLS {
        let installation = Installation::new("killed");
        let config = world.config(&installation, &upstream.url);
        // Anywhere in a run, start-up and end included.
        let after = whole * u32::try_from(dice.below(1000)).expect("small") / 1000;
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
