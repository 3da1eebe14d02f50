//! Usage by topic: what is asked for, what a failure is called, and which topics there were.
//!
//! In: lines, rules, a day's usage, remembered entities. Out: needs; topics as entities with the days they were seen.
//! Absent: how usage is split (`allocate::topics`).
//!
//! Nobody lists topics: a topic is known from the first day that has usage of it until a day that has usage of its
//! cluster but none of it. A day without any usage of the cluster, as in an outage of the metrics, says nothing about
//! topics: those known before count on it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::attribution::{TOPIC, topic_id, topics_of};
use crate::domain::{
    BillingLine, Day, EntityKind, GatheredEntity, Lifetime, MetricValue, RuleBook, Subject, TopicRules,
};
use crate::ecosystem::UsageNeed;

use super::facts::Fact;
use super::inventory::Entities;
use super::memory::Change;

/// The usage by topic that the rules ask for: of each cluster with a line that is broken down.
pub fn needs(lines: &[BillingLine], rules: &RuleBook) -> Vec<UsageNeed> {
    let Some(rules) = &rules.topics else { return Vec::new() };
    let mut metrics = rules.metrics.clone();
    metrics.sort_unstable();
    let need = |id: &str| UsageNeed { resource_id: id.to_owned(), metrics: metrics.clone() };
    clusters(lines, rules).into_iter().map(need).collect()
}

/// What memory and seal call the usage that a need asks for, if it could not be fetched.
pub fn missing(need: &UsageNeed, rules: &RuleBook) -> String {
    let by_topic = |rules: &TopicRules| need.metrics.iter().any(|metric| rules.metrics.contains(metric));
    match &rules.topics {
        Some(rules) if by_topic(rules) => topics_of(&need.resource_id),
        _ => need.resource_id.clone(),
    }
}

/// What a day's usage changes in what is remembered of topics.
pub fn observe(entities: &Entities, day: Day, values: &[MetricValue]) -> Vec<Change> {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for value in values.iter().filter(|value| value.subject_type == Subject::Topic && !value.subject.is_empty()) {
        seen.entry(&value.resource_id).or_default().insert(&value.subject);
    }
    let mut changes = Vec::new();
    for (cluster, names) in &seen {
        for name in names {
            let before = entities.get(&(EntityKind::Resource, topic_id(cluster, name)));
            let lifetimes = with(before.map_or(&[], |before| &before.lifetimes), day);
            if before.is_none_or(|before| before.lifetimes != lifetimes) {
                changes.push(Change::Entity(topic(cluster, name, before, lifetimes)));
            }
        }
        let unseen = known_in(entities, cluster).filter(|topic| !names.contains(name_of(topic)));
        for topic in unseen {
            match without(&topic.lifetimes, day) {
                none if none.is_empty() => changes.push(Change::Forget(topic.kind, topic.id.clone())),
                lifetimes if lifetimes != topic.lifetimes => {
                    changes.push(Change::Entity(GatheredEntity { lifetimes, ..topic.clone() }));
                }
                _ => {}
            }
        }
    }
    changes
}

/// The topics that a day knows in the clusters of its bill, once `changes` are remembered; in the order of their ids.
pub fn known<'a>(
    entities: &'a Entities,
    changes: &'a [Change],
    day: Day,
    lines: &[BillingLine],
    rules: &RuleBook,
) -> Vec<Fact<'a>> {
    let Some(rules) = &rules.topics else { return Vec::new() };
    let mut topics: BTreeMap<&str, &GatheredEntity> = BTreeMap::new();
    let clusters = clusters(lines, rules);
    for cluster in &clusters {
        topics.extend(known_in(entities, cluster).map(|topic| (topic.id.as_str(), topic)));
    }
    for change in changes {
        match change {
            Change::Entity(topic) if topic.parent_id.as_deref().is_some_and(|id| clusters.contains(id)) => {
                topics.insert(&topic.id, topic);
            }
            Change::Forget(_, id) => drop(topics.remove(id.as_str())),
            _ => {}
        }
    }
    let of_day = topics.into_values().filter_map(|entity| {
        let lifetime = entity.lifetimes.iter().rev().find(|lifetime| lifetime.overlaps(day))?;
        Some(Fact { entity, lifetime: *lifetime })
    });
    of_day.collect()
}

/// The topics of clusters that are forgotten are forgotten with them.
pub fn orphaned(entities: &Entities, forgotten: &[(EntityKind, String)]) -> Vec<Change> {
    let clusters = forgotten.iter().filter(|(kind, _)| *kind == EntityKind::Resource);
    let topics = clusters.flat_map(|(_, id)| known_in(entities, id));
    topics.map(|topic| Change::Forget(topic.kind, topic.id.clone())).collect()
}

/// Clusters with a line that is broken down to topics.
fn clusters<'a>(lines: &'a [BillingLine], rules: &TopicRules) -> BTreeSet<&'a str> {
    let covered = lines.iter().filter(|line| rules.covers(&line.resource_id, &line.product_type));
    covered.map(|line| line.resource_id.as_str()).collect()
}

/// The remembered topics of a cluster.
fn known_in<'a>(entities: &'a Entities, cluster: &str) -> impl Iterator<Item = &'a GatheredEntity> {
    let prefix = topic_id(cluster, "");
    let from = (EntityKind::Resource, prefix.clone());
    let all = entities
        .range(from..)
        .take_while(move |((kind, id), _)| *kind == EntityKind::Resource && id.starts_with(&prefix));
    all.map(|(_, entity)| entity).filter(|entity| entity.entity_type == TOPIC)
}

fn name_of(topic: &GatheredEntity) -> &str {
    topic.display_name.as_deref().unwrap_or_default()
}

fn topic(cluster: &str, name: &str, before: Option<&GatheredEntity>, lifetimes: Vec<Lifetime>) -> GatheredEntity {
    GatheredEntity {
        kind: EntityKind::Resource,
        id: topic_id(cluster, name),
        entity_type: TOPIC.to_owned(),
        display_name: Some(name.to_owned()),
        parent_id: Some(cluster.to_owned()),
        owner_id: before.and_then(|before| before.owner_id.clone()),
        resource_id: None,
        attributes: before.map(|before| before.attributes.clone()).unwrap_or_default(),
        lifetimes,
    }
}

/// The last moment before a day, at which a topic that is not seen on the day ended.
fn eve(day: Day) -> DateTime<Utc> {
    day.start() - TimeDelta::microseconds(1)
}

/// Lifetimes that contain the day: it prolongs the one that ended just before, or begins one. The last stays open
/// until a later day shows that the topic is gone.
fn with(lifetimes: &[Lifetime], day: Day) -> Vec<Lifetime> {
    let mut lifetimes = lifetimes.to_vec();
    if lifetimes.iter().any(|lifetime| lifetime.overlaps(day)) {
        return lifetimes;
    }
    let later = lifetimes.iter().any(|lifetime| lifetime.created_at.is_some_and(|created| created >= day.end()));
    let deleted_at = later.then(|| eve(day.plus(1)));
    match lifetimes.iter_mut().find(|lifetime| lifetime.deleted_at == Some(eve(day))) {
        Some(before) => before.deleted_at = deleted_at,
        None => lifetimes.push(Lifetime { created_at: Some(day.start()), deleted_at }),
    }
    lifetimes.sort_by_key(|lifetime| lifetime.created_at);
    lifetimes
}

/// Lifetimes that do not contain the day.
fn without(lifetimes: &[Lifetime], day: Day) -> Vec<Lifetime> {
    let mut left = Vec::with_capacity(lifetimes.len());
    for lifetime in lifetimes {
        if !lifetime.overlaps(day) {
            left.push(*lifetime);
            continue;
        }
        if lifetime.created_at.is_none_or(|created| created < day.start()) {
            left.push(Lifetime { deleted_at: Some(eve(day)), ..*lifetime });
        }
        if lifetime.deleted_at.is_some_and(|deleted| deleted >= day.end()) {
            left.push(Lifetime { created_at: Some(day.end()), ..*lifetime });
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{day, line, usage};
    use super::*;
    use crate::domain::attribution::WithoutUsage;
    use crate::ecosystem::confluent_cloud::rules::rule_book;
    use crate::ecosystem::confluent_cloud::topics::topic_rules;
    use crate::ecosystem::topics::{Choices, Method};

    fn rules() -> RuleBook {
        let methods = BTreeMap::from([("KAFKA_BASE".to_owned(), Method::Disabled)]);
        let topics = Choices { methods, excluded: vec![], without_usage: WithoutUsage::EvenSplit };
        RuleBook { topics: Some(topic_rules(&topics)), ..rule_book("0.7", "0.3") }
    }

    fn on(n: u64) -> Day {
        day("2026-02-01").plus(n)
    }

    /// Observes the topics of `lkc-1` on a day, and gives back which of them the day knows.
    fn look(entities: &mut Entities, n: u64, names: &[&str]) -> Vec<String> {
        let topic =
            |name: &&str| MetricValue { subject_type: Subject::Topic, ..usage("lkc-1", "topic_bytes_in", name, 0.0) };
        let values: Vec<MetricValue> = names.iter().map(topic).collect();
        let changes = observe(entities, on(n), &values);
        let lines = [line("lkc-1", "KAFKA_STORAGE", "1")];
        let known = known(entities, &changes, on(n), &lines, &rules());
        let known = known.iter().map(|fact| name_of(fact.entity).to_owned()).collect();
        for change in changes {
            match change {
                Change::Entity(entity) => drop(entities.insert((entity.kind, entity.id.clone()), entity)),
                Change::Forget(kind, id) => drop(entities.remove(&(kind, id))),
                other => panic!("{other:?}"),
            }
        }
        known
    }

    #[test]
    fn a_topic_is_known_while_it_is_seen_and_over_a_hole() {
        let mut entities = Entities::new();
        assert_eq!(look(&mut entities, 0, &[]), [""; 0]);
        assert_eq!(look(&mut entities, 1, &["a", "b"]), ["a", "b"]);
        assert_eq!(look(&mut entities, 2, &[]), ["a", "b"], "nothing was measured");
        assert_eq!(look(&mut entities, 3, &["b", "c"]), ["b", "c"]);
        assert_eq!(look(&mut entities, 4, &[]), ["b", "c"]);
        assert_eq!(look(&mut entities, 5, &["a", "c"]), ["a", "c"]);
        let a = &entities[&(EntityKind::Resource, topic_id("lkc-1", "a"))];
        let seen: Vec<_> = a.lifetimes.iter().map(|l| (l.created_at, l.deleted_at)).collect();
        assert_eq!(seen, [(Some(on(1).start()), Some(eve(on(3)))), (Some(on(5).start()), None)]);
    }

    #[test]
    fn asking_again_changes_nothing_that_is_as_it_was() {
        let mut entities = Entities::new();
        let days: [&[&str]; 4] = [&["a", "b"], &["b"], &["a"], &["a", "b"]];
        for (n, names) in (0..).zip(days) {
            look(&mut entities, n, names);
        }
        let once = entities.clone();
        for (n, names) in (0..).zip(days) {
            assert_eq!(look(&mut entities, n, names), names.to_vec());
        }
        assert_eq!(entities, once);
    }

    #[test]
    fn each_cluster_with_a_line_that_is_broken_down_is_asked_for_all_metrics() {
        let lines = [
            line("lkc-1", "KAFKA_STORAGE", "1"),
            line("lkc-1", "KAFKA_PARTITION", "1"),
            line("lkc-2", "KAFKA_BASE", "1"),
            line("lsrc-1", "KAFKA_STORAGE", "1"),
            line("unresolved:KAFKA/KAFKA_STORAGE", "KAFKA_STORAGE", "1"),
        ];
        let asked = needs(&lines, &rules());
        assert_eq!(asked.len(), 1);
        assert_eq!((asked[0].resource_id.as_str(), asked[0].metrics.len()), ("lkc-1", 3));
        assert_eq!(missing(&asked[0], &rules()), "lkc-1:topic:*");
        let of_principals = UsageNeed { resource_id: "lkc-1".into(), metrics: vec!["bytes_in".into()] };
        assert_eq!(missing(&of_principals, &rules()), "lkc-1");
        assert_eq!(needs(&lines, &rule_book("0.7", "0.3")), []);
    }

    #[test]
    fn topics_go_with_their_cluster() {
        let mut entities = Entities::new();
        look(&mut entities, 0, &["a"]);
        assert_eq!(orphaned(&entities, &[(EntityKind::Resource, "lkc-2".into())]), []);
        let gone = orphaned(&entities, &[(EntityKind::Resource, "lkc-1".into())]);
        assert_eq!(gone, [Change::Forget(EntityKind::Resource, "lkc-1:topic:a".into())]);
    }

    proptest! {
        #[test]
        fn a_day_has_what_it_was_given_last(steps in proptest::collection::vec((0_u64..6, any::<bool>()), 0..20)) {
            let (mut lifetimes, mut last) = (Vec::new(), BTreeMap::new());
            for (n, seen) in steps {
                lifetimes = if seen { with(&lifetimes, on(n)) } else { without(&lifetimes, on(n)) };
                last.insert(n, seen);
                prop_assert_eq!(lifetimes.iter().any(|lifetime| lifetime.overlaps(on(n))), seen);
            }
            prop_assert!(lifetimes.windows(2).all(|pair| pair[0].deleted_at < pair[1].created_at));
        }
    }
}
