//! What people and their programs changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One change of one thing. Topic `audit`, key: the tenant, or `*` for what belongs to no tenant. It is written in the
/// transaction of the change itself, so there is neither without the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Unique among all events.
    pub id: String,
    /// The tenant's id; none where the change is of the installation.
    pub tenant: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    /// Who did it: the kind, a colon, the name: `token:<id>`, `user:<subject>`, `cli:<login>`, `service` for the
    /// service itself, or `nobody` where nobody has to sign in.
    pub actor: String,
    /// What was done, as `<kind>.<deed>`: `token.created`.
    pub action: String,
    /// The kind of the thing that changed.
    pub entity_type: String,
    pub entity_id: String,
    /// The thing before and after as JSON, without secrets; none where it was not there.
    pub before: Option<String>,
    pub after: Option<String>,
    /// The request it was part of; all changes of one request have the same.
    pub request_id: String,
}

impl AuditEvent {
    /// The key of what belongs to no tenant.
    pub const OF_NO_TENANT: &'static str = "*";

    /// The record's key.
    pub fn key(&self) -> &str {
        self.tenant.as_deref().unwrap_or(Self::OF_NO_TENANT)
    }
}
