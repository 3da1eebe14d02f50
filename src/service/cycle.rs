//! One turn of one tenant: a run that is recorded when it starts and when it has ended, with the cycle in between.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use tokio_util::sync::CancellationToken;

use super::outcome::{self, End};
use super::schedule::{Order, Past};
use super::{Parts, Tenant};
use crate::domain::Run;
use crate::domain::run::{RunStatus, Trigger};
use crate::gather::{Ask, CycleReport, GatherError, Gatherer, Phase, Progress};
use crate::journal::blocking;
use crate::meter;
use crate::wording::chain;

/// What a turn leaves behind.
#[derive(Debug)]
pub struct Turn {
    /// Ready for the next one; `None` if its memory may lag behind the log.
    pub gatherer: Option<Gatherer>,
    /// `None`: it could not begin, or its end could not be recorded.
    pub past: Option<Past>,
    /// What the cycle did, or why there was none.
    pub report: Result<CycleReport, String>,
}

/// What ends a turn at the next safe point. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop {
    /// The process ends, or the tenant goes elsewhere.
    pub process: CancellationToken,
    cancelled: CancellationToken,
    by: Arc<OnceLock<String>>,
}

impl Stop {
    /// Of a turn that ends with `process`, or when it is cancelled.
    pub fn with(process: &CancellationToken) -> Self {
        Self { process: process.clone(), cancelled: CancellationToken::new(), by: Arc::default() }
    }

    /// Somebody wants the run to end; the first one is told as the reason.
    pub fn cancel(&self, by: String) {
        let _ = self.by.set(by);
        self.cancelled.cancel();
    }
}

/// The id of a run that begins now: greater than those of earlier runs, and unlike that of another process at the same
/// moment.
pub fn run_id(now: DateTime<Utc>) -> String {
    format!("{}-{:04x}", now.trunc_subsecs(3).format("%Y%m%dT%H%M%S%.3fZ"), rand::random::<u16>())
}

/// Does what is ordered for a tenant, as the run of that id. `stop` ends it at the next safe point.
pub async fn turn(
    parts: &Parts,
    tenant: &Tenant,
    gatherer: Option<Gatherer>,
    (order, run_id): (&Order, &str),
    stop: &Stop,
) -> Turn {
    let done = async {
        let gatherer = match gatherer {
            Some(gatherer) => gatherer,
            None => open(parts, &[tenant]).await?.remove(0),
        };
        match order {
            Order::Skip { why, .. } => {
                answer(parts, tenant, gatherer, (order, run_id), (RunStatus::Skipped, why)).await
            }
            Order::Cancel { why, .. } => {
                answer(parts, tenant, gatherer, (order, run_id), (RunStatus::Cancelled, why)).await
            }
            Order::Gather { .. } => gather(parts, tenant, gatherer, (order, run_id), stop).await,
        }
    }
    .await;
    done.unwrap_or_else(|error: GatherError| {
        let error = chain(&error);
        tracing::error!(tenant = tenant.name, error, "a turn could not be brought to its end; it is taken again");
        Turn { gatherer: None, past: None, report: Err(error) }
    })
}

/// Takes tenants over from whoever gathered them before.
///
/// # Errors
/// [`GatherError`] if the log does not answer.
pub async fn open(parts: &Parts, tenants: &[&Tenant]) -> Result<Vec<Gatherer>, GatherError> {
    let settings = tenants.iter().map(|tenant| tenant.settings.clone()).collect();
    let (connection, codec) = (parts.connection.clone(), Arc::clone(&parts.codec));
    blocking(move || Gatherer::open(&connection, &codec, settings)).await
}

/// How the tenant's cycles went, under its present configuration.
pub fn past(tenant: &Tenant, gatherer: &Gatherer) -> Past {
    let memory = gatherer.cycles().cloned();
    memory.map(|memory| outcome::past_of(&outcome::under_settings(memory, &tenant.digest))).unwrap_or_default()
}

/// Records an answer that needs no cycle.
async fn answer(
    parts: &Parts,
    tenant: &Tenant,
    mut gatherer: Gatherer,
    order: (&Order, &str),
    (status, why): (RunStatus, &str),
) -> Result<Turn, GatherError> {
    let now = parts.clock.now();
    let known = gatherer.cycles().cloned();
    let run = Run {
        ended_at: Some(now),
        status,
        errors: vec![why.to_owned()],
        suspended: known.as_ref().and_then(|known| known.suspended.clone()),
        failures_in_a_row: known.as_ref().map_or(0, |known| known.failures_in_a_row),
        next_due_at: super::schedule::due(&past(tenant, &gatherer), tenant.rhythm, now),
        ..started(parts, tenant, order, now)
    };
    tracing::info!(tenant = tenant.name, run = run.id, why, "{}", status.as_str());
    gatherer.record(vec![run], known).await?;
    let past = past(tenant, &gatherer);
    Ok(Turn { gatherer: Some(gatherer), past: Some(past), report: Err(why.to_owned()) })
}

async fn gather(
    parts: &Parts,
    tenant: &Tenant,
    mut gatherer: Gatherer,
    (order, run_id): (&Order, &str),
    stop: &Stop,
) -> Result<Turn, GatherError> {
    let now = parts.clock.now();
    let known = gatherer.cycles().cloned();
    let unfinished = known.as_ref().and_then(|known| outcome::interrupted(&tenant.settings.tenant_id, known, now));
    let known = known.map(|known| outcome::under_settings(known, &tenant.digest));
    let resumed = matches!(order, Order::Gather { resume: true, .. });
    let (failures_in_a_row, suspended) = outcome::inherited(known.as_ref(), resumed);
    let run = Run { failures_in_a_row, suspended, ..started(parts, tenant, (order, run_id), now) };
    let start = outcome::memory(&run, tenant.digest.clone());
    gatherer.record(unfinished.into_iter().chain([run.clone()]).collect(), Some(start)).await?;

    let (mut gatherer, end, report) = cycle(parts, tenant, gatherer, (order, &run), stop).await?;
    let now = parts.clock.now();
    let mut run = outcome::judge(run, end, &report, tenant.failure_threshold, now);
    if end == End::Cancelled {
        run.errors.extend(stop.by.get().map(|by| format!("cancelled by {by}; what it had sealed stays")));
    }
    let run = outcome::with_next(run, tenant.rhythm, now);
    tell(tenant, &run);
    count(tenant, &run);
    let memory = outcome::memory(&run, tenant.digest.clone());
    let past = outcome::past_of(&memory);
    gatherer.record(vec![run.clone()], Some(memory)).await?;
    let report = match end {
        End::Done => Ok(report),
        End::TimedOut => Err(format!("not done after {} s", tenant.limit.unwrap_or_default().as_secs())),
        End::Stopped => Err("interrupted".to_owned()),
        End::Cancelled => Err("cancelled".to_owned()),
    };
    Ok(Turn { gatherer: Some(gatherer), past: Some(past), report })
}

/// The cycle itself, within its limit.
async fn cycle(
    parts: &Parts,
    tenant: &Tenant,
    gatherer: Gatherer,
    (order, run): (&Order, &Run),
    stop: &Stop,
) -> Result<(Gatherer, End, CycleReport), GatherError> {
    let halt = stop.process.child_token();
    let (from, to) = match order {
        Order::Gather { from, to, .. } => (*from, *to),
        Order::Skip { .. } | Order::Cancel { .. } => (None, None),
    };
    let again = order.again().map(str::to_owned);
    let progress = |progress: Progress| {
        let what = match progress.phase {
            Phase::Bill => "bill and inventory",
            Phase::Days => "usage of days",
        };
        parts.say.count(&format!("{}: {what} {}/{}", tenant.name, progress.done, progress.total));
    };
    let ask = Ask { from, to, again, run: Some(run.clone()), stop: halt.clone() };
    let cycle = gatherer.cycle(&tenant.source, &tenant.rules, &parts.clock, &ask, progress);
    tokio::pin!(cycle);
    let (gatherer, report) = tokio::select! {
        biased;
        done = &mut cycle => done?,
        () = stop.cancelled.cancelled() => {
            halt.cancel();
            cycle.await?
        }
        () = limit(tenant.limit) => {
            halt.cancel();
            cycle.await?
        }
    };
    let end = match report.stopped {
        false => End::Done,
        true if stop.process.is_cancelled() => End::Stopped,
        true if stop.cancelled.is_cancelled() => End::Cancelled,
        true => End::TimedOut,
    };
    Ok((gatherer, end, report))
}

async fn limit(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// A run as it starts.
fn started(parts: &Parts, tenant: &Tenant, (order, run_id): (&Order, &str), now: DateTime<Utc>) -> Run {
    let trigger = match order {
        Order::Gather { trigger, .. } => *trigger,
        Order::Skip { .. } | Order::Cancel { .. } => Trigger::Command,
    };
    Run {
        tenant: tenant.settings.tenant_id.clone(),
        id: run_id.to_owned(),
        instance: parts.connection.instance().to_owned(),
        trigger,
        commands: order.asked().iter().map(|asked| asked.command.id.clone()).collect(),
        started_at: now,
        ended_at: None,
        status: RunStatus::Running,
        from: None,
        to: None,
        wanted: None,
        sealed: 0,
        unchanged: 0,
        held: 0,
        quarantined: 0,
        errors: Vec::new(),
        failures_in_a_row: 0,
        suspended: None,
        next_due_at: None,
    }
}

/// Counts a run that has ended.
fn count(tenant: &Tenant, run: &Run) {
    let Some(ended) = run.ended_at else { return };
    let outcome = run.status.as_str();
    let [sealed, unchanged, held] = [run.sealed, run.unchanged, run.held].map(|days| days as usize);
    let took = (ended - run.started_at).to_std().unwrap_or_default();
    let suspended = run.suspended.is_some();
    meter::cycle(&tenant.name, outcome, took, meter::Cycle { sealed, unchanged, held, suspended }, ended.timestamp());
}

fn tell(tenant: &Tenant, run: &Run) {
    let (name, status, run_id) = (&tenant.name, run.status.as_str(), &run.id);
    let (sealed, unchanged, held) = (run.sealed, run.unchanged, run.held);
    match run.errors.first() {
        None => tracing::info!(tenant = name, run = run_id, status, sealed, unchanged, held, "gathered"),
        Some(error) => {
            tracing::error!(tenant = name, run = run_id, status, sealed, unchanged, held, error, "a run failed")
        }
    }
    if let Some(why) = &run.suspended {
        tracing::error!(
            tenant = name,
            why,
            "suspended: no run starts by itself until `tributary resume` or another configuration"
        );
    }
}
