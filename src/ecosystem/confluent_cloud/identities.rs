//! From the provider's accounts, users, keys and pools to identities.
//!
//! In: items of its lists. Out: [`Identity`]s, tenant and day left empty. Pure. An item without an id is no
//! identity; anything else that is missing is left out.

use serde_json::Value;

use super::ECOSYSTEM;
use super::json::{moment, text};
use crate::domain::{Day, Identity};

/// Every identity type that is listed.
pub const TYPES: [&str; 5] = ["service_account", "user", "api_key", "identity_provider", "identity_pool"];

/// `name` is the path to the display name; each of `attributes` is a name and a path.
fn identity(kind: &str, item: &Value, name: &[&str], attributes: &[(&str, &[&str])]) -> Option<Identity> {
    let attributes = attributes.iter().filter_map(|(name, path)| Some(((*name).to_owned(), text(item, path)?)));
    Some(Identity {
        tenant: String::new(),
        day: Day::from(chrono::NaiveDate::default()),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: ECOSYSTEM.to_owned(),
        identity_id: text(item, &["id"])?,
        identity_type: kind.to_owned(),
        display_name: text(item, name),
        owner_id: None,
        resource_id: None,
        created_at: moment(item, &["metadata", "created_at"]),
        deleted_at: None,
        attributes: attributes.collect(),
    })
}

const DESCRIPTION: (&str, &[&str]) = ("description", &["description"]);
const CRN: (&str, &[&str]) = ("crn", &["metadata", "resource_name"]);

/// A service account.
pub fn service_account(item: &Value) -> Option<Identity> {
    identity("service_account", item, &["display_name"], &[DESCRIPTION])
}

/// A person.
pub fn user(item: &Value) -> Option<Identity> {
    identity("user", item, &["full_name"], &[CRN])
}

/// An API key, with its owner and the resource it opens.
pub fn api_key(item: &Value) -> Option<Identity> {
    Some(Identity {
        owner_id: text(item, &["spec", "owner", "id"]),
        resource_id: text(item, &["spec", "resource", "id"]),
        ..identity("api_key", item, &["spec", "description"], &[])?
    })
}

/// An identity provider.
pub fn identity_provider(item: &Value) -> Option<Identity> {
    identity("identity_provider", item, &["display_name"], &[DESCRIPTION, CRN])
}

/// An identity pool of an identity provider.
pub fn identity_pool(item: &Value, provider: &str) -> Option<Identity> {
    let mut pool = identity("identity_pool", item, &["display_name"], &[DESCRIPTION])?;
    pool.attributes.insert("provider_id".to_owned(), provider.to_owned());
    Some(pool)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_has_an_owner_and_opens_something() {
        let item = json!({"id": "K1", "spec": {"description": "ci", "owner": {"id": "sa-1"}, "resource": {"id": "lkc-1"}},
            "metadata": {"created_at": "2026-02-01T00:00:00Z"}});
        let key = api_key(&item).unwrap();
        assert_eq!((key.owner_id.as_deref(), key.resource_id.as_deref()), (Some("sa-1"), Some("lkc-1")));
        assert_eq!((key.identity_type.as_str(), key.display_name.as_deref()), ("api_key", Some("ci")));
        let stray = api_key(&json!({"id": "K2", "spec": {"owner": null, "resource": {"id": ""}}})).unwrap();
        assert_eq!((stray.owner_id, stray.resource_id), (None, None));
    }

    #[test]
    fn people_and_pools() {
        let crn = json!({"resource_name": "crn://x/user=u-1"});
        let person = user(&json!({"id": "u-1", "full_name": "Ada", "metadata": crn})).unwrap();
        assert_eq!(
            (person.display_name.as_deref(), person.attributes["crn"].as_str()),
            (Some("Ada"), "crn://x/user=u-1")
        );
        let pool = identity_pool(&json!({"id": "pool-1", "display_name": "p", "description": ""}), "op-1").unwrap();
        assert_eq!(pool.attributes.into_iter().collect::<Vec<_>>(), [("provider_id".into(), "op-1".into())]);
        assert_eq!(service_account(&json!({"display_name": "no id"})), None);
    }
}
