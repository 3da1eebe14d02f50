//! Writes prepared batches, each in one transaction with the positions it moves.
//!
//! In: prepared batches, in the order they were read; partitions that come and go. Out: rows and positions; what cannot be
//! used, set aside before its position is passed. Absent: decoding, keys.

use std::collections::BTreeMap;

use ahash::AHashSet;
use tokio_util::sync::CancellationToken;

use super::gathering::{last_runs, newest_days};
use super::plan::{Note, Plan, Replaced, Verdict, plan};
use super::prepare::{Content, Prepared, Rows};
use super::{Parts, Progress, ProjectError};
use crate::domain::quarantine::Stage;
use crate::domain::{Day, DayAllocated, DaySealed, Emission, Outcome, Quarantined};
use crate::journal::{Assignment, Batch, Revocation, StartAt, Topic, blocking, ends};
use crate::store::{DayKey, Position, Projection, ProjectionTx};

/// So many unusable records in a row are no bad data any more.
const TOO_MANY_BAD: usize = 1_000;

/// Knows where the projection stands.
pub(super) struct Writer {
    projection: Projection,
    parts: Parts,
    generation: i32,
    /// Where we stand, by what Postgres said and what we wrote since.
    positions: Vec<Position>,
    bad_in_a_row: usize,
}

impl Writer {
    pub(super) fn new(projection: Projection, parts: Parts) -> Self {
        Self { projection, parts, generation: 0, positions: Vec::new(), bad_in_a_row: 0 }
    }

    /// What was read from tables may not hold any more.
    pub(super) fn forget(&mut self) {
        self.positions.clear();
    }

    fn named(&self, partitions: &[(Topic, i32)]) -> Vec<(String, i32)> {
        partitions.iter().map(|(topic, partition)| (self.parts.connection.topic(*topic), *partition)).collect()
    }

    /// Starts the partitions where Postgres says. Returns the projection's generation, nothing if it was stopped before.
    ///
    /// # Errors
    /// [`ProjectError::AnotherLog`], or what Postgres refuses.
    pub(super) async fn assigned(
        &mut self,
        assignment: Assignment,
        stop: &CancellationToken,
    ) -> Result<Option<i32>, ProjectError> {
        let named = self.named(&assignment.partitions);
        let (generation, taken) = loop {
            match self.parts.store.take_over(self.projection, &named).await {
                Ok(taken) => break taken,
                Err(error) => {
                    if !self.parts.patience(error.into(), self.projection, stop).await? {
                        return Ok(None);
                    }
                }
            }
        };
        self.check_log(&assignment.partitions, &taken).await?;
        self.generation = generation;
        let starts = assignment.partitions.iter().zip(&named).map(|((topic, partition), (name, _))| {
            let next = taken.iter().find(|p| p.topic == *name && p.partition == *partition).map_or(0, |p| p.next);
            (*topic, *partition, if next == 0 { StartAt::Beginning } else { StartAt::Offset(next) })
        });
        let starts: Vec<(Topic, i32, StartAt)> = starts.collect();
        self.positions.retain(|p| !named.iter().any(|(t, n)| *t == p.topic && *n == p.partition));
        self.positions.extend(taken);
        tracing::debug!(projection = self.projection.name(), ?starts, "took over partitions");
        assignment.start_at(starts);
        Ok(Some(generation))
    }

    /// Lets go of partitions; everything of them that was read before is written.
    pub(super) fn revoked(&mut self, revocation: &Revocation) {
        let gone = self.named(&revocation.partitions);
        self.positions.retain(|p| !gone.iter().any(|(t, n)| *t == p.topic && *n == p.partition));
    }

    /// Refuses a log that is shorter than what was read of it: reading it from its beginning would double rows.
    async fn check_log(&self, partitions: &[(Topic, i32)], taken: &[Position]) -> Result<(), ProjectError> {
        let topics: AHashSet<Topic> = partitions.iter().map(|(topic, _)| *topic).collect();
        let (connection, topics) = (self.parts.connection.clone(), topics.into_iter().collect::<Vec<_>>());
        let ends = blocking(move || ends::ends(&connection, &topics)).await;
        // A broker that does not answer now is waited for where it is read; nothing is known, nothing is refused.
        let Ok(ends) = ends else { return Ok(()) };
        for end in ends {
            let name = self.parts.connection.topic(end.topic);
            let read = taken.iter().find(|p| p.topic == name && p.partition == end.partition);
            if let Some(read) = read.filter(|read| read.next > end.high) {
                return Err(ProjectError::AnotherLog {
                    projection: self.projection.name(),
                    topic: name,
                    partition: end.partition,
                    read: read.next,
                    end: end.high,
                });
            }
        }
        Ok(())
    }

    /// Writes a batch, again and again while Postgres or Kafka is away. `None`: stopped before it was written.
    ///
    /// # Errors
    /// [`ProjectError`] when going on would lose or double something, or cannot succeed.
    pub(super) async fn patiently(
        &mut self,
        prepared: &Prepared,
        stop: &CancellationToken,
    ) -> Result<Option<Progress>, ProjectError> {
        loop {
            match self.write(prepared).await {
                Ok(progress) => return Ok(Some(progress)),
                Err(error) => {
                    if !self.parts.patience(error, self.projection, stop).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn write(&mut self, prepared: &Prepared) -> Result<Progress, ProjectError> {
        let ends = prepared.batch.ends().iter().map(|(topic, partition, next)| {
            let topic = self.parts.connection.topic(*topic);
            Position { topic, partition: *partition, next: *next }
        });
        let ends: Vec<Position> = ends.collect();
        if let Content::Tenants(events) = &prepared.content {
            // It waits for every projector's batch, so it cannot be part of one. Done again it does no more.
            for event in events {
                let rows = self.parts.store.forget(event).await?;
                tracing::info!(tenant = event.tenant, rows, "forgot a tenant");
            }
        }
        let mut tx = self.parts.store.advance(self.projection, self.generation, &self.positions, &ends).await?;
        let progress = match &prepared.content {
            Content::Rows(rows) => self.write_rows(prepared, rows, &mut tx).await?,
            Content::Days(all, outcomes) => {
                let (seals, outcomes) = (newest_seals(all), newest_outcomes(outcomes));
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.save_revisions(all).await?;
                tx.save_seals(&seals).await?;
                tx.save_allocations(&outcomes).await?;
                Progress { rows: seals.len() + outcomes.len(), set_aside, ..Progress::default() }
            }
            Content::Emissions(emissions, gone) => {
                let newest = newest_emissions(emissions);
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.delete_emissions(gone).await?;
                tx.save_emissions(&newest).await?;
                Progress { rows: newest.len(), set_aside, ..Progress::default() }
            }
            Content::Audit(events) => {
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.save_audit(&events.iter().map(|(seq, tenant, event)| (*seq, *tenant, event)).collect::<Vec<_>>())
                    .await?;
                Progress { rows: events.len(), set_aside, ..Progress::default() }
            }
            Content::Tokens(tokens) => {
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.save_tokens(&tokens.kept, &tokens.gone).await?;
                Progress { rows: tokens.kept.len(), set_aside, ..Progress::default() }
            }
            Content::Tags(tags, gone) => {
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.delete_tags(gone).await?;
                tx.save_tags(&tags.iter().map(|(tenant, tag)| (*tenant, tag)).collect::<Vec<_>>()).await?;
                Progress { rows: tags.len(), set_aside, ..Progress::default() }
            }
            Content::Tenants(_) => {
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                Progress { set_aside, ..Progress::default() }
            }
            Content::Quarantine(entries, gone) => {
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.delete_quarantine(gone).await?;
                tx.save_quarantine(&entries.iter().collect::<Vec<_>>()).await?;
                Progress { rows: entries.len(), set_aside, ..Progress::default() }
            }
            Content::Gathering(runs, days) => {
                let (runs, days) = (last_runs(runs), newest_days(days));
                let set_aside = self.set_aside(&prepared.batch, &prepared.bad, &mut tx).await?;
                tx.save_runs(&runs).await?;
                tx.save_held(&days).await?;
                Progress { rows: runs.len() + days.len(), set_aside, ..Progress::default() }
            }
        };
        tx.commit().await?;
        for end in ends {
            let known = self.positions.iter_mut().find(|p| p.topic == end.topic && p.partition == end.partition);
            if let Some(known) = known {
                known.next = end.next;
            }
        }
        Ok(Progress { records: prepared.batch.len(), ..progress })
    }

    /// Rows of revisions: keeps those of the newest, shows it when it is whole.
    async fn write_rows(
        &mut self,
        prepared: &Prepared,
        of: &Rows,
        tx: &mut ProjectionTx,
    ) -> Result<Progress, ProjectError> {
        let replaced = if self.projection == Projection::Billing { Replaced::Kept } else { Replaced::Dropped };
        let plan = plan(&of.notes, tx.slices(&days(&of.notes)).await?, replaced);
        let (kept, misfits) = sort_out(of, &plan);
        let mut bad = prepared.bad.clone();
        bad.extend(misfits);
        bad.sort_by_key(|(place, _)| *place);
        let set_aside = self.set_aside(&prepared.batch, &bad, tx).await?;
        // Nearly always all of them are.
        let rows = if kept.contains(&false) { &of.rows.only(&kept) } else { &of.rows };
        tx.copy(rows).await?;
        tx.save(&plan.changes).await?;
        Ok(Progress { rows: rows.rows(), days: plan.completed(), set_aside, ..Progress::default() })
    }

    /// Makes entries of unusable records durable, before the position passes them.
    async fn set_aside(
        &mut self,
        batch: &Batch,
        bad: &[(usize, String)],
        tx: &mut ProjectionTx,
    ) -> Result<usize, ProjectError> {
        let (count, all) = (bad.len(), batch.len());
        if count == 0 {
            self.bad_in_a_row = 0;
            return Ok(0);
        }
        let trailing = bad.iter().rev().zip((0..all).rev()).take_while(|((i, _), place)| i == place).count();
        let in_a_row = if trailing == all { self.bad_in_a_row + trailing } else { trailing };
        if in_a_row >= TOO_MANY_BAD {
            let reason = bad.last().map(|(_, reason)| reason.clone()).unwrap_or_default();
            return Err(ProjectError::TooManyBad { projection: self.projection.name(), count: in_a_row, reason });
        }
        let records: Vec<_> = batch.records().collect();
        let entries: Vec<Quarantined> =
            bad.iter().map(|(i, reason)| records[*i].set_aside(Stage::Project, reason.clone())).collect();
        // Read again after a rebuild: what is known stays as it is, sent again or not.
        let known = tx.known_quarantined(&entries).await?;
        let new: Vec<Quarantined> = entries.into_iter().filter(|entry| !known.contains(&entry.id)).collect();
        for entry in &new {
            tracing::warn!(source = entry.source, reason = entry.reason, id = entry.id, "set a record aside");
        }
        if !new.is_empty() {
            (self.parts.set_aside)(new).await?;
        }
        self.bad_in_a_row = in_a_row;
        Ok(count)
    }
}

/// Which rows to write, and the records that cannot be used with their place in the batch.
fn sort_out(of: &Rows, plan: &Plan) -> (Vec<bool>, Vec<(usize, String)>) {
    let (mut kept, mut bad) = (Vec::with_capacity(of.rows.rows()), Vec::new());
    for ((note, place), verdict) in of.notes.iter().zip(&of.places).zip(&plan.verdicts) {
        if matches!(note, Note::Row { .. }) {
            kept.push(*verdict == Verdict::Keep);
        }
        if let Verdict::Misfit { count, known } = verdict {
            let reason = format!(
                "it says that its revision has {count} records, others of it say {known}; the writer must number a \
                 revision's records from 0 and give all of them the same count"
            );
            bad.push((*place as usize, reason));
        }
    }
    (kept, bad)
}

fn days(notes: &[Note]) -> Vec<DayKey> {
    let at = |note: &Note| match note {
        Note::Row { at, .. } | Note::Closed { at, .. } => *at,
    };
    let mut days: Vec<DayKey> = notes.iter().map(at).collect();
    // Records of a day follow each other.
    days.dedup();
    days.sort_unstable();
    days.dedup();
    days
}

/// One seal of each day, in the order of days.
fn newest_seals(seals: &[(i32, DaySealed)]) -> Vec<(i32, &DaySealed)> {
    let mut newest: BTreeMap<(i32, Day), &DaySealed> = BTreeMap::new();
    for (tenant, seal) in seals {
        let kept = newest.entry((*tenant, seal.day)).or_insert(seal);
        if kept.revision < seal.revision {
            *kept = seal;
        }
    }
    newest.into_iter().map(|((tenant, _), seal)| (tenant, seal)).collect()
}

/// The last record of each key: the log's order is the emitter's.
fn newest_emissions(emissions: &[(i32, Emission)]) -> Vec<(i32, &Emission)> {
    let newest: BTreeMap<String, (i32, &Emission)> =
        emissions.iter().map(|(tenant, emission)| (emission.key(), (*tenant, emission))).collect();
    newest.into_values().collect()
}

/// One allocation and one refusal of each day, in the order of days.
fn newest_outcomes(done: &[(i32, DayAllocated)]) -> Vec<(i32, &DayAllocated)> {
    let mut newest: BTreeMap<(i32, Day, bool), &DayAllocated> = BTreeMap::new();
    for (tenant, day) in done {
        let kept = newest.entry((*tenant, day.day, day.outcome == Outcome::Refused)).or_insert(day);
        if kept.revision < day.revision {
            *kept = day;
        }
    }
    newest.into_iter().map(|((tenant, ..), day)| (tenant, day)).collect()
}
