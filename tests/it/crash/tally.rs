//! The table at the end: faults by kind, rounds survived, how fast work went on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::Fault;

/// How often a kind of fault was injected, and how long the rounds took in which it was alone.
#[derive(Debug, Default)]
struct OfKind {
    met: u32,
    /// Planned, but there was nothing for it to meet.
    missed: u32,
    took: Vec<Duration>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Tally {
    kinds: BTreeMap<String, OfKind>,
    /// Of every round that ended well.
    took: Vec<(Duration, u64)>,
    /// Of those without a fault.
    undisturbed: Vec<Duration>,
    pub failed: Vec<u64>,
    /// Processes that ended although nobody had killed them, by their last words.
    ended: BTreeMap<String, u32>,
}

impl Tally {
    /// A round that ended well: its faults, whether each was met, and how long it took without the time that something
    /// was kept away.
    pub fn survived(&mut self, seed: u64, faults: &[(Fault, bool)], took: Duration) {
        self.count(faults);
        self.took.push((took, seed));
        match faults {
            [] => self.undisturbed.push(took),
            [(fault, true)] => self.kinds.entry(fault.kind()).or_default().took.push(took),
            _ => {}
        }
    }

    pub fn failed(&mut self, seed: u64, faults: &[(Fault, bool)]) {
        self.failed.push(seed);
        self.count(faults);
    }

    pub fn ended(&mut self, last_words: &[String]) {
        for words in last_words {
            // Rounds differ in the number of their database only.
            let words = words.replace(|c: char| c.is_ascii_digit(), "");
            *self.ended.entry(words).or_default() += 1;
        }
    }

    fn count(&mut self, faults: &[(Fault, bool)]) {
        for (fault, met) in faults {
            let kind = self.kinds.entry(fault.kind()).or_default();
            *if *met { &mut kind.met } else { &mut kind.missed } += 1;
        }
    }

    /// The table. A fault's cost is how much later than usual the last row of its round came, the time not counted that
    /// something was kept away by the fault itself.
    pub fn print(&mut self) {
        self.undisturbed.sort();
        let usual = middle(&self.undisturbed);
        let cost = |took: Option<Duration>| seconds(took.zip(usual).map(|(took, usual)| took.saturating_sub(usual)));
        println!(
            "\n{:<46} {:>8} {:>7} {:>6} {:>10} {:>9}",
            "fault", "injected", "missed", "alone", "late by, s", "worst, s"
        );
        let (mut met, mut missed) = (0, 0);
        for (name, kind) in &mut self.kinds {
            kind.took.sort();
            let (median, worst) = (cost(middle(&kind.took)), cost(kind.took.last().copied()));
            println!("{name:<46} {:>8} {:>7} {:>6} {median:>10} {worst:>9}", kind.met, kind.missed, kind.took.len());
            (met, missed) = (met + kind.met, missed + kind.missed);
        }
        println!("{:<46} {met:>8} {missed:>7}", "in all");
        self.took.sort();
        let slowest = self.took.last().map(|(took, seed)| format!("{} (seed {seed})", seconds(Some(*took))));
        let undisturbed = (seconds(usual), seconds(self.undisturbed.last().copied()));
        println!("\n{} rounds survived, {} failed {:?}", self.took.len(), self.failed.len(), self.failed);
        println!("slowest round: {} s", slowest.unwrap_or_default());
        println!("{} without a fault: median {} s, worst {} s", self.undisturbed.len(), undisturbed.0, undisturbed.1);
        println!("processes that ended by themselves and were started again: {}", self.ended.values().sum::<u32>());
        for (words, count) in &self.ended {
            println!("  {count} x {words:.600}");
        }
    }
}

fn middle(sorted: &[Duration]) -> Option<Duration> {
    sorted.get(sorted.len() / 2).copied()
}

fn seconds(of: Option<Duration>) -> String {
    of.map_or_else(String::new, |of| format!("{:.1}", of.as_secs_f64()))
}
