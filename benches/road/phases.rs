//! What is measured, each in a process of its own so that memory peaks stay apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tributary::allocate;
use tributary::clock::Clock;
use tributary::domain::{Amount, Day};
use tributary::gather::publish::{Publisher, Transaction};
use tributary::journal::topology::Layout;
use tributary::journal::{Codec, Connection, provision};
use tributary::service::{self, Parts, Role, Say};
use tributary::store::{DayState, Store};

use super::facts::{self, TENANT};
use super::limits;
use super::machine::{Others, Taken, Watch};

/// As `topics.partitions` is without a configuration.
const LAYOUT: Layout = Layout { partitions: 4, replication_factor: 1 };
/// As `database.max_connections` is.
const CONNECTIONS: u32 = 10;
/// Days sealed one after the other to learn how long one takes.
const LATENCIES: usize = 200;

/// What a phase works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub kafka: String,
    pub database_url: String,
    pub prefix: String,
    pub days: u32,
    pub rows_per_day: u32,
    pub others: Others,
}

/// What a phase found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Found {
    pub rows: u64,
    pub taken: Taken,
    /// Milliseconds from a seal to its rows, sorted.
    pub latencies: Vec<f64>,
}

impl Setup {
    pub fn connection(&self, instance: &str) -> Result<Connection> {
        Ok(Connection::new(self.kafka.clone(), BTreeMap::new(), self.prefix.clone(), instance.to_owned())?)
    }

    async fn parts(&self) -> Result<Parts> {
        Ok(Parts {
            connection: self.connection("bench")?,
            codec: Arc::new(Codec::builtin()),
            store: Store::connect(&self.database_url, CONNECTIONS).await?,
            clock: Clock::system(),
            stop: CancellationToken::new(),
            moved: Arc::default(),
            say: Say::new(),
            health: Default::default(),
        })
    }

    fn sealed(&self) -> Vec<(String, Day, u32)> {
        facts::days(self.days).map(|day| (TENANT.to_owned(), day, 1)).collect()
    }
}

/// Runs the phase of that name.
pub async fn run(phase: &str, setup: Setup) -> Result<Found> {
    match phase {
        "seed" => seed(setup).await,
        "road" => road(setup, &[Role::Allocate, Role::Project]).await,
        "project" => road(setup, &[Role::Project]).await,
        "allocate" => tokio::task::spawn_blocking(move || allocate(&setup)).await?,
        "through" => tokio::task::spawn_blocking(move || limits::through(&setup)).await?,
        "copy" => limits::copy(&setup).await,
        "latency" => latency(setup).await,
        other => anyhow::bail!("there is no phase {other}"),
    }
}

/// Writes the facts, as a gatherer does.
async fn seed(setup: Setup) -> Result<Found> {
    let connection = setup.connection("seed")?;
    provision::ensure(&connection, LAYOUT).await?;
    let watch = Watch::start(setup.others);
    tokio::task::spawn_blocking(move || -> Result<()> {
        let mut publisher = Publisher::open(&connection, TENANT, Arc::new(Codec::builtin()))?;
        for day in facts::days(setup.days) {
            publish(&mut publisher, day, 1, setup.rows_per_day)?;
        }
        Ok(())
    })
    .await??;
    Ok(Found { taken: watch.read(), ..Found::default() })
}

fn publish(publisher: &mut Publisher, day: Day, revision: u32, rows: u32) -> Result<()> {
    let (revision, _) = facts::sealed(day, revision, rows);
    Ok(publisher.publish(&Transaction { revision: Some(revision), ..Transaction::default() })?)
}

/// Runs roles as the program does until every day is visible in every table.
async fn road(setup: Setup, roles: &[Role]) -> Result<Found> {
    let parts = setup.parts().await?;
    let sealed = setup.sealed();
    let watch = Watch::start(setup.others);
    let mut running = service::start(roles, &parts);
    tokio::select! {
        visible = visible(&parts, &sealed) => visible?,
        ended = running.join_next() => ended.context("no role")???,
    }
    let taken = watch.read();
    parts.stop.cancel();
    while running.join_next().await.is_some() {}
    let summary = parts.store.summary(TENANT).await?;
    let cost = |day| facts::sealed(day, 1, setup.rows_per_day).1;
    let expected = cost(facts::days(1).next().context("no day")?);
    let expected: Amount = (0..setup.days).map(|_| expected).sum();
    ensure!(summary.amounts == [("USD".to_owned(), expected)], "{:?} is not {expected}", summary.amounts);
    Ok(Found { rows: summary.rows, taken, ..Found::default() })
}

/// Waits as `run --once` does.
async fn visible(parts: &Parts, sealed: &[(String, Day, u32)]) -> Result<()> {
    loop {
        let moved = parts.moved.notified();
        let progress = parts.store.progress(sealed).await?;
        for day in &progress {
            ensure!(!matches!(day.state, DayState::Refused(_)), "{day:?}");
        }
        if progress.iter().all(|day| day.state == DayState::Done) {
            return Ok(());
        }
        let _ = tokio::time::timeout(Duration::from_millis(250), moved).await;
    }
}

/// The allocate role alone, until its last transaction.
fn allocate(setup: &Setup) -> Result<Found> {
    let connection = setup.connection("bench")?;
    let (stop, rows, days) = (CancellationToken::new(), std::cell::Cell::new(0_u64), std::cell::Cell::new(0_usize));
    let watch = Watch::start(setup.others);
    let taken = std::cell::Cell::new(Taken::default());
    allocate::worker::run(&connection, Arc::new(Codec::builtin()), Clock::system(), &stop, |outcomes| {
        rows.set(rows.get() + outcomes.iter().map(|outcome| u64::from(outcome.rows)).sum::<u64>());
        days.set(days.get() + outcomes.len());
        if days.get() == setup.days as usize {
            taken.set(watch.read());
            stop.cancel();
        }
    })?;
    Ok(Found { rows: rows.get(), taken: taken.get(), ..Found::default() })
}

/// One small day after the other, again and again, through roles that have nothing else to do.
async fn latency(setup: Setup) -> Result<Found> {
    let connection = setup.connection("seed")?;
    provision::ensure(&connection, LAYOUT).await?;
    let parts = setup.parts().await?;
    let mut running = service::start(&[Role::Allocate, Role::Project], &parts);
    let opening = connection.clone();
    let codec = Arc::clone(&parts.codec);
    let mut publisher = tokio::task::spawn_blocking(move || Publisher::open(&opening, TENANT, codec)).await??;
    let mut latencies = Vec::new();
    let mut rows = 0;
    let turns = (1..).flat_map(|revision| facts::days(setup.days).map(move |day| (day, revision)));
    for (n, (day, revision)) in turns.take(LATENCIES + 1).enumerate() {
        let began;
        (publisher, began) = tokio::task::spawn_blocking(move || {
            publish(&mut publisher, day, revision, setup.rows_per_day).map(|()| (publisher, Instant::now()))
        })
        .await??;
        let sealed = [(TENANT.to_owned(), day, revision)];
        tokio::select! {
            visible = visible(&parts, &sealed) => visible?,
            ended = running.join_next() => ended.context("no role")???,
        }
        // The first one waits for the groups to form.
        if n > 0 {
            latencies.push(began.elapsed().as_secs_f64() * 1e3);
            rows += u64::from(setup.rows_per_day);
        }
    }
    parts.stop.cancel();
    while running.join_next().await.is_some() {}
    latencies.sort_by(f64::total_cmp);
    Ok(Found { rows, latencies, ..Found::default() })
}
