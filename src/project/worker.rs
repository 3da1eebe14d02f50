//! The loop of a projection: one task reads and prepares, the other writes what is prepared.
//!
//! ```text
//! consumer ── batches ──▶ prepare   decodes, finds keys, makes rows; takes together what queued up meanwhile
//!                            │ one prepared batch waits at most
//!                            ▼
//!                          write    one transaction a batch; partitions come and go here, in the order of the log
//! ```
//!
//! So the program decodes while Postgres copies, and batches grow with the backlog: few round trips when there is much to
//! do, no waiting when there is little.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::prepare::{Prepared, Preparer};
use super::write::Writer;
use super::{Parts, Progress, ProjectError, group, topics};
use crate::journal::{Assignment, Batch, Consumer, Event, Revocation, blocking};
use crate::store::{Projection, StoreError};

/// Batches are taken together up to about so many records, or so many bytes of them. With one batch in preparation and one
/// being written this bounds the memory of a projection.
const TOGETHER: usize = 40_000;
const TOGETHER_BYTES: usize = 6 << 20;

/// Works until it is stopped. While Postgres is away it waits with the batch in hand.
///
/// # Errors
/// [`ProjectError`] when going on would lose or double something, or cannot succeed.
pub async fn run(
    projection: Projection,
    parts: Parts,
    stop: CancellationToken,
    mut on_progress: impl FnMut(Progress) + Send,
) -> Result<(), ProjectError> {
    let mut preparer = Preparer::new(projection, parts.clone());
    let mut writer = Writer::new(projection, parts.clone());
    while !stop.is_cancelled() {
        let consumer = Consumer::start(&parts.connection, &group(projection), topics(projection))?;
        // Whatever ends the writing, ends the reading.
        let halt = stop.child_token();
        let _halted = halt.clone().drop_guard();
        let (out, steps) = mpsc::channel(1);
        let reader = Reader { consumer, preparer, projection, parts: parts.clone(), stop: halt.clone() };
        let reading = tokio::spawn(reader.run(out));
        let written = write(&mut writer, steps, &stop, &mut on_progress).await;
        halt.cancel();
        let read = match reading.await {
            Ok((kept, read)) => {
                preparer = kept;
                read
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match written.and(read) {
            Err(ProjectError::Store(StoreError::Fenced(_))) => {
                tracing::warn!(
                    projection = projection.name(),
                    "moved on by another process or a rebuild: joining anew"
                );
                preparer.forget();
                writer.forget();
            }
            ended => return ended,
        }
    }
    Ok(())
}

/// What the writer does next.
enum Step {
    /// Starts these partitions and answers with the projection's generation.
    Start(Assignment, oneshot::Sender<i32>),
    LetGo(Revocation),
    Write(Prepared),
}

/// Ends with its channel.
async fn write(
    writer: &mut Writer,
    mut steps: mpsc::Receiver<Step>,
    stop: &CancellationToken,
    on_progress: &mut (impl FnMut(Progress) + Send),
) -> Result<(), ProjectError> {
    while let Some(step) = steps.recv().await {
        match step {
            Step::Start(assignment, answer) => match writer.assigned(assignment, stop).await? {
                // Nobody listens if the reader is ending.
                Some(generation) => drop(answer.send(generation)),
                None => return Ok(()),
            },
            Step::LetGo(revocation) => writer.revoked(&revocation),
            Step::Write(prepared) => match writer.patiently(&prepared, stop).await? {
                Some(progress) => on_progress(progress),
                None => return Ok(()),
            },
        }
    }
    Ok(())
}

/// The task that reads and prepares.
struct Reader {
    consumer: Consumer,
    preparer: Preparer,
    projection: Projection,
    parts: Parts,
    stop: CancellationToken,
}

impl Reader {
    /// Leaves the group at the end. Gives back what it learned.
    async fn run(mut self, out: mpsc::Sender<Step>) -> (Preparer, Result<(), ProjectError>) {
        let ended = self.follow(&out).await;
        drop(out);
        let Self { consumer, preparer, .. } = self;
        // Leaving the group waits for its thread.
        blocking(move || drop(consumer)).await;
        (preparer, ended)
    }

    async fn follow(&mut self, out: &mpsc::Sender<Step>) -> Result<(), ProjectError> {
        let mut next = None;
        loop {
            // First a place, then the batch: what queues up while Postgres is busy goes into one.
            let Some(Ok(place)) = self.stop.clone().run_until_cancelled(out.reserve()).await else { return Ok(()) };
            let event = match next.take() {
                Some(event) => event,
                None => match self.stop.clone().run_until_cancelled(self.consumer.next()).await {
                    Some(Some(event)) => event,
                    _ => return Ok(()),
                },
            };
            match event {
                Event::Assigned(assignment) => {
                    let (answer, generation) = oneshot::channel();
                    place.send(Step::Start(assignment, answer));
                    // No answer: the writer has ended.
                    let Ok(generation) = generation.await else { return Ok(()) };
                    self.preparer.in_generation(generation);
                }
                Event::Revoked(revocation) => place.send(Step::LetGo(revocation)),
                Event::Batch(mut batch) => {
                    next = self.take_together(&mut batch);
                    match self.patiently(batch).await? {
                        Some(prepared) => place.send(Step::Write(prepared)),
                        None => return Ok(()),
                    }
                }
                Event::Failed(error) => return Err(error.into()),
            }
        }
    }

    /// Adds what is queued behind the batch. Returns the event that is no batch and ended that.
    fn take_together(&mut self, batch: &mut Batch) -> Option<Event> {
        while batch.len() < TOGETHER && batch.size() < TOGETHER_BYTES {
            match self.consumer.try_next()? {
                Event::Batch(more) => batch.append(more),
                other => return Some(other),
            }
        }
        None
    }

    /// Prepares a batch, again and again while Postgres or the registry is away. `None`: stopped before.
    async fn patiently(&mut self, batch: Batch) -> Result<Option<Prepared>, ProjectError> {
        loop {
            match self.preparer.prepare(&batch).await {
                Ok((content, bad)) => return Ok(Some(Prepared { batch, content, bad })),
                Err(error) => {
                    if !self.parts.patience(error, self.projection, &self.stop).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

impl Parts {
    /// Waits until it is worth trying again; false if it was stopped meanwhile.
    ///
    /// # Errors
    /// What does not pass.
    pub(super) async fn patience(
        &self,
        error: ProjectError,
        projection: Projection,
        stop: &CancellationToken,
    ) -> Result<bool, ProjectError> {
        match error {
            ProjectError::Store(error) if error.is_transient() => {
                Ok(stop.run_until_cancelled(self.store.wait_until_back(&error)).await.is_some())
            }
            error if error.is_transient() => {
                tracing::warn!(projection = projection.name(), %error, "the batch has to wait");
                Ok(stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some())
            }
            error => Err(error),
        }
    }
}
