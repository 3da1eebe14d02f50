//! Who asks, once that is known.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use crate::api::problem::{Code, Problem};
use crate::api::write::By;
use crate::domain::Scope;
use crate::store::TokenRow;

/// Who asks. Handlers take it as a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As in [`AuditEvent::actor`](crate::domain::AuditEvent).
    pub actor: String,
    pub scopes: BTreeSet<Scope>,
    /// Ids of the tenants it is limited to; none: all of them.
    pub tenants: Option<BTreeSet<String>>,
    /// From then on it has to sign in anew.
    pub expires_at: Option<DateTime<Utc>>,
    pub request_id: String,
}

impl Caller {
    /// The actor where nobody has to sign in.
    pub const NOBODY: &str = "nobody";

    /// Where nobody has to sign in, everybody may do everything.
    pub fn nobody() -> Self {
        let actor = Self::NOBODY.to_owned();
        Self { actor, scopes: Scope::ALL.into(), tenants: None, expires_at: None, request_id: String::new() }
    }

    /// Whoever has this token.
    pub fn of_token(token: TokenRow) -> Self {
        Self {
            actor: format!("token:{}", token.id),
            // A scope of a newer version gives no right here.
            scopes: token.scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
            tenants: token.tenants.map(|tenants| tenants.into_iter().collect()),
            expires_at: token.expires_at,
            request_id: String::new(),
        }
    }

    /// Has it this right?
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// May it see the tenant of this id?
    pub fn sees(&self, tenant_id: &str) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant_id))
    }

    /// On whose behalf its changes are written.
    pub fn by(&self) -> By {
        By { actor: self.actor.clone(), request_id: self.request_id.clone() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unguarded = || Problem::new(Code::Internal, "the service made a mistake: nobody looked who asks");
        parts.extensions.get::<Self>().cloned().ok_or_else(unguarded)
    }
}
