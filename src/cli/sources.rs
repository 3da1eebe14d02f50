//! From a tenant's configuration to the values its stages work with.

use std::time::Duration;

use anyhow::{Context, Result};

use super::measured;
use crate::clock::Clock;
use crate::config::{self, Config, Ecosystem, MetricsAuth, Tenant};
use crate::domain::RuleBook;
use crate::ecosystem::confluent_cloud::{self, ConfluentCloud, rules};
use crate::ecosystem::generic_metrics::{self, GenericMetrics};
use crate::ecosystem::http::{Auth, Http, Limits, Tls};
use crate::ecosystem::self_managed_kafka::{self, SelfManagedKafka};
use crate::ecosystem::{Source, prometheus};
use crate::gather::TenantSettings;
use crate::service::{self, Gathering};

/// All tenants with their sources, rules and limits.
///
/// # Errors
/// If an address in the configuration cannot be used.
pub fn gathering(config: &Config, clock: Clock) -> Result<Gathering> {
    let http = Http::new(Limits::default())?;
    let wired = |tenant: &Tenant| {
        let (source, rules) = of(tenant, &http, clock)?;
        let seconds = tenant.tenant_execution_timeout_seconds;
        let limit = (seconds > 0).then(|| Duration::from_secs(seconds));
        Ok(service::Tenant { name: tenant.name.clone(), settings: settings(tenant), source, rules, limit })
    };
    let features = &config.features;
    Ok(Gathering {
        tenants: config.tenants.iter().map(wired).collect::<Result<_>>()?,
        refresh: features.enable_periodic_refresh.then(|| Duration::from_secs(features.refresh_interval)),
        at_once: features.max_parallel_tenants as usize,
    })
}

/// The source of a tenant's costs and the rules to split them by.
///
/// # Errors
/// If an address in the configuration cannot be used.
pub fn of(tenant: &Tenant, http: &Http, clock: Clock) -> Result<(Source, RuleBook)> {
    let cannot = || format!("tenants.{} cannot be gathered", tenant.name);
    match &tenant.ecosystem {
        Ecosystem::ConfluentCloud(cloud) => {
            let settings = confluent_cloud(cloud, tenant.metrics_prefetch_workers as usize);
            let source = ConfluentCloud::new(http, settings);
            let source = source.with_context(cannot)?;
            let book = rules::rule_book(&cloud.cku_usage_ratio, &cloud.cku_shared_ratio);
            Ok((Source::ConfluentCloud(source), book))
        }
        Ecosystem::SelfManagedKafka(cluster) => {
            let settings = measured::self_managed(cluster);
            let book = self_managed_kafka::rules::rule_book(&settings.people);
            let source = SelfManagedKafka::new(http, settings, clock).with_context(cannot)?;
            Ok((Source::SelfManagedKafka(source), book))
        }
        Ecosystem::GenericMetrics(system) => {
            let settings = measured::generic(system);
            let book = generic_metrics::rules::rule_book(&settings);
            let source = GenericMetrics::new(http, settings, clock).with_context(cannot)?;
            Ok((Source::GenericMetrics(source), book))
        }
    }
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
