//! What a wish about a tag comes to. Pure: what is there and what is wanted in, the change out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::write::Change;
use crate::domain::{EntityType, Tag};
use crate::journal::Topic;
use crate::journal::codec::EncodeError;

use super::write::Ledger;

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// There was no such tag.
    Created,
    /// It had another value.
    Updated,
    Removed,
    /// It was as wished.
    Unchanged,
    /// It has another value, which was to be kept.
    Skipped,
    /// The wish cannot be fulfilled.
    Failed,
}

/// What a wish comes to: `wanted` is the value, `None` to remove the tag; another value is replaced or removed only if
/// `override_existing` says so.
pub(crate) fn outcome(current: Option<&str>, wanted: Option<&str>, override_existing: bool) -> Outcome {
    match (current, wanted) {
        (None, Some(_)) => Outcome::Created,
        (None, None) => Outcome::Unchanged,
        (Some(current), Some(wanted)) if current == wanted => Outcome::Unchanged,
        (Some(_), _) if !override_existing => Outcome::Skipped,
        (Some(_), Some(_)) => Outcome::Updated,
        (Some(_), None) => Outcome::Removed,
    }
}

/// A value as the audit shows it.
#[derive(Debug, Serialize)]
struct Said<'a> {
    key: &'a str,
    value: &'a str,
}

/// The change that sets a tag.
///
/// # Errors
/// [`EncodeError`] if a value does not fit the schema.
pub(crate) fn set(ledger: &Ledger, tag: &Tag, before: Option<&str>) -> Result<Change, EncodeError> {
    let said = |value| Said { key: &tag.key, value };
    let change = Change::put(ledger, Topic::Tags, &tag.record_key(), tag)?.to(&said(&tag.value));
    let change = change.of("tag.set", tag.entity_type.as_str(), &tag.entity_id);
    Ok(match before {
        Some(before) => change.from(&said(before)),
        None => change,
    })
}

/// The change that removes a tag.
pub(crate) fn remove(tenant: &str, kind: EntityType, id: &str, key: &str, before: &str) -> Change {
    let record = crate::domain::tag::record_key(tenant, kind, id, key);
    Change::remove(Topic::Tags, &record).of("tag.removed", kind.as_str(), id).from(&Said { key, value: before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_kept_unless_it_is_said_otherwise() {
        assert_eq!(outcome(None, Some("a"), false), Outcome::Created);
        assert_eq!(outcome(Some("a"), Some("a"), true), Outcome::Unchanged);
        assert_eq!(outcome(Some("a"), Some("b"), false), Outcome::Skipped);
        assert_eq!(outcome(Some("a"), Some("b"), true), Outcome::Updated);
        assert_eq!(outcome(Some("a"), None, false), Outcome::Skipped);
        assert_eq!(outcome(Some("a"), None, true), Outcome::Removed);
        assert_eq!(outcome(None, None, true), Outcome::Unchanged);
    }
}
