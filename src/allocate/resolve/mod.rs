//! Who stands behind a billed resource.
//!
//! In: a day's facts, a resource and how its kind is resolved. Out: the identities attached to it or seen in its
//! metrics, and what each used. Absent: amounts.

mod connector;
mod keys;
mod owner;
mod statements;

use super::book::Family;
use super::facts::Facts;
use super::symbols::Sym;
use crate::domain::rule::Resolver;

/// The answer; one value is used again for all resources.
#[derive(Debug, Default)]
pub struct Resolution {
    /// Whom an even split falls on: sorted, each once.
    pub active: Vec<Sym>,
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
        match family.resolver {
            Resolver::None => {}
            Resolver::KeysAndPrincipals => keys::resolve(facts, metrics, resource, self),
            Resolver::ConnectorCredentials => self.active.push(connector::resolve(facts, &family.service, resource)),
            Resolver::ResourceOwner => self.active.push(owner::resolve(facts, &family.service, resource)),
            Resolver::StatementOwners => statements::resolve(facts, family, metrics, resource, self),
        }
        self.active.sort_unstable();
        self.active.dedup();
    }

    fn clear(&mut self, metrics: usize) {
        self.active.clear();
        self.weights.clear();
        self.unresolved.clear();
        self.inferred = false;
        self.usage.resize_with(metrics, Vec::new);
        self.usage.iter_mut().for_each(Vec::clear);
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
