//! The roles that work on topics, and how they start again.
//!
//! In: the parts they share. Out: tasks that end with an error or when they are told to stop. Absent: gathering, which is
//! driven by a schedule (see [`gathering`](super::gathering)).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::domain::Quarantined;
use crate::health::Health;
use crate::journal::{Codec, Connection, JournalError, Topic, TransactionalProducer, blocking};
use crate::store::{Projection, Store};
use crate::wording::chain;
use crate::{allocate, meter, project};

/// A role that stumbles again this soon will not get past what is in its way.
const SETTLED: Duration = Duration::from_secs(60);
/// Pause before a role is started again that an outage ended.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// Its name to supervisors.
const ALLOCATE: &str = "allocate";

/// A stage of the road that works on topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Allocate,
    Project,
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
        let Parts { store, stop, moved, .. } = parts.clone();
        tasks.spawn(async move {
            project::add_up_months(&store, &moved, &stop).await;
            Ok(())
        });
    }
    tasks
}

/// Keeps the allocate role running over outages of Kafka and over partitions that move to others.
async fn allocating(parts: Parts) -> Result<()> {
    let mut stumbles = Stumbles::default();
    loop {
        let Parts { connection, codec, clock, stop, moved, .. } = parts.clone();
        parts.health.ready(ALLOCATE);
        let work = move || allocate::worker::run(&connection, codec, clock, &stop, |_| moved.notify_waiters());
        match blocking(work).await {
            Err(error) if error.is_transient() => pause(ALLOCATE, &error, &parts.health, &parts.stop).await,
            Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                pause(ALLOCATE, &error, &parts.health, &parts.stop).await;
            }
            ended => return Ok(ended?),
        }
    }
}

/// Keeps a projection running over outages of Kafka; those of Postgres it waits for itself.
async fn projecting(parts: Parts, projection: Projection) -> Result<()> {
    let Parts { connection, codec, store, stop, moved, health, .. } = parts;
    let part = format!("project {}", projection.name());
    let parts = projecting_parts(connection, codec, store);
    let mut stumbles = Stumbles::default();
    loop {
        health.ready(&part);
        let heard = |progress: project::Progress| {
            meter::projected(projection.name(), progress.records, progress.rows, progress.set_aside);
            moved.notify_waiters();
        };
        match project::run(projection, parts.clone(), stop.clone(), heard).await {
            Err(error) if error.is_transient() => pause(&part, &error, &health, &stop).await,
            Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                pause(&part, &error, &health, &stop).await;
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
pub(super) struct Stumbles {
    last: Option<Instant>,
}

impl Stumbles {
    pub(super) fn may_pass(&mut self, now: Instant) -> bool {
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
pub(super) fn set_aside(connection: &Connection, codec: &Codec, entries: &[Quarantined]) -> Result<(), JournalError> {
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
pub(super) async fn pause(
    role: &str,
    error: &(dyn std::error::Error + Send + Sync + 'static),
    health: &Health,
    stop: &CancellationToken,
) {
    health.not_ready(role, format!("starting again: {}", chain(error)));
    meter::restarted(role);
    tracing::warn!(role, error = chain(error), "starting again from what was committed last");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(RESTART_PAUSE) => {}
    }
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
