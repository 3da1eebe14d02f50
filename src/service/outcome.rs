//! Judges a cycle: what became of the run, and what that means for the next one.
//!
//! In: the run as it started, how the cycle ended, the tenant's limits. Out: the run as it ended, and the memory of it.
//! Absent: clocks, IO.

use chrono::{DateTime, Utc};

use super::schedule::{Past, Rhythm, due};
use crate::domain::run::RunStatus;
use crate::domain::{GatheredTenant, Run};
use crate::gather::CycleReport;

/// How a cycle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Done,
    /// Its limit passed.
    TimedOut,
    /// The process ends, or the tenant went elsewhere.
    Stopped,
    /// Somebody wanted it to.
    Cancelled,
}

/// What a run takes over from those before it: failures in a row, and why the tenant is suspended. Somebody who resumes it
/// wants both forgotten.
pub fn inherited(known: Option<&GatheredTenant>, resumed: bool) -> (u32, Option<String>) {
    let known = known.filter(|_| !resumed);
    known.map_or((0, None), |known| (known.failures_in_a_row, known.suspended.clone()))
}

/// The run as it is when its cycle has ended.
pub fn judge(run: Run, end: End, report: &CycleReport, threshold: u32, now: DateTime<Utc>) -> Run {
    let status = match (end, &report.failure) {
        (End::Stopped, _) => RunStatus::Interrupted,
        (End::TimedOut, _) => RunStatus::TimedOut,
        (End::Cancelled, _) => RunStatus::Cancelled,
        (End::Done, Some(_)) => RunStatus::Failed,
        (End::Done, None) => RunStatus::Completed,
    };
    // A day that was sealed is a step forward: a tenant that needs several runs for its first bill is not failing.
    let in_vain = match status {
        RunStatus::Failed => report.fruitless,
        RunStatus::TimedOut => report.sealed.is_empty(),
        _ => false,
    };
    let failures_in_a_row = match status {
        RunStatus::Interrupted | RunStatus::Cancelled => run.failures_in_a_row,
        _ if in_vain => run.failures_in_a_row.saturating_add(1),
        _ => 0,
    };
    let errors: Vec<String> = report.failure.iter().cloned().collect();
    let last = errors.first().map_or("its limit passed", String::as_str);
    let suspended = (failures_in_a_row >= threshold.max(1)).then(|| match failures_in_a_row {
        1 => format!("a run brought nothing: {last}"),
        many => format!("{many} runs in a row brought nothing, the last: {last}"),
    });
    Run { ended_at: Some(now), status, errors, failures_in_a_row, suspended, ..report.of(&run) }
}

/// The same with the moment at which the next run is due by itself.
pub fn with_next(run: Run, rhythm: Rhythm, now: DateTime<Utc>) -> Run {
    let past = past_of(&memory(&run, String::new()));
    Run { next_due_at: due(&past, rhythm, now), ..run }
}

/// What the tenant's memory keeps of a run.
pub fn memory(run: &Run, settings_digest: String) -> GatheredTenant {
    GatheredTenant {
        run_id: run.id.clone(),
        instance: run.instance.clone(),
        trigger: run.trigger,
        started_at: run.started_at,
        ended_at: run.ended_at,
        finished: matches!(
            run.status,
            RunStatus::Completed | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled
        ),
        failures_in_a_row: run.failures_in_a_row,
        suspended: run.suspended.clone(),
        settings_digest,
    }
}

/// What a schedule needs to know of a memory.
pub fn past_of(memory: &GatheredTenant) -> Past {
    Past {
        started_at: Some(memory.started_at),
        ended_at: memory.ended_at,
        finished: memory.finished,
        suspended: memory.suspended.clone(),
    }
}

/// The memory as it holds for this configuration: another one may have mended what failed.
pub fn under_settings(memory: GatheredTenant, settings_digest: &str) -> GatheredTenant {
    match memory.settings_digest == settings_digest {
        true => memory,
        false => GatheredTenant { suspended: None, failures_in_a_row: 0, finished: false, ..memory },
    }
}

/// The end of a run whose process was gone before: told by the next one.
pub fn interrupted(tenant: &str, memory: &GatheredTenant, now: DateTime<Utc>) -> Option<Run> {
    memory.ended_at.is_none().then(|| Run {
        tenant: tenant.to_owned(),
        id: memory.run_id.clone(),
        instance: memory.instance.clone(),
        trigger: memory.trigger,
        commands: Vec::new(),
        started_at: memory.started_at,
        ended_at: Some(now),
        status: RunStatus::Interrupted,
        from: None,
        to: None,
        wanted: None,
        sealed: 0,
        unchanged: 0,
        held: 0,
        quarantined: 0,
        errors: vec![format!("instance {} ended before the run did; what it had sealed stays", memory.instance)],
        failures_in_a_row: memory.failures_in_a_row,
        suspended: None,
        next_due_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::gather::window::Window;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn run(failures_in_a_row: u32) -> Run {
        let started_at = at("2026-03-06T06:00:00Z");
        let past = memory_of(started_at);
        let run = interrupted("t", &past, started_at).unwrap();
        Run { ended_at: None, status: RunStatus::Running, errors: vec![], failures_in_a_row, ..run }
    }

    fn memory_of(started_at: DateTime<Utc>) -> GatheredTenant {
        GatheredTenant {
            run_id: "r".into(),
            instance: "one".into(),
            trigger: Trigger::Periodic,
            started_at,
            ended_at: None,
            finished: false,
            failures_in_a_row: 0,
            suspended: None,
            settings_digest: "a".into(),
        }
    }

    fn report(failure: Option<&str>, fruitless: bool, sealed: usize) -> CycleReport {
        let window = Window::at(at("2026-03-06T06:00:00Z"), 10, 1, 70);
        let mut report = CycleReport::new("t", window);
        report.failure = failure.map(str::to_owned);
        report.fruitless = fruitless;
        report.sealed = vec![(window.start, 1); sealed];
        report
    }

    fn judged(before: u32, end: End, report: &CycleReport) -> (RunStatus, u32, bool) {
        let run = judge(run(before), end, report, 3, at("2026-03-06T06:01:00Z"));
        (run.status, run.failures_in_a_row, run.suspended.is_some())
    }

    #[test]
    fn only_what_brings_nothing_counts_towards_a_suspension() {
        let fine = report(None, false, 0);
        assert_eq!(judged(2, End::Done, &fine), (RunStatus::Completed, 0, false));
        let family = report(Some("inventory incomplete: flink"), false, 0);
        assert_eq!(judged(2, End::Done, &family), (RunStatus::Failed, 0, false));
        let no_bill = report(Some("bill: HTTP 401"), true, 0);
        assert_eq!(judged(1, End::Done, &no_bill), (RunStatus::Failed, 2, false));
        assert_eq!(judged(2, End::Done, &no_bill), (RunStatus::Failed, 3, true));
        assert_eq!(judged(2, End::TimedOut, &fine), (RunStatus::TimedOut, 3, true));
        assert_eq!(judged(2, End::TimedOut, &report(None, false, 1)), (RunStatus::TimedOut, 0, false));
        assert_eq!(judged(2, End::Stopped, &no_bill), (RunStatus::Interrupted, 2, false));
        assert_eq!(judged(2, End::Cancelled, &no_bill), (RunStatus::Cancelled, 2, false));
    }

    #[test]
    fn another_configuration_lifts_a_suspension_and_starts_at_once() {
        let suspended =
            GatheredTenant { suspended: Some("why".into()), finished: true, ..memory_of(at("2026-03-06T06:00:00Z")) };
        assert_eq!(under_settings(suspended.clone(), "a"), suspended);
        let lifted = under_settings(suspended, "b");
        assert_eq!((lifted.suspended, lifted.failures_in_a_row, lifted.finished), (None, 0, false));
    }

    #[test]
    fn what_was_cancelled_is_not_begun_again_at_once() {
        let cancelled = judge(run(0), End::Cancelled, &report(None, false, 0), 3, at("2026-03-06T06:01:00Z"));
        let rhythm = Rhythm { refresh: Some(chrono::TimeDelta::minutes(30)), gap: chrono::TimeDelta::zero() };
        let next = with_next(cancelled, rhythm, at("2026-03-06T06:01:00Z")).next_due_at;
        assert_eq!(next, Some(at("2026-03-06T06:31:00Z")));
    }

    #[test]
    fn a_run_without_an_end_is_told_as_interrupted_once() {
        let now = at("2026-03-06T07:00:00Z");
        let open = memory_of(at("2026-03-06T06:00:00Z"));
        let told = interrupted("t", &open, now).unwrap();
        assert_eq!((told.status, told.ended_at, told.id.as_str()), (RunStatus::Interrupted, Some(now), "r"));
        assert_eq!(interrupted("t", &GatheredTenant { ended_at: Some(now), ..open }, now), None);
    }
}
