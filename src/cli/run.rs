//! `tributary run`: builds the parts, starts the roles, ends them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::args::{Role, Run};
use super::stack::{Need, Stack};
use super::summary::Summary;
use super::{emitters, retention, sources, summary};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::domain::Day;
use crate::health::{Health, ListenError, Listener};
use crate::journal::provision;
use crate::meter::Meter;
use crate::service::{self, Parts, Say};
use crate::store::Store;
use crate::{meter, notify, shutdown};

/// The process itself, as a part that is ready or not.
const STARTING: &str = "service";

/// Runs the command.
///
/// # Errors
/// What keeps the service from running, with what to do about it.
pub async fn run(config: &Config, args: &Run) -> Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let clock = match (args.now, &args.clock_file) {
        (_, Some(file)) => Clock::moved_by(file).with_context(|| format!("no moment in {}", file.display()))?,
        (None, None) => Clock::system(),
        // One cycle has one moment; a service goes on from there.
        (Some(now), None) if args.once => Clock::standing_at(now),
        (Some(now), None) => Clock::starting_at(now),
    };
    let say = Say::new();
    let health = Health::default();
    health.expect(STARTING);
    let asked = !args.once && (config.health.enabled || args.roles.contains(&Role::Api));
    let meter = asked.then(meter::install).transpose()?;
    let answering = match meter.clone().filter(|_| config.health.enabled) {
        Some(meter) => answer(&config.health, &health, meter).await?,
        None => None,
    };
    let stack = Stack::start(config, Need::BOTH, &say).await?;
    let served = async {
        let parts = Parts { health: health.clone(), ..build(config, &stack, clock, stop.clone(), say.clone()).await? };
        serve(config, args, &parts, &stack, meter).await
    }
    .await;
    notify::stopping();
    say.line("stopping");
    if let Some(answering) = answering {
        answering.cancel();
    }
    stack.stop().await;
    say.done();
    let reports = served?;
    let Some(summary) = reports else { return Ok(ExitCode::SUCCESS) };
    let said = write!(io::stdout(), "{}", summary.text);
    // A failed cycle is one, whether anybody reads of it or not.
    if summary.failed {
        return Ok(ExitCode::FAILURE);
    }
    Ok(said.map(|()| ExitCode::SUCCESS)?)
}

/// Connects, creates topics that are missing and brings the tables up to date.
///
/// # Errors
/// What does not answer, or what is in the way.
pub async fn build(config: &Config, stack: &Stack, clock: Clock, stop: CancellationToken, say: Say) -> Result<Parts> {
    let connection = stack.connection(config)?;
    say.line("checking topics and tables");
    let url = stack.database_url()?;
    let (store, codec, ()) = tokio::try_join!(
        async { Store::connect(url, config.database.max_connections).await.map_err(anyhow::Error::from) },
        super::codec(config, &connection),
        async {
            provision::ensure_keeping(&connection, super::layout(config), retention::longest(config))
                .await
                .map(drop)
                .map_err(anyhow::Error::from)
        },
    )?;
    let moved = Arc::new(Notify::new());
    Ok(Parts { connection, codec, store, clock, stop, moved, say, health: Health::default() })
}

/// Starts the roles and waits for the end: of one cycle, of the service, or of a role that cannot go on.
async fn serve(
    config: &Config,
    args: &Run,
    parts: &Parts,
    stack: &Stack,
    meter: Option<Meter>,
) -> Result<Option<Summary>> {
    // Roles end before the services under them.
    let roles_stop = parts.stop.child_token();
    let parts = Parts { stop: roles_stop.clone(), ..parts.clone() };
    let mut roles = service::start(&on_topics(&args.roles), &parts);
    if !args.once && args.roles.contains(&Role::Project) {
        roles.spawn(service::daily(retention::periods(config), parts.clone()));
    }
    let gathers = args.roles.contains(&Role::Gather);
    if gathers && !args.once {
        let gathering = Arc::new(sources::gathering(config, parts.clock)?);
        roles.spawn(service::gathering(gathering, parts.clone()));
    }
    let reads = args.roles.contains(&Role::Api) || args.roles.contains(&Role::Emit);
    if reads && !args.once {
        roles.spawn(service::listening(parts.clone()));
    }
    if args.roles.contains(&Role::Api) && !args.once {
        roles.spawn(super::api::serve(super::api::listen(config).await?, config, &parts, meter).await?);
    }
    let emitters = if args.roles.contains(&Role::Emit) { emitters::of(config) } else { Vec::new() };
    if args.roles == [Role::Emit] && emitters.is_empty() {
        bail!("no tenant has emitters; add `emitters` to its plugin_settings, or run other roles");
    }
    if !emitters.is_empty() && !args.once {
        roles.spawn(service::emitting(emitters.clone(), parts.clone()));
    }
    if !args.once {
        tokio::spawn(service::watch(parts.clone()));
        parts.health.ready(STARTING);
        notify::ready();
    }
    let work = async {
        if args.once {
            let mut summary = once(config, &parts, gathers).await?;
            summary.add_emitted(service::emit_once(&emitters, &parts).await?);
            return Ok(Some(summary));
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
    let limit = Duration::from_secs(config.features.shutdown_timeout_seconds);
    if tokio::time::timeout(limit, async { while roles.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(
            roles = roles.len(),
            "did not end within features.shutdown_timeout_seconds and are given up; what they had not committed is done \
             again by the next run"
        );
    }
    ended
}

/// Opens the port of `/healthz`, `/readyz` and `/metrics`, if it can be had or has to. Cancelling what is given back closes it.
async fn answer(config: &config::Health, health: &Health, meter: Meter) -> Result<Option<CancellationToken>> {
    let listener = match Listener::open(&config.host, config.port).await {
        Ok(listener) => listener,
        // Nobody asked for it: a second process on a host works all the same.
        Err(taken @ ListenError::Taken { .. }) if !config.asked => {
            tracing::warn!("{taken}");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(address = %listener.address(), "answering /healthz, /readyz and /metrics");
    let stop = CancellationToken::new();
    tokio::spawn(listener.serve(health.clone(), meter, stop.clone()));
    Ok(Some(stop))
}

fn on_topics(roles: &[Role]) -> Vec<service::Role> {
    let named = |role: &Role| match role {
        Role::Gather | Role::Emit | Role::Api => None,
        Role::Allocate => Some(service::Role::Allocate),
        Role::Project => Some(service::Role::Project),
    };
    roles.iter().filter_map(named).collect()
}

/// One cycle of every tenant, and everything it caused.
///
/// # Errors
/// What kept it from ending; a tenant that failed is in the summary.
pub async fn once(config: &Config, parts: &Parts, gather: bool) -> Result<Summary> {
    let reports = match gather {
        true => service::gather_all(&sources::gathering(config, parts.clock)?, parts).await?,
        false => Vec::new(),
    };
    let sealed: Vec<(String, Day, u32)> = reports
        .iter()
        .filter_map(|(_, report)| report.as_ref().ok())
        .flat_map(|report| report.all_days.iter().map(|(day, revision)| (report.tenant.clone(), *day, *revision)))
        .collect();
    service::settle(parts, &sealed).await?;
    service::visible(parts).await?;
    summary::of(config, &parts.store, &reports).await
}
