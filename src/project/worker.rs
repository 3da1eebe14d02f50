//! The loop of a projection: read a batch, plan, write rows and positions together.

use std::collections::BTreeMap;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use chrono::Datelike;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::batch::{Item, allocation, item, seal};
use super::plan::{Note, Plan, Verdict, plan};
use super::{Parts, Progress, ProjectError, group, topics};
use crate::domain::quarantine::Stage;
use crate::domain::{
    BillingLine, ChargebackRow, Day, DayAllocated, DaySealed, Identity, Outcome, Quarantined, Resource,
    TopicAttributionRow,
};
use crate::journal::codec::Record;
use crate::journal::{Assignment, Batch, Consumer, Event, StartAt, Topic, blocking, ends};
use crate::store::{
    CopyRows, DayKey, DimensionCache, DimensionOf, Fact, Fingerprint, Fingerprints, Position, Projection, ProjectionTx,
    StoreError,
};

/// So many unusable records in a row are no bad data any more.
const TOO_MANY_BAD: usize = 1_000;

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
    let mut projector = Projector::new(projection, parts);
    while !stop.is_cancelled() {
        let mut consumer = Consumer::start(&projector.parts.connection, &group(projection), topics(projection))?;
        let ended = projector.follow(&mut consumer, &stop, &mut on_progress).await;
        // Leaving the group waits for its thread.
        blocking(move || drop(consumer)).await;
        match ended {
            Err(ProjectError::Store(StoreError::Fenced(_))) => {
                tracing::warn!(
                    projection = projection.name(),
                    "moved on by another process or a rebuild: joining anew"
                );
                projector.forget();
            }
            ended => return ended,
        }
    }
    Ok(())
}

struct Projector {
    projection: Projection,
    parts: Parts,
    generation: i32,
    /// Where we stand, by what Postgres said and what we wrote since.
    positions: Vec<Position>,
    tenants: AHashMap<String, i32>,
    months: AHashSet<(i32, u32)>,
    dimensions: DimensionCache,
    bad_in_a_row: usize,
}

impl Projector {
    fn new(projection: Projection, parts: Parts) -> Self {
        Self {
            projection,
            parts,
            generation: 0,
            positions: Vec::new(),
            tenants: AHashMap::new(),
            months: AHashSet::new(),
            dimensions: DimensionCache::default(),
            bad_in_a_row: 0,
        }
    }

    /// What was read from tables may not hold any more.
    fn forget(&mut self) {
        self.positions.clear();
        self.months.clear();
        self.dimensions.clear();
    }

    async fn follow(
        &mut self,
        consumer: &mut Consumer,
        stop: &CancellationToken,
        on_progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<(), ProjectError> {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = consumer.next() => event,
            };
            match event {
                Some(Event::Assigned(assignment)) => self.assigned(assignment, stop).await?,
                Some(Event::Revoked(revocation)) => {
                    let gone: Vec<(String, i32)> = self.named(&revocation.partitions);
                    self.positions.retain(|p| !gone.iter().any(|(t, n)| *t == p.topic && *n == p.partition));
                }
                Some(Event::Batch(batch)) => match self.patiently(&batch, stop).await? {
                    Some(progress) => on_progress(progress),
                    None => return Ok(()),
                },
                Some(Event::Failed(error)) => return Err(error.into()),
                None => return Ok(()),
            }
        }
    }

    fn named(&self, partitions: &[(Topic, i32)]) -> Vec<(String, i32)> {
        partitions.iter().map(|(topic, partition)| (self.parts.connection.topic(*topic), *partition)).collect()
    }

    /// Starts the partitions where Postgres says.
    async fn assigned(&mut self, assignment: Assignment, stop: &CancellationToken) -> Result<(), ProjectError> {
        let named = self.named(&assignment.partitions);
        let (generation, taken) = loop {
            match self.parts.store.take_over(self.projection, &named).await {
                Ok(taken) => break taken,
                Err(error) if error.is_transient() => {
                    if !self.wait_for_postgres(&error, stop).await {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.check_log(&assignment.partitions, &taken).await?;
        if generation != self.generation {
            self.dimensions.clear();
            self.generation = generation;
        }
        let starts = assignment.partitions.iter().zip(&named).map(|((topic, partition), (name, _))| {
            let next = taken.iter().find(|p| p.topic == *name && p.partition == *partition).map_or(0, |p| p.next);
            (*topic, *partition, if next == 0 { StartAt::Beginning } else { StartAt::Offset(next) })
        });
        let starts: Vec<(Topic, i32, StartAt)> = starts.collect();
        self.positions.retain(|p| !named.iter().any(|(t, n)| *t == p.topic && *n == p.partition));
        self.positions.extend(taken);
        tracing::debug!(projection = self.projection.name(), ?starts, "took over partitions");
        assignment.start_at(starts);
        Ok(())
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

    /// Applies a batch, again and again while Postgres or Kafka is away. `None`: stopped before it was written.
    async fn patiently(&mut self, batch: &Batch, stop: &CancellationToken) -> Result<Option<Progress>, ProjectError> {
        loop {
            match self.apply(batch).await {
                Ok(progress) => return Ok(Some(progress)),
                Err(ProjectError::Store(error)) if error.is_transient() => {
                    if !self.wait_for_postgres(&error, stop).await {
                        return Ok(None);
                    }
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(projection = self.projection.name(), %error, "the batch has to wait");
                    tokio::select! {
                        () = stop.cancelled() => return Ok(None),
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn wait_for_postgres(&self, error: &StoreError, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            () = self.parts.store.wait_until_back(error) => true,
        }
    }

    async fn apply(&mut self, batch: &Batch) -> Result<Progress, ProjectError> {
        let ends = batch.ends().iter().map(|(topic, partition, next)| {
            let topic = self.parts.connection.topic(*topic);
            Position { topic, partition: *partition, next: *next }
        });
        let ends: Vec<Position> = ends.collect();
        self.parts.codec.learn_missing(batch.records().filter_map(|record| record.payload)).await?;
        let progress = match self.projection {
            Projection::Billing => self.apply_facts::<BillingLine>(batch, &ends).await?,
            Projection::Resources => self.apply_facts::<Resource>(batch, &ends).await?,
            Projection::Identities => self.apply_facts::<Identity>(batch, &ends).await?,
            Projection::Chargebacks => self.apply_facts::<ChargebackRow<'_>>(batch, &ends).await?,
            Projection::TopicAttributions => self.apply_facts::<TopicAttributionRow<'_>>(batch, &ends).await?,
            Projection::Days => self.apply_days(batch, &ends).await?,
            Projection::Quarantine => self.apply_quarantine(batch, &ends).await?,
        };
        for end in ends {
            let known = self.positions.iter_mut().find(|p| p.topic == end.topic && p.partition == end.partition);
            if let Some(known) = known {
                known.next = end.next;
            }
        }
        Ok(progress)
    }

    async fn advance(&self, ends: &[Position]) -> Result<ProjectionTx, StoreError> {
        self.parts.store.advance(self.projection, self.generation, &self.positions, ends).await
    }

    /// Rows of revisions: keeps those of the newest, shows it when it is whole.
    async fn apply_facts<'a, F>(&mut self, batch: &'a Batch, ends: &[Position]) -> Result<Progress, ProjectError>
    where
        F: Fact + Record + Deserialize<'a>,
    {
        let items: Vec<Item<F>> = batch.records().map(|record| item(&self.parts.codec, record)).collect();
        self.learn_tenants(items.iter().filter_map(tenant)).await?;
        let notes: Vec<Option<Note>> = items.iter().map(|item| self.note(item)).collect();
        self.ensure_months(&items).await?;
        let fingerprints = self.resolve_dimensions(&items).await?;

        let mut tx = self.advance(ends).await?;
        let known: Vec<Note> = notes.iter().flatten().copied().collect();
        let plan = plan(&known, tx.slices(&days(&known)).await?);
        let (rows, bad) = self.sort_out(&items, &notes, &fingerprints, &plan);
        let written = rows.rows();
        let set_aside = self.set_aside(batch, bad, &mut tx).await?;
        tx.copy(rows).await?;
        tx.save(&plan.changes).await?;
        tx.commit().await?;
        Ok(Progress { records: batch.len(), rows: written, days: plan.completed(), set_aside })
    }

    /// The rows to write, and the records that cannot be used with their place in the batch.
    fn sort_out<F: Fact>(
        &self,
        items: &[Item<F>],
        notes: &[Option<Note>],
        fingerprints: &[Option<Fingerprint>],
        plan: &Plan,
    ) -> (CopyRows, Vec<(usize, String)>) {
        let (mut rows, mut bad) = (CopyRows::default(), Vec::new());
        let mut verdicts = plan.verdicts.iter();
        for (i, (item, note)) in items.iter().zip(notes).enumerate() {
            let verdict = note.and_then(|note| verdicts.next().map(|verdict| (note, *verdict)));
            match (item, verdict) {
                (Item::Bad(reason), _) => bad.push((i, reason.clone())),
                (Item::Row(row), Some((Note::Row { at, .. }, Verdict::Keep))) => {
                    let dimension = fingerprints[i].and_then(|f| self.dimensions.get(&f));
                    row.write(at.tenant, dimension.unwrap_or_default(), &mut rows);
                }
                (_, Some((_, Verdict::Misfit { count, known }))) => bad.push((
                    i,
                    format!(
                        "it says that its revision has {count} records, others of it say {known}; the writer must \
                             number a revision's records from 0 and give all of them the same count"
                    ),
                )),
                _ => {}
            }
        }
        (rows, bad)
    }

    fn note<F: Fact>(&self, item: &Item<F>) -> Option<Note> {
        let key = |tenant: &str, day: Day| Some(DayKey { tenant: *self.tenants.get(tenant)?, day });
        match item {
            Item::Row(row) => {
                let (tenant, day, revision, ordinal, count) = row.place();
                Some(Note::Row { at: key(tenant, day)?, revision, ordinal, count })
            }
            Item::Closed(tenant, day, revision, count) => {
                Some(Note::Closed { at: key(tenant, *day)?, revision: *revision, count: *count })
            }
            Item::Nothing | Item::Bad(_) => None,
        }
    }

    async fn learn_tenants(&mut self, tenants: impl Iterator<Item = &str>) -> Result<(), StoreError> {
        let new: AHashSet<&str> = tenants.filter(|tenant| !self.tenants.contains_key(*tenant)).collect();
        if !new.is_empty() {
            let new: Vec<&str> = new.into_iter().collect();
            self.tenants.extend(self.parts.store.tenant_keys(&new).await?);
        }
        Ok(())
    }

    async fn ensure_months<F: Fact>(&mut self, items: &[Item<F>]) -> Result<(), StoreError> {
        let mut last = None;
        for item in items {
            let Item::Row(row) = item else { continue };
            let day = row.place().1;
            let month = (day.date().year(), day.date().month());
            if last.replace(month) != Some(month) && !self.months.contains(&month) {
                self.parts.store.ensure_month(self.projection, day).await?;
                self.months.insert(month);
            }
        }
        Ok(())
    }

    async fn resolve_dimensions<F: Fact>(&mut self, items: &[Item<F>]) -> Result<Vec<Option<Fingerprint>>, StoreError> {
        let mut wanted: Vec<(Fingerprint, i32, DimensionOf<'_>)> = Vec::new();
        let mut taken = Fingerprints::default();
        let fingerprints = items.iter().map(|item| {
            let Item::Row(row) = item else { return None };
            let (dimension, tenant) = row.dimension().zip(self.tenants.get(row.place().0).copied())?;
            let fingerprint = taken.of(tenant, &dimension);
            wanted.push((fingerprint, tenant, dimension));
            Some(fingerprint)
        });
        let fingerprints: Vec<Option<Fingerprint>> = fingerprints.collect();
        self.parts.store.resolve_dimensions(&mut self.dimensions, self.generation, &wanted).await?;
        Ok(fingerprints)
    }

    /// Seals and allocations: the newest of each day.
    async fn apply_days(&mut self, batch: &Batch, ends: &[Position]) -> Result<Progress, ProjectError> {
        let (mut seals, mut outcomes, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else { continue };
            let read = match record.topic {
                Topic::Days => seal(&self.parts.codec, payload).map(|seal| seals.push(seal)),
                _ => allocation(&self.parts.codec, payload).map(|done| outcomes.push(done)),
            };
            if let Err(reason) = read {
                bad.push((i, reason));
            }
        }
        let tenants = seals.iter().map(|s| s.tenant.as_str()).chain(outcomes.iter().map(|o| o.tenant.as_str()));
        self.learn_tenants(tenants).await?;
        let seals = newest_seals(&seals, &self.tenants);
        let outcomes = newest_outcomes(&outcomes, &self.tenants);

        let mut tx = self.advance(ends).await?;
        let set_aside = self.set_aside(batch, bad, &mut tx).await?;
        tx.save_seals(&seals).await?;
        tx.save_allocations(&outcomes).await?;
        tx.commit().await?;
        Ok(Progress { records: batch.len(), rows: seals.len() + outcomes.len(), days: 0, set_aside })
    }

    /// Entries of the quarantine: the last of each id.
    async fn apply_quarantine(&mut self, batch: &Batch, ends: &[Position]) -> Result<Progress, ProjectError> {
        let (mut entries, mut bad) = (Vec::<Quarantined>::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else { continue };
            match self.parts.codec.decode::<Quarantined>(payload) {
                Ok(entry) => entries.push(entry),
                Err(error) => bad.push((i, error.to_string())),
            }
        }
        let mut tx = self.advance(ends).await?;
        let set_aside = self.set_aside(batch, bad, &mut tx).await?;
        tx.save_quarantine(&entries.iter().collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(Progress { records: batch.len(), rows: entries.len(), days: 0, set_aside })
    }

    /// Makes entries of unusable records durable, before the position passes them.
    async fn set_aside(
        &mut self,
        batch: &Batch,
        bad: Vec<(usize, String)>,
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
            let reason = bad.into_iter().next_back().map(|(_, reason)| reason).unwrap_or_default();
            return Err(ProjectError::TooManyBad { projection: self.projection.name(), count: in_a_row, reason });
        }
        let records: Vec<_> = batch.records().collect();
        let entries: Vec<Quarantined> =
            bad.into_iter().map(|(i, reason)| records[i].set_aside(Stage::Project, reason)).collect();
        // Read again after a rebuild: what is known stays as it is, sent again or not.
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let known = tx.known_quarantined(&ids).await?;
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

fn tenant<F: Fact>(item: &Item<F>) -> Option<&str> {
    match item {
        Item::Row(row) => Some(row.place().0),
        Item::Closed(tenant, ..) => Some(tenant),
        Item::Nothing | Item::Bad(_) => None,
    }
}

fn days(notes: &[Note]) -> Vec<DayKey> {
    let at = |note: &Note| match note {
        Note::Row { at, .. } | Note::Closed { at, .. } => *at,
    };
    let mut days: Vec<DayKey> = notes.iter().map(at).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// One seal of each day, in the order of days.
fn newest_seals<'a>(seals: &'a [DaySealed], tenants: &AHashMap<String, i32>) -> Vec<(i32, &'a DaySealed)> {
    let mut newest: BTreeMap<(i32, Day), &DaySealed> = BTreeMap::new();
    for seal in seals {
        let Some(tenant) = tenants.get(&seal.tenant) else { continue };
        let kept = newest.entry((*tenant, seal.day)).or_insert(seal);
        if kept.revision < seal.revision {
            *kept = seal;
        }
    }
    newest.into_iter().map(|((tenant, _), seal)| (tenant, seal)).collect()
}

/// One allocation and one refusal of each day, in the order of days.
fn newest_outcomes<'a>(done: &'a [DayAllocated], tenants: &AHashMap<String, i32>) -> Vec<(i32, &'a DayAllocated)> {
    let mut newest: BTreeMap<(i32, Day, bool), &DayAllocated> = BTreeMap::new();
    for day in done {
        let Some(tenant) = tenants.get(&day.tenant) else { continue };
        let kept = newest.entry((*tenant, day.day, day.outcome == Outcome::Refused)).or_insert(day);
        if kept.revision < day.revision {
            *kept = day;
        }
    }
    newest.into_iter().map(|((tenant, ..), day)| (tenant, day)).collect()
}
