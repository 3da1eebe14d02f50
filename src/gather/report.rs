//! What a cycle tells its caller.
//!
//! In: nothing. Out: plain values for a summary table, a progress bar and the `--once` waiter. Absent: terminals.

use crate::domain::{Day, Run};

use super::window::Window;

/// What one cycle of one tenant did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleReport {
    pub tenant: String,
    pub window: Window,
    /// Days with a bill, or that had one; `None` until the bill was read.
    pub wanted: Option<usize>,
    /// Days published in this cycle, with their new revision, in day order.
    pub sealed: Vec<(Day, u32)>,
    /// Sealed days that were looked at and are as they were.
    pub unchanged: usize,
    /// Days that wait for a later cycle, and why.
    pub held: Vec<(Day, String)>,
    /// Days billed from measurements with a gap that nobody waits for any longer, and what is missing.
    pub flagged: Vec<(Day, String)>,
    /// Provider rows set aside for the first time.
    pub quarantined: usize,
    /// Every sealed day within retention with its newest revision, also of earlier cycles.
    pub all_days: Vec<(Day, u32)>,
    /// What an operator or a later cycle has to mend; what could be done without it was done.
    pub failure: Option<String>,
    /// Neither bill nor inventory could be had at all.
    pub fruitless: bool,
    /// It was asked to stop before it had looked at every day.
    pub stopped: bool,
}

impl CycleReport {
    /// Of a cycle that has done nothing yet.
    pub fn new(tenant: &str, window: Window) -> Self {
        Self {
            tenant: tenant.to_owned(),
            window,
            wanted: None,
            sealed: Vec::new(),
            unchanged: 0,
            held: Vec::new(),
            flagged: Vec::new(),
            quarantined: 0,
            all_days: Vec::new(),
            failure: None,
            fruitless: false,
            stopped: false,
        }
    }

    /// The run with what was done of it.
    pub fn of(&self, run: &Run) -> Run {
        // Days are far fewer than 2³².
        let days = |count: usize| count as u32;
        Run {
            from: Some(self.window.start),
            to: Some(self.window.end),
            wanted: self.wanted.map(days),
            sealed: days(self.sealed.len()),
            unchanged: days(self.unchanged),
            held: days(self.held.len()),
            quarantined: days(self.quarantined),
            ..run.clone()
        }
    }

    /// Adds a reason why the tenant failed; a repeated one once.
    pub fn fail(&mut self, why: &str) {
        match &mut self.failure {
            None => self.failure = Some(why.to_owned()),
            Some(failure) if failure.contains(why) => {}
            Some(failure) => {
                failure.push_str("; ");
                failure.push_str(why);
            }
        }
    }
}

/// How far a cycle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub done: usize,
    /// 0 where it is not known.
    pub total: usize,
}

/// What a cycle is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Lists what exists and reads the bill, in periods.
    Bill,
    /// Fetches usage and seals, in days.
    Days,
}
