//! The table at the end: faults by kind, rounds survived, how fast work went on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::Fault;

/// How often a kind of fault was injected, and what it cost where it was alone in its round.
#[derive(Debug, Default)]
struct OfKind {
    met: u32,
    /// Planned, but the round was over before it came to it.
    missed: u32,
    recovered: Vec<Duration>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Tally {
    kinds: BTreeMap<String, OfKind>,
    recovered: Vec<(Duration, u64)>,
    pub survived: u32,
    pub failed: Vec<u64>,
    /// Processes that ended although nobody had killed them, by their last words.
    ended: BTreeMap<String, u32>,
}

impl Tally {
    /// A round that ended well: its faults, whether each was met, and the time from when work could go on to its last row.
    pub fn survived(&mut self, seed: u64, faults: &[(Fault, bool)], recovery: Duration) {
        self.survived += 1;
        self.count(faults);
        self.recovered.push((recovery, seed));
        if let [(fault, true)] = faults {
            self.kinds.entry(fault.kind()).or_default().recovered.push(recovery);
        }
    }

    pub fn failed(&mut self, seed: u64, faults: &[(Fault, bool)]) {
        self.failed.push(seed);
        self.count(faults);
    }

    pub fn ended(&mut self, last_words: &[String]) {
        last_words.iter().for_each(|words| *self.ended.entry(words.clone()).or_default() += 1);
    }

    fn count(&mut self, faults: &[(Fault, bool)]) {
        for (fault, met) in faults {
            let kind = self.kinds.entry(fault.kind()).or_default();
            *if *met { &mut kind.met } else { &mut kind.missed } += 1;
        }
    }

    /// The table; `whole` is how long an undisturbed round takes.
    pub fn print(&mut self, whole: Duration) {
        println!(
            "\n{:<52} {:>8} {:>7} {:>6} {:>10} {:>10}",
            "fault", "injected", "missed", "alone", "median, s", "worst, s"
        );
        let (mut met, mut missed) = (0, 0);
        for (name, kind) in &mut self.kinds {
            kind.recovered.sort();
            let (median, worst) = (kind.recovered.get(kind.recovered.len() / 2), kind.recovered.last());
            let (median, worst) = (seconds(median.copied()), seconds(worst.copied()));
            println!(
                "{name:<52} {:>8} {:>7} {:>6} {median:>10} {worst:>10}",
                kind.met,
                kind.missed,
                kind.recovered.len()
            );
            (met, missed) = (met + kind.met, missed + kind.missed);
        }
        println!("{:<52} {met:>8} {missed:>7}", "in all");
        self.recovered.sort();
        let at = |share: usize| self.recovered.get(self.recovered.len() * share / 100).map(|(took, _)| *took);
        let (median, p95) = (seconds(at(50)), seconds(at(95)));
        let slowest = self
            .recovered
            .last()
            .map_or_else(String::new, |(took, seed)| format!("{} s in seed {seed}", seconds(Some(*took))));
        println!("\n{} rounds survived, {} failed {:?}", self.survived, self.failed.len(), self.failed);
        println!(
            "from when work could go on after the last fault to the last row: median {median} s, 95 % {p95} s, slowest {slowest}"
        );
        println!("an undisturbed round: {} s from the start of its processes to the last row", seconds(Some(whole)));
        println!("processes that ended by themselves and were started again: {}", self.ended.values().sum::<u32>());
        for (words, count) in &self.ended {
            println!("  {count} x {words:.400}");
        }
    }
}

fn seconds(of: Option<Duration>) -> String {
    of.map_or_else(String::new, |of| format!("{:.1}", of.as_secs_f64()))
}
