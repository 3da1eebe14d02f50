//! The owner that a resource itself names.
//!
//! In: the resource. Out: exactly one id, a sentinel where it names none. Absent: lifetimes.

use super::Sentinel;
use crate::allocate::facts::Facts;
use crate::allocate::open_day::Attribute;
use crate::allocate::symbols::Sym;

/// The owner field before the attribute.
pub fn resolve(facts: &Facts, service: &str, resource: Sym) -> Sym {
    match facts.thing(resource) {
        None => Sentinel::Deleted.sym(facts, service),
        Some(thing) => {
            let owner = thing.owner.or_else(|| thing.attribute(Attribute::Owner));
            owner.unwrap_or_else(|| Sentinel::OwnerUnknown.sym(facts, service))
        }
    }
}
