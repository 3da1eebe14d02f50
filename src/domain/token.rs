//! What lets a program or a person in: tokens of the API, and what may be done with one.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A token of the API without its secret. Topic `tokens`, compacted, key: its id; a tombstone takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Unique, and no secret: the beginning of the token itself.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole token, 64 hex digits. The secret is 256 random bits, so nobody finds it by trying.
    pub hash: String,
    /// Names of [`Scope`]s. One that this program does not know gives no right.
    pub scopes: Vec<String>,
    /// Ids of the tenants it is limited to; none: all of them, also those to come.
    pub tenants: Option<Vec<String>>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub created_at: DateTime<Utc>,
    /// Who made it, as in [`AuditEvent::actor`](super::AuditEvent).
    pub created_by: String,
    /// From then on it lets nobody in; none: it does until it is taken back.
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A right that a token may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    CostsRead,
    TagsWrite,
    RunsWrite,
    ExportsWrite,
    /// Everything, tokens included.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::CostsRead, Self::TagsWrite, Self::RunsWrite, Self::ExportsWrite, Self::Admin];

    /// As in tokens, requests and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CostsRead => "costs:read",
            Self::TagsWrite => "tags:write",
            Self::RunsWrite => "runs:write",
            Self::ExportsWrite => "exports:write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope; there are costs:read, tags:write, runs:write, exports:write and admin")]
pub struct NoScope(pub String);

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| NoScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_found_by_its_name_and_all_are_told_where_none_is() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
            assert!(NoScope("x".into()).to_string().contains(scope.as_str()));
        }
    }
}
