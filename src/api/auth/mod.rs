//! Who asks, and whether they may.
//!
//! In: a request. Out: the same with its `Caller`, or a problem: 401 who are you, 403 you may not, 404 for another tenant's
//! things. It stands in front of every route, so no handler can forget it; which right a route needs is decided by
//! `needed`, and a route that is not named there needs `admin`.

mod caller;
mod claims;
mod issue;
mod issuer;
mod jwt;
mod needed;
mod reading;
pub mod token;

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(crate) use caller::Caller;
pub use claims::Claims;
pub use issue::{issue, revoke};
pub use issuer::Issuer;
use needed::METRICS;
pub(super) use needed::{needed, tenant_of};
pub use reading::{read_claims, read_token};

use self::token::Tokens;
use super::Api;
use super::problem::{Code, Fault, Problem};
use super::request::RequestId;
use crate::domain::Scope;

/// How callers say who they are.
#[derive(Debug, Default)]
pub struct Gate {
    /// Everybody may do everything.
    open: bool,
    tokens: Option<Tokens>,
    issuer: Option<Issuer>,
}

impl Gate {
    /// A gate that lets everybody do everything.
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// A gate that takes tokens of our own, if `tokens`, and those of an issuer, if there is one.
    pub fn closed(tokens: bool, issuer: Option<Issuer>) -> Self {
        Self { open: false, tokens: tokens.then(Tokens::default), issuer }
    }
}

/// Stands in front of every route of the API.
pub(super) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(from)| from.ip().to_string());
    let address = address.unwrap_or_default();
    let admitted = match api.signed_in(&address, request.headers().get(header::AUTHORIZATION).cloned()).await {
        Ok(caller) => api.admit(&caller, &request).map(|()| Caller { request_id, ..caller }),
        Err(problem) => Err(problem),
    };
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl Api {
    /// Who asks, if neither it nor its address asks too fast?
    async fn signed_in(&self, address: &str, authorization: Option<HeaderValue>) -> Result<Caller, Problem> {
        let (callers, strangers) = &*self.paces;
        let signed_in = self.caller(authorization).await;
        let (pace, client) = match &signed_in {
            Ok(Caller { actor, .. }) if actor == Caller::NOBODY => (callers, address),
            Ok(Caller { actor, .. }) => (callers, actor.as_str()),
            // Nobody finds 256 bits by guessing, but whoever tries is told to stop.
            Err(problem) if problem.status == 401 => (strangers, address),
            Err(_) => (&None, address),
        };
        if let Some(Err(wait)) = pace.as_ref().map(|pace| pace.take(client, Instant::now())) {
            let told = format!("{client} asks faster than it may; wait as long as Retry-After says");
            let retry_after = wait.as_secs_f64().ceil() as u32;
            return Err(Problem { retry_after, ..Problem::new(Code::TooFast, told) });
        }
        signed_in
    }

    /// Who asks?
    async fn caller(&self, authorization: Option<HeaderValue>) -> Result<Caller, Problem> {
        if self.gate.open {
            return Ok(Caller::nobody());
        }
        let Some(value) = authorization else {
            let how = "sign in: send `Authorization: Bearer` and a token; `tributary token create` makes one";
            return Err(Problem::new(Code::Unauthenticated, how));
        };
        let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
        let bearer =
            bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
        let other = "the header Authorization is not `Bearer` and a token";
        let secret = bearer.ok_or_else(|| Problem::new(Code::BadToken, other))?;
        if let Some(tokens) = self.gate.tokens.as_ref().filter(|_| secret.starts_with(token::PREFIX)) {
            let found = tokens.find(&self.store, secret, self.clock.now()).await?;
            let unknown = "there is no such token, or it was taken back, or it has expired";
            return found.map(Caller::of_token).ok_or_else(|| Problem::new(Code::BadToken, unknown));
        }
        match &self.gate.issuer {
            Some(issuer) => issuer.caller(secret, self.clock.now()).await,
            None => Err(Problem::new(Code::BadToken, "this is no token that this service takes")),
        }
    }

    /// May the caller do that?
    fn admit(&self, caller: &Caller, request: &Request) -> Result<(), Problem> {
        let path = request.uri().path();
        if request.uri().path_and_query().is_some_and(|all| all.as_str().contains("%00")) {
            let told = "a zero byte (%00) stands in the address; no name, id or value holds one";
            return Err(Problem::of_parameters(vec![Fault::new("address", told)]));
        }
        let tenant = tenant_of(path);
        if let Some(name) = &tenant
            && !caller.sees(&self.tenant(name)?.tenant_id)
        {
            // The same answer as for a tenant that is not there: nobody learns which others there are.
            return Err(Problem::not_found("tenant", name));
        }
        match needed(request.method(), path) {
            Some(scope) if !caller.may(scope) => Err(Problem::new(
                Code::Forbidden,
                format!("this needs the scope {scope}, which the caller does not have"),
            )),
            // Whoever made tokens for other tenants would be limited by nothing, and metrics name all of them.
            Some(scope)
                if caller.tenants.is_some() && (path == METRICS || scope == Scope::Admin && tenant.is_none()) =>
            {
                let all = "this is about all tenants, and the caller is limited to some of them";
                Err(Problem::new(Code::Forbidden, all))
            }
            _ => Ok(()),
        }
    }
}
