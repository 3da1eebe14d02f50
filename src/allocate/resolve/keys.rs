//! Owners of the API keys that open a resource, and the principals seen in its metrics.
//!
//! In: the day's keys and usage by principal. Out: identities and usage by owner. Absent: any check that an owner
//! is itself listed: an id is enough to be charged.

use super::{Resolution, add_up};
use crate::allocate::facts::Facts;
use crate::allocate::symbols::Sym;
use crate::domain::Subject;

/// A principal is seen whatever its value; only values above zero weigh.
pub fn resolve(facts: &Facts, metrics: &[String], resource: Sym, out: &mut Resolution) {
    out.active.ids.extend(facts.key_owners(resource));
    for (metric, usage) in metrics.iter().zip(&mut out.usage) {
        for (principal, value) in facts.usage(resource, metric, Subject::Principal) {
            let payer = payer(facts, *principal);
            if let Payer::Owner(id) = payer {
                out.active.ids.push(id);
            }
            if *value > 0.0 {
                if let Payer::Ownerless(key) = payer {
                    out.unresolved.push(key);
                }
                usage.push((payer.id(), *value));
            }
        }
        add_up(usage);
    }
    out.unresolved.sort_unstable();
    out.unresolved.dedup();
}

#[derive(Clone, Copy)]
enum Payer {
    /// The principal, or the owner of the key it is.
    Owner(Sym),
    /// A key that is listed without an owner: it pays for what it used and takes no part otherwise.
    Ownerless(Sym),
}

impl Payer {
    fn id(self) -> Sym {
        match self {
            Self::Owner(id) | Self::Ownerless(id) => id,
        }
    }
}

fn payer(facts: &Facts, principal: Sym) -> Payer {
    match facts.api_key(principal).map(|key| key.owner) {
        None => Payer::Owner(principal),
        Some(Some(owner)) => Payer::Owner(owner),
        Some(None) => Payer::Ownerless(principal),
    }
}
