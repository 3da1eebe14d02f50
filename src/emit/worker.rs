//! The loop of the role: whoever has the turn looks what is due, writes it, and records what became of it.
//!
//! ```text
//! turn (Postgres) ─▶ recorder and memory (topic `emissions`) ─▶ due ─▶ files ─▶ records, some together
//! ```
//!
//! A crash is harmless anywhere: before the rename nobody sees the file, before the record it is written again, the same.
//! One process emits, the others wait for their turn; gauges are served by every process of the role.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::csv::{CsvError, Written, write};
use super::gauges::Exposition;
use super::memory::{Memory, Recorder};
use super::plan::{self, Task};
use super::{EmitError, Emitter, Parts, Sink};
use crate::domain::{Day, Emission, EmissionOutcome};
use crate::journal::blocking;
use crate::meter;
use crate::store::read::VisibleDay;
use crate::store::{EmitTurn, Projection};
use crate::wording::chain;

/// How often it is looked when nobody says that something became visible: roles in other processes do not tell us.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Records that are written together at most, and how long one waits for others.
const TOGETHER: usize = 50;
const PATIENCE: Duration = Duration::from_secs(2);
/// How long Postgres may take to say which days there are.
const LIMIT: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    pub emitted: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Another process emits; nothing was done here.
    pub busy: bool,
}

/// Emits until it is stopped.
///
/// # Errors
/// [`EmitError`] when the log fails; a file that cannot be written is no error but a record.
pub async fn run(
    parts: Parts,
    emitters: &[Emitter],
    shown: &[Arc<Exposition>],
    moved: &Notify,
    stop: &CancellationToken,
) -> Result<(), EmitError> {
    while !stop.is_cancelled() {
        match turns(&parts, emitters, shown, moved, stop).await {
            Err(EmitError::Store(error)) if error.is_transient() => {
                stop.run_until_cancelled(parts.store.wait_until_back(&error)).await;
            }
            ended => return ended,
        }
    }
    Ok(())
}

/// Emits what is due now, and no more. Gauges are left out: nobody could scrape them afterwards.
///
/// # Errors
/// [`EmitError`] when the log or Postgres fails.
pub async fn once(parts: Parts, emitters: &[Emitter], stop: &CancellationToken) -> Result<Report, EmitError> {
    let Some(turn) = parts.store.emit_turn().await? else {
        return Ok(Report { busy: true, ..Report::default() });
    };
    let mut worker = Worker::begin(parts, turn).await?;
    worker.round(emitters, &[], stop).await
}

async fn turns(
    parts: &Parts,
    emitters: &[Emitter],
    shown: &[Arc<Exposition>],
    moved: &Notify,
    stop: &CancellationToken,
) -> Result<(), EmitError> {
    let turn = loop {
        if let Some(turn) = parts.store.emit_turn().await? {
            break turn;
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_none() {
            return Ok(());
        }
    };
    let mut worker = Worker::begin(parts.clone(), turn).await?;
    while !stop.is_cancelled() {
        let told = moved.notified();
        worker.turn.check().await?;
        let report = worker.round(emitters, shown, stop).await?;
        if report.emitted + report.failed > 0 {
            let Report { emitted, skipped, failed, .. } = report;
            tracing::info!(emitted, skipped, failed, "emitted what had become visible");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = told => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
    Ok(())
}

/// Has the turn.
struct Worker {
    parts: Parts,
    turn: EmitTurn,
    memory: Memory,
    /// Away while it writes.
    recorder: Option<Recorder>,
    /// Done, and not recorded yet.
    done: Vec<Emission>,
    since: Instant,
    /// The version that nothing is left to do of.
    settled: Option<String>,
}

impl Worker {
    async fn begin(parts: Parts, turn: EmitTurn) -> Result<Self, EmitError> {
        let (connection, codec) = (parts.connection.clone(), Arc::clone(&parts.codec));
        let (recorder, memory) = blocking(move || Recorder::open(&connection, &codec)).await?;
        Ok(Self {
            parts,
            turn,
            memory,
            recorder: Some(recorder),
            done: Vec::new(),
            since: Instant::now(),
            settled: None,
        })
    }

    /// Emits what is due now, for one emitter after the other.
    async fn round(
        &mut self,
        emitters: &[Emitter],
        shown: &[Arc<Exposition>],
        stop: &CancellationToken,
    ) -> Result<Report, EmitError> {
        let mut report = Report::default();
        let version = self.version().await?;
        if self.settled.as_ref() == Some(&version) {
            return Ok(report);
        }
        let mut settled = true;
        for emitter in emitters {
            let visible = self.visible(emitter).await?;
            let none = Default::default();
            let known = self.memory.of(emitter).unwrap_or(&none);
            for task in plan::due(emitter, &visible, known, self.parts.clock.now()) {
                if stop.is_cancelled() {
                    settled = false;
                    break;
                }
                let Some(emission) = self.emit(emitter, shown, &task).await? else {
                    settled = false;
                    continue;
                };
                match emission.outcome {
                    EmissionOutcome::Emitted => report.emitted += 1,
                    EmissionOutcome::Skipped => report.skipped += 1,
                    EmissionOutcome::Failed => report.failed += 1,
                }
                self.keep(emission).await?;
            }
        }
        self.record().await?;
        // What failed is tried again without anything having changed.
        settled &= !emitters.iter().any(|emitter| self.memory.has_failures(emitter));
        self.settled = settled.then_some(version);
        Ok(report)
    }

    /// What changes whenever something may have become due: the tables, and the day.
    async fn version(&self) -> Result<String, EmitError> {
        let mut reader = self.parts.store.reader(LIMIT).await?;
        let tables = reader.version(&[Projection::Chargebacks, Projection::TopicAttributions]).await?;
        Ok(format!("{} {tables}", Day::of(self.parts.clock.now())))
    }

    async fn visible(&self, emitter: &Emitter) -> Result<Vec<VisibleDay>, EmitError> {
        let mut reader = self.parts.store.reader(LIMIT).await?;
        Ok(reader.visible(emitter.dataset, &emitter.tenant, Day::FIRST, Day::LAST).await?)
    }

    /// Does a task. `None`: it is not there yet.
    async fn emit(
        &mut self,
        emitter: &Emitter,
        shown: &[Arc<Exposition>],
        task: &Task,
    ) -> Result<Option<Emission>, EmitError> {
        let emission = |revision, outcome, rows, target, error| Emission {
            tenant: emitter.tenant.clone(),
            dataset: emitter.dataset,
            emitter: emitter.name.clone(),
            aggregation: emitter.aggregation,
            day: task.from,
            revision,
            outcome,
            // Rows of a later revision than planned are a first attempt at it.
            attempts: if revision == task.revision { task.tried + 1 } else { 1 },
            error,
            rows,
            target,
            at: self.parts.clock.now(),
        };
        let (folder, template) = match &emitter.sink {
            Sink::Csv { folder, template } => (folder, template),
            Sink::Gauges(_) => {
                let found = shown.iter().find_map(|exposition| exposition.shows(emitter, task.from, task.revision));
                let target = |address| Some(format!("http://{address}/metrics"));
                return Ok(found.map(|(rows, address)| {
                    emission(task.revision, EmissionOutcome::Emitted, rows, target(address), None)
                }));
            }
        };
        match write(&self.parts.store, emitter, (folder, template), task).await {
            Ok(Written { revision, file: Some(path), rows }) => {
                tracing::debug!(tenant = emitter.tenant, emitter = emitter.name, path = %path.display(), rows, "wrote");
                Ok(Some(emission(revision, EmissionOutcome::Emitted, rows, Some(path.display().to_string()), None)))
            }
            Ok(Written { revision, .. }) => {
                let why = Some("there are no rows".to_owned());
                Ok(Some(emission(revision, EmissionOutcome::Skipped, 0, None, why)))
            }
            Err(CsvError::File(error)) => {
                let (tenant, day) = (&emitter.tenant, task.from);
                tracing::warn!(tenant, emitter = emitter.name, %day, %error, "could not emit; it is tried again");
                Ok(Some(emission(task.revision, EmissionOutcome::Failed, 0, None, Some(error.to_string()))))
            }
            Err(CsvError::Emit(EmitError::Store(error))) if error.took_too_long() => {
                let why = chain(&error);
                tracing::warn!(
                    tenant = emitter.tenant,
                    emitter = emitter.name,
                    why,
                    "could not emit; it is tried again"
                );
                Ok(Some(emission(task.revision, EmissionOutcome::Failed, 0, None, Some(why))))
            }
            Err(CsvError::Emit(error)) => Err(error),
        }
    }

    async fn keep(&mut self, emission: Emission) -> Result<(), EmitError> {
        meter::emitted(&emission.tenant, &emission.emitter, emission.outcome.as_str());
        if self.done.is_empty() {
            self.since = Instant::now();
        }
        self.done.push(emission);
        if self.done.len() >= TOGETHER || self.since.elapsed() >= PATIENCE { self.record().await } else { Ok(()) }
    }

    /// Writes what is done into the log; after an error only a new worker knows what is there.
    async fn record(&mut self) -> Result<(), EmitError> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        let done = std::mem::take(&mut self.done);
        if !done.is_empty() {
            let (written, done) = blocking(move || recorder.record(&done).map(|()| (recorder, done))).await?;
            recorder = written;
            done.into_iter().for_each(|emission| self.memory.note(emission));
        }
        self.recorder = Some(recorder);
        Ok(())
    }
}
