//! What gather remembers between cycles.
//!
//! In: topic `gather-state` once, from its beginning; then the changes of each committed transaction. Out: the
//! newest state of every day, entity and listing. Absent: decisions; memory follows the log, it never leads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Day, EntityKind, GatherState, GatheredDay, GatheredEntity, GatheredListing, GatheredTenant};
use crate::journal::{Codec, Connection, Topic, scan, tenant_events};

use super::GatherError;
use super::inventory::{Entities, Listings};
use super::window::Window;

/// The memory of one tenant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// Every day that was ever sealed or held.
    pub days: BTreeMap<Day, GatheredDay>,
    pub entities: Entities,
    pub listings: Listings,
    /// Ids of provider rows that are in quarantine already.
    pub bad_rows: BTreeSet<String>,
    /// How the tenant's cycles went; `None`: there was none.
    pub cycles: Option<GatheredTenant>,
    /// Revisions up to this one were given before the tenant was forgotten; 0: it never was.
    pub last_forgotten: u32,
}

/// One thing to remember, or to forget.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Day(GatheredDay),
    /// Nothing of the day is in the log any more.
    ForgetDay(Day),
    Entity(GatheredEntity),
    Forget(EntityKind, String),
    Listing(GatheredListing),
    BadRow(String),
    Cycles(GatheredTenant),
}

impl Memory {
    /// The memories of all tenants. Blocks until the topic's end.
    ///
    /// # Errors
    /// [`GatherError`] if the topic cannot be read, or holds a record that is not ours: without its memory a
    /// tenant would count its revisions from 1 again, and nobody would listen.
    pub fn load(connection: &Connection, codec: &Codec) -> Result<BTreeMap<String, Self>, GatherError> {
        let mut newest = Newest::default();
        let mut unreadable = BTreeMap::new();
        scan(connection, Topic::GatherState, None, |record| {
            let key = record.key.unwrap_or_default();
            // A later record under the same key, or a tombstone, takes its place.
            unreadable.remove(key);
            match record.payload.map(|payload| codec.decode(payload)) {
                None => newest.note(key, record.timestamp_ms, None),
                Some(Ok(state)) => newest.note(key, record.timestamp_ms, Some(state)),
                Some(Err(source)) => {
                    let (partition, offset) = (record.partition, record.offset);
                    unreadable.insert(key.to_vec(), GatherError::Unreadable { partition, offset, source });
                }
            }
        })?;
        if let Some((_, error)) = unreadable.pop_first() {
            return Err(error);
        }
        let mut memories = by_tenant(newest.0.into_values().filter_map(|(_, state)| state));
        for (tenant, event) in tenant_events(connection, codec)? {
            memories.entry(tenant).or_default().last_forgotten = event.last_revision;
        }
        Ok(memories)
    }

    /// What is not to be remembered any more of days beyond retention.
    ///
    /// Their revision is, for as long as the log may have records of it: a longer retention brings the day back, and a
    /// number that was given before would be taken for what it named then.
    pub fn outdated(&self, window: &Window) -> Vec<Change> {
        let number = |day: &GatheredDay| GatheredDay { revision: day.revision, ..GatheredDay::never_sealed(day.day) };
        let outdated = self.days.range(..window.oldest).map(|(_, day)| day).filter_map(|day| {
            if day.revision == 0 || day.day < window.forgotten {
                return Some(Change::ForgetDay(day.day));
            }
            let number = number(day);
            (*day != number).then_some(Change::Day(number))
        });
        outdated.collect()
    }

    /// Takes over what a committed transaction wrote.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Day(day) => drop(self.days.insert(day.day, day)),
            Change::ForgetDay(day) => drop(self.days.remove(&day)),
            Change::Entity(entity) => drop(self.entities.insert((entity.kind, entity.id.clone()), entity)),
            Change::Forget(kind, id) => drop(self.entities.remove(&(kind, id))),
            Change::Listing(listing) => drop(self.listings.insert(listing.name.clone(), listing)),
            Change::BadRow(id) => drop(self.bad_rows.insert(id)),
            Change::Cycles(cycles) => self.cycles = Some(cycles),
        }
    }

    /// The sealed days from `oldest` on with their newest revisions, in order.
    pub fn sealed_days(&self, oldest: Day) -> Vec<(Day, u32)> {
        let sealed = self.days.range(oldest..).map(|(_, day)| day).filter(|day| day.revision > 0);
        sealed.map(|day| (day.day, day.revision)).collect()
    }

    /// The days that wait to be sealed.
    pub fn held_days(&self) -> impl Iterator<Item = Day> {
        self.days.values().filter(|day| day.held.is_some()).map(|day| day.day)
    }
}

impl Change {
    /// The key in topic `gather-state`.
    pub fn key(&self, tenant: &str) -> String {
        let entity = |kind: EntityKind, id: &str| match kind {
            EntityKind::Resource => format!("{tenant}/resource/{id}"),
            EntityKind::Identity => format!("{tenant}/identity/{id}"),
        };
        match self {
            Self::Day(day) => format!("{tenant}/day/{}", day.day),
            Self::ForgetDay(day) => format!("{tenant}/day/{day}"),
            Self::Entity(of) => entity(of.kind, &of.id),
            Self::Forget(kind, id) => entity(*kind, id),
            Self::Listing(listing) => format!("{tenant}/listing/{}", listing.name),
            Self::BadRow(id) => format!("{tenant}/bad/{id}"),
            Self::Cycles(_) => format!("{tenant}/cycles/last"),
        }
    }

    /// The record in topic `gather-state`; `None` is a tombstone.
    pub fn record(&self, tenant: &str) -> Option<GatherState> {
        let empty = GatherState { tenant: tenant.to_owned(), ..GatherState::default() };
        match self.clone() {
            Self::Day(day) => Some(GatherState { day: Some(day), ..empty }),
            Self::Entity(entity) => Some(GatherState { entity: Some(entity), ..empty }),
            Self::Listing(listing) => Some(GatherState { listing: Some(listing), ..empty }),
            Self::BadRow(id) => Some(GatherState { bad_row: Some(id), ..empty }),
            Self::Cycles(cycles) => Some(GatherState { cycles: Some(cycles), ..empty }),
            Self::ForgetDay(..) | Self::Forget(..) => None,
        }
    }
}

/// The newest record of each key, with the moment it was written.
///
/// A partition is read in its order, several are not. After the topic was widened a key has records in two of them,
/// and the old one must not win: revisions would be numbered again from there, and nobody would listen.
#[derive(Default)]
struct Newest(BTreeMap<Vec<u8>, (i64, Option<GatherState>)>);

impl Newest {
    fn note(&mut self, key: &[u8], written_ms: i64, state: Option<GatherState>) {
        if self.0.get(key).is_none_or(|(known_ms, _)| *known_ms <= written_ms) {
            self.0.insert(key.to_vec(), (written_ms, state));
        }
    }
}

fn by_tenant(states: impl Iterator<Item = GatherState>) -> BTreeMap<String, Memory> {
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    for state in states {
        let memory = memories.entry(state.tenant).or_default();
        let parts = [
            state.day.map(Change::Day),
            state.entity.map(Change::Entity),
            state.listing.map(Change::Listing),
            state.bad_row.map(Change::BadRow),
            state.cycles.map(Change::Cycles),
        ];
        parts.into_iter().flatten().for_each(|change| memory.apply(change));
    }
    memories
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, day, key, lifetime, resource};
    use super::*;

    fn listing() -> GatheredListing {
        GatheredListing { name: "user".into(), empty_in_a_row: 1, last_complete_at: at("2026-03-01T00:00:00Z") }
    }

    #[test]
    fn what_is_written_is_what_is_remembered() {
        let alive = [lifetime(None, None)];
        let changes = [
            Change::Entity(resource("lkc-1", alive)),
            Change::Entity(key("lkc-1", "sa-1", "lkc-1", alive)),
            Change::Listing(listing()),
            Change::BadRow("ab".into()),
        ];
        let mut applied = Memory::default();
        changes.iter().cloned().for_each(|change| applied.apply(change));
        let read = by_tenant(changes.iter().filter_map(|change| change.record("t")));
        assert_eq!(read, BTreeMap::from([("t".to_owned(), applied)]));
        let keys: Vec<_> = changes.iter().map(|change| change.key("t")).collect();
        assert_eq!(keys, ["t/resource/lkc-1", "t/identity/lkc-1", "t/listing/user", "t/bad/ab"]);
    }

    #[test]
    fn forgetting_is_a_tombstone_under_the_same_key() {
        let forget = Change::Forget(EntityKind::Resource, "lkc-1".into());
        let known = Change::Entity(resource("lkc-1", [lifetime(None, None)]));
        assert_eq!((forget.key("t"), forget.record("t")), (known.key("t"), None));
        let mut memory = Memory::default();
        memory.apply(known);
        memory.apply(forget);
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn of_two_partitions_the_later_record_counts_whichever_is_read_first() {
        let written = |empty_in_a_row| {
            let change = Change::Listing(GatheredListing { empty_in_a_row, ..listing() });
            change.record("t")
        };
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]] {
            let mut newest = Newest::default();
            for i in order {
                newest.note(b"t/listing/user", 1000 + i64::from(i), written(i).filter(|_| i != 1));
            }
            let read = by_tenant(newest.0.into_values().filter_map(|(_, state)| state));
            assert_eq!(read["t"].listings["user"].empty_in_a_row, 2, "{order:?}");
        }
        let mut forgotten = Newest::default();
        forgotten.note(b"t/listing/user", 2000, None);
        forgotten.note(b"t/listing/user", 1000, written(0));
        assert!(forgotten.0.into_values().all(|(_, state)| state.is_none()));
    }

    #[test]
    fn beyond_retention_a_day_keeps_its_number_until_the_log_has_forgotten_it() {
        let window = Window::at(at("2026-03-01T00:00:00Z"), 10, 5, 20);
        let of = |text: &str, revision| GatheredDay {
            revision,
            bill_digest: "b".into(),
            held: Some("HTTP 500".into()),
            ..GatheredDay::never_sealed(day(text))
        };
        let mut memory = Memory::default();
        for of in [of("2023-01-01", 3), of("2026-02-01", 4), of("2026-02-02", 0), of("2026-02-09", 5)] {
            memory.apply(Change::Day(of));
        }
        let kept = GatheredDay { revision: 4, ..GatheredDay::never_sealed(day("2026-02-01")) };
        let (gone, never) = (Change::ForgetDay(day("2023-01-01")), Change::ForgetDay(day("2026-02-02")));
        let changes = memory.outdated(&window);
        assert_eq!(changes, [gone, Change::Day(kept), never]);
        changes.into_iter().for_each(|change| memory.apply(change));
        assert_eq!(memory.outdated(&window), []);
        assert_eq!(memory.days[&day("2026-02-09")], of("2026-02-09", 5), "within retention nothing changes");
    }

    #[test]
    fn a_held_day_is_not_a_sealed_one() {
        let oldest = day("2026-01-01");
        let mut memory = Memory::default();
        let mut of_day = GatheredDay::never_sealed(day("2026-02-10"));
        of_day.held = Some("HTTP 500".into());
        memory.apply(Change::Day(of_day.clone()));
        assert_eq!((memory.sealed_days(oldest), memory.held_days().count()), (vec![], 1));
        memory.apply(Change::Day(GatheredDay { revision: 2, held: None, ..of_day }));
        assert_eq!((memory.sealed_days(oldest), memory.held_days().count()), (vec![(day("2026-02-10"), 2)], 0));
        assert_eq!(memory.sealed_days(day("2026-02-11")), vec![]);
    }
}
