//! Reads what the gather stage says of itself: runs, and the days that it remembers.

use std::collections::BTreeMap;

use crate::domain::{Day, GatherState, GatheredDay, Run};
use crate::journal::codec::Codec;
use crate::store::{check_held, check_run};
use crate::wording::chain;

/// Reads and checks a run.
pub(super) fn run(codec: &Codec, payload: &[u8]) -> Result<Run, String> {
    let run: Run = codec.decode(payload).map_err(|error| chain(&error))?;
    check_run(&run).map_err(|error| error.to_string())?;
    Ok(run)
}

/// Reads and checks a memory with its tenant. Of all that gather remembers, only days are shown.
pub(super) fn remembered(codec: &Codec, payload: &[u8]) -> Result<Option<(String, GatheredDay)>, String> {
    let state: GatherState = codec.decode(payload).map_err(|error| chain(&error))?;
    let Some(day) = state.day else { return Ok(None) };
    check_held(&state.tenant, &day).map_err(|error| error.to_string())?;
    Ok(Some((state.tenant, day)))
}

/// The day whose memory is gone, and its tenant, if the key is that of a day.
pub(super) fn gone(key: &[u8]) -> Option<(String, GatheredDay)> {
    let (of, day) = std::str::from_utf8(key).ok()?.rsplit_once('/')?;
    let day = day.parse().ok()?;
    Some((of.strip_suffix("/day")?.to_owned(), GatheredDay::never_sealed(day)))
}

/// One record of each run: that of its end, where it has come.
pub(super) fn last_runs(runs: &[(i32, Run)]) -> Vec<(i32, Run)> {
    let mut last: BTreeMap<(i32, &str), Run> = BTreeMap::new();
    for (tenant, run) in runs {
        let kept = last.entry((*tenant, &run.id)).or_insert_with(|| run.clone());
        if kept.ended_at.is_none() {
            *kept = run.after(kept);
        }
    }
    last.into_iter().map(|((tenant, _), run)| (tenant, run)).collect()
}

/// One memory of each day, the one written last.
pub(super) fn newest_days(days: &[(i32, i64, GatheredDay)]) -> Vec<(i32, i64, &GatheredDay)> {
    let mut newest: BTreeMap<(i32, Day), (i64, &GatheredDay)> = BTreeMap::new();
    for (tenant, written, day) in days {
        let kept = newest.entry((*tenant, day.day)).or_insert((*written, day));
        if kept.0 <= *written {
            *kept = (*written, day);
        }
    }
    newest.into_iter().map(|((tenant, _), (written, day))| (tenant, written, day)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunStatus;
    use crate::journal::samples;

    #[test]
    fn what_a_run_had_done_stays_though_its_process_is_gone() {
        let started = Run { ended_at: None, status: RunStatus::Running, wanted: None, sealed: 0, ..samples::run() };
        let went_on = Run { wanted: Some(12), sealed: 3, ..started.clone() };
        let told_by_the_next =
            Run { status: RunStatus::Interrupted, ended_at: Some(started.started_at), ..started.clone() };
        let other = Run { id: "z".into(), ..started.clone() };
        let told = [&started, &went_on, &other, &told_by_the_next].map(|run| (1, run.clone()));
        let last = last_runs(&told);
        assert_eq!(last, [(1, Run { wanted: Some(12), sealed: 3, ..told_by_the_next }), (1, other)]);
    }

    #[test]
    fn a_tombstone_says_which_day_is_not_remembered_any_more() {
        let (tenant, day) = gone(b"a/b/day/2026-02-28").unwrap();
        assert_eq!((tenant.as_str(), day.day.to_string(), day.held), ("a/b", "2026-02-28".to_owned(), None));
        for other in ["a/resource/2026-02-28", "a/day/lkc-1", "2026-02-28", ""] {
            assert_eq!(gone(other.as_bytes()), None, "{other}");
        }
    }
}
