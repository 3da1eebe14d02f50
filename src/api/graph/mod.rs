//! Costs as a graph: what hangs on what, who pays, which topics cause it.
//!
//! Pure. In: sums by environment and resource, by who pays, by topic, and what the inventory says of parents. Out: nodes and
//! edges, each with exact costs, and a bounded number of them. Absent: SQL, HTTP, names of things.
//!
//! A row belongs to its environment, and below it to its resource, which hangs on its parents in the inventory. So the costs
//! of a node are its own and those of the nodes below it, the costs of an environment are those of its rows, and nothing
//! is left out: what has no environment is below `organization`, what is not shown is a node of its own.

mod forest;
mod view;

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::Amount;

pub(crate) use forest::{Forest, Kin, Placed, path};
pub(crate) use view::{Edge, Node, View};

/// What a node stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Everything.
    Tenant,
    /// What has no environment, and no resource in the inventory that could do without one.
    Organization,
    /// An environment, cluster, connector, topic…
    Resource(String),
    Identity(String),
    /// What nobody could be found for.
    Unallocated,
    /// What no topic of this cluster could be found for.
    Unattributed(String),
    /// What is related to a node in this way and not shown.
    Rest(Relation, Box<Key>),
}

/// How two nodes are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Relation {
    /// The target hangs on the source.
    Parent,
    /// The target pays for the source.
    Charge,
    /// The target is a topic of the source, a cluster.
    Attribution,
}

impl Key {
    /// The kind of thing, as callers read it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Organization => "organization",
            Self::Resource(_) => "resource",
            Self::Identity(_) => "identity",
            Self::Unallocated => "unallocated",
            Self::Unattributed(_) => "unattributed",
            Self::Rest(..) => "rest",
        }
    }

    /// The id of the resource or identity, if it is one.
    pub fn entity(&self) -> Option<&str> {
        match self {
            Self::Resource(id) | Self::Identity(id) => Some(id),
            _ => None,
        }
    }

    /// What can be looked at more closely by that name; `None` for a name that stands for nothing, or for what others leave
    /// over.
    pub fn parse(text: &str) -> Option<Self> {
        match (text, text.split_once(':')) {
            ("tenant", _) => Some(Self::Tenant),
            ("organization", _) => Some(Self::Organization),
            ("unallocated", _) => Some(Self::Unallocated),
            (_, Some(("resource", id))) if !id.is_empty() => Some(Self::Resource(id.to_owned())),
            (_, Some(("identity", id))) if !id.is_empty() => Some(Self::Identity(id.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant | Self::Organization | Self::Unallocated => f.write_str(self.kind()),
            Self::Resource(id) | Self::Identity(id) | Self::Unattributed(id) => write!(f, "{}:{id}", self.kind()),
            Self::Rest(relation, of) => write!(f, "rest:{}:{of}", relation.as_str()),
        }
    }
}

impl Relation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Charge => "charge",
            Self::Attribution => "attribution",
        }
    }
}

/// Amounts by currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Costs(pub BTreeMap<String, Amount>);

impl Costs {
    /// One amount.
    pub fn of(currency: &str, amount: Amount) -> Self {
        Self(BTreeMap::from([(currency.to_owned(), amount)]))
    }

    /// Adds others to these.
    pub fn add(&mut self, others: &Self) {
        for (currency, amount) in &others.0 {
            *self.0.entry(currency.clone()).or_default() += *amount;
        }
    }

    /// What things are ranked by: credits weigh as much as charges.
    pub fn weight(&self) -> u128 {
        self.0.values().map(|amount| amount.units().unsigned_abs()).fold(0, u128::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_the_name_it_has() {
        let resource = Key::Resource("lkc-1:topic:a:b".to_owned());
        for key in [Key::Tenant, Key::Organization, Key::Unallocated, resource, Key::Identity("User:a".to_owned())] {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        let rest = Key::Rest(Relation::Charge, Box::new(Key::Tenant));
        assert_eq!((rest.to_string().as_str(), Key::parse("rest:charge:tenant")), ("rest:charge:tenant", None));
        assert_eq!((Key::parse("resource:"), Key::parse("lkc-1"), Key::parse("")), (None, None, None));
    }
}
