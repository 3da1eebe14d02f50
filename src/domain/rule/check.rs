//! Can every line be allocated by a rule book, whatever the day's facts are?
//!
//! In: a [`RuleBook`]. Out: its first fault, or the promise that allocation never runs out of tiers.
//! Absent: facts.

use std::collections::BTreeSet;

use super::identity::IdentityFault;
use super::{Part, Product, Resolver, Rule, RuleBook, Share, Split, Tier, Usage};
use crate::domain::{Amount, TopicRules};

/// The newest format of [`RuleBook`] this version reads; it reads all older ones too.
pub const RULES_VERSION: u32 = 2;

/// Why a rule book cannot be allocated by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Written by a later version.
    #[error("rules have format {0}, this version reads {RULES_VERSION}: run a newer one")]
    Version(u32),
    /// A product's rule contradicts itself.
    #[error("rule of {product}: {fault}")]
    Product {
        /// The product type, or `otherwise`.
        product: String,
        /// What is wrong with it.
        fault: RuleFault,
    },
    /// The rules for topics contradict themselves.
    #[error("topics: {0}")]
    Topics(RuleFault),
    /// The identities of a product type, a service or all of them.
    #[error("identities of {key}: {fault}")]
    Identities {
        /// Whose they are.
        key: String,
        /// What is wrong with them.
        fault: IdentityFault,
    },
}

/// What is wrong with one product's rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    #[error("ratio {0:?} is not a decimal between 0 and 1")]
    Ratio(String),
    #[error("the ratios of a mix add up to {0}, not to 1")]
    RatioSum(Amount),
    #[error("the shares add up to {0}, not to 1")]
    ShareSum(Amount),
    #[error("{0:?} has two shares: add them up")]
    ShareTwice(String),
    #[error("an identity without a name cannot be charged")]
    Nameless,
    #[error("the last tier must fit always: `by_shares`, `to_identity`, `to_resource` or `unallocated`")]
    MayNotFit,
    #[error("no identity types to split evenly over")]
    NoTypes,
    #[error("nobody to split evenly among")]
    Nobody,
    #[error("identity type {0:?} is not among the book's owner types")]
    NotAnOwner(String),
    #[error("no metrics to split by")]
    NoMetrics,
    #[error("metric {0:?} is split by but not asked for")]
    MetricNotAsked(String),
    #[error("only statement owners have weights of their own")]
    NoWeights,
    #[error("metric {0:?} is asked for by topic and by product; give the one by topic a name of its own")]
    MetricOfBoth(String),
}

impl RuleBook {
    /// Checks that every line can be allocated by this book, whatever the day's facts are.
    ///
    /// # Errors
    /// The first fault, in the order of product types.
    pub fn validate(&self) -> Result<(), RuleError> {
        if !(1..=RULES_VERSION).contains(&self.version) {
            return Err(RuleError::Version(self.version));
        }
        let otherwise = std::iter::once(("otherwise", &self.otherwise));
        for (name, product) in self.products.iter().map(|(n, p)| (n.as_str(), p)).chain(otherwise) {
            let checked = self.check(product);
            checked.map_err(|fault| RuleError::Product { product: name.to_owned(), fault })?;
        }
        for (key, identities) in &self.identities {
            let checked = identities.compile();
            checked.map_err(|fault| RuleError::Identities { key: key.clone(), fault })?;
        }
        self.topics.as_ref().map_or(Ok(()), |topics| self.check_topics(topics)).map_err(RuleError::Topics)
    }

    fn check_topics(&self, topics: &TopicRules) -> Result<(), RuleFault> {
        let mut split_by = topics.products.values().flat_map(|split| &split.metrics);
        if let Some(metric) = split_by.find(|metric| !topics.metrics.contains(metric)) {
            return Err(RuleFault::MetricNotAsked(metric.clone()));
        }
        let by_product = |metric: &String| {
            self.products.values().chain([&self.otherwise]).any(|product| product.metrics.contains(metric))
        };
        match topics.metrics.iter().find(|metric| by_product(metric)) {
            // Whose failure it is, is told by the metric.
            Some(metric) => Err(RuleFault::MetricOfBoth(metric.clone())),
            None => Ok(()),
        }
    }

    fn check(&self, product: &Product) -> Result<(), RuleFault> {
        match &product.rule {
            Rule::FirstThatFits(tiers) => self.check_tiers(product, tiers),
            Rule::Mix(parts) => {
                let mut sum = Amount::ZERO;
                for part in parts {
                    sum += part.ratio()?;
                    self.check_tiers(product, &part.tiers)?;
                }
                if sum == Amount::whole(1) { Ok(()) } else { Err(RuleFault::RatioSum(sum)) }
            }
        }
    }

    fn check_tiers(&self, product: &Product, tiers: &[Tier]) -> Result<(), RuleFault> {
        for tier in tiers {
            self.check_split(product, &tier.split)?;
        }
        if tiers.last().is_some_and(|tier| tier.split.always_fits()) { Ok(()) } else { Err(RuleFault::MayNotFit) }
    }

    fn check_split(&self, product: &Product, split: &Split) -> Result<(), RuleFault> {
        let unknown = |types: &Vec<String>| types.iter().find(|t| !self.owner_types.contains(t)).cloned();
        let not_asked = |metrics: &Vec<String>| metrics.iter().find(|m| !product.metrics.contains(m)).cloned();
        let fault = match split {
            Split::EvenTenant { types } if types.is_empty() => Some(RuleFault::NoTypes),
            Split::EvenTenant { types } => unknown(types).map(RuleFault::NotAnOwner),
            Split::ByUsage(Usage::Metrics(metrics)) if metrics.is_empty() => Some(RuleFault::NoMetrics),
            Split::ByUsage(Usage::Metrics(metrics)) => not_asked(metrics).map(RuleFault::MetricNotAsked),
            Split::ByUsage(Usage::Resolved { .. }) => {
                (product.resolver != Resolver::StatementOwners).then_some(RuleFault::NoWeights)
            }
            Split::EvenAmong { active: false, identities } if identities.is_empty() => Some(RuleFault::Nobody),
            Split::EvenAmong { identities, .. } => {
                identities.iter().any(String::is_empty).then_some(RuleFault::Nameless)
            }
            Split::ByShares(shares) => return check_shares(shares),
            Split::ToIdentity { id } => id.is_empty().then_some(RuleFault::Nameless),
            Split::EvenActive | Split::ToOwner | Split::ToResource | Split::Unallocated => None,
        };
        fault.map_or(Ok(()), Err)
    }
}

fn check_shares(shares: &[Share]) -> Result<(), RuleFault> {
    let (mut sum, mut seen) = (Amount::ZERO, BTreeSet::new());
    for share in shares {
        sum += share.units()?;
        if share.id.is_empty() {
            return Err(RuleFault::Nameless);
        }
        if !seen.insert(&share.id) {
            return Err(RuleFault::ShareTwice(share.id.clone()));
        }
    }
    if sum == Amount::whole(1) { Ok(()) } else { Err(RuleFault::ShareSum(sum)) }
}

impl Split {
    /// Are its shares, if it has any, shares of identities that add up to 1?
    ///
    /// # Errors
    /// The first fault.
    pub fn check_shares(&self) -> Result<(), RuleFault> {
        if let Self::ByShares(shares) = self { check_shares(shares) } else { Ok(()) }
    }

    /// Does it take any line, whatever the facts are?
    pub fn always_fits(&self) -> bool {
        matches!(self, Self::ByShares(_) | Self::ToIdentity { .. } | Self::ToResource | Self::Unallocated)
    }
}

impl Part {
    /// The ratio as an exact decimal.
    ///
    /// # Errors
    /// If it is no decimal, or not between 0 and 1.
    pub fn ratio(&self) -> Result<Amount, RuleFault> {
        ratio(&self.ratio)
    }
}

impl Share {
    /// The share as an exact decimal.
    ///
    /// # Errors
    /// If it is no decimal, or not between 0 and 1.
    pub fn units(&self) -> Result<Amount, RuleFault> {
        ratio(&self.share)
    }
}

fn ratio(text: &str) -> Result<Amount, RuleFault> {
    let ratio = Amount::parse(text).ok();
    ratio
        .filter(|ratio| (Amount::ZERO..=Amount::whole(1)).contains(ratio))
        .ok_or_else(|| RuleFault::Ratio(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::CostType;
    use crate::domain::attribution::{TopicSplit, WithoutUsage};

    fn tier(split: Split) -> Tier {
        Tier { split, method: "m".into(), detail: None, cost_type: CostType::Shared }
    }

    fn product(rule: Rule) -> Product {
        Product { service: "kafka".into(), resolver: Resolver::None, metrics: vec!["bytes_in".into()], rule }
    }

    fn book(rule: Rule) -> RuleBook {
        RuleBook {
            version: 1,
            products: BTreeMap::from([("P".into(), product(rule))]),
            otherwise: product(Rule::FirstThatFits(vec![tier(Split::ToResource)])),
            owner_types: vec!["user".into()],
            identities: BTreeMap::new(),
            interval_rule: vec![],
            topics: None,
        }
    }

    fn fault(splits: Vec<Split>) -> String {
        let rule = Rule::FirstThatFits(splits.into_iter().map(tier).collect());
        book(rule).validate().map_or_else(|e| e.to_string(), |()| "sound".into())
    }

    fn mix(ratios: &[&str]) -> Result<(), RuleError> {
        let part = |ratio: &&str| Part { ratio: (*ratio).into(), tiers: vec![tier(Split::Unallocated)] };
        book(Rule::Mix(ratios.iter().map(part).collect())).validate()
    }

    #[test]
    fn ratios_are_decimals_that_add_up_to_one() {
        assert_eq!(mix(&["0.7", "0.3"]), Ok(()));
        assert_eq!(mix(&["1", "0"]), Ok(()));
        for bad in [&["0.7", "0.2"][..], &["1.5", "-0.5"], &["a", "1"], &["NaN", "1"], &[]] {
            assert!(mix(bad).is_err(), "{bad:?}");
        }
        let error = mix(&["0.7", "0.2"]).unwrap_err().to_string();
        assert_eq!(error, "rule of P: the ratios of a mix add up to 0.9, not to 1");
    }

    #[test]
    fn the_last_tier_fits_always() {
        assert_eq!(fault(vec![Split::EvenActive, Split::ToResource]), "sound");
        assert!(fault(vec![Split::EvenActive]).contains("must fit always"));
        assert!(fault(vec![]).contains("must fit always"));
    }

    #[test]
    fn tiers_name_what_the_book_has() {
        let even = |types: &[&str]| Split::EvenTenant { types: types.iter().map(|t| (*t).into()).collect() };
        let usage = |m: &[&str]| Split::ByUsage(Usage::Metrics(m.iter().map(|m| (*m).into()).collect()));
        let weights = Split::ByUsage(Usage::Resolved { inferred_detail: "guess".into() });
        assert_eq!(fault(vec![even(&["user"]), usage(&["bytes_in"]), Split::Unallocated]), "sound");
        assert!(fault(vec![even(&["system"])]).contains("\"system\" is not among"));
        assert!(fault(vec![even(&[])]).contains("no identity types"));
        assert!(fault(vec![usage(&["bytes"])]).contains("not asked for"));
        assert!(fault(vec![usage(&[])]).contains("no metrics"));
        assert!(fault(vec![weights]).contains("statement owners"));
    }

    #[test]
    fn the_json_is_stable_and_strict() {
        let tiers = vec![
            tier(Split::ByUsage(Usage::Metrics(vec!["bytes_in".into()]))),
            tier(Split::EvenTenant { types: vec!["user".into()] }),
        ];
        let json = serde_json::to_string(&Rule::FirstThatFits(tiers)).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"first_that_fits":["#,
                r#"{"split":{"by_usage":{"metrics":["bytes_in"]}},"method":"m","detail":null,"cost_type":"shared"},"#,
                r#"{"split":{"even_tenant":{"types":["user"]}},"method":"m","detail":null,"cost_type":"shared"}]}"#
            )
        );
        let book = serde_json::to_value(book(Rule::Mix(vec![]))).unwrap();
        let mut unknown = book.clone();
        unknown["spare"] = 1.into();
        assert!(serde_json::from_value::<RuleBook>(book).is_ok());
        assert!(serde_json::from_value::<RuleBook>(unknown).is_err());
    }

    #[test]
    fn topics_are_split_by_what_is_asked_for_them_alone() {
        let fault = |metrics: &[&str], split_by: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let split = TopicSplit { method: "m".into(), metrics: texts(split_by) };
            let mut book = book(Rule::FirstThatFits(vec![tier(Split::Unallocated)]));
            book.topics = Some(TopicRules {
                cluster_prefix: "lkc-".into(),
                metrics: texts(metrics),
                products: BTreeMap::from([("P".into(), split)]),
                excluded: vec![],
                without_usage: WithoutUsage::Skip,
            });
            book.validate().map_or_else(|e| e.to_string(), |()| "sound".into())
        };
        assert_eq!(fault(&["in", "out"], &["in"]), "sound");
        assert_eq!(fault(&["in"], &[]), "sound");
        assert_eq!(fault(&["in"], &["out"]), "topics: metric \"out\" is split by but not asked for");
        assert!(fault(&["bytes_in"], &[]).contains("asked for by topic and by product"));
    }

    #[test]
    fn a_book_of_before_topics_is_read_and_written_as_it_was() {
        let plain = serde_json::to_string(&book(Rule::Mix(vec![]))).unwrap();
        assert!(!plain.contains("topics"), "{plain}");
        assert_eq!(serde_json::from_str::<RuleBook>(&plain).unwrap().topics, None);
    }
}
