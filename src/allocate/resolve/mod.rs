//! Who stands behind a billed resource.
//!
//! In: a day's facts, a resource and how its kind is resolved. Out: the identities attached to it or seen in its
//! metrics, and what each used; then who is charged in their place. Absent: amounts.

mod connector;
mod keys;
mod owner;
mod statements;

use super::book::Family;
use super::facts::Facts;
use super::open_day::Attribute;
use super::stand_in::StandIn;
use super::symbols::Sym;
use crate::domain::rule::Resolver;
use crate::domain::rule::identity::EvenSplit;

/// The answer; one value is used again for all resources.
#[derive(Debug, Default)]
pub struct Resolution {
    /// Whom an even split falls on.
    pub active: Heads,
    /// The owner that the resource names.
    pub owner: Option<Sym>,
    /// Whom the resource stands for, if not for itself.
    pub resource: Option<Sym>,
    /// For each of the family's metrics, usage above zero by owner, sorted by owner.
    pub usage: Vec<Vec<(Sym, f64)>>,
    /// Weights that the resolver worked out, sorted by identity.
    pub weights: Vec<(Sym, f64)>,
    /// Were the weights inferred, for want of usage?
    pub inferred: bool,
    /// API keys with usage that are listed without an owner, sorted.
    pub unresolved: Vec<Sym>,
}

impl Resolution {
    /// Resolves `resource`; without its metrics if they could not be fetched.
    pub fn resolve(&mut self, facts: &Facts, family: &Family, resource: Sym, usage_failed: bool) {
        self.clear(family.metrics.len());
        let metrics = if usage_failed { &[][..] } else { &family.metrics[..] };
        let found = &mut self.active.ids;
        match family.resolver {
            Resolver::None => {}
            Resolver::KeysAndPrincipals => keys::resolve(facts, metrics, resource, self),
            Resolver::ConnectorCredentials => found.push(connector::resolve(facts, &family.service, resource)),
            Resolver::ResourceOwner => found.push(owner::resolve(facts, &family.service, resource)),
            Resolver::StatementOwners => statements::resolve(facts, family, metrics, resource, self),
        }
        self.active.ids.sort_unstable();
        self.active.ids.dedup();
        let named = facts.thing(resource);
        self.owner = named.and_then(|thing| thing.owner.or_else(|| thing.attribute(Attribute::Owner)));
        if let Some(mapping) = family.mapping {
            self.stand_in(&facts.stand_ins[mapping], resource);
        }
    }

    /// Puts who is charged in the place of whom was found.
    fn stand_in(&mut self, by: &StandIn, resource: Sym) {
        self.active.stand_in(by);
        for weights in self.usage.iter_mut().chain([&mut self.weights]) {
            weights.iter_mut().for_each(|(id, _)| *id = by.principal(*id));
            add_up(weights);
        }
        // A key that is booked to somebody is no longer in doubt.
        self.unresolved.retain(|id| by.principal(*id) == *id);
        self.owner = self.owner.map(|owner| by.principal(owner));
        self.resource = by.resource(resource);
        if let Some(identity) = self.resource {
            self.active = Heads { ids: vec![identity], parts: vec![] };
            self.owner = Some(identity);
        }
    }

    fn clear(&mut self, metrics: usize) {
        self.active.ids.clear();
        self.active.parts.clear();
        (self.owner, self.resource) = (None, None);
        self.weights.clear();
        self.unresolved.clear();
        self.inferred = false;
        self.usage.resize_with(metrics, Vec::new);
        self.usage.iter_mut().for_each(Vec::clear);
    }
}

/// Who takes part in an even split: sorted, each once.
#[derive(Debug, Clone, Default)]
pub struct Heads {
    pub ids: Vec<Sym>,
    /// How many equal parts each gets; empty where that is one.
    pub parts: Vec<u64>,
}

impl Heads {
    /// Puts who is charged in the place of these, who were found.
    pub fn stand_in(&mut self, by: &StandIn) {
        let mut charged: Vec<Sym> = self.ids.iter().map(|id| by.principal(*id)).collect();
        charged.sort_unstable();
        self.ids.clear();
        self.parts.clear();
        for run in charged.chunk_by(|a, b| a == b) {
            self.ids.push(run[0]);
            self.parts.push(run.len() as u64);
        }
        if by.even_split == EvenSplit::Charged || self.parts.iter().all(|parts| *parts == 1) {
            self.parts.clear();
        }
    }
}

/// Sorts by identity and adds up, in an order that depends on the facts only.
pub fn add_up(weights: &mut Vec<(Sym, f64)>) {
    if !weights.is_sorted_by(|a, b| a.0 < b.0) {
        weights.sort_by_key(|(id, _)| *id);
        weights.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }
}

/// An identity in place of one that is not known. Its id is named after the product family: `connector_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentinel {
    /// The connector itself is not known any more.
    CredentialsMasked,
    CredentialsUnknown,
    KeyMasked,
    KeyNotFound,
    /// The resource is not known any more.
    Deleted,
    OwnerUnknown,
    StatementOwnerUnknown,
}

impl Sentinel {
    /// Those a resolver may answer.
    pub fn of(resolver: Resolver) -> &'static [Self] {
        match resolver {
            Resolver::None | Resolver::KeysAndPrincipals => &[],
            Resolver::ConnectorCredentials => {
                &[Self::CredentialsMasked, Self::CredentialsUnknown, Self::KeyMasked, Self::KeyNotFound]
            }
            Resolver::ResourceOwner => &[Self::Deleted, Self::OwnerUnknown],
            Resolver::StatementOwners => &[Self::StatementOwnerUnknown],
        }
    }

    /// Its id.
    pub fn id(self, service: &str) -> String {
        let what = match self {
            Self::CredentialsMasked => "credentials_masked",
            Self::CredentialsUnknown => "credentials_unknown",
            Self::KeyMasked => "api_key_masked",
            Self::KeyNotFound => "api_key_not_found",
            Self::Deleted => "deleted_when_calc_started",
            Self::OwnerUnknown => "owner_unknown",
            Self::StatementOwnerUnknown => "stmt_owner_unknown",
        };
        format!("{service}_{what}")
    }

    /// Its number; [`super::facts`] saw to it that it has one.
    fn sym(self, facts: &Facts, service: &str) -> Sym {
        facts.texts.find(&self.id(service)).unwrap_or(facts.unallocated)
    }
}
