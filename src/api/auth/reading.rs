//! Tokens of an issuer read in the way in which requests' are, for tests that damage them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::claims::Claims;
use super::jwt::{Jwt, keys};

/// The claims of a token, if a key of the key set (JWKS) signed it.
pub fn read_token(token: &str, key_set: &[u8]) -> Option<Value> {
    let set: Value = serde_json::from_slice(key_set).ok()?;
    let jwt = Jwt::parse(token)?;
    keys(&set).iter().find_map(|key| jwt.verified(key))
}

/// The actor that claims are of, and the ids of the tenants that it sees; none: all of them.
///
/// # Errors
/// Why they let nobody in.
pub fn read_claims(
    asked: &Claims,
    claims: &Value,
    now: DateTime<Utc>,
) -> Result<(String, Option<Vec<String>>), String> {
    let caller = asked.caller(claims, now)?;
    Ok((caller.actor, caller.tenants.map(|ids| ids.into_iter().collect())))
}
