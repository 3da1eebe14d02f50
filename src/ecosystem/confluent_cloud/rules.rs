//! Who pays for what on Confluent Cloud: the table of its product types.
//!
//! In: the two ratios of a CKU's cost. Out: a [`RuleBook`] value, which travels in every seal.
//! Absent: the algorithms; they are in `allocate` and know no product type.

use std::collections::BTreeMap;

use crate::domain::rule::{Part, Product, Resolver, Rule, RuleBook, Split, Tier, Usage};
use crate::domain::{Amount, CostType};

use CostType::{Shared, Usage as Used};

/// Identity types that own something, with and without the principals of ecosystems that have no accounts.
const OWNERS: [&str; 4] = ["service_account", "user", "identity_pool", "principal"];
const ACCOUNTS: [&str; 3] = ["service_account", "user", "identity_pool"];

/// Written and read bytes by principal. Every Kafka line asks for both, so that who pays for a cluster's base
/// or storage does not hang on whether traffic was billed on the same day.
const IN: &str = "bytes_in";
const OUT: &str = "bytes_out";

/// Compute units by statement, and what older exporters call them.
const CFU: [&str; 2] = ["flink_cfu_primary", "flink_cfu_fallback"];

/// The rules of Confluent Cloud. `cku_usage_ratio` of a CKU's cost follows usage, `cku_shared_ratio` is shared:
/// decimal texts that add up to 1 within 0.0001, in which case the shared part is exactly what remains.
///
/// The book is sound ([`RuleBook::validate`]) if and only if the ratios are.
pub fn rule_book(cku_usage_ratio: &str, cku_shared_ratio: &str) -> RuleBook {
    let shared = remaining(cku_usage_ratio, cku_shared_ratio);
    let products: [(&[&str], Product); 13] = [
        (&["KAFKA_NUM_CKU", "KAFKA_NUM_CKUS"], cku(cku_usage_ratio, &shared)),
        (&["KAFKA_NETWORK_READ"], kafka(network(Some(OUT)))),
        (&["KAFKA_NETWORK_WRITE"], kafka(network(Some(IN)))),
        (&["KAFKA_PARTITION"], kafka(network(None))),
        (&["KAFKA_BASE", "KAFKA_STORAGE"], kafka(base())),
        (
            &["SCHEMA_REGISTRY", "GOVERNANCE_BASE", "NUM_RULES"],
            product("schema_registry", Resolver::KeysAndPrincipals, attached()),
        ),
        (
            &["CONNECT_NUM_TASKS", "CONNECT_THROUGHPUT", "CUSTOM_CONNECT_NUM_TASKS", "CUSTOM_CONNECT_THROUGHPUT"],
            product("connector", Resolver::ConnectorCredentials, connector(Used)),
        ),
        (
            &["CONNECT_CAPACITY", "CUSTOM_CONNECT_PLUGIN"],
            product("connector", Resolver::ConnectorCredentials, connector(Shared)),
        ),
        (&["KSQL_NUM_CSU", "KSQL_NUM_CSUS"], product("ksqldb", Resolver::ResourceOwner, attached())),
        (&["FLINK_NUM_CFU", "FLINK_NUM_CFUS"], flink()),
        (&["AUDIT_LOG_READ", "SUPPORT"], product("org_wide", Resolver::None, org_wide())),
        (
            &["TABLEFLOW_DATA_PROCESSED", "TABLEFLOW_NUM_TOPICS", "TABLEFLOW_STORAGE"],
            to_resource("default", "default", "using_default_allocator", Shared),
        ),
        (
            &["CLUSTER_LINKING_PER_LINK", "CLUSTER_LINKING_READ", "CLUSTER_LINKING_WRITE"],
            to_resource("default", "cluster_linking", "cluster_linking_cost", Used),
        ),
    ];
    let each = |(names, product): (&'static [&'static str], Product)| {
        names.iter().map(move |name| ((*name).to_owned(), product.clone()))
    };
    RuleBook {
        version: 1,
        products: products.into_iter().flat_map(each).collect(),
        otherwise: to_resource("unknown", "unknown", "using_unknown_allocator", Shared),
        owner_types: OWNERS.map(str::to_owned).to_vec(),
        identities: BTreeMap::new(),
        interval_rule: vec![],
        topics: None,
    }
}

/// What is left of 1, where the two ratios add up to it as nearly as configuration is asked to.
fn remaining(usage: &str, shared: &str) -> String {
    const TOLERANCE: Amount = Amount::from_units(10_i128.pow(10));
    let one = Amount::whole(1);
    match (Amount::parse(usage), Amount::parse(shared)) {
        (Ok(used), Ok(rest)) if (-TOLERANCE..=TOLERANCE).contains(&(used + rest - one)) => (one - used).to_string(),
        _ => shared.to_owned(),
    }
}

fn product(service: &str, resolver: Resolver, tiers: Vec<Tier>) -> Product {
    Product { service: service.into(), resolver, metrics: vec![], rule: Rule::FirstThatFits(tiers) }
}

fn kafka(tiers: Vec<Tier>) -> Product {
    let metrics = vec![IN.into(), OUT.into()];
    Product { metrics, ..product("kafka", Resolver::KeysAndPrincipals, tiers) }
}

fn cku(usage_ratio: &str, shared_ratio: &str) -> Product {
    let by_usage = vec![
        by_metrics(&[IN, OUT]),
        even_active(Some("no_usage_for_active_identities"), Shared),
        even_tenant(&OWNERS, Some("no_metrics_no_active_identities_located")),
        terminal(Split::ToResource),
    ];
    let parts = vec![
        Part { ratio: usage_ratio.into(), tiers: by_usage },
        Part { ratio: shared_ratio.into(), tiers: attached() },
    ];
    Product { rule: Rule::Mix(parts), ..kafka(vec![]) }
}

fn flink() -> Product {
    let weights = Usage::Resolved { inferred_detail: "inferred_usage_ratio".into() };
    let tiers = vec![
        tier(Split::ByUsage(weights), "usage_ratio", Some("usage_ratio_allocation"), Used),
        even_active(Some("no_usage_for_active_identities"), Used),
        even_tenant(&OWNERS, Some("no_active_identities_located")),
        terminal(Split::ToResource),
    ];
    Product { metrics: CFU.map(str::to_owned).to_vec(), ..product("flink", Resolver::StatementOwners, tiers) }
}

/// By one metric, or by none where the product has no usage of its own.
fn network(metric: Option<&str>) -> Vec<Tier> {
    let usage = metric.map(|metric| by_metrics(&[metric]));
    let rest = [
        even_active(Some("no_metrics_located"), Shared),
        even_tenant(&OWNERS, Some("no_active_identities_located")),
        terminal(Split::ToResource),
    ];
    usage.into_iter().chain(rest).collect()
}

fn base() -> Vec<Tier> {
    vec![
        even_active(Some("no_metrics_located"), Shared),
        even_tenant(&OWNERS, Some("no_metrics_no_active_identities_located")),
        tier(Split::ToResource, "to_resource", Some("no_identities_located"), Shared),
    ]
}

/// Those attached to the resource, else everybody.
fn attached() -> Vec<Tier> {
    vec![
        even_active(None, Used),
        even_tenant(&OWNERS, Some("no_active_identities_located")),
        terminal(Split::ToResource),
    ]
}

fn connector(cost_type: CostType) -> Vec<Tier> {
    vec![even_active(None, cost_type), terminal(Split::ToResource)]
}

fn org_wide() -> Vec<Tier> {
    vec![even_tenant(&ACCOUNTS, None), terminal(Split::Unallocated)]
}

fn to_resource(service: &str, method: &str, detail: &str, cost_type: CostType) -> Product {
    product(service, Resolver::None, vec![tier(Split::ToResource, method, Some(detail), cost_type)])
}

fn by_metrics(metrics: &[&str]) -> Tier {
    let usage = Usage::Metrics(metrics.iter().map(|metric| (*metric).to_owned()).collect());
    tier(Split::ByUsage(usage), "usage_ratio", Some("usage_ratio_allocation"), Used)
}

fn even_active(detail: Option<&str>, cost_type: CostType) -> Tier {
    tier(Split::EvenActive, "even_split", detail, cost_type)
}

fn even_tenant(types: &[&str], detail: Option<&str>) -> Tier {
    let types = types.iter().map(|t| (*t).to_owned()).collect();
    tier(Split::EvenTenant { types }, "even_split", detail, Shared)
}

fn terminal(split: Split) -> Tier {
    tier(split, "terminal", Some("no_identities_located"), Shared)
}

fn tier(split: Split, method: &str, detail: Option<&str>, cost_type: CostType) -> Tier {
    Tier { split, method: method.into(), detail: detail.map(str::to_owned), cost_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared_ratio(usage: &str, shared: &str) -> String {
        match rule_book(usage, shared).product("KAFKA_NUM_CKU").rule.clone() {
            Rule::Mix(parts) => parts[1].ratio.clone(),
            Rule::FirstThatFits(_) => panic!("a CKU is a mix"),
        }
    }

    #[test]
    fn the_book_is_sound_and_knows_every_product() {
        let book = rule_book("0.70", "0.30");
        assert_eq!(book.validate(), Ok(()));
        assert_eq!(book.products.len(), 28);
        assert_eq!(book.product("PROMO_CREDIT").service, "unknown");
        let asking =
            |service: &str| book.products.values().filter(|p| p.service == service).all(|p| p.metrics.len() == 2);
        assert!(asking("kafka") && asking("flink"));
    }

    #[test]
    fn the_shared_part_is_what_remains() {
        assert_eq!(shared_ratio("0.70", "0.30"), "0.3");
        assert_eq!(shared_ratio("0.3333", "0.6666"), "0.6667");
        assert!(rule_book("0.6", "0.3").validate().is_err());
        assert!(rule_book("1.5", "-0.5").validate().is_err());
    }
}
