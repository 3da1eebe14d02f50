//! Who pays for what: one rule for each cost type of the operator.
//!
//! In: cost types and identities as configured. Out: a [`RuleBook`]. Absent: algorithms.

use std::collections::BTreeMap;

use crate::domain::CostType as Kind;
use crate::domain::CostType::{Shared, Usage as Used};
use crate::domain::rule::{Product, RULES_VERSION, Resolver, Rule, RuleBook, Split as Over, Tier, Usage};
use crate::domain::usage::metric_of_product;
use crate::ecosystem::metered::people::PRINCIPAL;

use super::{CostType, Settings, Split};

/// The metric that says who there is.
pub const DISCOVERY: &str = "discovery";

/// The rules. Even splits fall on everybody who was seen under the identities' own label, and on those the operator named.
pub fn rule_book(settings: &Settings) -> RuleBook {
    let seen = who_is_seen(settings);
    let products = settings
        .cost_types
        .iter()
        .map(|cost_type| (cost_type.cost.product_type.clone(), product(cost_type, &seen, &everybody(settings))));
    let nobody = vec![nobody()];
    RuleBook {
        version: RULES_VERSION,
        products: products.collect(),
        otherwise: generic(Vec::new(), nobody),
        owner_types: vec![PRINCIPAL.to_owned()],
        identities: BTreeMap::new(),
        interval_rule: Vec::new(),
        topics: None,
    }
}

/// The metrics whose subjects are identities.
fn who_is_seen(settings: &Settings) -> Vec<String> {
    if !settings.people.origin.asks() {
        return Vec::new();
    }
    let own_label = settings.cost_types.iter().filter(|cost_type| match &cost_type.split {
        Split::Even => false,
        Split::ByUsage { label, .. } => *label == settings.label,
    });
    let used = own_label.map(|cost_type| metric_of_product(&cost_type.cost.product_type));
    std::iter::once(DISCOVERY.to_owned()).chain(used).collect()
}

/// Everybody there is, as far as the operator wants them looked for or named them; `None` if neither.
fn everybody(settings: &Settings) -> Option<Over> {
    let (active, identities) = (settings.people.origin.asks(), settings.people.fixed_ids());
    (active || !identities.is_empty()).then_some(Over::EvenAmong { active, identities })
}

fn product(cost_type: &CostType, seen: &[String], everybody: &Option<Over>) -> Product {
    let even = |detail: &str| everybody.clone().map(|all| tier(all, "even_split", Some(detail), Shared));
    let mut metrics = seen.to_vec();
    let tiers = match &cost_type.split {
        Split::Even => even("even_split_allocation").into_iter().chain([nobody()]).collect(),
        Split::ByUsage { .. } => {
            let metric = metric_of_product(&cost_type.cost.product_type);
            if !metrics.contains(&metric) {
                metrics.push(metric.clone());
            }
            let usage = Over::ByUsage(Usage::Metrics(vec![metric]));
            let first = tier(usage, "usage_ratio", Some("usage_ratio_allocation"), Used);
            std::iter::once(first).chain(even("no_metrics_located")).chain([nobody()]).collect()
        }
    };
    generic(metrics, tiers)
}

fn generic(metrics: Vec<String>, tiers: Vec<Tier>) -> Product {
    let (service, resolver) = ("generic".to_owned(), Resolver::KeysAndPrincipals);
    Product { service, resolver, metrics, rule: Rule::FirstThatFits(tiers) }
}

fn nobody() -> Tier {
    tier(Over::Unallocated, "terminal", Some("no_identities_located"), Shared)
}

fn tier(split: Over, method: &str, detail: Option<&str>, cost_type: Kind) -> Tier {
    Tier { split, method: method.to_owned(), detail: detail.map(str::to_owned), cost_type }
}
