//! Tenants: whose costs there are, and how far they are.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::{Api, server};
use crate::store::read::TenantFacts;

/// A tenant and how far its days are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantItem {
    /// Its name in the configuration and in addresses.
    name: String,
    /// What its facts are keyed by in Kafka.
    tenant_id: String,
    ecosystem: String,
    days_sealed: i64,
    /// Days whose newest seal is allocated.
    days_allocated: i64,
    days_pending: i64,
    /// Days whose newest seal allocation refused.
    days_refused: i64,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
    last_allocated_at: Option<DateTime<Utc>>,
}

/// All tenants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tenants {
    items: Vec<TenantItem>,
}

/// All tenants that the caller may see
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants",
    responses((status = 200, body = Tenants), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Tenants>, Problem> {
    let seen = || api.settings.tenants.iter().filter(|tenant| caller.sees(&tenant.tenant_id));
    let ids: Vec<String> = seen().map(|tenant| tenant.tenant_id.clone()).collect();
    let (mut reader, _turn) = api.reader_of_all().await?;
    let facts = reader.tenants(&ids).await?;
    let items = seen().zip(facts).map(|(tenant, facts)| item(tenant, facts)).collect();
    Ok(Json(Tenants { items }))
}

/// One tenant
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 200, body = TenantItem), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<TenantItem>, Problem> {
    let tenant = api.tenant(&name)?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let facts = reader.tenants(std::slice::from_ref(&tenant.tenant_id)).await?;
    let facts = facts.into_iter().next().ok_or_else(|| Problem::not_found("tenant", &name))?;
    Ok(Json(item(tenant, facts)))
}

fn item(tenant: &server::Tenant, facts: TenantFacts) -> TenantItem {
    TenantItem {
        name: tenant.name.clone(),
        tenant_id: tenant.tenant_id.clone(),
        ecosystem: tenant.ecosystem.clone(),
        days_sealed: facts.days_sealed,
        days_allocated: facts.days_allocated,
        days_pending: (facts.days_sealed - facts.days_allocated - facts.days_refused).max(0),
        days_refused: facts.days_refused,
        first_day: facts.first_day,
        last_day: facts.last_day,
        last_allocated_at: facts.last_allocated_at,
    }
}
