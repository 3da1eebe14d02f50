//! `plugin_settings` of any system that a Prometheus measures.

use std::collections::BTreeSet;

use super::super::kind::{List, object};
use super::super::metered::{
    Aggregation, CostQuantity, CostSplit, CostType, GenericMetrics, IdentityOrigin, IdentitySource, Metered,
};
use super::super::number::{Int, Price};
use super::super::scalar::{Choice, quoted};
use super::super::section::{Inner, Section};
use super::super::suggest;
use super::super::text::{Name, Text};
use super::metered;
use super::rules::GENERIC_WORDS;
use crate::domain::promql::{Fold, sampling_of};
use crate::domain::rule::change::OTHERWISE;
use crate::domain::usage::metric_of_product;

pub(super) fn settings(s: &mut Section<'_>) -> GenericMetrics {
    let cluster_id = s.required("cluster_id", Name, "id of the system in bills and rows");
    let display_name = s.optional("display_name", Text, "name for people; default: the id");
    s.ignored("ecosystem_name", Text, "the ecosystem is always `generic_metrics_only`");
    let (identities, label, discovery_query) = s.section("identity_source", who, "who there is");
    let cost_types = s.required("cost_types", List(object(cost_type)), "what is billed, at least one");
    if cost_types.is_empty() && s.sound(&["cost_types"]) {
        s.fault("cost_types", "is empty: nothing would ever be billed", "add a cost type");
    }
    let mut seen = BTreeSet::new();
    for (at, cost) in cost_types.iter().enumerate() {
        if !seen.insert(cost.name.as_str()) && !cost.name.is_empty() {
            let problem = format!("{} is the name of another cost type too", quoted(&cost.name));
            s.fault_inside("cost_types", Inner::Item(at), problem, "give each its own; it becomes the product type");
        }
    }
    let metered = metered::metered(s, GENERIC_WORDS);
    if s.sound(&["cost_types", "allocator_overrides"]) {
        overrides_fit(s, &cost_types, &metered);
    }
    GenericMetrics {
        display_name: display_name.filter(|name| !name.is_empty()).unwrap_or_else(|| cluster_id.clone()),
        cluster_id,
        identities,
        label,
        discovery_query,
        cost_types,
        metered,
    }
}

/// Overrides are for cost types that there are, and split by the usage of those that have one: nothing else is measured.
fn overrides_fit(s: &Section<'_>, cost_types: &[CostType], metered: &Metered) {
    let by_usage = cost_types.iter().filter(|cost| cost.split != CostSplit::Even);
    let measured: Vec<String> = by_usage.map(|cost| metric_of_product(&cost.name)).collect();
    let measured: Vec<&str> = measured.iter().map(String::as_str).collect();
    for (product, split) in &metered.rules.changes.products {
        if product != OTHERWISE && !cost_types.iter().any(|cost| cost.name == *product) {
            s.warn(
                "allocator_overrides",
                format!("`{product}` is the name of no cost type, so nothing is split by it"),
            );
        }
        let stranger = split.metrics().find(|metric| !measured.contains(&metric.as_str()));
        let Some(stranger) = stranger else { continue };
        let remedy = match suggest::nearest(stranger, &measured) {
            Some(near) => format!("did you mean `{near}`?"),
            None if measured.is_empty() => "give a cost type `allocation_strategy: usage_ratio`".to_owned(),
            None => format!("use one of {}", suggest::list(&measured)),
        };
        let problem = format!("{} is no usage that a cost type measures", quoted(stranger));
        s.fault_inside("allocator_overrides", Inner::Key(product), problem, remedy);
    }
}

fn who(s: &mut Section<'_>) -> (IdentitySource, String, String) {
    let identities = metered::identities(s);
    let label = s.default("label", Name, "principal".into(), "label whose value is the identity's id");
    let query = s.optional("discovery_query", Text, "PromQL whose series have that label").unwrap_or_default();
    let asks = identities.origin != IdentityOrigin::Static;
    if asks && query.trim().is_empty() && s.sound(&["source", "discovery_query"]) {
        let remedy = "add a query such as `sum by (principal) (app_sessions)`, or set `source: static`";
        s.fault("discovery_query", "is missing: nobody knows who there is", remedy);
    }
    braces(s, "discovery_query", &query);
    (identities, label, query)
}

fn cost_type(s: &mut Section<'_>) -> CostType {
    let name = s.required("name", Name, "becomes the product type");
    let product_category = s.required("product_category", Name, "groups product types");
    let rate = s.required("rate", Price, "price of one unit");
    let quantity = s.required("cost_quantity", object(quantity), "how much of it a day has");
    let even = Choice(&[("even_split", true), ("usage_ratio", false)]);
    let even = s.required("allocation_strategy", even, "`even_split` or `usage_ratio`");
    let known = s.sound(&["allocation_strategy"]);
    let query = s.optional("allocation_query", Text, "for `usage_ratio`: PromQL of what each identity used");
    let label = s.optional("allocation_label", Text, "for `usage_ratio`: label that names the identity in it");
    let (query, label) = (query.unwrap_or_default(), label.unwrap_or_default());
    braces(s, "allocation_query", &query);
    if even || !known {
        return CostType { name, product_category, rate, quantity, split: CostSplit::Even };
    }
    for (key, text) in [("allocation_query", &query), ("allocation_label", &label)] {
        if text.trim().is_empty() && s.sound(&[key]) {
            s.fault(
                key,
                "is missing for `allocation_strategy: usage_ratio`",
                format!("add `{key}`, or write `even_split`"),
            );
        }
    }
    CostType { name, product_category, rate, quantity, split: CostSplit::Usage { query, label } }
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Fixed,
    StorageGib,
    NetworkGib,
    UnitRate,
}

fn quantity(s: &mut Section<'_>) -> CostQuantity {
    const TYPES: Choice<Type> = Choice(&[
        ("fixed", Type::Fixed),
        ("storage_gib", Type::StorageGib),
        ("network_gib", Type::NetworkGib),
        ("unit_rate", Type::UnitRate),
    ]);
    const AGGREGATIONS: Choice<Aggregation> =
        Choice(&[("sum", Aggregation::Sum), ("average", Aggregation::Average), ("maximum", Aggregation::Maximum)]);
    let kind = s.required("type", TYPES, "`fixed`, `storage_gib`, `network_gib` or `unit_rate`");
    let known = s.sound(&["type"]);
    let count = s.optional("count", Int(1..=u32::MAX), "fixed: how many; the rate is for an hour of one");
    let query = s.optional("query", Text, "all others: PromQL of the quantity").unwrap_or_default();
    let aggregation = s.optional("aggregation", AGGREGATIONS, "unit_rate: `sum`, `average` or `maximum` over the day");
    let per = Choice(&[("unit", false), ("hour", true)]);
    let hourly = s.optional("per", per, "unit_rate: the rate is for a `unit` (default), or for a unit over an `hour`");
    let foreign: &[&str] = match kind {
        _ if !known => &[],
        Type::Fixed => &["query", "aggregation", "per"],
        Type::StorageGib | Type::NetworkGib => &["count", "aggregation", "per"],
        Type::UnitRate => &["count"],
    };
    for key in foreign.iter().filter(|key| s.has(key)) {
        s.fault(key, "does not belong to this type of quantity", "remove it, or change the type");
    }
    if known && kind == Type::Fixed && count.is_none() && s.sound(&["count"]) {
        s.fault("count", "is missing for `type: fixed`", "add how many there are");
    }
    if known && kind != Type::Fixed && query.trim().is_empty() && s.sound(&["query"]) {
        s.fault("query", "is missing", "add the PromQL that measures the quantity");
    }
    if known && kind == Type::UnitRate && aggregation.is_none() && s.sound(&["aggregation"]) {
        s.fault("aggregation", "is missing for `type: unit_rate`", "add `sum`, `average` or `maximum`");
    }
    braces(s, "query", &query);
    let aggregation = aggregation.unwrap_or(Aggregation::Sum);
    let sums = kind == Type::NetworkGib || kind == Type::UnitRate && aggregation == Aggregation::Sum;
    if sums && query.contains("rate(") {
        s.warn(
            "query",
            "adds up rates, which are per second; write `increase` instead of `rate` to add up what was used",
        );
    }
    if let (true, Err(range)) = (sums, sampling_of(&query, Fold::Sum)) {
        let problem = format!(
            "looks back {} min, which does not divide a day: parts would count twice or never",
            range.num_minutes()
        );
        s.fault("query", problem, "use a range such as [1h] or [1d]");
    }
    match kind {
        Type::Fixed => CostQuantity::Fixed { count: count.unwrap_or(1) },
        Type::StorageGib => CostQuantity::StorageGib { query },
        Type::NetworkGib => CostQuantity::NetworkGib { query },
        Type::UnitRate => CostQuantity::UnitRate { query, aggregation, hourly: hourly.unwrap_or(false) },
    }
}

/// Chitragupta puts a filter of its own where an expression has empty braces, which never finds anything here.
fn braces(s: &Section<'_>, key: &'static str, query: &str) {
    if query.contains("{}") {
        s.warn(key, "the empty braces have no effect; leave them out");
    }
}
