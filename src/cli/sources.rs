//! From a tenant's configuration to the values its stages work with.

use anyhow::Result;

use crate::config::{ConfluentCloud, Ecosystem, Metrics, MetricsAuth, Tenant};
use crate::domain::RuleBook;
use crate::ecosystem::{Source, confluent_cloud, prometheus};
use crate::gather::TenantSettings;

/// The source of a tenant's costs and the rules to split them by.
///
/// # Errors
/// If an address in the configuration cannot be used.
pub fn of(tenant: &Tenant) -> Result<(Source, RuleBook)> {
    let _ = tenant;
    anyhow::bail!("not wired")
}

/// What gather needs to know about a tenant.
pub fn settings(tenant: &Tenant) -> TenantSettings {
    TenantSettings {
        tenant_id: tenant.tenant_id.clone(),
        lookback_days: tenant.lookback_days,
        cutoff_days: tenant.cutoff_days,
        retention_days: tenant.retention_days,
        allocation_retry_limit: tenant.allocation_retry_limit,
        zero_gather_deletion_threshold: tenant.zero_gather_deletion_threshold,
    }
}
