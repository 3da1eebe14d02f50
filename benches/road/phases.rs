//! What is measured, each in a process of its own so that memory peaks stay apart.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tributary::allocate;
use tributary::clock::Clock;
use tributary::domain::Day;
use tributary::gather::publish::{Publisher, Transaction};
use tributary::journal::topology::Layout;
use tributary::journal::{Codec, Connection, provision};
use tributary::service::{self, Parts, Role, Say};
use tributary::store::{DayState, Store};

use super::core::{self, Core};
use super::facts::{Shape, tenant_id};
use super::machine::{Others, Taken, Watch};
use super::reads::Reads;
use super::{limits, startup};

/// As `topics.partitions` is without a configuration.
const LAYOUT: Layout = Layout { partitions: 4, replication_factor: 1 };
/// As `database.max_connections` is.
const CONNECTIONS: u32 = 10;
/// Days sealed one after the other to learn how long one takes.
const LATENCIES: usize = 200;
/// Pause between two looks at what is visible, so that looking costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Days looked at together, for the same reason: of a thousand at once, a look took Postgres longer than the pause.
const LOOK_AT: usize = 20;

/// What a phase works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub kafka: String,
    pub database_url: String,
    pub prefix: String,
    pub shape: Shape,
    pub others: Others,
}

/// What a phase found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Found {
    pub rows: u64,
    pub taken: Taken,
    /// Seconds before that: connecting, joining the group, learning where to read on.
    pub joining: Option<f64>,
    /// Of a raw copy: the part that the rows of allocation and their dimensions took.
    pub seconds_of_chargebacks: Option<f64>,
    /// Milliseconds from a seal to its rows, sorted.
    pub latencies: Vec<f64>,
    pub core: Option<Core>,
}

impl Setup {
    pub fn connection(&self, instance: &str) -> Result<Connection> {
        Ok(Connection::new(self.kafka.clone(), BTreeMap::new(), self.prefix.clone(), instance.to_owned())?)
    }

    pub async fn parts(&self) -> Result<Parts> {
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

    /// Creates the topics.
    pub async fn provide(&self, instance: &str) -> Result<Connection> {
        let connection = self.connection(instance)?;
        provision::ensure(&connection, LAYOUT).await?;
        Ok(connection)
    }

    /// Refuses tables that do not hold every row and every cent. How many rows there are.
    pub async fn check(&self, store: &Store) -> Result<u64> {
        let (cost, mut rows) = (self.shape.cost_of_tenant(), 0);
        for tenant in 0..self.shape.tenants {
            let summary = store.summary(&tenant_id(tenant)).await?;
            ensure!(summary.amounts == [("USD".to_owned(), cost)], "{:?} is not {cost}", summary.amounts);
            rows += summary.rows;
        }
        ensure!(rows == self.shape.rows(), "{rows} rows are not {}", self.shape.rows());
        Ok(rows)
    }
}

/// Runs the phase of that name.
pub async fn run(phase: &str, setup: Setup) -> Result<Found> {
    match phase {
        "core" => {
            let core = tokio::task::spawn_blocking(core::measure).await?;
            Ok(Found { rows: core.rows, core: Some(core), ..Found::default() })
        }
        "seed" => seed(setup).await,
        "road" => road(setup, &[Role::Allocate, Role::Project]).await,
        "project" => road(setup, &[Role::Project]).await,
        "allocate" => tokio::task::spawn_blocking(move || allocate(&setup)).await?,
        "through" => tokio::task::spawn_blocking(move || limits::through(&setup, true)).await?,
        "plain" => tokio::task::spawn_blocking(move || limits::through(&setup, false)).await?,
        "copy" => limits::copy(&setup).await,
        "latency" => latency(setup).await,
        "rebuild" => startup::rebuild(setup).await,
        "seed_small" => startup::seed_small(setup).await,
        "restore" => startup::restore(setup).await,
        other => anyhow::bail!("there is no phase {other}"),
    }
}

/// Writes the facts, as a gatherer does.
async fn seed(setup: Setup) -> Result<Found> {
    let connection = setup.provide("seed").await?;
    let watch = Watch::start(setup.others);
    tokio::task::spawn_blocking(move || -> Result<()> {
        for tenant in (0..setup.shape.tenants).map(tenant_id) {
            let mut publisher = Publisher::open(&connection, &tenant, Arc::new(Codec::builtin()))?;
            for (_, day) in setup.shape.sealed().filter(|(of, _)| *of == tenant) {
                publish(&mut publisher, &setup.shape, &tenant, day, 1)?;
            }
        }
        Ok(())
    })
    .await??;
    Ok(Found { taken: watch.read(), ..Found::default() })
}

pub fn publish(publisher: &mut Publisher, shape: &Shape, tenant: &str, day: Day, revision: u32) -> Result<()> {
    let revision = shape.revision(tenant, day, revision);
    Ok(publisher.publish(&Transaction { revision: Some(revision), ..Transaction::default() })?)
}

/// Runs roles as the program does until every day is visible in every table.
async fn road(setup: Setup, roles: &[Role]) -> Result<Found> {
    let parts = setup.parts().await?;
    let sealed: Vec<(String, Day, u32)> = setup.shape.sealed().map(|(tenant, day)| (tenant, day, 1)).collect();
    let watch = Watch::start(setup.others);
    let mut running = service::start(roles, &parts);
    let mut waited_for = sealed;
    let looked = async {
        while !are_visible(&parts, &mut waited_for).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        visible = looked => visible?,
        ended = running.join_next() => ended.context("no role")???,
    }
    let taken = watch.read();
    parts.stop.cancel();
    while running.join_next().await.is_some() {}
    Ok(Found { rows: setup.check(&parts.store).await?, taken, ..Found::default() })
}

/// Takes out the days that are visible, from the back; is that all of them?
async fn are_visible(parts: &Parts, sealed: &mut Vec<(String, Day, u32)>) -> Result<bool> {
    while !sealed.is_empty() {
        let last = sealed.split_off(sealed.len().saturating_sub(LOOK_AT));
        let progress = parts.store.progress(&last).await?;
        for (day, looked_at) in progress.iter().zip(last) {
            match day.state {
                DayState::Done => {}
                DayState::Refused(_) => bail!("{day:?}"),
                _ => sealed.push(looked_at),
            }
        }
        if progress.iter().any(|day| day.state != DayState::Done) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits as `run --once` does.
async fn visible(parts: &Parts, mut sealed: Vec<(String, Day, u32)>) -> Result<()> {
    loop {
        let moved = parts.moved.notified();
        if are_visible(parts, &mut sealed).await? {
            return Ok(());
        }
        let _ = tokio::time::timeout(Duration::from_millis(250), moved).await;
    }
}

/// The allocate role alone, from where it knows where to read on until its last transaction.
pub fn allocate(setup: &Setup) -> Result<Found> {
    let connection = setup.connection("bench")?;
    let expected = (setup.shape.tenants * setup.shape.days) as usize;
    let (stop, rows, days) = (CancellationToken::new(), Cell::new(0_u64), Cell::new(0_usize));
    let (began, reads) = (Instant::now(), Reads::new(setup.others));
    let taken = Cell::new(Taken::default());
    reads.clone().during(|| {
        allocate::worker::run(&connection, Arc::new(Codec::builtin()), Clock::system(), &stop, |outcomes| {
            rows.set(rows.get() + outcomes.iter().map(|outcome| u64::from(outcome.rows)).sum::<u64>());
            days.set(days.get() + outcomes.len());
            if days.get() == expected {
                taken.set(reads.watch().map_or_else(Taken::default, |watch| watch.read()));
                stop.cancel();
            }
        })
    })?;
    let joining = reads.watch().context("the role has not told when it began to read")?.began - began;
    Ok(Found { rows: rows.get(), taken: taken.get(), joining: Some(joining.as_secs_f64()), ..Found::default() })
}

/// One small day after the other, again and again, through roles that have nothing else to do.
async fn latency(setup: Setup) -> Result<Found> {
    let connection = setup.provide("seed").await?;
    let parts = setup.parts().await?;
    let mut running = service::start(&[Role::Allocate, Role::Project], &parts);
    let codec = Arc::clone(&parts.codec);
    let opening = move || Publisher::open(&connection, &tenant_id(0), codec);
    let mut publisher = tokio::task::spawn_blocking(opening).await??;
    let watch = Watch::start(setup.others);
    let mut latencies = Vec::new();
    let mut rows = 0;
    let shape = setup.shape;
    let turns = (1..).flat_map(|revision| shape.sealed().map(move |(tenant, day)| (tenant, day, revision)));
    for (n, sealed) in turns.take(LATENCIES + 1).enumerate() {
        let (tenant, day, revision) = sealed.clone();
        let began;
        (publisher, began) = tokio::task::spawn_blocking(move || {
            publish(&mut publisher, &shape, &tenant, day, revision).map(|()| (publisher, Instant::now()))
        })
        .await??;
        tokio::select! {
            visible = visible(&parts, vec![sealed]) => visible?,
            ended = running.join_next() => ended.context("no role")???,
        }
        // The first one waits for the groups to form.
        if n > 0 {
            latencies.push(began.elapsed().as_secs_f64() * 1e3);
            rows += u64::from(setup.shape.rows_per_day);
        }
    }
    let taken = watch.read();
    parts.stop.cancel();
    while running.join_next().await.is_some() {}
    latencies.sort_by(f64::total_cmp);
    Ok(Found { rows, taken, latencies, ..Found::default() })
}
