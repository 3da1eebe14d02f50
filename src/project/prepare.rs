//! Makes of the records of a batch what is to be written, while Postgres still works on the batch before.
//!
//! In: records. Out: the rows as `COPY` reads them, what each record says about itself, and what cannot be used. All keys
//! are known by then. Absent: positions, slices, verdicts, anything that two batches could disagree about.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use chrono::Datelike;

use super::batch::{Item, allocation, emission, item, seal};
use super::events::Latest;
use super::plan::Note;
use super::{Parts, ProjectError, events, gathering};
use crate::domain::{
    ApiToken, AuditEvent, BillingLine, Day, DayAllocated, DaySealed, Emission, GatheredDay, Identity, Quarantined,
    Resource, Run, TenantEvent, TopicAttributionRow,
};
use crate::journal::{Batch, DecodeError, Topic};
use crate::store::{
    CopyRows, DayKey, DimensionCache, DimensionOf, Fact, Fingerprint, Fingerprints, Projection, check_token,
};

/// A batch that waits to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub batch: Batch,
    pub content: Content,
    /// Records that cannot be used, by their place in the batch, and why.
    pub bad: Vec<(usize, String)>,
}

/// What the records of a batch came to.
#[derive(Debug)]
pub(super) enum Content {
    Rows(Rows),
    /// Seals and allocations with their tenants' keys.
    Days(Vec<(i32, DaySealed)>, Vec<(i32, DayAllocated)>),
    /// Entries, and the ids of those that are gone.
    Quarantine(Vec<Quarantined>, Vec<String>),
    /// Runs and remembered days with their tenants' keys; when a day's memory was written, in milliseconds.
    Gathering(Vec<(i32, Run)>, Vec<(i32, i64, GatheredDay)>),
    Tenants(Vec<TenantEvent>),
    /// What emitters did, with their tenants' keys, and the keys of records that are gone.
    Emissions(Vec<(i32, Emission)>, Vec<String>),
    /// What people changed, with the offset and the tenant's key of each event.
    Audit(Vec<(i64, Option<i32>, AuditEvent)>),
    Tokens(Latest<ApiToken>),
}

/// Rows of revisions.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// What the records say, those that say nothing left out.
    pub notes: Vec<Note>,
    /// The place in the batch of each note's record.
    pub places: Vec<u32>,
    /// One row for each note about a row.
    pub rows: CopyRows,
}

/// Knows the keys of what records name.
pub(super) struct Preparer {
    projection: Projection,
    parts: Parts,
    generation: i32,
    tenants: AHashMap<String, Tenant>,
    /// The tenant of the record before; records of a day follow each other.
    tenant: Option<(String, Tenant)>,
    months: AHashSet<(i32, u32)>,
    /// A day whose month is there.
    day: Option<Day>,
    dimensions: DimensionCache,
    fingerprints: Fingerprints,
}

/// A tenant as the tables know it.
#[derive(Debug, Clone, Copy, Default)]
struct Tenant {
    key: i32,
    /// Revisions up to this one were forgotten. Where that is out of date, the writer knows better.
    last_forgotten: u32,
}

impl Rows {
    fn note(&mut self, place: usize, note: Note) {
        self.notes.push(note);
        self.places.push(place as u32);
    }
}

impl Preparer {
    pub(super) fn new(projection: Projection, parts: Parts) -> Self {
        Self {
            projection,
            parts,
            generation: 0,
            tenants: AHashMap::new(),
            tenant: None,
            months: AHashSet::new(),
            day: None,
            dimensions: DimensionCache::default(),
            fingerprints: Fingerprints::default(),
        }
    }

    /// What was read from tables may not hold any more.
    pub(super) fn forget(&mut self) {
        self.tenants.clear();
        self.tenant = None;
        self.months.clear();
        self.day = None;
        self.dimensions.clear();
    }

    /// Keys of dimensions mean something within a generation of the projection only.
    pub(super) fn in_generation(&mut self, generation: i32) {
        if generation != self.generation {
            self.dimensions.clear();
            self.generation = generation;
        }
    }

    /// Reads a batch and looks up its keys, making those that are missing. May be asked again after an error.
    ///
    /// # Errors
    /// [`ProjectError`]; nothing of the batch is written then.
    pub(super) async fn prepare(&mut self, batch: &Batch) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
        self.parts.codec.learn_missing(batch.records().filter_map(|record| record.payload)).await?;
        let codec = Arc::clone(&self.parts.codec);
        match self.projection {
            Projection::Billing => self.rows(batch, |bytes| codec.decode::<BillingLine>(bytes)).await,
            Projection::Resources => self.rows(batch, |bytes| codec.decode::<Resource>(bytes)).await,
            Projection::Identities => self.rows(batch, |bytes| codec.decode::<Identity>(bytes)).await,
            Projection::Chargebacks => {
                let mut rows = codec.row_reader();
                self.rows(batch, |bytes| rows.read(bytes)).await
            }
            Projection::TopicAttributions => {
                self.rows(batch, |bytes| codec.decode::<TopicAttributionRow<'_>>(bytes)).await
            }
            Projection::Days => self.days(batch).await,
            Projection::Quarantine => Ok(self.quarantine(batch)),
            Projection::Gathering => self.gathering(batch).await,
            Projection::Tenants => Ok(self.events(batch)),
            Projection::Emissions => self.emissions(batch).await,
            Projection::Audit => self.audit(batch).await,
            Projection::Tokens => {
                let (tokens, bad) = events::latest(&self.parts.codec, batch, check_token);
                Ok((Content::Tokens(tokens), bad))
            }
        }
    }

    async fn rows<'a, F: Fact>(
        &mut self,
        batch: &'a Batch,
        mut decode: impl FnMut(&'a [u8]) -> Result<F, DecodeError>,
    ) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
        let (mut rows, mut bad, mut unknown) = (Rows::default(), Vec::new(), Vec::new());
        // One at a time and written at once: a batch of decoded records is several times the size of its bytes.
        for (place, record) in batch.records().enumerate() {
            match item(&self.parts.codec, record, &mut decode) {
                Item::Nothing => {}
                Item::Bad(reason) => bad.push((place, reason)),
                Item::Closed(tenant, day, revision, count) => {
                    let Tenant { key: tenant, last_forgotten } = self.tenant(&tenant).await?;
                    if revision > last_forgotten {
                        rows.note(place, Note::Closed { at: DayKey { tenant, day }, revision, count });
                    }
                }
                Item::Row(row) => {
                    let (tenant, day, revision, ordinal, count) = row.place();
                    let Tenant { key: tenant, last_forgotten } = self.tenant(tenant).await?;
                    if revision <= last_forgotten {
                        continue;
                    }
                    self.ensure_month(day).await?;
                    rows.note(place, Note::Row { at: DayKey { tenant, day }, revision, ordinal, count });
                    let fingerprint = row.dimension().map(|of| self.fingerprints.of(tenant, &of));
                    let key = fingerprint.and_then(|fingerprint| self.dimensions.get(&fingerprint));
                    row.write(tenant, key.unwrap_or_default(), &mut rows.rows);
                    if let (Some(fingerprint), None) = (fingerprint, key) {
                        unknown.push((rows.rows.last_key(), fingerprint, tenant, row));
                    }
                }
            }
        }
        let wanted = unknown.iter().filter_map(|(_, print, tenant, row)| Some((*print, *tenant, row.dimension()?)));
        let wanted: Vec<(Fingerprint, i32, DimensionOf<'_>)> = wanted.collect();
        self.parts.store.resolve_dimensions(&mut self.dimensions, self.generation, &wanted).await?;
        for (at, fingerprint, ..) in &unknown {
            rows.rows.set_key(*at, self.dimensions.get(fingerprint).unwrap_or_default());
        }
        Ok((Content::Rows(rows), bad))
    }

    /// A tenant's key, made if it is missing.
    async fn tenant(&mut self, name: &str) -> Result<Tenant, ProjectError> {
        if let Some((last, known)) = &self.tenant
            && last == name
        {
            return Ok(*known);
        }
        if !self.tenants.contains_key(name) {
            self.learn_tenants([name].into_iter()).await?;
        }
        let known = self.tenants.get(name).copied().unwrap_or_default();
        self.tenant = Some((name.to_owned(), known));
        Ok(known)
    }

    async fn learn_tenants(&mut self, tenants: impl Iterator<Item = &str>) -> Result<(), ProjectError> {
        let new: AHashSet<&str> = tenants.filter(|tenant| !self.tenants.contains_key(*tenant)).collect();
        if !new.is_empty() {
            let new: Vec<&str> = new.into_iter().collect();
            let found = self.parts.store.tenant_keys(&new).await?.into_iter();
            self.tenants.extend(found.map(|of| {
                let last_forgotten = u32::try_from(of.forgotten_revision).unwrap_or(0);
                (of.tenant_id, Tenant { key: of.tenant_key, last_forgotten })
            }));
        }
        Ok(())
    }

    async fn ensure_month(&mut self, day: Day) -> Result<(), ProjectError> {
        if self.day == Some(day) {
            return Ok(());
        }
        let month = (day.date().year(), day.date().month());
        if !self.months.contains(&month) {
            self.parts.store.ensure_month(self.projection, day).await?;
            self.months.insert(month);
        }
        self.day = Some(day);
        Ok(())
    }

    async fn days(&mut self, batch: &Batch) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
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
        let key = |tenant: &str| self.tenants.get(tenant).map(|of| of.key);
        let seals = seals.into_iter().filter_map(|seal| Some((key(&seal.tenant)?, seal)));
        let outcomes = outcomes.into_iter().filter_map(|done| Some((key(&done.tenant)?, done)));
        Ok((Content::Days(seals.collect(), outcomes.collect()), bad))
    }

    async fn emissions(&mut self, batch: &Batch) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
        let (mut found, mut gone, mut bad) = (Vec::<Emission>::new(), Vec::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else {
                // Forgotten with its tenant.
                let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                found.retain(|emission| emission.key() != key);
                gone.push(key);
                continue;
            };
            match emission(&self.parts.codec, payload) {
                Ok(emission) => found.push(emission),
                Err(reason) => bad.push((i, reason)),
            }
        }
        self.learn_tenants(found.iter().map(|emission| emission.tenant.as_str())).await?;
        let key = |tenant: &str| self.tenants.get(tenant).map(|of| of.key);
        let found = found.into_iter().filter_map(|emission| Some((key(&emission.tenant)?, emission)));
        Ok((Content::Emissions(found.collect(), gone), bad))
    }

    async fn audit(&mut self, batch: &Batch) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
        let (events, bad) = events::audit(&self.parts.codec, batch);
        self.learn_tenants(events.iter().filter_map(|(_, event)| event.tenant.as_deref())).await?;
        let key = |tenant: &str| self.tenants.get(tenant).map(|of| of.key);
        let events = events.into_iter().map(|(seq, event)| (seq, event.tenant.as_deref().and_then(key), event));
        Ok((Content::Audit(events.collect()), bad))
    }

    async fn gathering(&mut self, batch: &Batch) -> Result<(Content, Vec<(usize, String)>), ProjectError> {
        let (mut runs, mut days, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else {
                let gone = gathering::gone(record.key.unwrap_or_default());
                days.extend(gone.map(|(tenant, day)| (tenant, record.timestamp_ms, day)));
                continue;
            };
            let read = match record.topic {
                Topic::Runs => gathering::run(&self.parts.codec, payload).map(|run| runs.push(run)),
                _ => gathering::remembered(&self.parts.codec, payload).map(|day| {
                    days.extend(day.map(|(tenant, day)| (tenant, record.timestamp_ms, day)));
                }),
            };
            if let Err(reason) = read {
                bad.push((i, reason));
            }
        }
        let tenants = runs.iter().map(|run| run.tenant.as_str()).chain(days.iter().map(|(tenant, ..)| tenant.as_str()));
        self.learn_tenants(tenants).await?;
        let key = |tenant: &str| self.tenants.get(tenant).map(|tenant| tenant.key);
        let runs = runs.into_iter().filter_map(|run| Some((key(&run.tenant)?, run)));
        let days = days.into_iter().filter_map(|(tenant, written, day)| Some((key(&tenant)?, written, day)));
        Ok((Content::Gathering(runs.collect(), days.collect()), bad))
    }

    fn quarantine(&self, batch: &Batch) -> (Content, Vec<(usize, String)>) {
        let (mut entries, mut gone, mut bad) = (Vec::<Quarantined>::new(), Vec::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else {
                // Forgotten with its tenant.
                let id = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                entries.retain(|entry| entry.id != id);
                gone.push(id);
                continue;
            };
            match self.parts.codec.decode::<Quarantined>(payload) {
                Ok(entry) => entries.push(entry),
                Err(error) => bad.push((i, error.to_string())),
            }
        }
        (Content::Quarantine(entries, gone), bad)
    }

    fn events(&self, batch: &Batch) -> (Content, Vec<(usize, String)>) {
        let (mut events, mut bad) = (Vec::new(), Vec::new());
        for (i, record) in batch.records().enumerate() {
            let Some(payload) = record.payload else { continue };
            match self.parts.codec.decode::<TenantEvent>(payload) {
                Ok(event) => events.push(event),
                Err(error) => bad.push((i, error.to_string())),
            }
        }
        (Content::Tenants(events), bad)
    }
}
