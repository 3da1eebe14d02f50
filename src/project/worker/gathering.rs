//! Runs and held days: what the gather stage says of itself.

use std::collections::BTreeMap;

use ahash::AHashMap;

use super::super::{Progress, ProjectError};
use super::Projector;
use crate::domain::{Day, GatherState, GatheredDay, Run};
use crate::journal::{Batch, Topic};
use crate::store::{Position, check_held, check_run};
use crate::wording::chain;

/// A day's memory with its tenant and when it was written.
type Remembered = (String, i64, GatheredDay);

impl Projector {
    /// The last record of each run, and of each day that gather remembers.
    pub(super) async fn apply_gathering(&mut self, batch: &Batch, ends: &[Position]) -> Result<Progress, ProjectError> {
        let (mut runs, mut days, mut bad) = (Vec::<Run>::new(), Vec::<Remembered>::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else { continue };
            let read = match record.topic {
                Topic::Runs => self.run(payload).map(|run| runs.push(run)),
                _ => self.remembered(payload).map(|day| {
                    days.extend(day.map(|(tenant, day)| (tenant, record.timestamp_ms, day)));
                }),
            };
            if let Err(reason) = read {
                bad.push((i, reason));
            }
        }
        let tenants = runs.iter().map(|run| run.tenant.as_str()).chain(days.iter().map(|(tenant, ..)| tenant.as_str()));
        self.learn_tenants(tenants).await?;
        let runs = last_runs(&runs, &self.tenants);
        let days = newest_days(&days, &self.tenants);

        let mut tx = self.advance(ends).await?;
        let set_aside = self.set_aside(batch, bad, &mut tx).await?;
        tx.save_runs(&runs).await?;
        tx.save_held(&days).await?;
        tx.commit().await?;
        Ok(Progress { records: batch.len(), rows: runs.len() + days.len(), days: 0, set_aside })
    }

    fn run(&self, payload: &[u8]) -> Result<Run, String> {
        let run: Run = self.parts.codec.decode(payload).map_err(|error| chain(&error))?;
        check_run(&run).map_err(|error| error.to_string())?;
        Ok(run)
    }

    /// Of all that gather remembers, only days are shown.
    fn remembered(&self, payload: &[u8]) -> Result<Option<(String, GatheredDay)>, String> {
        let state: GatherState = self.parts.codec.decode(payload).map_err(|error| chain(&error))?;
        let Some(day) = state.day else { return Ok(None) };
        check_held(&state.tenant, &day).map_err(|error| error.to_string())?;
        Ok(Some((state.tenant, day)))
    }
}

/// One record of each run: that of its end, where it has come.
fn last_runs<'a>(runs: &'a [Run], tenants: &AHashMap<String, i32>) -> Vec<(i32, &'a Run)> {
    let mut last: BTreeMap<(i32, &str), &Run> = BTreeMap::new();
    for run in runs {
        let Some(tenant) = tenants.get(&run.tenant) else { continue };
        let kept = last.entry((*tenant, &run.id)).or_insert(run);
        if kept.ended_at.is_none() {
            *kept = run;
        }
    }
    last.into_iter().map(|((tenant, _), run)| (tenant, run)).collect()
}

/// One memory of each day, the one written last.
fn newest_days<'a>(days: &'a [Remembered], tenants: &AHashMap<String, i32>) -> Vec<(i32, i64, &'a GatheredDay)> {
    let mut newest: BTreeMap<(i32, Day), (i64, &GatheredDay)> = BTreeMap::new();
    for (tenant, written, day) in days {
        let Some(tenant) = tenants.get(tenant) else { continue };
        let kept = newest.entry((*tenant, day.day)).or_insert((*written, day));
        if kept.0 <= *written {
            *kept = (*written, day);
        }
    }
    newest.into_iter().map(|((tenant, _), (written, day))| (tenant, written, day)).collect()
}
