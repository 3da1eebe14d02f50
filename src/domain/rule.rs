//! Rules as data: who is asked for a product type, and how its cost is split.
//!
//! A [`RuleBook`] travels as JSON in each seal, so a day is allocated by the rules of its time. It names no
//! vendor: an ecosystem is a table of these values, [`change`] puts an operator's own in place of some of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CostType, TopicRules};

pub mod change;
mod check;
pub mod identity;

pub use check::{RULES_VERSION, RuleError, RuleFault};
pub use identity::IdentityRules;

/// What to do with each product type of an ecosystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleBook {
    /// Format of this value: 1, or 2 if something in it is new in 2. A book that needs nothing new stays what it was,
    /// so that no day is sealed again for a newer program.
    pub version: u32,
    /// Matching is exact and case-sensitive.
    pub products: BTreeMap<String, Product>,
    /// For product types the book does not know.
    pub otherwise: Product,
    /// Identity types that an even split over the tenant may fall on.
    pub owner_types: Vec<String>,
    /// Whom it is booked to in place of who is found: by product type, by service, or [`ANY`]; the first of these
    /// that is there holds. New in 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<String, IdentityRules>,
    /// Product types, services or [`ANY`] whose lines are allocated for the part of their interval in which the
    /// resource existed; the rest goes to `UNALLOCATED`. New in 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interval_rule: Vec<String>,
    /// How lines of Kafka clusters are broken down to topics, if they are. New in 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicRules>,
}

/// Stands for every product type.
pub const ANY: &str = "any";

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
    /// Evenly over these identities, and with `active` over everybody the resolver found too. New in 2.
    EvenAmong { active: bool, identities: Vec<String> },
    /// In proportion to usage; declines if there is none or it could not be fetched.
    ByUsage(Usage),
    /// By fixed shares, whoever was there. New in 2.
    ByShares(Vec<Share>),
    /// Whole, to the owner that the billed resource names; declines if it names none. New in 2.
    ToOwner,
    /// Whole, to this identity. New in 2.
    ToIdentity { id: String },
    /// Whole, to the billed resource itself.
    ToResource,
    /// Whole, to nobody.
    Unallocated,
}

/// One identity's fixed share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// An identity, or `UNALLOCATED`.
    pub id: String,
    /// Decimal text between 0 and 1; the shares of a tier add up to 1.
    pub share: String,
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

impl RuleBook {
    /// The rule for a product type.
    pub fn product(&self, product_type: &str) -> &Product {
        self.products.get(product_type).unwrap_or(&self.otherwise)
    }

    /// The key of [`Self::identities`] that holds for a product type.
    pub fn identities_key(&self, product_type: &str) -> Option<&String> {
        let service = self.product(product_type).service.as_str();
        let found = [product_type, service, ANY].iter().find_map(|key| self.identities.get_key_value(*key));
        found.map(|(key, _)| key)
    }

    /// Is a product type allocated by the interval rule?
    pub fn by_interval(&self, product_type: &str) -> bool {
        let service = &self.product(product_type).service;
        self.interval_rule.iter().any(|key| key == product_type || key == service || key == ANY)
    }
}
