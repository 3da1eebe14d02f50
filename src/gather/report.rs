//! What a cycle tells its caller.
//!
//! In: nothing. Out: plain values for a summary table, a progress bar and the `--once` waiter. Absent: terminals.

use crate::domain::Day;

use super::window::Window;

/// What one cycle of one tenant did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleReport {
    pub tenant: String,
    pub window: Window,
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
