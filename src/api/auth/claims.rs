//! From the claims of an issuer's token to a caller. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Caller;
use crate::domain::Scope;

/// All tenants, where names of tenants stand.
const ALL: &str = "*";

/// What is asked of an issuer's tokens, and what they give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    pub issuer: String,
    pub audience: String,
    pub leeway_seconds: u32,
    /// The claim that says what the caller may; dots lead into objects.
    pub scopes_claim: String,
    /// Value of the claim and what it gives; empty: values are scopes by name.
    pub scopes: BTreeMap<String, Vec<Scope>>,
    /// The claim that says which tenants it sees; none: all of them.
    pub tenants_claim: Option<String>,
    /// Value of the claim and names of tenants, `*` for all; empty: values are names of tenants.
    pub tenants: BTreeMap<String, Vec<String>>,
    /// Names of tenants and their ids.
    pub known: BTreeMap<String, String>,
}

impl Claims {
    /// The caller that these claims are of.
    ///
    /// # Errors
    /// Why the token lets nobody in.
    pub(super) fn caller(&self, claims: &Value, now: DateTime<Utc>) -> Result<Caller, String> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss").map(|iss| iss.trim_end_matches('/')) != Some(self.issuer.trim_end_matches('/')) {
            return Err("the token is of another issuer".to_owned());
        }
        if !claims.get("aud").is_some_and(|aud| values(aud).contains(&self.audience)) {
            return Err("the token is for another audience".to_owned());
        }
        let (now, leeway) = (now.timestamp(), i64::from(self.leeway_seconds));
        let moment = |name: &str| claims.get(name).map(|at| at.as_f64().map(|at| at as i64));
        let ends = moment("exp").flatten().ok_or("the token does not say when it ends")?;
        if now >= ends.saturating_add(leeway) {
            return Err("the token has expired".to_owned());
        }
        match moment("nbf") {
            Some(None) => return Err("the token does not say since when it holds in a way that can be read".to_owned()),
            Some(Some(since)) if now < since.saturating_sub(leeway) => {
                return Err("the token does not hold yet".to_owned());
            }
            _ => {}
        }
        let subject = text("sub").filter(|sub| !sub.is_empty()).ok_or("the token does not say whose it is")?;
        Ok(Caller {
            actor: format!("user:{subject}"),
            scopes: self.scopes(claims),
            tenants: self.tenants(claims),
            expires_at: DateTime::from_timestamp(ends, 0),
            request_id: String::new(),
        })
    }

    fn scopes(&self, claims: &Value) -> BTreeSet<Scope> {
        let given = find(claims, &self.scopes_claim).map(values).unwrap_or_default();
        let scopes = given.iter().flat_map(|value| match self.scopes.is_empty() {
            true => value.parse().into_iter().collect(),
            false => self.scopes.get(value).cloned().unwrap_or_default(),
        });
        scopes.collect()
    }

    /// Ids; none: all of them.
    fn tenants(&self, claims: &Value) -> Option<BTreeSet<String>> {
        let claim = self.tenants_claim.as_deref()?;
        let given = find(claims, claim).map(values).unwrap_or_default();
        let names: Vec<String> = match self.tenants.is_empty() {
            true => given,
            false => given.iter().flat_map(|value| self.tenants.get(value).cloned().unwrap_or_default()).collect(),
        };
        // Only the configuration gives all: an issuer's user may be able to name a group `*`.
        if !self.tenants.is_empty() && names.iter().any(|name| name == ALL) {
            return None;
        }
        Some(names.iter().filter_map(|name| self.known.get(name).cloned()).collect())
    }
}

/// The claim of this name, or the one that its dots lead to.
fn find<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| name.split('.').try_fold(claims, |inside, part| inside.get(part)))
}

/// The texts of a list, or the words of a text.
fn values(claim: &Value) -> Vec<String> {
    match claim {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn settings() -> Claims {
        let known = [("one", "t-1"), ("two", "t-2")].map(|(name, id)| (name.to_owned(), id.to_owned()));
        Claims {
            issuer: "https://login.example.com".into(),
            audience: "tributary".into(),
            leeway_seconds: 30,
            scopes_claim: "scope".into(),
            known: known.into(),
            ..Claims::default()
        }
    }

    fn caller(settings: &Claims, changes: &[(&str, Value)]) -> Result<Caller, String> {
        let mut claims = json!({"iss": "https://login.example.com/", "aud": ["other", "tributary"], "sub": "ada",
            "exp": NOW + 60, "scope": "openid costs:read"});
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        settings.caller(&claims, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_good_token_is_a_caller() {
        let caller = caller(&settings(), &[]).unwrap();
        assert_eq!((caller.actor.as_str(), caller.tenants), ("user:ada", None));
        assert_eq!(caller.scopes, BTreeSet::from([Scope::CostsRead]));
    }

    #[test]
    fn what_does_not_hold_lets_nobody_in() {
        let refused = |name: &str, value: Value| caller(&settings(), &[(name, value)]).unwrap_err();
        assert!(refused("iss", json!("https://login.example.com.evil")).contains("issuer"));
        assert!(refused("aud", json!("tributary-staging")).contains("audience"));
        assert!(refused("aud", Value::Null).contains("audience"));
        assert!(refused("exp", json!(NOW - 30)).contains("expired"));
        assert!(refused("exp", json!("never")).contains("when it ends"));
        assert!(refused("exp", Value::Null).contains("when it ends"));
        assert!(refused("nbf", json!(NOW + 31)).contains("not hold yet"));
        assert!(refused("nbf", json!("soon")).contains("since when"));
        assert!(refused("sub", Value::Null).contains("whose"));
        // Clocks may be apart by the leeway.
        assert!(caller(&settings(), &[("exp", json!(NOW - 29)), ("nbf", json!(NOW + 30))]).is_ok());
    }

    #[test]
    fn claims_are_mapped() {
        let mapped = Claims {
            scopes_claim: "realm_access.roles".into(),
            scopes: BTreeMap::from([("finops".into(), vec![Scope::CostsRead, Scope::TagsWrite])]),
            tenants_claim: Some("groups".into()),
            tenants: BTreeMap::from([("team-1".into(), vec!["one".into()]), ("all".into(), vec!["*".into()])]),
            ..settings()
        };
        let roles = json!({"roles": ["finops", "costs:read", "admin"]});
        let of = |groups: Value| caller(&mapped, &[("realm_access", roles.clone()), ("groups", groups)]).unwrap();
        let found = of(json!(["team-1", "two", "*"]));
        assert_eq!(found.scopes, BTreeSet::from([Scope::CostsRead, Scope::TagsWrite]));
        assert_eq!(found.tenants, Some(BTreeSet::from(["t-1".to_owned()])));
        assert_eq!(of(json!("all")).tenants, None);
        assert_eq!(of(Value::Null).tenants, Some(BTreeSet::new()), "who is in no group sees nothing");
        let by_name = Claims { tenants: BTreeMap::new(), ..mapped };
        let found = caller(&by_name, &[("groups", json!(["two", "*", "three"]))]).unwrap();
        assert_eq!(found.tenants, Some(BTreeSet::from(["t-2".to_owned()])));
    }
}
