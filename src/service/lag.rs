//! How far projections are behind the log.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use crate::journal::{Connection, JournalError, Topic, blocking, ends};
use crate::project::topics;
use crate::store::{Position, Projection, Store};

/// How many offsets each projection has not read. Transaction markers behind the last record are not counted.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn lag(store: &Store, connection: &Connection) -> anyhow::Result<Vec<(Projection, u64)>> {
    let positions = store.positions().await?;
    // Nearly all of the time goes into waiting for answers: all at once.
    let lags = Projection::ALL
        .iter()
        .map(async |projection| anyhow::Ok((*projection, unread_by(*projection, &positions, connection).await?)));
    try_join_all(lags).await
}

/// How many offsets one projection has not read.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn lag_of(projection: Projection, store: &Store, connection: &Connection) -> anyhow::Result<u64> {
    Ok(unread_by(projection, &store.positions().await?, connection).await?)
}

async fn unread_by(
    projection: Projection,
    positions: &[(Projection, Position)],
    connection: &Connection,
) -> Result<u64, JournalError> {
    let mine = positions.iter().filter(|(p, _)| *p == projection).map(|(_, position)| position.clone());
    let (mine, connection) = (mine.collect::<Vec<_>>(), connection.clone());
    blocking(move || behind(&connection, projection, &mine)).await
}

fn behind(connection: &Connection, projection: Projection, positions: &[Position]) -> Result<u64, JournalError> {
    let mut behind = BTreeMap::new();
    for end in ends::ends(connection, topics(projection))? {
        let name = connection.topic(end.topic);
        let read = positions.iter().find(|p| p.topic == name && p.partition == end.partition);
        let next = read.map_or(0, |p| p.next).max(end.low);
        if next < end.high {
            behind.insert((end.topic, end.partition), (next, (end.high - next).unsigned_abs()));
        }
    }
    let asked: Vec<(Topic, i32, i64)> = behind.iter().map(|((t, p), (next, _))| (*t, *p, *next)).collect();
    let unread = ends::unread(connection, &asked)?;
    Ok(unread.iter().filter_map(|partition| behind.get(partition)).map(|(_, lag)| lag).sum())
}
