//! Looks now and then how the services under us are, and how far the stages are behind.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Parts;
use crate::journal::ends::{committed, ends};
use crate::journal::{JournalError, Topic, blocking};
use crate::store::{Projection, StoreError};
use crate::wording::chain;
use crate::{allocate, meter, project};

/// Between two looks at Kafka and Postgres.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two counts of what is not done yet, which ask for the ends of all topics.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
const KAFKA: &str = "kafka";
const POSTGRES: &str = "postgres";

/// Watches until it is told to stop.
pub async fn watch(parts: Parts) {
    parts.health.expect(KAFKA);
    parts.health.expect(POSTGRES);
    let (mut asked, mut counted) = (None, None::<Instant>);
    while !parts.stop.is_cancelled() {
        let answers = kafka(&parts, &mut asked).await & postgres(&parts).await;
        if answers && counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            counted = Some(Instant::now());
            if let Err(error) = count(&parts).await {
                tracing::debug!(error = format!("{error:#}"), "what is not done yet could not be counted");
            }
        }
        tokio::select! {
            () = parts.stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The client blocks for longer than we wait: what was asked last is waited for again, not asked a second time.
type Asked = Option<JoinHandle<Result<(), JournalError>>>;

async fn kafka(parts: &Parts, asked: &mut Asked) -> bool {
    let connection = parts.connection.clone();
    let ask = || tokio::task::spawn_blocking(move || ends(&connection, &[Topic::Days]).map(drop));
    let answer = asked.get_or_insert_with(ask);
    match tokio::time::timeout(PATIENCE, &mut *answer).await {
        Err(_) => parts.health.not_ready(KAFKA, format!("no answer for {} s", PATIENCE.as_secs())),
        Ok(ended) => {
            *asked = None;
            match ended {
                Ok(Ok(())) => {
                    parts.health.ready(KAFKA);
                    return true;
                }
                Ok(Err(error)) => parts.health.not_ready(KAFKA, chain(&error)),
                Err(error) => parts.health.not_ready(KAFKA, error),
            }
        }
    }
    false
}

async fn postgres(parts: &Parts) -> bool {
    match tokio::time::timeout(PATIENCE, parts.store.ping()).await {
        Ok(Ok(())) => {
            parts.health.ready(POSTGRES);
            return true;
        }
        Ok(Err(error)) => parts.health.not_ready(POSTGRES, chain(&error)),
        Err(_) => parts.health.not_ready(POSTGRES, format!("no answer for {} s", PATIENCE.as_secs())),
    }
    false
}

/// How far everything is behind, and what is in quarantine.
async fn count(parts: &Parts) -> anyhow::Result<()> {
    let positions = within(parts.store.positions()).await?;
    let (connection, group) = (parts.connection.clone(), allocate::worker::GROUP);
    let (ends, allocating) = blocking(move || {
        let ends = ends(&connection, Topic::all())?;
        Ok::<_, JournalError>((ends, committed(&connection, group, &allocate::worker::TOPICS)?))
    })
    .await?;
    for projection in Projection::ALL {
        let mine: Vec<_> = positions.iter().filter(|(of, _)| *of == projection).map(|(_, at)| at).collect();
        for at in &mine {
            meter::position(projection.name(), &at.topic, at.partition, at.next);
        }
        let read = ends.iter().filter(|end| project::topics(projection).contains(&end.topic));
        let behind = read.map(|end| {
            let name = parts.connection.topic(end.topic);
            let next = mine.iter().find(|at| at.topic == name && at.partition == end.partition).map(|at| at.next);
            end.behind(next)
        });
        let behind = behind.sum();
        meter::projection_lag(projection.name(), behind);
        parts.health.behind(projection.name(), behind);
    }
    let facts = ends.iter().filter(|end| allocate::worker::TOPICS.contains(&end.topic));
    let next = |topic: Topic, partition: i32| allocating.get(&(topic, partition)).copied();
    meter::allocate_lag(facts.map(|end| end.behind(next(end.topic, end.partition))).sum());
    meter::quarantine(within(parts.store.open_quarantine()).await?);
    Ok(())
}

/// A connection that is neither closed nor answers must not keep the watch from saying so. Kafka's client has limits of its own.
async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> anyhow::Result<T> {
    Ok(tokio::time::timeout(PATIENCE, answer).await??)
}
