//! What of the inventory a day sees.
//!
//! In: remembered entities with their lifetimes, the ids a day's bill names. Out: the day's resources and
//! identities. Absent: what exists *now*, topics.
//!
//! A day sees what lived in it, and also what its bill names although it did not live then: a connector billed
//! after its deletion, the API key it uses that was rotated in later. Such a record says by its own
//! `created_at` and `deleted_at` that it did not live in the day, so it is found by id and by nothing else.

use std::collections::BTreeSet;

use crate::domain::{BillingLine, Day, EntityKind, GatheredEntity, Identity, Lifetime, Resource};

use super::inventory::Entities;

/// Attribute of a connector: the API key it works with.
const KEY_IN_USE: &str = "kafka_api_key";

/// One entity as a day sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fact<'a> {
    pub entity: &'a GatheredEntity,
    /// The newest lifetime that overlaps the day; without one, the newest.
    pub lifetime: Lifetime,
}

/// The entities that `day` sees, resources first, each kind in id order.
pub fn of_day<'a>(entities: &'a Entities, day: Day, lines: &[BillingLine]) -> Vec<Fact<'a>> {
    let named = named_by(entities, lines);
    let seen = entities.iter().filter_map(|(key, entity)| {
        let overlapping = entity.lifetimes.iter().rev().find(|lifetime| lifetime.overlaps(day));
        let lifetime = overlapping.or_else(|| named.contains(key).then(|| entity.lifetimes.last()).flatten())?;
        Some(Fact { entity, lifetime: *lifetime })
    });
    seen.collect()
}

/// The billed resources, and the API keys that these work with.
fn named_by(entities: &Entities, lines: &[BillingLine]) -> BTreeSet<(EntityKind, String)> {
    let billed = lines.iter().map(|line| (EntityKind::Resource, line.resource_id.clone()));
    let mut named: BTreeSet<(EntityKind, String)> = billed.collect();
    let in_use = named.iter().filter_map(|key| entities.get(key)?.attributes.get(KEY_IN_USE));
    let in_use: Vec<_> = in_use.map(|key| (EntityKind::Identity, key.clone())).collect();
    named.extend(in_use);
    named
}

/// Which revision of which day a record belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    pub tenant: &'a str,
    pub ecosystem: &'a str,
    pub day: Day,
    pub revision: u32,
}

/// The resources among the facts, in their order, numbered.
pub fn resources(facts: &[Fact<'_>], stamp: Stamp<'_>) -> Vec<Resource> {
    let kind: Vec<_> = facts.iter().filter(|fact| fact.entity.kind == EntityKind::Resource).collect();
    let count = kind.len() as u32;
    let numbered = kind.into_iter().zip(0..);
    numbered.map(|(fact, ordinal)| resource(fact, stamp, ordinal, count)).collect()
}

/// The identities among the facts, in their order, numbered.
pub fn identities(facts: &[Fact<'_>], stamp: Stamp<'_>) -> Vec<Identity> {
    let kind: Vec<_> = facts.iter().filter(|fact| fact.entity.kind == EntityKind::Identity).collect();
    let count = kind.len() as u32;
    let numbered = kind.into_iter().zip(0..);
    numbered.map(|(fact, ordinal)| identity(fact, stamp, ordinal, count)).collect()
}

fn resource(fact: &Fact<'_>, stamp: Stamp<'_>, ordinal: u32, count: u32) -> Resource {
    let entity = fact.entity.clone();
    Resource {
        tenant: stamp.tenant.to_owned(),
        day: stamp.day,
        revision: stamp.revision,
        ordinal,
        count,
        ecosystem: stamp.ecosystem.to_owned(),
        resource_id: entity.id,
        resource_type: entity.entity_type,
        display_name: entity.display_name,
        parent_id: entity.parent_id,
        owner_id: entity.owner_id,
        created_at: fact.lifetime.created_at,
        deleted_at: fact.lifetime.deleted_at,
        attributes: entity.attributes,
    }
}

fn identity(fact: &Fact<'_>, stamp: Stamp<'_>, ordinal: u32, count: u32) -> Identity {
    let entity = fact.entity.clone();
    Identity {
        tenant: stamp.tenant.to_owned(),
        day: stamp.day,
        revision: stamp.revision,
        ordinal,
        count,
        ecosystem: stamp.ecosystem.to_owned(),
        identity_id: entity.id,
        identity_type: entity.entity_type,
        display_name: entity.display_name,
        owner_id: entity.owner_id,
        resource_id: entity.resource_id,
        created_at: fact.lifetime.created_at,
        deleted_at: fact.lifetime.deleted_at,
        attributes: entity.attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, day, entities, key, lifetime, line, resource};
    use super::*;

    fn ids(facts: &[Fact<'_>]) -> Vec<String> {
        facts.iter().map(|fact| fact.entity.id.clone()).collect()
    }

    #[test]
    fn a_day_sees_what_lived_in_it() {
        let all = entities([
            resource("always", [lifetime(None, None)]),
            resource("later", [lifetime(Some("2026-02-11T00:00:00Z"), None)]),
            resource("before", [lifetime(None, Some("2026-02-09T23:59:59Z"))]),
            resource("until midnight", [lifetime(None, Some("2026-02-10T00:00:00Z"))]),
        ]);
        assert_eq!(ids(&of_day(&all, day("2026-02-10"), &[])), ["always", "until midnight"]);
    }

    #[test]
    fn of_several_lifetimes_it_sees_the_newest_that_overlaps() {
        let first = lifetime(Some("2026-01-01T00:00:00Z"), Some("2026-02-10T08:00:00Z"));
        let second = lifetime(Some("2026-02-12T00:00:00Z"), None);
        let all = entities([resource("twice", [first, second])]);
        let seen = |date| of_day(&all, day(date), &[]).first().map(|fact| fact.lifetime);
        assert_eq!(seen("2026-02-10"), Some(first));
        assert_eq!(seen("2026-02-11"), None);
        assert_eq!(seen("2026-02-12"), Some(second));
    }

    #[test]
    fn it_sees_what_its_bill_names_even_if_that_did_not_live_then() {
        let mut connector = resource("lcc-1", [lifetime(None, Some("2026-02-01T00:00:00Z"))]);
        connector.attributes.insert("kafka_api_key".into(), "KEY".into());
        let rotated = key("KEY", "sa-1", "lkc-1", [lifetime(Some("2026-03-01T00:00:00Z"), None)]);
        let all = entities([connector, rotated]);
        assert_eq!(ids(&of_day(&all, day("2026-02-10"), &[])), [""; 0]);
        let billed = [line("lcc-1", "CONNECT_CAPACITY", "1")];
        assert_eq!(ids(&of_day(&all, day("2026-02-10"), &billed)), ["lcc-1", "KEY"]);
    }

    #[test]
    fn records_carry_the_lifetime_and_their_place() {
        let created = lifetime(Some("2026-02-01T00:00:00Z"), Some("2026-03-01T00:00:00Z"));
        let all = entities([resource("a", [created]), resource("b", [created]), key("K", "sa-1", "a", [created])]);
        let stamp = Stamp { tenant: "t", ecosystem: "e", day: day("2026-02-10"), revision: 3 };
        let facts = of_day(&all, stamp.day, &[]);
        let resources = resources(&facts, stamp);
        let places: Vec<_> = resources.iter().map(|r| (r.resource_id.as_str(), r.ordinal, r.count)).collect();
        assert_eq!(places, [("a", 0, 2), ("b", 1, 2)]);
        assert_eq!(resources[0].deleted_at, Some(at("2026-03-01T00:00:00Z")));
        let identities = identities(&facts, stamp);
        assert_eq!((identities[0].owner_id.as_deref(), identities[0].count), (Some("sa-1"), 1));
    }
}
