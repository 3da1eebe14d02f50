//! Who asks, and whether they may.
//!
//! In: a request. Out: the same with its [`Caller`], or a problem: 401 who are you, 403 you may not, 404 for another tenant's
//! things. It stands in front of every route, so no handler can forget it; which right a route needs is decided by
//! [`needed`], and a route that is not named there needs `admin`.

mod needed;

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(super) use needed::{needed, tenant_of};

use super::Api;
use super::problem::{Code, Problem};
use super::request::RequestId;
use super::write::By;
use crate::domain::Scope;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As in [`AuditEvent::actor`](crate::domain::AuditEvent).
    pub actor: String,
    pub scopes: BTreeSet<Scope>,
    /// Ids of the tenants it is limited to; none: all of them.
    pub tenants: Option<BTreeSet<String>>,
    request_id: String,
}

impl Caller {
    /// Where nobody has to sign in, everybody may do everything.
    pub fn nobody() -> Self {
        Self { actor: "nobody".to_owned(), scopes: Scope::ALL.into(), tenants: None, request_id: String::new() }
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
    #[allow(dead_code, reason = "no route writes yet")]
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

/// Stands in front of every route of the API.
pub(super) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let mut caller = Caller::nobody();
    if let Some(RequestId(id)) = request.extensions().get::<RequestId>() {
        caller.request_id.clone_from(id);
    }
    match api.admit(&caller, &request) {
        Ok(()) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl Api {
    /// May the caller do that?
    fn admit(&self, caller: &Caller, request: &Request) -> Result<(), Problem> {
        let path = request.uri().path();
        if let Some(name) = tenant_of(path) {
            // The same answer as for a tenant that is not there: nobody learns which others there are.
            if !caller.sees(&self.tenant(&name)?.tenant_id) {
                return Err(Problem::not_found("tenant", &name));
            }
        }
        match needed(request.method(), path) {
            Some(scope) if !caller.may(scope) => Err(Problem::new(
                Code::Forbidden,
                format!("this needs the scope {scope}, which the caller does not have"),
            )),
            _ => Ok(()),
        }
    }
}
