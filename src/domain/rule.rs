//! Rules as data: who is asked for a product type, and how its cost is split.
//!
//! A [`RuleBook`] travels as JSON in each seal, so a day is allocated by the rules of its time. It names no
//! vendor: an ecosystem is a table of these values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, CostType};

/// What to do with each product type of an ecosystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleBook {
    /// Format of this value; 1.
    pub version: u32,
    /// Matching is exact and case-sensitive.
    pub products: BTreeMap<String, Product>,
    /// For product types the book does not know.
    pub otherwise: Product,
    /// Identity types that an even split over the tenant may fall on.
    pub owner_types: Vec<String>,
}

/// How one product type is handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The family that a resolver or an override is named after: `kafka`, `connector`, …
    pub service: String,
    pub resolver: Resolver,
    /// Usage to ask for about the billed resource; all of it is seen by the resolver.
    pub metrics: Vec<String>,
    pub rule: Rule,
}

/// How the identities behind a billed resource are found; the algorithms are in `allocate::resolve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolver {
    /// Nobody in particular.
    None,
    /// Owners of the API keys that open the resource, and the principals seen in its metrics.
    KeysAndPrincipals,
    /// The identity whose credentials the connector uses.
    ConnectorCredentials,
    /// The resource's owner.
    ResourceOwner,
    /// Owners of the statements that ran in the compute pool, by their usage.
    StatementOwners,
}

/// How an amount is split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// The first tier that finds somebody.
    FirstThatFits(Vec<Tier>),
    /// Parts of the amount, each split by its own tiers. Ratios are decimal texts that add up to 1.
    Mix(Vec<Part>),
}

/// One part of a mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Decimal text between 0 and 1.
    pub ratio: String,
    pub tiers: Vec<Tier>,
}

/// One way to split, with the labels its rows get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub split: Split,
    pub method: String,
    pub detail: Option<String>,
    pub cost_type: CostType,
}

/// Over whom, and in which proportion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Split {
    /// Evenly over everybody the resolver found (attached to the resource, or seen in its metrics).
    EvenActive,
    /// Evenly over the tenant's identities of the day, of the given types.
    EvenTenant { types: Vec<String> },
    /// Evenly over these identities, and with `active` over everybody the resolver found too.
    EvenAmong { active: bool, identities: Vec<String> },
    /// In proportion to usage; declines if there is none or it could not be fetched.
    ByUsage(Usage),
    /// Whole, to the billed resource itself.
    ToResource,
    /// Whole, to nobody.
    Unallocated,
}

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Usage {
    /// The sum of these metrics by principal; API keys count for their owner.
    Metrics(Vec<String>),
    /// The weights the resolver worked out (statement owners by compute units), or, where there is no
    /// usage, inferred from what was running; then rows have the detail `inferred_detail`.
    Resolved { inferred_detail: String },
}

/// The format of [`RuleBook`] this version reads.
pub const RULES_VERSION: u32 = 1;

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
}

/// What is wrong with one product's rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    #[error("ratio {0:?} is not a decimal between 0 and 1")]
    Ratio(String),
    #[error("the ratios of a mix add up to {0}, not to 1")]
    RatioSum(Amount),
    #[error("the last tier must fit always: `to_resource` or `unallocated`")]
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
}

impl RuleBook {
    /// Checks that every line can be allocated by this book, whatever the day's facts are.
    ///
    /// # Errors
    /// The first fault, in the order of product types.
    pub fn validate(&self) -> Result<(), RuleError> {
        if self.version != RULES_VERSION {
            return Err(RuleError::Version(self.version));
        }
        let otherwise = std::iter::once(("otherwise", &self.otherwise));
        for (name, product) in self.products.iter().map(|(n, p)| (n.as_str(), p)).chain(otherwise) {
            let checked = self.check(product);
            checked.map_err(|fault| RuleError::Product { product: name.to_owned(), fault })?;
        }
        Ok(())
    }

    /// The rule for a product type.
    pub fn product(&self, product_type: &str) -> &Product {
        self.products.get(product_type).unwrap_or(&self.otherwise)
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
        let last = tiers.last().map(|tier| &tier.split);
        if matches!(last, Some(Split::ToResource | Split::Unallocated)) { Ok(()) } else { Err(RuleFault::MayNotFit) }
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
            Split::EvenAmong { active, identities } => (!active && identities.is_empty()).then_some(RuleFault::Nobody),
            Split::EvenActive | Split::ToResource | Split::Unallocated => None,
        };
        fault.map_or(Ok(()), Err)
    }
}

impl Part {
    /// The ratio as an exact decimal.
    ///
    /// # Errors
    /// If it is no decimal, or not between 0 and 1.
    pub fn ratio(&self) -> Result<Amount, RuleFault> {
        let ratio = Amount::parse(&self.ratio).ok();
        ratio
            .filter(|ratio| (Amount::ZERO..=Amount::whole(1)).contains(ratio))
            .ok_or_else(|| RuleFault::Ratio(self.ratio.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(split: Split) -> Tier {
        Tier { split, method: "m".into(), detail: None, cost_type: CostType::Shared }
    }

    fn product(rule: Rule) -> Product {
        Product { service: "kafka".into(), resolver: Resolver::None, metrics: vec!["bytes_in".into()], rule }
    }

    fn book(rule: Rule) -> RuleBook {
        RuleBook {
            version: RULES_VERSION,
            products: BTreeMap::from([("P".into(), product(rule))]),
            otherwise: product(Rule::FirstThatFits(vec![tier(Split::ToResource)])),
            owner_types: vec!["user".into()],
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
        let among =
            |active, ids: &[&str]| Split::EvenAmong { active, identities: ids.iter().map(|i| (*i).into()).collect() };
        assert_eq!(fault(vec![among(true, &[]), among(false, &["a"]), Split::Unallocated]), "sound");
        assert!(fault(vec![among(false, &[])]).contains("nobody to split"));
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
}
