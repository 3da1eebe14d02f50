//! One day of a cycle: from what was gathered to what is decided about, and to its revision.
//!
//! In: entities, the day's bill, answers of the metrics source, rules. Out: [`Content`], [`Answer`],
//! [`Revision`]. Absent: `async`, the decision itself ([`plan`](super::plan)).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::domain::attribution::TOPIC;
use crate::domain::billing::UNRESOLVED;
use crate::domain::{BillingLine, Day, GatheredDay, MetricValue, Reason, RuleBook};
use crate::ecosystem::{DayBill, SourceError, UsageNeed, UsageOf};

use super::digest;
use super::facts::{self, Fact, Stamp};
use super::inventory::Entities;
use super::memory::Change;
use super::plan::{Content, Usage, Why};
use super::seal::{self, Closing, Revision};
use super::topics;

/// What is the same for all days of a cycle.
#[derive(Debug)]
pub struct Cycle<'a> {
    pub tenant: &'a str,
    pub ecosystem: &'a str,
    pub now: DateTime<Utc>,
    pub rules: &'a RuleBook,
    /// The rule book as it travels in the seal.
    pub rules_json: String,
    /// Why the inventory cannot be trusted, if it cannot.
    pub incomplete: Option<String>,
    /// Id of a command that wants the cycle's days sealed again, changed or not.
    pub request: Option<String>,
}

/// A day that waits for its usage.
#[derive(Debug)]
pub struct Due {
    pub content: Content,
    pub bill: DayBill,
}

/// What the metrics source answered.
#[derive(Debug)]
pub struct Answer {
    pub values: Vec<MetricValue>,
    pub usage: Usage,
    /// The source refused our credentials: the operator's to mend, not the day's.
    pub denied: Option<String>,
}

/// What was gathered of a day; `bill` is `None` if the provider has no row for it.
pub fn content(entities: &Entities, day: Day, bill: Option<&DayBill>, cycle: &Cycle<'_>) -> Content {
    let lines = bill.map_or(&[][..], |bill| &bill.lines);
    let facts = inventory(entities, day, lines, cycle.rules);
    Content {
        day,
        bill_digest: digest::of_bill(lines),
        inventory_digest: digest::of_inventory(&facts, day, &cycle.rules_json),
        billing_lines: lines.len() as u32,
        billed: bill.is_some(),
        needs: [needs(lines, cycle.rules), topics::needs(lines, cycle.rules)].concat(),
    }
}

/// What the day sees of the inventory. Topics are not part of it where they are known by their usage.
fn inventory<'a>(entities: &'a Entities, day: Day, lines: &[BillingLine], rules: &RuleBook) -> Vec<Fact<'a>> {
    let mut facts = facts::of_day(entities, day, lines);
    if rules.topics.is_some() {
        facts.retain(|fact| fact.entity.entity_type != TOPIC);
    }
    facts
}

/// Each billed resource with the metrics that the rules of its product types ask for.
pub fn needs(lines: &[BillingLine], rules: &RuleBook) -> Vec<UsageNeed> {
    let mut metrics: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.resource_id.starts_with(UNRESOLVED)) {
        let product = rules.products.get(&line.product_type).unwrap_or(&rules.otherwise);
        metrics.entry(&line.resource_id).or_default().extend(product.metrics.iter().map(String::as_str));
    }
    let asked = metrics.into_iter().filter(|(_, metrics)| !metrics.is_empty());
    let need = |(resource_id, metrics): (&str, BTreeSet<&str>)| UsageNeed {
        resource_id: resource_id.to_owned(),
        metrics: metrics.into_iter().map(str::to_owned).collect(),
    };
    asked.map(need).collect()
}

/// Sorts the answers into values and failures.
pub fn answer(answers: Vec<UsageOf>, rules: &RuleBook) -> Answer {
    let (mut values, mut failed, mut denied) = (Vec::new(), BTreeMap::new(), None);
    for UsageOf { need, values: answer } in answers {
        match answer {
            Ok(of_resource) => values.extend(of_resource),
            Err(why) => {
                if matches!(why, SourceError::Denied(_)) {
                    denied.get_or_insert_with(|| format!("usage: {why}"));
                }
                failed.insert(topics::missing(&need, rules), why.to_string());
            }
        }
    }
    let digest = digest::of_usage(&values, failed.keys());
    let none = values.is_empty() && failed.is_empty();
    Answer { values, usage: Usage { digest, failed, none }, denied }
}

/// The revision that `memory` will be the memory of. `topics_seen` is what its usage changes in the memory of topics.
pub fn revision(
    entities: &Entities,
    topics_seen: &[Change],
    due: Due,
    answer: Answer,
    why: Why,
    memory: &GatheredDay,
    cycle: &Cycle<'_>,
) -> Revision {
    let stamp = Stamp { tenant: cycle.tenant, ecosystem: cycle.ecosystem, day: memory.day, revision: memory.revision };
    let lines = &due.bill.lines;
    let topics = topics::known(entities, topics_seen, memory.day, lines, cycle.rules);
    let content = due.content.digest();
    let mut digests = vec![content.as_str(), &answer.usage.digest];
    digests.extend(topics.iter().map(|fact| fact.entity.id.as_str()));
    let (reason, requested) = match why {
        Why::Changed(reason) => (reason, None),
        Why::Requested => (Reason::Usage, cycle.request.clone()),
    };
    let closing = Closing {
        reason,
        requested,
        digest: digest::combined(&digests),
        rules: cycle.rules_json.clone(),
        metrics_failed: memory.metrics_failed.clone(),
        quarantined: due.bill.bad.len() as u32,
        gathered_at: cycle.now,
    };
    let mut facts = inventory(entities, memory.day, lines, cycle.rules);
    facts.extend(topics);
    seal::revision(stamp, due.bill.lines, &facts, answer.values, closing)
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Limits, Verdict, after_usage};
    use super::super::testing::{at, day, entities, lifetime, line, resource, usage};
    use super::*;
    use crate::domain::CostType;
    use crate::domain::rule::{Product, Resolver, Rule, Split, Tier};

    fn rules() -> RuleBook {
        let tier = Tier { split: Split::Unallocated, method: String::new(), detail: None, cost_type: CostType::Shared };
        let product = |metrics: &[&str]| Product {
            service: "kafka".into(),
            resolver: Resolver::None,
            metrics: metrics.iter().map(|m| (*m).to_owned()).collect(),
            rule: Rule::FirstThatFits(vec![tier.clone()]),
        };
        let products = [("READ", product(&["out", "in"])), ("BASE", product(&["in"])), ("SUPPORT", product(&[]))];
        let products = products.map(|(name, product)| (name.to_owned(), product)).into();
        RuleBook {
            version: 1,
            products,
            otherwise: product(&[]),
            owner_types: vec![],
            identities: BTreeMap::new(),
            interval_rule: vec![],
            topics: None,
        }
    }

    fn need(resource_id: &str) -> UsageNeed {
        UsageNeed { resource_id: resource_id.into(), metrics: vec!["in".to_owned(), "out".to_owned()] }
    }

    #[test]
    fn needs_join_the_metrics_of_a_resource() {
        let lines = [
            line("lkc-1", "BASE", "1"),
            line("lkc-1", "READ", "1"),
            line("lkc-2", "SUPPORT", "1"),
            line("lkc-2", "UNHEARD_OF", "1"),
            line("unresolved:KAFKA/BASE", "BASE", "1"),
        ];
        assert_eq!(needs(&lines, &rules()), [need("lkc-1")]);
    }

    #[test]
    fn refused_credentials_are_told_apart_from_an_outage() {
        let failing = |why| answer(vec![UsageOf { need: need("lkc-1"), values: Err(why) }], &rules());
        let down = failing(SourceError::Unavailable("HTTP 503".into()));
        assert_eq!((down.usage.failed.len(), down.denied), (1, None));
        let denied = failing(SourceError::Denied("HTTP 401: check metrics.username".into()));
        assert_eq!(denied.denied.as_deref(), Some("usage: HTTP 401: check metrics.username"));
    }

    /// From a bill and an answer to a revision, as the worker does it.
    fn sealed(failing: bool) -> Revision {
        let rules = rules();
        let cycle = Cycle {
            tenant: "t",
            ecosystem: "e",
            now: at("2026-03-01T00:00:00Z"),
            rules_json: serde_json::to_string(&rules).unwrap(),
            rules: &rules,
            incomplete: None,
            request: None,
        };
        let all = entities([resource("lkc-1", [lifetime(None, None)])]);
        let bill = DayBill { lines: vec![line("lkc-1", "READ", "1.5")], ..DayBill::default() };
        let content = content(&all, day("2026-02-10"), Some(&bill), &cycle);
        let values = || vec![usage("lkc-1", "in", "sa-1", 2.0)];
        let values = if failing { Err(SourceError::Unavailable("HTTP 503".into())) } else { Ok(values()) };
        let answer = answer(vec![UsageOf { need: need("lkc-1"), values }], &rules);
        match after_usage(None, &content, &answer.usage, Limits { usage: 1, topics: 1 }, false, cycle.now) {
            Verdict::Seal { why, memory } => revision(&all, &[], Due { content, bill }, answer, why, &memory, &cycle),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_revision_has_all_that_its_seal_says() {
        let whole = sealed(false);
        assert_eq!(
            (whole.seal.revision, whole.seal.billing_lines, whole.seal.resources, whole.seal.metrics),
            (1, 1, 1, 1)
        );
        assert_eq!(serde_json::from_str::<RuleBook>(&whole.seal.rules).unwrap(), rules());
        assert_eq!(whole.seal.metrics_failed, [""; 0]);
        let without = sealed(true);
        assert_eq!((without.seal.metrics, without.seal.metrics_failed.as_slice()), (0, &["lkc-1".to_owned()][..]));
        assert_ne!(without.seal.digest, whole.seal.digest);
    }
}
