//! From a tenant's configuration to the values its stages work with.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;

use super::{measured, rules};
use crate::clock::Clock;
use crate::config::{self, Config, Ecosystem, MetricsAuth, Tenant};
use crate::domain::{Granularities, RuleBook};
use crate::ecosystem::confluent_cloud::{self, ConfluentCloud};
use crate::ecosystem::generic_metrics::GenericMetrics;
use crate::ecosystem::http::{Auth, Http, Limits, Tls};
use crate::ecosystem::self_managed_kafka::SelfManagedKafka;
use crate::ecosystem::{Source, prometheus};
use crate::gather::TenantSettings;
use crate::service::schedule::Rhythm;
use crate::service::{self, Gathering};

/// All tenants whose days we gather, with their sources, rules and limits.
///
/// # Errors
/// If an address in the configuration cannot be used.
pub fn gathering(config: &Config, clock: Clock) -> Result<Gathering> {
    let http = Http::new(Limits::default())?;
    let wired = |tenant: &Tenant| {
        let (source, rules) = of(tenant, &http, clock)?;
        let seconds = tenant.tenant_execution_timeout_seconds;
        Ok(Arc::new(service::Tenant {
            name: tenant.name.clone(),
            settings: settings(tenant),
            source,
            rules,
            limit: (seconds > 0).then(|| Duration::from_secs(seconds)),
            rhythm: rhythm(config, tenant),
            failure_threshold: tenant.gather_failure_threshold,
            digest: tenant.digest(),
        }))
    };
    let features = &config.features;
    Ok(Gathering {
        tenants: config
            .tenants
            .iter()
            .filter(|tenant| tenant.ecosystem.is_gathered())
            .map(wired)
            .collect::<Result<_>>()?,
        at_once: features.max_parallel_tenants as usize,
    })
}

/// The distances between a tenant's cycles.
fn rhythm(config: &Config, tenant: &Tenant) -> Rhythm {
    let features = &config.features;
    Rhythm {
        refresh: features.enable_periodic_refresh.then(|| seconds(features.refresh_interval)),
        gap: seconds(tenant.ecosystem.min_refresh_gap_seconds()),
    }
}

/// A number of seconds; more than the calendar holds is as good as a century.
fn seconds(seconds: u64) -> TimeDelta {
    let century = TimeDelta::days(36_525);
    i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds).map_or(century, |delta| delta.min(century))
}

/// The source of a tenant's costs and the rules to split them by.
///
/// # Errors
/// If an address in the configuration cannot be used, or another program writes the tenant's days.
pub fn of(tenant: &Tenant, http: &Http, clock: Clock) -> Result<(Source, RuleBook)> {
    let cannot = || format!("tenants.{} cannot be gathered", tenant.name);
    let source = match &tenant.ecosystem {
        Ecosystem::ConfluentCloud(cloud) => {
            let settings = confluent_cloud(cloud, tenant.metrics_prefetch_workers as usize);
            Source::ConfluentCloud(Box::new(ConfluentCloud::new(http, settings).with_context(cannot)?))
        }
        Ecosystem::SelfManagedKafka(cluster) => {
            let settings = measured::self_managed(cluster);
            Source::SelfManagedKafka(Box::new(SelfManagedKafka::new(http, settings, clock).with_context(cannot)?))
        }
        Ecosystem::GenericMetrics(system) => {
            let settings = measured::generic(system);
            Source::GenericMetrics(Box::new(GenericMetrics::new(http, settings, clock).with_context(cannot)?))
        }
        Ecosystem::External(_) => bail!("tenants.{} is not gathered: another program writes its days", tenant.name),
    };
    Ok((source, rules::of(tenant)))
}

/// What gather needs to know about a tenant.
pub fn settings(tenant: &Tenant) -> TenantSettings {
    TenantSettings {
        tenant_id: tenant.tenant_id.clone(),
        lookback_days: tenant.lookback_days,
        cutoff_days: tenant.cutoff_days,
        retention_days: tenant.retention_days,
        allocation_retry_limit: tenant.allocation_retry_limit,
        topic_attribution_retry_limit: tenant.topic_attribution_retry_limit,
        zero_gather_deletion_threshold: tenant.zero_gather_deletion_threshold,
    }
}

fn confluent_cloud(cloud: &config::ConfluentCloud, metrics_workers: usize) -> confluent_cloud::Settings {
    let region = |region: &config::FlinkRegion| confluent_cloud::FlinkRegion {
        region_id: region.region_id.clone(),
        key: region.key.clone(),
        secret: region.secret.clone(),
        base_url: region.base_url.clone(),
    };
    confluent_cloud::Settings {
        key: cloud.api.key.clone(),
        secret: cloud.api.secret.clone(),
        base_url: cloud.api.base_url.clone(),
        days_per_query: cloud.days_per_query,
        metrics: cloud.metrics.as_ref().map(metrics),
        granularities: Granularities::new(cloud.granularity_durations.clone()),
        renamed_metrics: cloud.topic_attribution.metric_name_overrides.clone(),
        metrics_workers,
        flink: cloud.flink.iter().map(region).collect(),
    }
}

pub(super) fn metrics(metrics: &config::Metrics) -> prometheus::Settings {
    let auth = match &metrics.auth {
        MetricsAuth::None => Auth::None,
        MetricsAuth::Basic { username, password } => {
            Auth::Basic { username: username.clone(), password: password.clone() }
        }
        MetricsAuth::Bearer { token } => Auth::Bearer { token: token.clone() },
    };
    let config::MetricsTls { ca_file, client, insecure } = metrics.tls.clone();
    let tls = Tls { ca_file, client, insecure };
    prometheus::Settings { url: metrics.url.clone(), auth, headers: metrics.headers.clone(), tls }
}
