//! As much of Postgres as the projector rests on, and projectors whose decisions are the program's own.
//!
//! Rows, slices and positions change together or not at all; a position moves only from where its mover believes it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Datelike;
use tributary::domain::{Day, Outcome, TenantDay};
use tributary::project::plan::{Note, Replaced, Verdict, plan};
use tributary::store::{DayKey, DaySlices, Holding, Projection, SliceChange};
use tributary::upkeep::Step;

use crate::allocator::Fault;
use crate::dice::Dice;
use crate::kafka::{Kafka, PARTITIONS, Place, Value};

#[derive(Debug, Default)]
pub struct Tables {
    /// Rises with every rebuild.
    generation: u64,
    positions: BTreeMap<Place, usize>,
    slices: BTreeMap<DayKey, DaySlices>,
    rows: BTreeMap<DayKey, Vec<(u32, String)>>,
    /// The months that there are partitions of, by their first day.
    months: BTreeSet<Day>,
    /// By tenant: revisions up to this one are not to come back.
    forgotten: BTreeMap<i32, u32>,
    /// How far topic `tenants` was read.
    events: usize,
}

impl Tables {
    /// `tributary rebuild`.
    pub fn reset(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// Takes over one more event of topic `tenants`.
    pub fn learn(&mut self, kafka: &Kafka) {
        let Some(event) = kafka.events.get(self.events) else { return };
        self.events += 1;
        let (tenant, last) = (tenant_key(&event.tenant), event.last_revision);
        let known = self.forgotten.entry(tenant).or_default();
        *known = last.max(*known);
        for (_, rows) in self.rows.iter_mut().filter(|(at, _)| at.tenant == tenant) {
            rows.retain(|(revision, _)| *revision > last);
        }
        for (_, day) in self.slices.iter_mut().filter(|(at, _)| at.tenant == tenant) {
            day.complete = day.complete.filter(|revision| *revision > last);
            day.open.retain(|revision, _| *revision > last);
        }
        self.slices.retain(|_, day| *day != DaySlices::default());
    }

    /// Does it know of all tenants that were forgotten?
    pub fn knows_all(&self, kafka: &Kafka) -> bool {
        self.events == kafka.events.len()
    }

    /// What there is, for the retention to decide about; `name` is a tenant's by its key.
    pub fn holdings(&self, name: impl Fn(i32) -> String) -> (Vec<(Projection, Day)>, Vec<Holding>) {
        let mut held: BTreeMap<(i32, Day), (Day, Day)> = BTreeMap::new();
        for at in self.slices.keys() {
            let days = held.entry((at.tenant, month_of(at.day))).or_insert((at.day, at.day));
            *days = (days.0.min(at.day), days.1.max(at.day));
        }
        let holding = |((key, month), (first, last)): ((i32, Day), (Day, Day))| Holding {
            projection: Projection::Chargebacks,
            key,
            tenant: name(key),
            month,
            first,
            last,
        };
        let months = self.months.iter().map(|month| (Projection::Chargebacks, *month));
        (months.collect(), held.into_iter().map(holding).collect())
    }

    /// One step of the retention.
    pub fn remove(&mut self, step: &Step) {
        match step {
            Step::DropMonth { month, .. } => {
                // Projectors remember which partitions there are, and have to look again.
                self.generation += 1;
                self.months.remove(month);
                self.slices.retain(|at, _| month_of(at.day) != *month);
                self.rows.retain(|at, _| month_of(at.day) != *month);
            }
            Step::DeleteDays { key, from, before, .. } => {
                let goes = |at: &DayKey| at.tenant == *key && *from <= at.day && at.day < *before;
                self.slices.retain(|at, _| !goes(at));
                self.rows.retain(|at, _| !goes(at));
            }
        }
    }

    fn position(&self, place: Place) -> usize {
        self.positions.get(&place).copied().unwrap_or_default()
    }

    /// What readers see of a day: the whole revision, and its rows in order.
    ///
    /// # Errors
    /// If rows of other revisions are left.
    pub fn day(&self, key: &TenantDay) -> Result<(Option<u32>, Vec<String>), String> {
        let at = day_key(key);
        let complete = self.slices.get(&at).and_then(|day| day.complete);
        let rows = self.rows.get(&at).map_or(&[][..], Vec::as_slice);
        if let Some((left, _)) = rows.iter().find(|(revision, _)| Some(*revision) != complete) {
            return Err(format!("{key}: rows of revision {left} are left, {complete:?} holds"));
        }
        let mut texts: Vec<String> = rows.iter().map(|(_, text)| text.clone()).collect();
        texts.sort_unstable();
        Ok((complete, texts))
    }

    fn save(&mut self, change: SliceChange) {
        match change {
            SliceChange::Grown { at, revision, slice } => {
                self.slices.entry(at).or_default().open.insert(revision, slice);
            }
            SliceChange::Completed { at, revision, replaces, .. } => {
                let day = self.slices.entry(at).or_default();
                if replaces {
                    self.rows.entry(at).or_default().retain(|(other, _)| *other >= revision);
                    day.open.retain(|other, _| *other >= revision);
                }
                day.open.remove(&revision);
                day.complete = Some(revision);
            }
            SliceChange::Late { at, revision } => {
                self.rows.entry(at).or_default().retain(|(other, _)| *other >= revision);
            }
        }
    }
}

fn day_key(key: &TenantDay) -> DayKey {
    DayKey { tenant: tenant_key(&key.tenant), day: key.day }
}

/// The narrow key of a tenant.
pub fn tenant_key(tenant: &str) -> i32 {
    tenant.bytes().fold(0, |key, byte| key * 256 + i32::from(byte))
}

fn month_of(day: Day) -> Day {
    day.date().with_day(1).map_or(day, Day::from)
}

/// A projector of chargebacks.
#[derive(Debug, Default)]
pub struct Projector {
    generation: u64,
    /// Where it believes the tables stand, for the partitions it believes to own.
    believed: BTreeMap<Place, usize>,
    /// What was read and is not written yet, and where reading it ended.
    read: Option<(Vec<Value>, BTreeMap<Place, usize>)>,
}

impl Projector {
    /// It loses its memory, or its partitions.
    pub fn forget(&mut self) {
        self.believed.clear();
        self.read = None;
    }

    /// The group gives it a partition: it asks the tables where to read.
    pub fn take_over(&mut self, tables: &Tables, number: usize) {
        if self.generation != tables.generation {
            self.forget();
            self.generation = tables.generation;
        }
        // What was read before the group handed partitions out anew is never written.
        self.read = None;
        for place in [Place::Chargebacks(number), Place::Allocations(number)] {
            self.believed.insert(place, tables.position(place));
        }
    }

    pub fn owns_all(&self) -> bool {
        self.believed.len() == 2 * PARTITIONS
    }

    /// Has it nothing to read? Then its positions are the tables'.
    pub fn rests(&self, kafka: &Kafka, tables: &Tables) -> bool {
        let read = |(place, at): (&Place, &usize)| kafka.read(*place, *at).next().is_none();
        self.generation == tables.generation
            && self.believed.iter().all(|(place, at)| tables.position(*place) == *at)
            && self.believed.iter().all(read)
    }

    /// Reads a batch, or writes the one it has read: anything may happen between the two.
    ///
    /// # Errors
    /// If records disagree about their revision.
    pub fn step(&mut self, kafka: &Kafka, tables: &mut Tables, dice: &mut Dice, fault: Fault) -> Result<(), String> {
        match self.read.take() {
            None => {
                self.read = Some(self.batch(kafka, dice));
                Ok(())
            }
            Some((batch, ends)) => self.write(&batch, ends, tables, fault),
        }
    }

    fn batch(&self, kafka: &Kafka, dice: &mut Dice) -> (Vec<Value>, BTreeMap<Place, usize>) {
        let (mut batch, mut ends) = (Vec::new(), BTreeMap::new());
        let places: Vec<Place> = self.believed.keys().copied().collect();
        for _ in 0..1 + dice.below(3) {
            let Some(place) = dice.pick(&places) else { break };
            let from = ends.get(&place).copied().unwrap_or(self.believed[&place]);
            for (offset, value) in kafka.read(place, from).take(1 + dice.below(6)) {
                batch.push(value.clone());
                ends.insert(place, offset + 1);
            }
        }
        (batch, ends)
    }

    /// Writes a batch, unless the tables stand elsewhere by now: then somebody else has written it.
    fn write(
        &mut self,
        batch: &[Value],
        ends: BTreeMap<Place, usize>,
        tables: &mut Tables,
        fault: Fault,
    ) -> Result<(), String> {
        let stands = |place: &Place| tables.position(*place) == self.believed[place];
        let fenced = self.generation != tables.generation || !ends.keys().all(stands);
        if fenced && fault != Fault::Unfenced {
            self.forget();
            return Ok(());
        }
        write(batch, tables, fault)?;
        tables.positions.extend(&ends);
        self.believed.extend(ends);
        Ok(())
    }
}

fn write(batch: &[Value], tables: &mut Tables, fault: Fault) -> Result<(), String> {
    let notes = batch.iter().map(|value| match value {
        Value::Row { key, revision, ordinal, count, .. } => {
            Some(Note::Row { at: day_key(key), revision: *revision, ordinal: *ordinal, count: *count })
        }
        Value::Outcome { key, revision, outcome: Outcome::Allocated, rows } => {
            Some(Note::Closed { at: day_key(key), revision: *revision, count: *rows })
        }
        _ => None,
    });
    let noted: Vec<(Note, &Value)> = notes.zip(batch).filter_map(|(note, value)| Some((note?, value))).collect();
    let notes: Vec<Note> = noted.iter().map(|(note, _)| *note).collect();
    let days: BTreeSet<DayKey> = notes.iter().map(|note| at(note).0).collect();
    let known = days.into_iter().map(|at| {
        let mut day = tables.slices.get(&at).cloned().unwrap_or_default();
        if fault != Fault::Remembers {
            // As if the last revision that was forgotten were whole.
            day.complete = day.complete.max(tables.forgotten.get(&at.tenant).copied());
        }
        (at, day)
    });
    let planned = plan(&notes, known.collect(), Replaced::Dropped);
    for ((note, value), verdict) in noted.iter().zip(&planned.verdicts) {
        match (verdict, value) {
            (Verdict::Keep, Value::Row { text, .. }) => {
                let (day, revision) = at(note);
                tables.months.insert(month_of(day.day));
                tables.rows.entry(day).or_default().push((revision, text.clone()));
            }
            (Verdict::Misfit { count, known }, _) => return Err(format!("{value:?}: {count} rows or {known}")),
            _ => {}
        }
    }
    planned.changes.into_iter().for_each(|change| tables.save(change));
    Ok(())
}

fn at(note: &Note) -> (DayKey, u32) {
    match note {
        Note::Row { at, revision, .. } | Note::Closed { at, revision, .. } => (*at, *revision),
    }
}
