//! Tokens of the API, and who the caller is.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Api;
use crate::api::auth::token::{NewToken, token_name};
use crate::api::auth::{Caller, issue, revoke};
use crate::api::once::Secretive;
use crate::api::params::Body;
use crate::api::problem::{Fault, Problem};
use crate::api::write::EventPosition;
use crate::domain::{ApiToken, Scope};
use crate::journal::Topic;

/// What a token is wanted for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `costs:read`, `tags:write`, `runs:write`, `exports:write`, `admin`; at least one.
    #[schema(min_items = 1)]
    scopes: Vec<String>,
    /// Names of the tenants it is limited to; left out or null: all of them, also those to come.
    tenants: Option<Vec<String>>,
    /// When it ends; left out or null: when it is taken back.
    expires_at: Option<DateTime<Utc>>,
}

/// A token without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TokenItem {
    /// Also the beginning of the token itself.
    id: String,
    name: String,
    scopes: Vec<String>,
    /// Names of the tenants it is limited to (the id of one that is configured no more); null: all of them.
    tenants: Option<Vec<String>>,
    created_at: DateTime<Utc>,
    /// `token:<id>`, `user:<subject>`, `cli:<login>`, `service`, or `nobody` where nobody has to sign in.
    created_by: String,
    expires_at: Option<DateTime<Utc>>,
}

/// A new token; this is the only time that the token itself is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NewTokenItem {
    /// Send it as `Authorization: Bearer`.
    token: String,
    #[serde(flatten)]
    item: TokenItem,
}

/// All tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenItem>,
}

/// Who the caller is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WhoAmI {
    /// `token:<id>`, `user:<subject>`, or `nobody` where nobody has to sign in.
    actor: String,
    scopes: Vec<String>,
    /// Names of the tenants that the caller may see.
    tenants: Vec<String>,
    /// When the caller has to sign in anew; null: not by itself.
    expires_at: Option<DateTime<Utc>>,
}

/// Who the caller is, and what it may do
#[utoipa::path(get, path = "/api/v1/whoami", tag = "access",
    responses((status = 200, body = WhoAmI), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn whoami(State(api): State<Api>, caller: Caller) -> Json<WhoAmI> {
    let seen = api.settings.tenants.iter().filter(|tenant| caller.sees(&tenant.tenant_id));
    Json(WhoAmI {
        tenants: seen.map(|tenant| tenant.name.clone()).collect(),
        scopes: caller.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        actor: caller.actor,
        expires_at: caller.expires_at,
    })
}

/// All tokens, the oldest first
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access",
    responses((status = 200, body = TokenList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(api): State<Api>) -> Result<Json<TokenList>, Problem> {
    let tokens = api.store.tokens().await?;
    Ok(Json(TokenList { items: tokens.into_iter().map(|token| api.token_item(token.into())).collect() }))
}

/// Make a token; the answer is the only place where it is shown
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = TokenRequest,
    responses((status = 201, body = NewTokenItem),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(asked): Body<TokenRequest>,
) -> Result<(StatusCode, EventPosition, Extension<Secretive>, Json<NewTokenItem>), Problem> {
    let id = |name: &str| api.tenant(name).ok().map(|tenant| tenant.tenant_id.clone());
    let new = asked.read(id, api.clock.now())?;
    let (secret, token, position) = issue(&api.ledger, &caller.by(), new).await?;
    let item = NewTokenItem { token: secret.expose().to_owned(), item: api.token_item(token) };
    Ok((StatusCode::CREATED, position, Extension(Secretive), Json(item)))
}

/// Take a token back; it lets nobody in any more after a few seconds
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path, description = "Id of the token")),
    responses((status = 204, description = "It is taken back"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, EventPosition, ()), Problem> {
    let turn = api.turn_to_change(Topic::Tokens).await?;
    let token = api.store.tokens().await?.into_iter().find(|token| token.id == id);
    let token: ApiToken = token.ok_or_else(|| Problem::not_found("token", &id))?.into();
    let (ledger, by) = (api.ledger.clone(), caller.by());
    let position = turn.during(async move { revoke(&ledger, &by, &token).await }).await?;
    Ok((StatusCode::NO_CONTENT, position, ()))
}

impl Api {
    fn token_item(&self, token: ApiToken) -> TokenItem {
        let name = |id: String| {
            let known = self.settings.tenants.iter().find(|tenant| tenant.tenant_id == id);
            known.map_or(id, |tenant| tenant.name.clone())
        };
        TokenItem {
            id: token.id,
            name: token.name,
            scopes: token.scopes,
            tenants: token.tenants.map(|ids| ids.into_iter().map(name).collect()),
            created_at: token.created_at,
            created_by: token.created_by,
            expires_at: token.expires_at,
        }
    }
}

impl TokenRequest {
    /// The token that is meant; `tenant_id` is the id of the tenant of that name.
    ///
    /// # Errors
    /// A [`Problem`] that names every fault.
    pub(super) fn read(
        self,
        tenant_id: impl Fn(&str) -> Option<String>,
        now: DateTime<Utc>,
    ) -> Result<NewToken, Problem> {
        let asked = self;
        let mut faults = Vec::new();
        let name = token_name(&asked.name).unwrap_or_else(|error| {
            faults.push(Fault::new("name", error));
            String::new()
        });
        let mut scopes = BTreeSet::new();
        for scope in &asked.scopes {
            match scope.parse::<Scope>() {
                Ok(scope) => drop(scopes.insert(scope)),
                Err(error) => faults.push(Fault::new("scopes", error.to_string())),
            }
        }
        if asked.scopes.is_empty() {
            faults.push(Fault::new("scopes", "a token that may nothing is of no use; name at least one"));
        }
        let mut tenants = BTreeSet::new();
        for name in asked.tenants.iter().flatten() {
            match tenant_id(name) {
                Some(id) => drop(tenants.insert(id)),
                None => faults.push(Fault::new("tenants", format!("there is no tenant {name:?}"))),
            }
        }
        if asked.tenants.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Fault::new("tenants", "the list is empty; leave it out for all tenants"));
        }
        if asked.expires_at.is_some_and(|ends| ends <= now || chrono::Datelike::year(&ends) > 9999) {
            faults.push(Fault::new("expires_at", "this is not between now and the year 9999"));
        }
        if !faults.is_empty() {
            return Err(Problem::of_parameters(faults));
        }
        let tenants = asked.tenants.is_some().then_some(tenants);
        Ok(NewToken { name, scopes, tenants, expires_at: asked.expires_at })
    }
}
