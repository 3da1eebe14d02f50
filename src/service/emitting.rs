//! The role `emit`: files and gauges, over outages of Kafka and Postgres.
//!
//! In: emitters, the parts that roles share. Out: a task that ends with an error or when it is told to stop; for `--once`
//! a report. Absent: what is due, and how it is written.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::roles::{Stumbles, pause};
use super::{Parts, lag};
use crate::emit::gauges::Exposition;
use crate::emit::{self, Emitter, Sink};
use crate::store::Projection;

/// Its name to supervisors.
const EMIT: &str = "emit";
/// How long the records of `--once` are waited for until they can be looked at.
const VISIBLE: Duration = Duration::from_secs(10);

/// Emits and serves gauges until it is told to stop.
///
/// # Errors
/// A port that cannot be had, or what going on would not get past.
pub async fn emitting(emitters: Vec<Emitter>, parts: Parts) -> Result<()> {
    let ports = Exposition::of(&emitters);
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    // Each part ends with the others.
    let stop = parts.stop.child_token();
    for port in &ports {
        let listener = port.listen().await?;
        tracing::info!(host = port.host, port = port.port, "gauges are at /metrics");
        let (serving, halt) = (port.clone(), stop.clone());
        tasks.spawn(async move { Ok(serving.serve(listener, halt).await?) });
        let (following, parts, halt) = (port.clone(), parts.clone(), stop.clone());
        tasks.spawn(async move { Ok(following.follow(&parts.store, &parts.clock, &parts.moved, &halt).await?) });
    }
    let halt = stop.clone();
    tasks.spawn(async move {
        let mut stumbles = Stumbles::default();
        let Parts { moved, health, .. } = parts.clone();
        loop {
            health.ready(EMIT);
            match emit::run(emitting_parts(&parts), &emitters, &ports, &moved, &halt).await {
                Err(error) if error.is_transient() => pause(EMIT, &error, &health, &halt).await,
                Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                    pause(EMIT, &error, &health, &halt).await;
                }
                ended => return Ok(ended?),
            }
        }
    });
    let mut ended = Ok(());
    while let Some(task) = tasks.join_next().await {
        stop.cancel();
        ended = ended.and(task.context("a part of the role emit panicked")?);
    }
    ended
}

/// Emits what is due to files, once. Gauges are for services.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn emit_once(emitters: &[Emitter], parts: &Parts) -> Result<emit::Report> {
    let to_files = |emitter: &&Emitter| matches!(emitter.sink, Sink::Csv { .. });
    let emitters: Vec<Emitter> = emitters.iter().filter(to_files).cloned().collect();
    if emitters.is_empty() {
        return Ok(emit::Report::default());
    }
    let report = emit::once(emitting_parts(parts), &emitters, &parts.stop).await?;
    let since = Instant::now();
    while lag::lag_of(Projection::Emissions, &parts.store, &parts.connection).await? > 0 {
        if since.elapsed() > VISIBLE || parts.stop.is_cancelled() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(report)
}

fn emitting_parts(parts: &Parts) -> emit::Parts {
    let Parts { connection, codec, store, clock, .. } = parts.clone();
    emit::Parts { connection, codec, store, clock }
}
