//! How far the tables are, for whoever decides whether to show them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::api::Api;
use crate::api::auth::Caller;
use crate::api::problem::Problem;

/// How long an answer is given again.
const KEPT: Duration = Duration::from_secs(2);

/// The last answer, and when it was made.
pub(crate) type Last = Arc<Mutex<Option<(Instant, Vec<TenantReady>)>>>;

/// How far everything is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `no_data` until a tenant has chargeback rows, then `ready`.
    status: String,
    version: String,
    /// How many records, or marks between them, each projection had not read when that was counted last, at most half a
    /// minute ago; empty before that.
    projection_lag: BTreeMap<String, u64>,
    tenants: Vec<TenantReady>,
}

/// How far a tenant is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TenantReady {
    name: String,
    has_data: bool,
    last_billing_day: Option<NaiveDate>,
    last_chargeback_day: Option<NaiveDate>,
    /// Of the last run that was not skipped.
    last_run_status: Option<String>,
    last_run_at: Option<DateTime<Utc>>,
    /// Why no further run starts by itself.
    suspended: Option<String>,
    #[serde(skip)]
    tenant_id: String,
}

/// How far the tables of each tenant are; an answer may be two seconds old
#[utoipa::path(get, path = "/api/v1/readiness", tag = "operations",
    responses((status = 200, body = Readiness), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn readiness(State(api): State<Api>, caller: Caller) -> Result<Json<Readiness>, Problem> {
    // Whoever comes while the tables are asked waits for that answer.
    let mut last = api.readiness.lock().await;
    let known = last.as_ref().filter(|(at, _)| at.elapsed() < KEPT).map(|(_, tenants)| tenants.clone());
    let tenants = match known {
        Some(tenants) => tenants,
        None => {
            let tenants = asked(&api).await?;
            *last = Some((Instant::now(), tenants.clone()));
            tenants
        }
    };
    let tenants: Vec<TenantReady> = tenants.into_iter().filter(|tenant| caller.sees(&tenant.tenant_id)).collect();
    let status = if tenants.iter().any(|tenant| tenant.has_data) { "ready" } else { "no_data" };
    let projection_lag = api.health.lags().into_iter().map(|(name, offsets)| (name.to_owned(), offsets)).collect();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(Readiness { status: status.to_owned(), version, projection_lag, tenants }))
}

async fn asked(api: &Api) -> Result<Vec<TenantReady>, Problem> {
    let ids: Vec<String> = api.settings.tenants.iter().map(|tenant| tenant.tenant_id.clone()).collect();
    let (mut reader, _turn) = api.reader_of_all().await?;
    let found = reader.readiness(&ids).await?;
    let one = |(tenant, of): (&crate::api::Tenant, crate::store::read::TenantReadiness)| TenantReady {
        name: tenant.name.clone(),
        has_data: of.last_chargeback_day.is_some(),
        last_billing_day: of.last_billing_day,
        last_chargeback_day: of.last_chargeback_day,
        last_run_status: of.last_run_status,
        last_run_at: of.last_run_at,
        suspended: of.suspended,
        tenant_id: of.tenant_id,
    };
    Ok(api.settings.tenants.iter().zip(found).map(one).collect())
}
