//! The identity whose credentials a connector uses.
//!
//! In: the connector's attributes, the identities. Out: exactly one id, a sentinel where nothing better is known.
//! Absent: lifetimes; the day's records say what there was.

use super::Sentinel;
use crate::allocate::facts::Facts;
use crate::allocate::open_day::{Attribute, Thing};
use crate::allocate::symbols::Sym;

/// A connector with another or no kind of credentials stands for itself.
pub fn resolve(facts: &Facts, service: &str, resource: Sym) -> Sym {
    let sentinel = |sentinel: Sentinel| sentinel.sym(facts, service);
    let Some(connector) = facts.thing(resource) else { return sentinel(Sentinel::CredentialsMasked) };
    let mode = connector.attribute(Attribute::AuthMode).map(|mode| facts.texts.text(mode));
    match mode {
        Some("SERVICE_ACCOUNT") => {
            connector.attribute(Attribute::ServiceAccount).unwrap_or_else(|| sentinel(Sentinel::CredentialsUnknown))
        }
        Some("KAFKA_API_KEY") => by_key(facts, connector).unwrap_or_else(sentinel),
        _ => resource,
    }
}

fn by_key(facts: &Facts, connector: &Thing) -> Result<Sym, Sentinel> {
    let key = connector.attribute(Attribute::ApiKey).ok_or(Sentinel::CredentialsUnknown)?;
    if facts.texts.text(key).bytes().all(|byte| byte == b'*') {
        return Err(Sentinel::KeyMasked);
    }
    let key = facts.person(key).ok_or(Sentinel::KeyNotFound)?;
    key.owner.ok_or(Sentinel::CredentialsUnknown)
}
