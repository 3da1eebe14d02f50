//! When a run is recorded again while it goes on.
//!
//! Whatever is committed anyway tells how far the run is, in the same transaction. A day that is as it was commits nothing: it is
//! worth a transaction of its own only now and then.

use std::time::{Duration, Instant};

use crate::domain::Run;

use super::report::CycleReport;

/// Between two transactions that do nothing but tell.
const OFTEN: Duration = Duration::from_secs(1);

/// Tells how far a run is.
#[derive(Debug)]
pub(super) struct Telling {
    /// As it started; `None`: nobody wants to know.
    run: Option<Run>,
    told: Instant,
}

impl Telling {
    /// Of a run that has just been recorded.
    pub fn of(run: Option<Run>) -> Self {
        Self { run, told: Instant::now() }
    }

    /// The record that goes with a transaction, of which `sealed` more days are sealed when it is committed.
    pub fn with(&mut self, report: &CycleReport, sealed: u32) -> Vec<Run> {
        self.told = Instant::now();
        let run = self.run.as_ref().map(|run| report.of(run));
        run.into_iter().map(|run| Run { sealed: run.sealed + sealed, ..run }).collect()
    }

    /// The record where nothing else is committed: none if one was written a moment ago.
    pub fn alone(&mut self, report: &CycleReport) -> Vec<Run> {
        if self.told.elapsed() < OFTEN { Vec::new() } else { self.with(report, 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::window::Window;
    use crate::journal::samples;

    #[test]
    fn a_run_is_told_with_what_its_transaction_seals() {
        let window = Window::at("2026-03-06T06:30:00Z".parse().unwrap(), 10, 1, 30);
        let mut report = CycleReport::new("acme", window);
        report.wanted = Some(4);
        report.unchanged = 2;
        let mut telling = Telling::of(Some(samples::run()));
        assert!(telling.alone(&report).is_empty(), "it was recorded a moment ago");
        let told = telling.with(&report, 1);
        assert_eq!((told[0].wanted, told[0].sealed, told[0].unchanged, told[0].held), (Some(4), 1, 2, 0));
        assert_eq!((told[0].from, told[0].id.as_str()), (Some(window.start), samples::run().id.as_str()));
        telling.told -= OFTEN;
        assert_eq!(telling.alone(&report).len(), 1);
        assert!(Telling::of(None).with(&report, 1).is_empty());
    }
}
