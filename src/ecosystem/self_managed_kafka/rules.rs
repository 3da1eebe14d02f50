//! Who pays for what on a cluster of one's own.
//!
//! In: identities that the operator named, whether metrics name principals. Out: a [`RuleBook`]. Absent: algorithms.

use std::collections::BTreeMap;

use crate::domain::CostType;
use crate::domain::CostType::{Shared, Usage as Used};
use crate::domain::rule::{Product, RULES_VERSION, Resolver, Rule, RuleBook, Split, Tier, Usage};
use crate::ecosystem::metered::people::{PRINCIPAL, People};

pub const COMPUTE: &str = "SELF_KAFKA_COMPUTE";
pub const STORAGE: &str = "SELF_KAFKA_STORAGE";
pub const INGRESS: &str = "SELF_KAFKA_NETWORK_INGRESS";
pub const EGRESS: &str = "SELF_KAFKA_NETWORK_EGRESS";
/// Bytes written and read, by principal.
pub const BYTES_IN: &str = "bytes_in";
pub const BYTES_OUT: &str = "bytes_out";

/// The rules: traffic by who caused it; brokers and disks evenly over whoever had any, as nobody can say more.
pub fn rule_book(people: &People) -> RuleBook {
    let named = people.fixed_ids();
    let metrics = if people.origin.asks() { vec![BYTES_IN.to_owned(), BYTES_OUT.to_owned()] } else { Vec::new() };
    let product = |tiers: Vec<Tier>| Product {
        service: "kafka".to_owned(),
        resolver: Resolver::KeysAndPrincipals,
        metrics: metrics.clone(),
        rule: Rule::FirstThatFits(tiers),
    };
    let network = |metric: &str| {
        let usage = Split::ByUsage(Usage::Metrics(vec![metric.to_owned()]));
        let first = tier(usage, "usage_ratio", Some("usage_ratio_allocation"), Used);
        product(with_rest((!metrics.is_empty()).then_some(first), &named, "no_metrics_located"))
    };
    let seen = tier(Split::EvenActive, "even_split", None, Used);
    let infrastructure = product(with_rest(Some(seen), &named, "no_active_identities_located"));
    RuleBook {
        version: RULES_VERSION,
        products: BTreeMap::from([
            (COMPUTE.to_owned(), infrastructure.clone()),
            (STORAGE.to_owned(), infrastructure),
            (INGRESS.to_owned(), network(BYTES_IN)),
            (EGRESS.to_owned(), network(BYTES_OUT)),
        ]),
        otherwise: Product { metrics: Vec::new(), ..product(with_rest(None, &[], "")) },
        owner_types: vec![PRINCIPAL.to_owned()],
        identities: BTreeMap::new(),
        interval_rule: Vec::new(),
        topics: None,
    }
}

/// Then evenly over those that the operator named, then nobody.
fn with_rest(first: Option<Tier>, named: &[String], detail: &str) -> Vec<Tier> {
    let among = Split::EvenAmong { active: false, identities: named.to_vec() };
    let named = (!named.is_empty()).then(|| tier(among, "even_split", Some(detail), Shared));
    let nobody = tier(Split::Unallocated, "terminal", Some("no_identities_located"), Shared);
    first.into_iter().chain(named).chain([nobody]).collect()
}

fn tier(split: Split, method: &str, detail: Option<&str>, cost_type: CostType) -> Tier {
    Tier { split, method: method.to_owned(), detail: detail.map(str::to_owned), cost_type }
}
