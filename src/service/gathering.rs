//! The gather role: owns tenants through the consumer group of topic `commands`, and gathers each when it is its turn.
//!
//! ```text
//! group `gather` ── partitions ──▶ tenants whose key lies there ──▶ Schedule ──▶ a task for each turn
//! topic `commands` ── wishes ────────────────────────────────────▶    │
//!                                                    end of a turn ───┘
//! ```
//!
//! Whoever has the partition of a tenant's key gathers it. A rebalance takes all partitions away and hands them out
//! again a moment later; turns of tenants that stay are not disturbed, those of tenants that went elsewhere are stopped.
//! Should two processes believe to have a tenant, the later one fences the earlier (see [`Gatherer::open`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cycle::{self, Stop, Turn};
use super::offsets::Offsets;
use super::roles::{Stumbles, pause, set_aside};
use super::schedule::{Asked, Halt, Schedule};
use super::{Parts, Tenant};
use crate::domain::Command;
use crate::domain::quarantine::Stage;
use crate::gather::{GatherError, Gatherer};
use crate::journal::{
    Assignment, Batch, Consumer, Event, JournalError, RecordRef, RegistryError, Topic, blocking, ends, partition_of,
};
use crate::wording::chain;

/// The consumer group, without the installation's prefix.
pub const GROUP: &str = "gather";
/// Its name to supervisors.
const ROLE: &str = "gather";
/// Pause before tenants are taken over again when the log was away.
const OPEN_AGAIN: Duration = Duration::from_secs(2);

/// Who is gathered.
#[derive(Debug)]
pub struct Gathering {
    pub tenants: Vec<Arc<Tenant>>,
    /// Tenants gathered at the same time in this process.
    pub at_once: usize,
}

/// Why the gather role stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Gather(#[from] GatherError),
}

impl Stopped {
    fn is_transient(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Gather(_) => false,
        }
    }

    fn broke_the_client(&self) -> bool {
        matches!(self, Self::Journal(error) if error.breaks_the_client())
    }
}

/// Works until it is stopped, over outages of Kafka.
///
/// # Errors
/// What an operator has to mend.
pub async fn gathering(gathering: Arc<Gathering>, parts: Parts) -> Result<()> {
    let mut stumbles = Stumbles::default();
    loop {
        parts.health.ready(ROLE);
        match follow(&gathering, &parts).await {
            Err(error) if error.is_transient() => pause(ROLE, &error, &parts.health, &parts.stop).await,
            Err(error) if error.broke_the_client() && stumbles.may_pass(Instant::now()) => {
                pause(ROLE, &error, &parts.health, &parts.stop).await;
            }
            ended => return Ok(ended?),
        }
    }
}

/// Is a member of the group until the end.
async fn follow(gathering: &Arc<Gathering>, parts: &Parts) -> Result<(), Stopped> {
    let mut consumer = Consumer::start(&parts.connection, GROUP, &[Topic::Commands])?;
    let mut desk = Desk::new(gathering, parts);
    let ended = desk.work(&mut consumer).await;
    desk.end().await;
    blocking(move || drop(consumer)).await;
    ended
}

/// A turn that has ended: whose, which, and what it leaves.
type Ended = (Arc<Tenant>, u64, Turn);
/// Tenants that were taken over.
type Opened = Result<Vec<(Arc<Tenant>, Gatherer)>, GatherError>;

struct Desk<'a> {
    gathering: &'a Gathering,
    parts: &'a Parts,
    schedule: Schedule,
    offsets: Offsets,
    /// Tenants that are ours, by id, with what stops their turns.
    owned: BTreeMap<String, (Arc<Tenant>, CancellationToken)>,
    /// Those of them that have no turn now.
    idle: BTreeMap<String, Gatherer>,
    /// The runs of those that have one, by tenant: which turn, the run's id, what ends it.
    runs: BTreeMap<String, (u64, String, Stop)>,
    turns: JoinSet<Ended>,
    opening: JoinSet<Opened>,
}

impl<'a> Desk<'a> {
    fn new(gathering: &'a Gathering, parts: &'a Parts) -> Self {
        Self {
            gathering,
            parts,
            schedule: Schedule::new(gathering.at_once),
            offsets: Offsets::default(),
            owned: BTreeMap::new(),
            idle: BTreeMap::new(),
            runs: BTreeMap::new(),
            turns: JoinSet::new(),
            opening: JoinSet::new(),
        }
    }

    async fn work(&mut self, consumer: &mut Consumer) -> Result<(), Stopped> {
        let (stop, clock) = (self.parts.stop.clone(), self.parts.clock);
        loop {
            let now = clock.now();
            self.cancel(consumer);
            self.begin_turns(now);
            let wake = self.schedule.wake(now);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = consumer.next() => match event {
                    Some(Event::Assigned(assignment)) => self.assigned(assignment).await?,
                    // Who has what now is known when the partitions are handed out again.
                    Some(Event::Revoked(_)) => {}
                    Some(Event::Batch(batch)) => self.read(&batch, consumer).await?,
                    Some(Event::Failed(error)) => return Err(error.into()),
                    None => return Ok(()),
                },
                Some(ended) = self.turns.join_next() => self.ended(unpanicked(ended), consumer),
                Some(opened) = self.opening.join_next() => self.opened(unpanicked(opened))?,
                () = clock.reaches(wake) => {}
            }
        }
    }

    /// Stops all turns and waits until their ends are recorded.
    async fn end(&mut self) {
        self.opening.abort_all();
        self.owned.values().for_each(|(_, stop)| stop.cancel());
        while self.turns.join_next().await.is_some() {}
    }

    async fn assigned(&mut self, assignment: Assignment) -> Result<(), Stopped> {
        let connection = self.parts.connection.clone();
        let all = blocking(move || ends::ends(&connection, &[Topic::Commands])).await?;
        let ours: BTreeSet<i32> = assignment.partitions.iter().map(|(_, partition)| *partition).collect();
        let is_ours =
            |tenant: &Tenant| ours.contains(&partition_of(tenant.settings.tenant_id.as_bytes(), all.len() as i32));
        let lost: Vec<String> =
            self.owned.iter().filter(|(_, (tenant, _))| !is_ours(tenant)).map(|(id, _)| id.clone()).collect();
        for id in &lost {
            self.schedule.leave(id);
            self.idle.remove(id);
            if let Some((_, stop)) = self.owned.remove(id) {
                stop.cancel();
            }
        }
        let tenants = self.gathering.tenants.iter();
        let new: Vec<Arc<Tenant>> = tenants
            .filter(|tenant| is_ours(tenant) && !self.owned.contains_key(&tenant.settings.tenant_id))
            .cloned()
            .collect();
        let names: Vec<&str> = new.iter().map(|tenant| tenant.name.as_str()).collect();
        tracing::info!(partitions = ?ours, taken = ?names, lost = ?lost, "tenants were shared out");
        for tenant in &new {
            let stop = self.parts.stop.child_token();
            self.owned.insert(tenant.settings.tenant_id.clone(), (Arc::clone(tenant), stop));
        }
        if !new.is_empty() {
            self.opening.spawn(open(self.parts.clone(), new));
        }
        // Commands that are not done are read again; the schedule knows those it has.
        self.offsets.forget();
        assignment.start_at(Vec::new());
        Ok(())
    }

    fn opened(&mut self, opened: Opened) -> Result<(), Stopped> {
        let now = self.parts.clock.now();
        for (tenant, gatherer) in opened? {
            let id = &tenant.settings.tenant_id;
            if self.owned.contains_key(id) {
                self.schedule.take(id, cycle::past(&tenant, &gatherer), tenant.rhythm, now);
                self.idle.insert(id.clone(), gatherer);
            }
        }
        Ok(())
    }

    fn begin_turns(&mut self, now: DateTime<Utc>) {
        for start in self.schedule.next(now) {
            let Some((tenant, stop)) = self.owned.get(&start.tenant).cloned() else { continue };
            let (parts, gatherer) = (self.parts.clone(), self.idle.remove(&start.tenant));
            let (run, stop) = (cycle::run_id(now), Stop::with(&stop));
            self.runs.insert(start.tenant.clone(), (start.turn, run.clone(), stop.clone()));
            self.turns.spawn(async move {
                let turn = cycle::turn(&parts, &tenant, gatherer, (&start.order, &run), &stop).await;
                (tenant, start.turn, turn)
            });
        }
    }

    /// Ends what somebody wants to end.
    fn cancel(&mut self, consumer: &Consumer) {
        let runs = &self.runs;
        let (halts, idle) = self.schedule.cancel(|tenant| runs.get(tenant).map(|(_, run, _)| run.clone()));
        for Halt { tenant, turn, by } in halts {
            if let Some((_, run, stop)) = self.runs.get(&tenant).filter(|(of, _, _)| *of == turn) {
                tracing::info!(tenant, run, by, "a run is cancelled");
                stop.cancel(by);
            }
        }
        for asked in idle {
            let Command { tenant, requested_by, .. } = &asked.command;
            tracing::info!(tenant, by = requested_by, "there is nothing to cancel");
            self.done(asked.place, consumer);
        }
    }

    fn ended(&mut self, (tenant, number, turn): Ended, consumer: &Consumer) {
        let id = &tenant.settings.tenant_id;
        if self.runs.get(id).is_some_and(|(of, _, _)| *of == number) {
            self.runs.remove(id);
        }
        let ours = self.schedule.ended(id, number, turn.past, self.parts.clock.now());
        let Some(asked) = ours else { return };
        if let Some(gatherer) = turn.gatherer {
            self.idle.insert(id.clone(), gatherer);
        }
        asked.into_iter().for_each(|asked| self.done(asked.place, consumer));
    }

    /// Reads commands. What is not for a tenant of the configuration is done with a warning.
    async fn read(&mut self, batch: &Batch, consumer: &Consumer) -> Result<(), Stopped> {
        self.parts.codec.learn_missing(batch.records().filter_map(|record| record.payload)).await?;
        let mut bad = Vec::new();
        for record in batch.records() {
            let place = (record.partition, record.offset);
            self.offsets.read(place);
            match self.command(&record) {
                Ok(command) => self.schedule.ask(Asked { command, place }),
                Err(reason) => {
                    tracing::warn!(partition = place.0, offset = place.1, reason, "a command was set aside");
                    bad.push((place, record.set_aside(Stage::Gather, reason)));
                }
            }
        }
        if !bad.is_empty() {
            let (places, entries): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
            let (connection, codec) = (self.parts.connection.clone(), Arc::clone(&self.parts.codec));
            blocking(move || set_aside(&connection, &codec, &entries)).await?;
            places.into_iter().for_each(|place| self.done(place, consumer));
        }
        Ok(())
    }

    fn command(&self, record: &RecordRef<'_>) -> Result<Command, String> {
        let payload = record.payload.ok_or("a tombstone asks for nothing")?;
        let command: Command = self.parts.codec.decode(payload).map_err(|error| chain(&error))?;
        if record.key != Some(command.tenant.as_bytes()) {
            return Err(format!(
                "it is for tenant {:?} and its key is another; write it under the tenant's id",
                command.tenant
            ));
        }
        let known = self.gathering.tenants.iter().any(|tenant| tenant.settings.tenant_id == command.tenant);
        match (known, self.owned.contains_key(&command.tenant)) {
            (_, true) => Ok(command),
            (true, false) => {
                Err("it lies in another partition than its key asks for; partition by murmur2 of the key".into())
            }
            (false, _) => Err(format!("there is no tenant with the id {:?} in the configuration", command.tenant)),
        }
    }

    fn done(&mut self, place: (i32, i64), consumer: &Consumer) {
        if let Some((partition, next)) = self.offsets.done(place)
            && let Err(error) = consumer.commit(&[(Topic::Commands, partition, next)])
        {
            // It is read and answered again by whoever has the partition.
            tracing::debug!(%error, partition, "a position could not be committed");
        }
    }
}

/// Takes tenants over, again and again while the log is away.
async fn open(parts: Parts, tenants: Vec<Arc<Tenant>>) -> Opened {
    loop {
        let all: Vec<&Tenant> = tenants.iter().map(Arc::as_ref).collect();
        match cycle::open(&parts, &all).await {
            Ok(gatherers) => return Ok(tenants.iter().cloned().zip(gatherers).collect()),
            Err(GatherError::Journal(error)) if error.is_transient() || error.breaks_the_client() => {
                tracing::warn!(error = chain(&error), "tenants could not be taken over yet");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(OPEN_AGAIN).await;
    }
}

fn unpanicked<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    match ended {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
