//! What exists, and from when to when: memory and a new listing make the next memory.
//!
//! In: remembered entities, what the source listed, the moment. Out: the entities and listing counters that
//! changed. Absent: clocks, topics, days.
//!
//! * Providers list only what lives now. An entity missing from a *complete* listing of its type is deleted,
//!   at the moment we notice; one missing from a failed listing says nothing.
//! * No `created_at` means "always existed".
//! * An entity that comes back with a later `created_at` has a new lifetime beside the old one. With the same
//!   or no `created_at` the provider says that it never went away, so the deletion was the listing's error
//!   and is taken back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::domain::{EntityKind, GatheredEntity, GatheredListing, Identity, Lifetime, Resource};
use crate::ecosystem::{Inventory, Listing, SourceError};

/// All entities ever seen, as far as any due day may still need them.
pub type Entities = BTreeMap<(EntityKind, String), GatheredEntity>;
/// Per resource or identity type: how its last complete listings went.
pub type Listings = BTreeMap<String, GatheredListing>;

/// What a look at the world changes in memory.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// New or changed, in key order.
    pub entities: Vec<GatheredEntity>,
    /// Gone before anything that can still be due.
    pub forgotten: Vec<(EntityKind, String)>,
    /// Of every type whose listing is complete.
    pub listings: Vec<GatheredListing>,
}

/// The rules by which entities vanish.
#[derive(Debug, Clone, Copy)]
pub struct Deletion {
    /// When it is noticed.
    pub now: DateTime<Utc>,
    /// Entities that ended before this moment are forgotten.
    pub horizon: DateTime<Utc>,
    /// Complete but empty listings in a row that it takes to delete a whole type; below 0: never.
    pub threshold: i32,
}

/// What was listed, and why it is incomplete, if it is: the failed listings with their reasons.
pub fn judge(listed: Result<Inventory, SourceError>) -> (Inventory, Option<String>) {
    let seen = match listed {
        Ok(seen) => seen,
        Err(why) => return (Inventory::default(), Some(format!("inventory incomplete: {why}"))),
    };
    let failure = |listing: &Listing| listing.outcome.as_ref().err().map(|why| format!("{}: {why}", listing.name));
    let failed: Vec<String> = seen.listings.iter().filter_map(failure).collect();
    let incomplete = (!failed.is_empty()).then(|| format!("inventory incomplete: {}", failed.join("; ")));
    (seen, incomplete)
}

/// What the new listing changes.
pub fn observe(entities: &Entities, listings: &Listings, seen: &Inventory, deletion: Deletion) -> Changes {
    let drafts = seen.resources.iter().map(of_resource).chain(seen.identities.iter().map(of_identity));
    let seen_now: Entities = drafts.map(|entity| ((entity.kind, entity.id.clone()), entity)).collect();
    let types = complete_types(&seen.listings);
    let counters: Listings = types.iter().map(|name| count(name, entities, listings, &seen_now, deletion)).collect();
    let mut changes = Changes::default();
    let keys: BTreeSet<_> = entities.keys().chain(seen_now.keys()).collect();
    for key in keys {
        let before = entities.get(key);
        let after = match (before, seen_now.get(key)) {
            (before, Some(draft)) => seen_again(before, draft),
            (Some(before), None) if is_gone(before, &counters, deletion) => ended(before, deletion.now),
            (Some(before), None) => before.clone(),
            (None, None) => continue,
        };
        match within(after, deletion.horizon) {
            None if before.is_some() => changes.forgotten.push(key.clone()),
            Some(after) if before != Some(&after) => changes.entities.push(after),
            _ => {}
        }
    }
    changes.listings = counters.into_values().map(|counter| settle(counter, deletion.threshold)).collect();
    changes
}

/// The types for which absence means something: every family that covers them answered completely.
fn complete_types(listings: &[Listing]) -> BTreeSet<&str> {
    let named = |complete: bool| {
        let families = listings.iter().filter(move |listing| listing.outcome.is_ok() == complete);
        families.flat_map(|listing| listing.types.iter().map(String::as_str))
    };
    let failed: BTreeSet<&str> = named(false).collect();
    named(true).filter(|name| !failed.contains(name)).collect()
}

/// Counts a complete listing: one more empty one, or a new start.
fn count(
    name: &str,
    entities: &Entities,
    listings: &Listings,
    seen: &Entities,
    deletion: Deletion,
) -> (String, GatheredListing) {
    let lives = |all: &Entities| all.values().any(|e| e.entity_type == name && is_alive(e));
    let empty = !lives(seen) && lives(entities);
    let before = listings.get(name).map_or(0, |listing| listing.empty_in_a_row);
    let empty_in_a_row = if empty { before.saturating_add(1) } else { 0 };
    let counter = GatheredListing { name: name.to_owned(), empty_in_a_row, last_complete_at: deletion.now };
    (name.to_owned(), counter)
}

/// A whole type was just deleted: the next empty listings are no surprise.
fn settle(counter: GatheredListing, threshold: i32) -> GatheredListing {
    let empty_in_a_row = if reached(&counter, threshold) { 0 } else { counter.empty_in_a_row };
    GatheredListing { empty_in_a_row, ..counter }
}

fn reached(counter: &GatheredListing, threshold: i32) -> bool {
    u32::try_from(threshold).is_ok_and(|threshold| counter.empty_in_a_row >= threshold.max(1))
}

fn is_gone(entity: &GatheredEntity, counters: &Listings, deletion: Deletion) -> bool {
    let counter = counters.get(&entity.entity_type).filter(|_| is_alive(entity));
    counter.is_some_and(|counter| counter.empty_in_a_row == 0 || reached(counter, deletion.threshold))
}

fn is_alive(entity: &GatheredEntity) -> bool {
    entity.lifetimes.last().is_none_or(|lifetime| lifetime.deleted_at.is_none())
}

fn ended(entity: &GatheredEntity, now: DateTime<Utc>) -> GatheredEntity {
    let mut ended = entity.clone();
    if let Some(last) = ended.lifetimes.last_mut() {
        // Never before its own beginning, whatever the two clocks say.
        last.deleted_at = Some(last.created_at.map_or(now, |created| created.max(now)));
    }
    ended
}

/// The listing's description with the remembered lifetimes carried on.
fn seen_again(before: Option<&GatheredEntity>, draft: &GatheredEntity) -> GatheredEntity {
    let listed = draft.lifetimes.first().and_then(|lifetime| lifetime.created_at);
    let lifetimes = carry_on(before.map_or(&[], |before| &before.lifetimes), listed);
    GatheredEntity { lifetimes, ..draft.clone() }
}

/// The lifetimes of something that is listed now with `created_at`.
fn carry_on(lifetimes: &[Lifetime], created_at: Option<DateTime<Utc>>) -> Vec<Lifetime> {
    let open = |created_at| Lifetime { created_at, deleted_at: None };
    let Some((last, earlier)) = lifetimes.split_last() else { return vec![open(created_at)] };
    let renewed = match (created_at, last.created_at, last.deleted_at) {
        // Deleted and created again; we may not have looked in between.
        (Some(now), Some(then), _) => now > then,
        (Some(now), None, Some(deleted)) => now > deleted,
        _ => false,
    };
    let mut lifetimes = earlier.to_vec();
    if renewed {
        let deleted_at = [last.deleted_at, created_at].into_iter().flatten().min();
        lifetimes.push(Lifetime { deleted_at, ..*last });
        lifetimes.push(open(created_at));
    } else {
        // A provider that leaves `created_at` out this once does not make the entity older.
        lifetimes.push(open(created_at.or(last.created_at)));
    }
    lifetimes
}

/// Without the lifetimes that ended before the horizon; `None` if nothing is left.
fn within(mut entity: GatheredEntity, horizon: DateTime<Utc>) -> Option<GatheredEntity> {
    entity.lifetimes.retain(|lifetime| lifetime.deleted_at.is_none_or(|deleted| deleted >= horizon));
    (!entity.lifetimes.is_empty()).then_some(entity)
}

fn of_resource(resource: &Resource) -> GatheredEntity {
    GatheredEntity {
        kind: EntityKind::Resource,
        id: resource.resource_id.clone(),
        entity_type: resource.resource_type.clone(),
        display_name: resource.display_name.clone(),
        parent_id: resource.parent_id.clone(),
        owner_id: resource.owner_id.clone(),
        resource_id: None,
        attributes: resource.attributes.clone(),
        lifetimes: vec![Lifetime { created_at: resource.created_at, deleted_at: None }],
    }
}

fn of_identity(identity: &Identity) -> GatheredEntity {
    GatheredEntity {
        kind: EntityKind::Identity,
        id: identity.identity_id.clone(),
        entity_type: identity.identity_type.clone(),
        display_name: identity.display_name.clone(),
        parent_id: None,
        owner_id: identity.owner_id.clone(),
        resource_id: identity.resource_id.clone(),
        attributes: identity.attributes.clone(),
        lifetimes: vec![Lifetime { created_at: identity.created_at, deleted_at: None }],
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{account, at, entities, key, lifetime, listed, resource};
    use super::*;

    const NOW: &str = "2026-03-05T06:30:00Z";

    fn deletion(threshold: i32) -> Deletion {
        Deletion { now: at(NOW), horizon: at("2026-01-01T00:00:00Z"), threshold }
    }

    fn family(name: &str, types: &[&str], complete: bool) -> Listing {
        let outcome = if complete { Ok(()) } else { Err(SourceError::Unavailable("HTTP 500".into())) };
        Listing { name: name.into(), types: types.iter().map(|t| (*t).to_owned()).collect(), outcome }
    }

    fn saw(resources: Vec<Resource>, complete: bool) -> Inventory {
        Inventory { resources, identities: vec![], listings: vec![family("kafka", &["kafka_cluster"], complete)] }
    }

    /// The changed entities by id with their lifetimes.
    fn lifetimes(changes: &Changes) -> Vec<(&str, Vec<Lifetime>)> {
        changes.entities.iter().map(|entity| (entity.id.as_str(), entity.lifetimes.clone())).collect()
    }

    #[test]
    fn what_is_missing_from_a_complete_listing_is_deleted_now() {
        let before = entities([resource("a", [lifetime(None, None)]), resource("b", [lifetime(None, None)])]);
        let changes = observe(&before, &Listings::new(), &saw(vec![listed("a", None)], true), deletion(-1));
        assert_eq!(lifetimes(&changes), [("b", vec![lifetime(None, Some(NOW))])]);
    }

    #[test]
    fn a_failed_listing_adds_but_never_deletes() {
        let before = entities([resource("a", [lifetime(None, None)])]);
        let changes = observe(&before, &Listings::new(), &saw(vec![listed("b", None)], false), deletion(1));
        assert_eq!(lifetimes(&changes), [("b", vec![lifetime(None, None)])]);
        assert_eq!(changes.listings, []);
    }

    #[test]
    fn a_type_is_complete_only_if_all_its_families_are() {
        let before = entities([resource("a", [lifetime(None, None)])]);
        let listings = vec![family("one", &["kafka_cluster"], true), family("two", &["kafka_cluster"], false)];
        let seen = Inventory { resources: vec![listed("b", None)], identities: vec![], listings };
        assert!(observe(&before, &Listings::new(), &seen, deletion(1)).entities.iter().all(|e| e.id == "b"));
        assert_eq!(judge(Ok(seen)).1.as_deref(), Some("inventory incomplete: two: HTTP 500"));
    }

    #[test]
    fn without_any_listing_nothing_changes_and_everything_is_incomplete() {
        let (seen, incomplete) = judge(Err(SourceError::Denied("HTTP 401".into())));
        assert_eq!(incomplete.as_deref(), Some("inventory incomplete: HTTP 401"));
        let before = entities([resource("a", [lifetime(None, None)])]);
        assert_eq!(observe(&before, &Listings::new(), &seen, deletion(1)), Changes::default());
    }

    #[test]
    fn types_that_no_listing_covers_live_on() {
        let mut other = resource("sys", [lifetime(None, None)]);
        other.entity_type = "system".into();
        let changes = observe(&entities([other]), &Listings::new(), &saw(vec![], true), deletion(1));
        assert_eq!(changes.entities, []);
    }

    /// Observes nothing, completely, `times` times in a row; says after which one everything was deleted.
    fn deleted_after(threshold: i32, times: u32) -> Option<u32> {
        let before = entities([resource("a", [lifetime(None, None)])]);
        let mut listings = Listings::new();
        (1..=times).find(|_| {
            let changes = observe(&before, &listings, &saw(vec![], true), deletion(threshold));
            listings = changes.listings.into_iter().map(|l| (l.name.clone(), l)).collect();
            !changes.entities.is_empty()
        })
    }

    #[test]
    fn an_empty_listing_deletes_only_when_it_repeats() {
        assert_eq!(deleted_after(-1, 9), None);
        assert_eq!(deleted_after(0, 9), Some(1));
        assert_eq!(deleted_after(1, 9), Some(1));
        assert_eq!(deleted_after(3, 9), Some(3));
    }

    #[test]
    fn one_full_listing_starts_the_count_anew() {
        let before = entities([resource("a", [lifetime(None, None)])]);
        let counted = GatheredListing { name: "kafka_cluster".into(), empty_in_a_row: 2, last_complete_at: at(NOW) };
        let listings = Listings::from([(counted.name.clone(), counted)]);
        let changes = observe(&before, &listings, &saw(vec![listed("a", None)], true), deletion(3));
        assert_eq!(changes.listings[0].empty_in_a_row, 0);
    }

    #[test]
    fn coming_back_keeps_both_lifetimes() {
        let old = lifetime(Some("2026-02-01T00:00:00Z"), Some("2026-02-10T00:00:00Z"));
        let before = entities([resource("a", [old])]);
        let seen = saw(vec![listed("a", Some("2026-02-20T00:00:00Z"))], true);
        let changes = observe(&before, &Listings::new(), &seen, deletion(-1));
        assert_eq!(lifetimes(&changes), [("a", vec![old, lifetime(Some("2026-02-20T00:00:00Z"), None)])]);
    }

    #[test]
    fn created_again_between_two_looks_ends_the_old_lifetime() {
        let before = entities([resource("a", [lifetime(Some("2026-02-01T00:00:00Z"), None)])]);
        let seen = saw(vec![listed("a", Some("2026-02-20T00:00:00Z"))], true);
        let changes = observe(&before, &Listings::new(), &seen, deletion(-1));
        let old = lifetime(Some("2026-02-01T00:00:00Z"), Some("2026-02-20T00:00:00Z"));
        assert_eq!(lifetimes(&changes), [("a", vec![old, lifetime(Some("2026-02-20T00:00:00Z"), None)])]);
    }

    #[test]
    fn coming_back_as_the_same_takes_the_deletion_back() {
        for created in [None, Some("2026-02-01T00:00:00Z")] {
            let before = entities([resource("a", [lifetime(created, Some("2026-02-10T00:00:00Z"))])]);
            let changes = observe(&before, &Listings::new(), &saw(vec![listed("a", created)], true), deletion(-1));
            assert_eq!(lifetimes(&changes), [("a", vec![lifetime(created, None)])]);
        }
    }

    #[test]
    fn a_creation_moment_is_learned_and_corrected_but_not_forgotten() {
        let after = |before: Option<&str>, now: Option<&str>| carry_on(&[lifetime(before, None)], now.map(at));
        let (early, late) = (Some("2026-02-01T00:00:00Z"), Some("2026-02-20T00:00:00Z"));
        assert_eq!(after(None, late), [lifetime(late, None)]);
        assert_eq!(after(late, early), [lifetime(early, None)]);
        assert_eq!(after(late, None), [lifetime(late, None)]);
    }

    #[test]
    fn what_ended_before_anything_due_is_forgotten() {
        let dead = lifetime(None, Some("2025-12-31T00:00:00Z"));
        let before = entities([key("K", "sa-1", "lkc-1", [dead]), resource("a", [lifetime(None, None)])]);
        let changes = observe(&before, &Listings::new(), &saw(vec![listed("a", None)], true), deletion(-1));
        assert_eq!(changes.forgotten, [(EntityKind::Identity, "K".to_owned())]);
        assert_eq!(changes.entities, []);
    }

    #[test]
    fn the_same_world_twice_changes_nothing() {
        let seen = || Inventory { identities: vec![account("sa-1")], ..saw(vec![listed("a", None)], true) };
        let first = observe(&Entities::new(), &Listings::new(), &seen(), deletion(-1));
        let remembered: Entities = first.entities.into_iter().map(|e| ((e.kind, e.id.clone()), e)).collect();
        assert_eq!(remembered.len(), 2);
        assert_eq!(observe(&remembered, &Listings::new(), &seen(), deletion(-1)).entities, []);
    }
}
