//! What is done to a round: a plan that follows from its seed alone.

use std::fmt;
use std::time::Duration;

use crate::harness::{Dice, Moment, Wire};

/// The processes of a round, by their role and place in it.
pub const CREW: [(&str, &str); 5] = [
    ("gather", "gather"),
    ("allocate-a", "allocate"),
    ("allocate-b", "allocate"),
    ("project-a", "project"),
    ("project-b", "project"),
];

/// Messages of Kafka's clients that a connection is cut at: of transactions, of rebalances, of reading.
const TO_KAFKA: [&str; 11] = [
    "Produce",
    "InitProducerId",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "TxnOffsetCommit",
    "EndTxn",
    "JoinGroup",
    "SyncGroup",
    "OffsetFetch",
    "ListOffsets",
    "Fetch",
];
const TO_POSTGRES: [&str; 4] = ["CopyData", "CopyDone", "Commit", "Begin"];
const MOMENTS: [Moment; 3] = [Moment::Before, Moment::Within, Moment::Unanswered];
/// At most so many faults in a round.
const AT_MOST: usize = 3;
/// The time over which they come: about as long as an undisturbed round is at work.
const WINDOW: Duration = Duration::from_secs(5);

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`; started again after so long.
    Kill { member: usize, back: Duration },
    /// `kill -9`; started again only when its twin has all of its partitions.
    TakenOver { member: usize },
    /// Stopped in its tracks until its twin has all of its partitions, then let go on, believing that it owns them.
    Zombie { member: usize },
    /// `kill -9` of the broker, or of Postgres with all its processes; started again after so long.
    Down { service: Wire, back: Duration },
    /// The next connection over which this message goes is cut.
    CutAt { service: Wire, message: &'static str, moment: Moment },
    /// All connections at once.
    CutAll { service: Wire },
    /// Nothing comes through for so long, and nothing is refused.
    Stall { service: Wire, lasts: Duration },
}

impl Fault {
    /// What it is counted as.
    pub fn kind(self) -> String {
        match self {
            Self::Kill { member, .. } => format!("kill -9 of {}", CREW[member].1),
            Self::TakenOver { member } => format!("kill -9 of {}, its twin takes over", CREW[member].1),
            Self::Zombie { member } => format!("two believe they own a partition: {}", CREW[member].1),
            Self::Down { service, .. } => format!("kill -9 of {}", service.name()),
            Self::CutAt { service, message, .. } => format!("{} cut at {message}", service.name()),
            Self::CutAll { service } => format!("{}: all connections cut", service.name()),
            Self::Stall { service, .. } => format!("{}: nothing comes through", service.name()),
        }
    }
}

/// What happens in a round, one after the other, each so long after the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub faults: Vec<(Duration, Fault)>,
    /// So many of them come before the turn of the story, the others after it.
    pub before: usize,
}

impl Plan {
    /// The plan of a seed. Half of the rounds have one fault, so that what it costs can be told, and some have none, which
    /// is what that is measured by.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let faults = match dice.below(100) {
            0..5 => 0,
            5..55 => 1,
            _ => 2 + dice.below(AT_MOST - 1),
        };
        let share = WINDOW / u32::try_from(faults.max(1)).expect("a few");
        let faults: Vec<_> = (0..faults).map(|_| (up_to(&mut dice, share), fault(&mut dice))).collect();
        Self { before: dice.below(faults.len() + 1), faults }
    }

    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self { faults: Vec::new(), before: 0 }
    }
}

fn fault(dice: &mut Dice) -> Fault {
    let service = if dice.chance(50) { Wire::Kafka } else { Wire::Postgres };
    match dice.below(100) {
        0..25 => Fault::Kill { member: dice.below(CREW.len()), back: up_to(dice, Duration::from_secs(2)) },
        25..35 => Fault::TakenOver { member: 1 + dice.below(CREW.len() - 1) },
        35..45 => Fault::Zombie { member: 1 + dice.below(CREW.len() - 1) },
        45..60 => Fault::Down { service, back: up_to(dice, Duration::from_secs(2)) },
        60..88 => {
            let messages: &[&str] = if service == Wire::Kafka { &TO_KAFKA } else { &TO_POSTGRES };
            let message = dice.pick(messages).expect("there are some");
            Fault::CutAt { service, message, moment: dice.pick(&MOMENTS).expect("there are some") }
        }
        88..94 => Fault::CutAll { service },
        _ => Fault::Stall { service, lasts: Duration::from_secs(1) + up_to(dice, Duration::from_secs(4)) },
    }
}

fn up_to(dice: &mut Dice, longest: Duration) -> Duration {
    let thousandths = u32::try_from(dice.below(1001)).expect("small");
    longest * thousandths / 1000
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (pause, fault)) in self.faults.iter().enumerate() {
            let when = if number < self.before { "before" } else { "after" };
            writeln!(f, "  {when} the turn, {:>6.3} s later: {fault:?}", pause.as_secs_f64())?;
        }
        Ok(())
    }
}

#[test]
fn a_seed_gives_its_plan_again_and_all_kinds_come() {
    let plans: Vec<Plan> = (0..1000).map(Plan::of).collect();
    assert_eq!(plans[17], Plan::of(17));
    let mut kinds: Vec<String> = plans.iter().flat_map(|plan| &plan.faults).map(|(_, fault)| fault.kind()).collect();
    kinds.sort();
    kinds.dedup();
    let members = 3 + 2 + 2;
    assert_eq!(kinds.len(), members + 3 * 2 + TO_KAFKA.len() + TO_POSTGRES.len(), "{kinds:#?}");
}
