//! Gathers tenants, a few at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::{Parts, Tenant};
use crate::gather::{CycleReport, GatherError, Gatherer, Phase};
use crate::journal::blocking;
use crate::meter;
use crate::wording::chain;

/// Who is gathered, and how often.
#[derive(Debug)]
pub struct Gathering {
    pub tenants: Vec<Tenant>,
    /// Pause after a cycle; `None`: one cycle and no more.
    pub refresh: Option<Duration>,
    /// Tenants gathered at the same time in this process.
    pub at_once: usize,
}

/// A tenant's name and what its cycle did, or why it could not begin.
pub type Report = (String, Result<CycleReport, String>);

/// One cycle of every tenant, some at a time.
///
/// # Errors
/// [`GatherError`] if the tenants' memories cannot be read.
pub async fn gather_all(gathering: &Gathering, parts: &Parts) -> Result<Vec<Report>, GatherError> {
    let gatherers = open(&gathering.tenants, parts).await?;
    let cycles = gathering.tenants.iter().zip(gatherers).map(|(tenant, gatherer)| async move {
        let progress = |progress: crate::gather::Progress| {
            let what = match progress.phase {
                Phase::Bill => "bill and inventory",
                Phase::Days => "usage of days",
            };
            parts.say.count(&format!("{}: {what} {}/{}", tenant.name, progress.done, progress.total));
        };
        let began = Instant::now();
        let cycle = gatherer.cycle(&tenant.source, &tenant.rules, &parts.clock, progress);
        let report = match tokio::select! {
            done = limited(tenant.limit, cycle) => done,
            () = parts.stop.cancelled() => return (tenant.name.clone(), Err("interrupted".to_owned())),
        } {
            Some(Ok((_, report))) => Ok(report),
            Some(Err(error)) => Err(chain(&error)),
            None => Err(format!("not done after {} s", tenant.limit.unwrap_or_default().as_secs())),
        };
        if let Err(error) | Ok(CycleReport { failure: Some(error), .. }) = &report {
            tracing::error!(tenant = tenant.name, error, "a cycle failed");
        }
        count(&tenant.name, &report, began.elapsed(), parts.clock.now().timestamp());
        (tenant.name.clone(), report)
    });
    Ok(stream::iter(cycles).buffered(gathering.at_once.max(1)).collect().await)
}

/// `took` and `now` (Unix time, seconds) of a cycle that has ended.
fn count(tenant: &str, report: &Result<CycleReport, String>, took: Duration, now: i64) {
    let (outcome, of) = match report {
        Err(_) => ("failed", meter::Cycle::default()),
        Ok(report) => {
            let outcome = if report.failure.is_some() { "incomplete" } else { "complete" };
            let (sealed, held) = (report.sealed.len(), report.held.len());
            (outcome, meter::Cycle { sealed, unchanged: report.unchanged, held })
        }
    };
    meter::cycle(tenant, outcome, took, of, now);
}

async fn open(tenants: &[Tenant], parts: &Parts) -> Result<Vec<Gatherer>, GatherError> {
    let settings = tenants.iter().map(|tenant| tenant.settings.clone()).collect();
    let (connection, codec) = (parts.connection.clone(), Arc::clone(&parts.codec));
    blocking(move || Gatherer::open(&connection, &codec, settings)).await
}

/// `None` when the limit passed first.
async fn limited<F: Future>(limit: Option<Duration>, work: F) -> Option<F::Output> {
    match limit {
        None => Some(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// Cycles for ever; an outage of Kafka is waited for.
pub async fn periodically(gathering: &Gathering, parts: &Parts) {
    while !parts.stop.is_cancelled() {
        match gather_all(gathering, parts).await {
            Ok(reports) => {
                for (tenant, report) in &reports {
                    if let Ok(report) = report {
                        let (sealed, unchanged, held) = (report.sealed.len(), report.unchanged, report.held.len());
                        tracing::info!(tenant, sealed, unchanged, held, "gathered");
                    }
                }
            }
            Err(error) => tracing::error!(error = chain(&error), "a cycle failed"),
        }
        let Some(pause) = gathering.refresh else { return };
        tokio::select! {
            () = parts.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
