//! Killed, cut and stalled at random moments: nothing lost, nothing doubled, nothing wrong.
//!
//! A round has topics and a database of its own and five processes (gather, two allocate, two project) that reach one
//! Kafka and one Postgres through proxies. Faults follow from the round's seed; what happens to its tenants is the same
//! in each (`story`). Afterwards topics and tables hold what an undisturbed round gives, record by record and row by row.
//!
//! `make crash N=1000` runs many rounds; `TRIBUTARY_CRASH_SEED=4711 TRIBUTARY_CRASH_ROUNDS=1 cargo test --test it
//! crash::rounds -- --nocapture` runs one again. The faults and their order follow from the seed; what a process is at
//! when they come does not, so a seed may need several tries.

mod crew;
mod faults;
mod groups;
mod once;
mod round;
mod story;
mod tally;
mod truth;

use faults::Plan;
use round::Stage;
use tally::Tally;

use crate::harness::World;

/// Rounds of an ordinary test run.
const ROUNDS: u64 = 6;
/// More failures than these end a long run: they say the same.
const ENOUGH: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn rounds_of_faults_change_nothing() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let (first, rounds) =
        (number("TRIBUTARY_CRASH_SEED").unwrap_or(1), number("TRIBUTARY_CRASH_ROUNDS").unwrap_or(ROUNDS));
    let mut stage = Stage::start(world);
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        let plan = Plan::of(seed);
        let round = stage.round(&plan);
        tally.ended(&round.ended);
        match round.took {
            Ok(took) => {
                println!("seed {seed}: {:.1} s\n{plan}", took.as_secs_f64());
                tally.survived(seed, &round.faults, took);
            }
            Err(what) => {
                println!("seed {seed} FAILED, logs in {}\n{plan}{what}", round.logs.display());
                tally.failed(seed, &round.faults);
            }
        }
        if tally.failed.len() >= ENOUGH {
            break;
        }
    }
    tally.print();
    assert!(
        tally.failed.is_empty(),
        "seeds {:?} failed, see above; again: make crash N=1 SEED={}",
        tally.failed,
        tally.failed[0]
    );
}
