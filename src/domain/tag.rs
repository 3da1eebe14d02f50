//! What people write on resources and identities: keys with values, such as `team: payments`.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A tag. Topic `tags`, compacted, key: [`Tag::record_key`]; a tombstone takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub tenant: String,
    pub entity_type: EntityType,
    /// As in costs; of a topic `<cluster>:topic:<name>`.
    pub entity_id: String,
    /// A [`TagKey`].
    pub key: String,
    /// 1 to [`Tag::LONGEST_VALUE`] characters.
    pub value: String,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    /// Who set it, as in [`AuditEvent::actor`](super::AuditEvent).
    pub by: String,
}

/// What a tag is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityType {
    Resource,
    Identity,
}

impl EntityType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Resource, Self::Identity];

    /// Its name in addresses, records and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Identity => "identity",
        }
    }
}

/// Why something is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTag {
    #[error("{0:?} is no tag key: it takes 1 to 63 letters, digits, `_` and `-`, the first one a letter or digit")]
    Key(String),
    #[error("a tag's value has 1 to 500 characters; this one has {0}")]
    ValueLength(usize),
    #[error("{:?} says that there is no tag; remove the tag in place of setting it", Tag::UNTAGGED)]
    Untagged,
    #[error("a tag's value has no control characters")]
    Control,
    #[error("an entity's id has 1 to 600 bytes and no NUL; this one has {0} bytes")]
    Entity(usize),
}

/// A tag's key: 1 to 63 letters, digits, `_` and `-`, the first one a letter or digit. The same in every place where keys
/// are written or asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagKey(String);

impl TagKey {
    /// The key as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TagKey {
    type Err = NoTag;

    fn from_str(text: &str) -> Result<Self, NoTag> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= 63 && text.bytes().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoTag::Key(text.to_owned()))
        }
    }
}

impl Tag {
    /// Characters of a value.
    pub const LONGEST_VALUE: usize = 500;
    /// Bytes of an entity's id.
    pub const LONGEST_ENTITY: usize = 600;
    /// What stands where a row has no tag of a key.
    pub const UNTAGGED: &'static str = "UNTAGGED";

    /// The key of its record, in which no id can be taken for another.
    pub fn record_key(&self) -> String {
        record_key(&self.tenant, self.entity_type, &self.entity_id, &self.key)
    }

    /// Does it fit its limits?
    ///
    /// # Errors
    /// [`NoTag`] with the limit.
    pub fn check(&self) -> Result<(), NoTag> {
        self.key.parse::<TagKey>()?;
        check_entity(&self.entity_id)?;
        check_value(&self.value)
    }
}

/// The key of a tag's record.
pub fn record_key(tenant: &str, entity_type: EntityType, entity_id: &str, key: &str) -> String {
    serde_json::to_string(&[tenant, entity_type.as_str(), entity_id, key]).expect("texts make JSON")
}

/// Can an entity of this id have tags?
///
/// # Errors
/// [`NoTag::Entity`].
pub fn check_entity(id: &str) -> Result<(), NoTag> {
    let fits = (1..=Tag::LONGEST_ENTITY).contains(&id.len()) && !id.contains('\0');
    if fits { Ok(()) } else { Err(NoTag::Entity(id.len())) }
}

/// Can a tag have this value?
///
/// # Errors
/// [`NoTag`] with the limit.
pub fn check_value(value: &str) -> Result<(), NoTag> {
    let length = value.chars().count();
    if !(1..=Tag::LONGEST_VALUE).contains(&length) {
        return Err(NoTag::ValueLength(length));
    }
    if value == Tag::UNTAGGED {
        return Err(NoTag::Untagged);
    }
    if value.chars().any(char::is_control) { Err(NoTag::Control) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain_words() {
        for good in ["team", "Cost-Center_2", "7", &"k".repeat(63)] {
            assert_eq!(good.parse::<TagKey>().unwrap().as_str(), good);
        }
        for bad in ["", "-team", "_team", "te am", "team'", "équipe", "a.b", "a\"b", &"k".repeat(64)] {
            assert_eq!(bad.parse::<TagKey>(), Err(NoTag::Key(bad.to_owned())));
        }
    }

    #[test]
    fn values_and_ids_have_limits() {
        assert!(check_value("pay, \"ments\" ✓").is_ok());
        assert!(check_value(&"é".repeat(500)).is_ok());
        assert_eq!(check_value(&"é".repeat(501)), Err(NoTag::ValueLength(501)));
        assert_eq!(check_value(""), Err(NoTag::ValueLength(0)));
        assert_eq!(check_value("UNTAGGED"), Err(NoTag::Untagged));
        assert_eq!(check_value("a\nb"), Err(NoTag::Control));
        assert!(check_entity("lkc-1:topic:a/b").is_ok());
        assert_eq!(check_entity(""), Err(NoTag::Entity(0)));
        assert_eq!(check_entity(&"x".repeat(601)), Err(NoTag::Entity(601)));
        assert!(check_entity("a\0").is_err());
    }

    #[test]
    fn no_id_can_be_taken_for_another() {
        let one = record_key("t", EntityType::Resource, "a\",\"b", "k");
        let other = record_key("t", EntityType::Resource, "a", "b");
        assert_ne!(one, other);
        assert_eq!(other, r#"["t","resource","a","b"]"#);
    }
}
