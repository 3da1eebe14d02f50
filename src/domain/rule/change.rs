//! An operator's own rules in place of some of an ecosystem's.
//!
//! In: an ecosystem's [`RuleBook`], [`Changes`]. Out: the book that days are sealed with. Absent: how an operator
//! writes them.

use std::collections::BTreeMap;

use super::{IdentityRules, Product, Resolver, Rule, RuleBook, Split, Tier, Usage};
use crate::domain::{CostType, TopicRules};

/// What an operator wants otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// By product type, known or not; [`OTHERWISE`] for all that are not known.
    pub products: BTreeMap<String, Override>,
    /// As [`RuleBook::identities`].
    pub identities: BTreeMap<String, IdentityRules>,
    /// As [`RuleBook::interval_rule`].
    pub interval_rule: Vec<String>,
}

/// The key of product types that no rule is named after.
pub const OTHERWISE: &str = "otherwise";

/// One product type's rule in place of the ecosystem's.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    pub rule: Rule,
    /// `None`: as the ecosystem does, unless the rule asks for what that cannot give.
    pub resolver: Option<Resolver>,
}

impl RuleBook {
    /// The book with an operator's changes; it is sound if both were.
    #[must_use]
    pub fn changed(mut self, changes: &Changes) -> Self {
        if *changes == Changes::default() {
            return self;
        }
        for (name, change) in &changes.products {
            let product = change.of(self.product(name));
            match name.as_str() {
                OTHERWISE => self.otherwise = product,
                _ => {
                    self.products.insert(name.clone(), product);
                }
            }
        }
        self.identities.extend(changes.identities.clone());
        self.interval_rule.extend(changes.interval_rule.iter().cloned());
        self.version = 2;
        self
    }

    /// The book that breaks lines down to topics, too.
    #[must_use]
    pub fn with_topics(mut self, topics: Option<TopicRules>) -> Self {
        if topics.is_some() {
            self.version = 2;
            self.topics = topics;
        }
        self
    }
}

impl Override {
    /// Metrics that the ecosystem asks for stay: they say who was there.
    fn of(&self, own: &Product) -> Product {
        let mut metrics = own.metrics.clone();
        for metric in self.metrics() {
            if !metrics.contains(metric) {
                metrics.push(metric.clone());
            }
        }
        let resolver = self.resolver.unwrap_or_else(|| self.needs(own.resolver));
        Product { service: own.service.clone(), resolver, metrics, rule: self.rule.clone() }
    }

    /// The metrics that are split by.
    pub fn metrics(&self) -> impl Iterator<Item = &String> {
        self.splits()
            .filter_map(|split| if let Split::ByUsage(Usage::Metrics(m)) = split { Some(m) } else { None })
            .flatten()
    }

    /// The resolver without which its splits by usage never fit: principals for metrics, owners for statements.
    pub fn demands(&self) -> Option<Resolver> {
        let weights = self.splits().any(|split| matches!(split, Split::ByUsage(Usage::Resolved { .. })));
        let metrics = self.metrics().next().map(|_| Resolver::KeysAndPrincipals);
        if weights { Some(Resolver::StatementOwners) } else { metrics }
    }

    /// An even split over whom is found needs somebody who looks.
    fn needs(&self, own: Resolver) -> Resolver {
        let finds = own == Resolver::None && self.splits().any(|split| *split == Split::EvenActive);
        self.demands().unwrap_or(if finds { Resolver::KeysAndPrincipals } else { own })
    }

    fn splits(&self) -> impl Iterator<Item = &Split> {
        let tiers: Vec<&Vec<Tier>> = match &self.rule {
            Rule::FirstThatFits(tiers) => vec![tiers],
            Rule::Mix(parts) => parts.iter().map(|part| &part.tiers).collect(),
        };
        tiers.into_iter().flatten().map(|tier| &tier.split)
    }
}

impl Split {
    /// The split as one tier, with the labels that its rows get where an operator gives none.
    pub fn tier(self) -> Tier {
        let (method, detail, cost_type) = match &self {
            Self::EvenActive | Self::EvenTenant { .. } | Self::EvenAmong { .. } => {
                ("even_split", None, CostType::Shared)
            }
            Self::ByUsage(_) => ("usage_ratio", Some("usage_ratio_allocation"), CostType::Usage),
            Self::ByShares(_) => ("fixed_shares", None, CostType::Shared),
            Self::ToOwner => ("direct_owner", None, CostType::Usage),
            Self::ToResource => ("to_resource", None, CostType::Shared),
            Self::ToIdentity { .. } | Self::Unallocated => ("terminal", None, CostType::Shared),
        };
        Tier { method: method.to_owned(), detail: detail.map(str::to_owned), cost_type, split: self }
    }
}

/// Tiers that fit always: where the last one may not, what nobody takes goes to `UNALLOCATED`, with the method of
/// that last tier and the reason.
pub fn complete(mut tiers: Vec<Tier>) -> Vec<Tier> {
    let end = tiers.last().filter(|last| !last.split.always_fits()).map(|last| {
        let detail = match last.split {
            Split::ByUsage(_) => "no_usage_for_active_identities",
            _ => "no_identities_located",
        };
        let (method, detail) = (last.method.clone(), Some(detail.to_owned()));
        Tier { split: Split::Unallocated, method, detail, cost_type: CostType::Shared }
    });
    tiers.extend(end);
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(resolver: Resolver, metrics: &[&str]) -> Product {
        let rule = Rule::FirstThatFits(vec![Split::ToResource.tier()]);
        Product { service: "s".into(), resolver, metrics: metrics.iter().map(|m| (*m).into()).collect(), rule }
    }

    fn book() -> RuleBook {
        RuleBook {
            version: 1,
            products: BTreeMap::from([("P".into(), product(Resolver::ResourceOwner, &["in"]))]),
            otherwise: product(Resolver::None, &[]),
            owner_types: vec!["user".into()],
            identities: BTreeMap::new(),
            interval_rule: vec![],
            topics: None,
        }
    }

    fn changed(name: &str, split: Split) -> Product {
        let change = Override { rule: Rule::FirstThatFits(complete(vec![split.tier()])), resolver: None };
        let changes = Changes { products: [(name.to_owned(), change)].into(), ..Changes::default() };
        let book = book().changed(&changes);
        assert_eq!((book.validate(), book.version), (Ok(()), 2));
        book.product(name).clone()
    }

    fn usage(metric: &str) -> Split {
        Split::ByUsage(Usage::Metrics(vec![metric.into()]))
    }

    #[test]
    fn without_changes_a_book_stays_as_it_was() {
        assert_eq!(book().changed(&Changes::default()), book());
        let json = serde_json::to_string(&book()).unwrap();
        assert!(!json.contains("identities") && !json.contains("interval_rule"), "{json}");
    }

    #[test]
    fn a_rule_is_given_the_resolver_and_the_metrics_it_needs() {
        let by_usage = changed("P", usage("out"));
        assert_eq!(
            (by_usage.resolver, by_usage.metrics),
            (Resolver::KeysAndPrincipals, vec!["in".into(), "out".into()])
        );
        assert_eq!(changed("P", Split::EvenActive).resolver, Resolver::ResourceOwner);
        assert_eq!(changed("NEW", Split::EvenActive).resolver, Resolver::KeysAndPrincipals);
        assert_eq!(changed("NEW", Split::ToOwner).resolver, Resolver::None);
        let weights = Split::ByUsage(Usage::Resolved { inferred_detail: "guess".into() });
        assert_eq!(changed("NEW", weights).resolver, Resolver::StatementOwners);
        assert_eq!(changed(OTHERWISE, usage("out")).metrics, ["out"]);
    }

    #[test]
    fn what_nobody_takes_is_unallocated_with_the_reason() {
        let told = |split: Split| {
            let Rule::FirstThatFits(tiers) = changed("P", split).rule else { panic!("tiers") };
            let last = tiers.last().unwrap();
            (tiers.len(), last.method.clone(), last.detail.clone().unwrap_or_default())
        };
        assert_eq!(told(usage("in")), (2, "usage_ratio".into(), "no_usage_for_active_identities".into()));
        assert_eq!(told(Split::ToOwner), (2, "direct_owner".into(), "no_identities_located".into()));
        assert_eq!(told(Split::ToIdentity { id: "x".into() }), (1, "terminal".into(), String::new()));
    }
}
