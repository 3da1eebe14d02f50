//! `tributary run`: builds the parts, starts the roles, ends them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::{Role, Run};
use super::progress::Say;
use super::stack::{Need, Stack};
use super::{sources, status, summary};
use crate::clock::Clock;
use crate::config::{Config, Tenant};
use crate::domain::{Day, Quarantined, RuleBook};
use crate::ecosystem::Source;
use crate::ecosystem::http::{Http, Limits};
use crate::gather::{CycleReport, GatherError, Gatherer, Phase};
use crate::journal::{Codec, Connection, JournalError, Topic, TransactionalProducer, blocking, provision};
use crate::store::{DayProgress, DayState, Projection, Store};
use crate::wording::chain;
use crate::{allocate, project, shutdown};

/// How long `--once` waits while nothing moves; twice that at the most.
const STALLED: Duration = Duration::from_secs(150);
const INTERRUPTED: &str = "interrupted; the next run goes on from here";
/// A role that stumbles again this soon will not get past what is in its way.
const SETTLED: Duration = Duration::from_secs(60);
/// How long `--once` waits for entries of the quarantine.
const QUARANTINE_LIMIT: Duration = Duration::from_secs(10);
/// Pause before a role is started again that an outage ended.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// The parts that roles share.
#[derive(Debug, Clone)]
pub struct Parts {
    pub connection: Connection,
    pub codec: Arc<Codec>,
    pub store: Store,
    pub clock: Clock,
    pub stop: CancellationToken,
    /// Told whenever an outcome or a slice became visible.
    pub moved: Arc<Notify>,
    pub say: Say,
}

/// Runs the command.
///
/// # Errors
/// What keeps the service from running, with what to do about it.
pub async fn run(config: &Config, args: &Run) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let clock = match args.now {
        None => Clock::system(),
        // One cycle has one moment; a service goes on from there.
        Some(now) if args.once => Clock::standing_at(now),
        Some(now) => Clock::starting_at(now),
    };
    let say = Say::new();
    let stack = Stack::start(config, Need::BOTH, &say).await?;
    let served = async {
        let parts = Parts::build(config, &stack, clock, stop.clone(), say.clone()).await?;
        serve(config, args, &parts, &stack).await
    }
    .await;
    say.line("stopping");
    stack.stop().await;
    say.done();
    let reports = served?;
    Ok(reports.map_or(ExitCode::SUCCESS, |summary| {
        print!("{}", summary.text);
        if summary.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }))
}

impl Parts {
    /// Connects, creates topics that are missing and brings the tables up to date.
    ///
    /// # Errors
    /// What does not answer, or what is in the way.
    pub async fn build(
        config: &Config,
        stack: &Stack,
        clock: Clock,
        stop: CancellationToken,
        say: Say,
    ) -> Result<Self> {
        let connection = stack.connection(config)?;
        say.line("checking topics and tables");
        let url = stack.database_url()?;
        let (store, codec, ()) = tokio::try_join!(
            async { Store::connect(url, config.database.max_connections).await.map_err(anyhow::Error::from) },
            super::codec(config, &connection),
            async {
                provision::ensure(&connection, super::layout(config)).await.map(drop).map_err(anyhow::Error::from)
            },
        )?;
        let moved = Arc::new(Notify::new());
        Ok(Self { connection, codec, store, clock, stop, moved, say })
    }
}

/// What `--once` reports.
#[derive(Debug)]
pub struct Summary {
    pub text: String,
    pub failed: bool,
}

/// Starts the roles and waits for the end: of one cycle, of the service, or of a role that cannot go on.
async fn serve(config: &Config, args: &Run, parts: &Parts, stack: &Stack) -> Result<Option<Summary>> {
    // Roles end before the services under them.
    let roles_stop = parts.stop.child_token();
    let parts = Parts { stop: roles_stop.clone(), ..parts.clone() };
    let mut roles = start(&args.roles, &parts);
    let work = async {
        if args.once {
            let summary = once(config, &parts, args.roles.contains(&Role::Gather)).await?;
            return Ok(Some(summary));
        }
        if args.roles.contains(&Role::Gather) {
            periodically(config, &parts).await?;
        }
        parts.stop.cancelled().await;
        Ok(None)
    };
    let ended = tokio::select! {
        done = work => done,
        Some(role) = roles.join_next() => role.context("a role panicked").and_then(|role| role).and_then(|()| {
            if parts.stop.is_cancelled() { Ok(None) } else { bail!("a role ended although nobody asked it to") }
        }),
        error = stack.died() => Err(error.into()),
    };
    roles_stop.cancel();
    while roles.join_next().await.is_some() {}
    ended
}

/// Starts the roles; each task ends with an error or when it is told to stop.
pub fn start(roles: &[Role], parts: &Parts) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    if roles.contains(&Role::Allocate) {
        tasks.spawn(allocating(parts.clone()));
    }
    if roles.contains(&Role::Project) {
        for projection in Projection::ALL {
            tasks.spawn(projecting(parts.clone(), projection));
        }
    }
    tasks
}

/// Keeps the allocate role running over outages of Kafka and over partitions that move to others.
async fn allocating(parts: Parts) -> Result<()> {
    let mut stumbles = Stumbles::default();
    loop {
        let Parts { connection, codec, clock, stop, moved, .. } = parts.clone();
        let work = move || allocate::worker::run(&connection, codec, clock, &stop, |_| moved.notify_waiters());
        match blocking(work).await {
            Err(error) if error.is_transient() => pause("allocate", &error, &parts.stop).await,
            Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                pause("allocate", &error, &parts.stop).await;
            }
            ended => return Ok(ended?),
        }
    }
}

/// Keeps a projection running over outages of Kafka; those of Postgres it waits for itself.
async fn projecting(parts: Parts, projection: Projection) -> Result<()> {
    let Parts { connection, codec, store, stop, moved, .. } = parts;
    let parts = projecting_parts(connection, codec, store);
    let mut stumbles = Stumbles::default();
    loop {
        match project::run(projection, parts.clone(), stop.clone(), |_| moved.notify_waiters()).await {
            Err(error) if error.is_transient() => pause(projection.name(), &error, &stop).await,
            Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                pause(projection.name(), &error, &stop).await;
            }
            ended => return Ok(ended?),
        }
    }
}

/// Decides whether a role starts again with a new client after its client broke.
///
/// A broker that dies at a bad moment makes a client believe that it was put out, or breaks it for good: a new one gets
/// past that. A real successor puts us out again, and a record that cannot be written fails again.
#[derive(Debug, Default)]
struct Stumbles {
    last: Option<Instant>,
}

impl Stumbles {
    fn may_pass(&mut self, now: Instant) -> bool {
        self.last.replace(now).is_none_or(|last| now.duration_since(last) > SETTLED)
    }
}

/// What a projector works with; records it cannot use go to the quarantine topic.
pub fn projecting_parts(connection: Connection, codec: Arc<Codec>, store: Store) -> project::Parts {
    let (quarantine, encode) = (connection.clone(), Arc::clone(&codec));
    let set_aside = move |entries: Vec<Quarantined>| {
        let (connection, codec) = (quarantine.clone(), Arc::clone(&encode));
        Box::pin(blocking(move || set_aside(&connection, &codec, &entries)))
            as BoxFuture<'static, Result<(), JournalError>>
    };
    project::Parts { connection, codec, store, set_aside: Arc::new(set_aside) }
}

/// Writes entries to the quarantine topic; rare, so the producer lives as long as the call.
fn set_aside(connection: &Connection, codec: &Codec, entries: &[Quarantined]) -> Result<(), JournalError> {
    // Several projections may set aside at the same time: each call is a producer of its own.
    let role = format!("set-aside-{:08x}", rand::random::<u32>());
    let mut producer = TransactionalProducer::new(connection, &role)?;
    producer.begin()?;
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.clear();
        match codec.encode(entry, &mut bytes) {
            Ok(()) => producer.send(Topic::Quarantine, None, entry.id.as_bytes(), Some(&bytes))?,
            Err(error) => tracing::error!(id = entry.id, %error, "an entry does not fit the quarantine"),
        }
    }
    producer.commit()
}

/// Waits a little before a role starts again, unless the process is to end.
async fn pause(role: &str, error: &(dyn std::error::Error + Send + Sync + 'static), stop: &CancellationToken) {
    tracing::warn!(role, error = chain(error), "starting again from what was committed last");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(RESTART_PAUSE) => {}
    }
}

/// One cycle of every tenant, and everything it caused.
///
/// # Errors
/// What kept it from ending; a tenant that failed is in the summary.
pub async fn once(config: &Config, parts: &Parts, gather: bool) -> Result<Summary> {
    let reports = if gather { gather_all(config, parts).await? } else { Vec::new() };
    let sealed: Vec<(String, Day, u32)> = reports
        .iter()
        .filter_map(|(_, report)| report.as_ref().ok())
        .flat_map(|report| report.all_days.iter().map(|(day, revision)| (report.tenant.clone(), *day, *revision)))
        .collect();
    settle(parts, &sealed).await?;
    quarantined(parts).await?;
    summary::of(config, &parts.store, &reports).await
}

/// Waits until every sealed day is allocated (or refused) and visible in all projections.
///
/// # Errors
/// When nothing moves any more.
async fn settle(parts: &Parts, sealed: &[(String, Day, u32)]) -> Result<()> {
    let (mut since, mut left, mut positions) = (Instant::now(), usize::MAX, Vec::new());
    loop {
        let moved = parts.moved.notified();
        let progress = match parts.store.progress(sealed).await {
            Err(error) if error.is_transient() => {
                tokio::select! {
                    () = parts.stop.cancelled() => bail!(INTERRUPTED),
                    () = parts.store.wait_until_back(&error) => continue,
                }
            }
            progress => progress?,
        };
        let waiting: Vec<(&DayProgress, &[&str])> = progress.iter().filter_map(waits_for).collect();
        let Some((first, missing)) = waiting.first() else { return Ok(()) };
        parts.say.count(&format!("allocating and projecting: {} of {} days to go", waiting.len(), sealed.len()));
        let now_left = waiting.iter().map(|(_, missing)| missing.len()).sum();
        if now_left != left {
            (since, left) = (Instant::now(), now_left);
        } else if since.elapsed() >= STALLED {
            let now_at = parts.store.positions().await?;
            if now_at == positions {
                bail!(
                    "nothing has moved for {} s: {} of {} sealed days wait, the first, {} of {}, for {}; the roles \
                     allocate and project have to run, here or in another process, see the log and `tributary status`",
                    STALLED.as_secs(),
                    waiting.len(),
                    sealed.len(),
                    first.day,
                    first.tenant,
                    missing.join(", ")
                );
            }
            // Other days come first in the log.
            (since, positions) = (Instant::now(), now_at);
        }
        tokio::select! {
            () = moved => {}
            () = parts.stop.cancelled() => bail!(INTERRUPTED),
            // Roles in other processes do not tell us.
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// Waits until what was set aside on the way can be looked at, too; not for long, the days are there.
async fn quarantined(parts: &Parts) -> Result<()> {
    let since = Instant::now();
    loop {
        let moved = parts.moved.notified();
        let lag = status::lag_of(Projection::Quarantine, &parts.store, &parts.connection).await?;
        if lag == 0 || since.elapsed() > QUARANTINE_LIMIT || parts.stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            () = moved => {}
            () = parts.stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// What a day that is not done waits for.
fn waits_for(day: &DayProgress) -> Option<(&DayProgress, &[&'static str])> {
    match &day.state {
        DayState::Waiting(missing) => Some((day, missing)),
        DayState::Refused(_) | DayState::Done => None,
    }
}

/// A tenant's name and what its cycle did, or why it could not begin.
pub type Report = (String, Result<CycleReport, String>);

/// One cycle of every tenant, some at a time.
async fn gather_all(config: &Config, parts: &Parts) -> Result<Vec<Report>> {
    let http = Http::new(Limits::default())?;
    let wired: Vec<(&Tenant, Source, RuleBook)> = config
        .tenants
        .iter()
        .map(|tenant| sources::of(tenant, &http).map(|(source, rules)| (tenant, source, rules)))
        .collect::<Result<_>>()?;
    let gatherers = open(config, parts).await?;
    let cycles = wired.into_iter().zip(gatherers).map(|((tenant, source, rules), gatherer)| async move {
        let progress = |progress: crate::gather::Progress| {
            let what = match progress.phase {
                Phase::Bill => "bill and inventory",
                Phase::Days => "usage of days",
            };
            parts.say.count(&format!("{}: {what} {}/{}", tenant.name, progress.done, progress.total));
        };
        let cycle = gatherer.cycle(&source, &rules, &parts.clock, progress);
        let report = match tokio::select! {
            done = limited(tenant.tenant_execution_timeout_seconds, cycle) => done,
            () = parts.stop.cancelled() => return (tenant.name.clone(), Err("interrupted".to_owned())),
        } {
            Some(Ok((_, report))) => Ok(report),
            Some(Err(error)) => Err(chain(&error)),
            None => Err(format!("not done after {} s", tenant.tenant_execution_timeout_seconds)),
        };
        if let Err(error) | Ok(CycleReport { failure: Some(error), .. }) = &report {
            tracing::error!(tenant = tenant.name, error, "a cycle failed");
        }
        (tenant.name.clone(), report)
    });
    let at_once = config.features.max_parallel_tenants as usize;
    Ok(stream::iter(cycles).buffered(at_once.max(1)).collect().await)
}

async fn open(config: &Config, parts: &Parts) -> Result<Vec<Gatherer>, GatherError> {
    let settings = config.tenants.iter().map(sources::settings).collect();
    let (connection, codec) = (parts.connection.clone(), Arc::clone(&parts.codec));
    blocking(move || Gatherer::open(&connection, &codec, settings)).await
}

/// `None` when the limit passed first; a limit of 0 is none.
async fn limited<F: Future>(seconds: u64, work: F) -> Option<F::Output> {
    match seconds {
        0 => Some(work.await),
        seconds => tokio::time::timeout(Duration::from_secs(seconds), work).await.ok(),
    }
}

/// Cycles for ever, `refresh_interval` apart; an outage of Kafka is waited for.
async fn periodically(config: &Config, parts: &Parts) -> Result<()> {
    while !parts.stop.is_cancelled() {
        match gather_all(config, parts).await {
            Ok(reports) => {
                for (tenant, report) in &reports {
                    if let Ok(report) = report {
                        let (sealed, unchanged, held) = (report.sealed.len(), report.unchanged, report.held.len());
                        tracing::info!(tenant, sealed, unchanged, held, "gathered");
                    }
                }
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "a cycle failed"),
        }
        if !config.features.enable_periodic_refresh {
            return Ok(());
        }
        tokio::select! {
            () = parts.stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(config.features.refresh_interval)) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_starts_again_unless_it_stumbles_at_once_again() {
        let (mut stumbles, start) = (Stumbles::default(), Instant::now());
        assert!(stumbles.may_pass(start));
        assert!(stumbles.may_pass(start + SETTLED * 2));
        assert!(!stumbles.may_pass(start + SETTLED * 2 + RESTART_PAUSE));
    }
}
