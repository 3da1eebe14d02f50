//! Drops projections and builds them anew from the log.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Parts, ProjectError, run, topics};
use crate::journal::{Topic, blocking, ends};
use crate::store::{Position, Projection};

/// How often the positions are looked at: another process may do the work, so nobody tells us.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RebuildProgress {
    /// Offsets passed, transaction markers included.
    pub done: u64,
    /// Offsets there were at the start.
    pub total: u64,
}

/// Empties the projections and reads until everything that was in the log at the start is in the tables again.
///
/// A service that runs meanwhile takes part: it finds its positions reset and starts over. `parts.connection` must have
/// an instance name of its own ([`crate::journal::Connection::as_instance`]), or it would put the service out of the group.
///
/// # Errors
/// [`ProjectError`]; the tables are then behind, and go on from there with the next run.
pub async fn rebuild(
    projections: &[Projection],
    parts: &Parts,
    stop: CancellationToken,
    mut on_progress: impl FnMut(RebuildProgress),
) -> Result<(), ProjectError> {
    let targets = targets(projections, parts).await?;
    parts.store.reset(projections).await?;
    let working = stop.child_token();
    let mut workers = JoinSet::new();
    for projection in projections {
        workers.spawn(run(*projection, parts.clone(), working.clone(), |_| ()));
    }
    let watched = watch(&targets, parts, &mut workers, &stop, &mut on_progress).await;
    working.cancel();
    while let Some(ended) = workers.join_next().await {
        if let (Ok(Err(error)), true) = (ended, watched.is_ok()) {
            return Err(error);
        }
    }
    watched
}

/// A partition that a projection has to read up to `high`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    projection: Projection,
    topic: Topic,
    name: String,
    partition: i32,
    low: i64,
    high: i64,
}

async fn targets(projections: &[Projection], parts: &Parts) -> Result<Vec<Target>, ProjectError> {
    let connection = parts.connection.clone();
    let mut all: Vec<Topic> = projections.iter().flat_map(|p| topics(*p)).copied().collect();
    all.sort_unstable();
    all.dedup();
    let ends = blocking(move || ends::ends(&connection, &all)).await?;
    let of = |projection: &Projection| {
        let projection = *projection;
        let read = ends.iter().filter(move |end| topics(projection).contains(&end.topic));
        read.map(move |end| Target {
            projection,
            topic: end.topic,
            name: parts.connection.topic(end.topic),
            partition: end.partition,
            low: end.low,
            high: end.high,
        })
    };
    Ok(projections.iter().flat_map(of).collect())
}

async fn watch(
    targets: &[Target],
    parts: &Parts,
    workers: &mut JoinSet<Result<(), ProjectError>>,
    stop: &CancellationToken,
    on_progress: &mut impl FnMut(RebuildProgress),
) -> Result<(), ProjectError> {
    let mut last = None;
    loop {
        let positions = parts.store.positions().await?;
        let left = left(targets, &positions);
        let progress = progress(targets, &positions);
        on_progress(progress);
        // Markers behind the last record are never passed: when nothing moves any more, look whether records are left.
        if left.is_empty() || (last == Some(progress) && all_read(&left, parts).await?) {
            return Ok(());
        }
        last = Some(progress);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(ended) = workers.join_next() => if let Ok(Err(error)) = ended { return Err(error) },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn next(target: &Target, positions: &[(Projection, Position)]) -> i64 {
    let found = positions.iter().find(|(projection, p)| {
        *projection == target.projection && p.topic == target.name && p.partition == target.partition
    });
    found.map_or(0, |(_, p)| p.next)
}

/// What has not been read up to its target, with the position.
fn left(targets: &[Target], positions: &[(Projection, Position)]) -> Vec<(Target, i64)> {
    let behind = targets.iter().filter(|t| t.high > t.low).map(|t| (t.clone(), next(t, positions)));
    behind.filter(|(target, next)| *next < target.high).collect()
}

fn progress(targets: &[Target], positions: &[(Projection, Position)]) -> RebuildProgress {
    let done = targets.iter().map(|t| next(t, positions).clamp(t.low, t.high) - t.low).sum::<i64>();
    let total = targets.iter().map(|t| t.high - t.low).sum::<i64>();
    RebuildProgress { done: done.unsigned_abs(), total: total.unsigned_abs() }
}

async fn all_read(left: &[(Target, i64)], parts: &Parts) -> Result<bool, ProjectError> {
    let (connection, positions) =
        (parts.connection.clone(), left.iter().map(|(t, next)| (t.topic, t.partition, *next)));
    // Two projections may stand at different places of one partition; the one behind decides.
    let mut positions: Vec<(Topic, i32, i64)> = positions.collect();
    positions.sort_unstable();
    positions.dedup_by_key(|(topic, partition, _)| (*topic, *partition));
    Ok(blocking(move || ends::unread(&connection, &positions)).await?.is_empty())
}
