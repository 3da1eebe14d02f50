//! A resolved configuration as YAML, secrets masked.
//!
//! In: a [`Config`]. Out: text that would load again if the secrets were put back. Defaults are written
//! out, so one sees what holds.

mod metered;

use serde_json::{Map, Value as Json, json};

use super::model::shown;
use super::{
    Auth, AuthMode, BaseBook, Config, Ecosystem, Emitter, Granularity, Level, LogFormat, Metrics, MetricsAuth,
    MissingMetrics, Param, Rules, Sink, Tenant, TopicMethod,
};
use super::{ConfluentCloud, External, TopicAttribution};

/// The configuration that holds, as YAML; each secret is `***`.
pub fn show(config: &Config) -> String {
    let mut out = String::new();
    write(&whole(config), 0, &mut out);
    out
}

fn whole(config: &Config) -> Json {
    let Config {
        logging,
        features,
        health,
        api,
        auth,
        kafka,
        database,
        schema_registry,
        topics,
        instance,
        data_dir,
        tenants,
    } = config;
    let levels: Map<_, _> = logging.per_module_levels.iter().map(|(k, v)| (k.clone(), level(*v).into())).collect();
    let properties: Map<_, _> = kafka.properties.iter().map(|(k, v)| (k.clone(), shown(k, v).into())).collect();
    let registry = schema_registry.as_ref();
    let tenants: Map<_, _> = tenants.iter().map(|t| (t.name.clone(), tenant(t))).collect();
    json!({
        "logging": {"level": level(logging.level), "per_module_levels": levels, "format": format(logging.format)},
        "features": {
            "enable_periodic_refresh": features.enable_periodic_refresh,
            "refresh_interval": features.refresh_interval,
            "max_parallel_tenants": features.max_parallel_tenants,
            "shutdown_timeout_seconds": features.shutdown_timeout_seconds,
        },
        "health": {"enabled": health.enabled, "host": health.host, "port": health.port},
        "api": {
            "host": api.host, "port": api.port, "enable_cors": api.enable_cors, "cors_origins": api.cors_origins,
            "request_timeout_seconds": api.request_timeout_seconds, "requests_per_second": api.requests_per_second,
            "row_security": api.row_security,
            "exports": json!({
                "directory": api.exports.directory.as_ref().map(|path| path.display().to_string()),
                "keep_hours": api.exports.keep_hours,
            }),
        },
        "auth": auth_of(auth),
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers, "properties": properties},
        "database": {"url": database.url.as_ref().map(|_| "***"), "max_connections": database.max_connections},
        "schema_registry": registry.map(|r| json!({
            "url": r.url, "username": r.username, "password": r.password.as_ref().map(|_| "***"),
        })),
        "topics": {
            "prefix": topics.prefix, "partitions": topics.partitions, "replication_factor": topics.replication_factor,
        },
        "instance": instance,
        "data_dir": data_dir,
        "tenants": tenants,
    })
}

fn format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn tenant(tenant: &Tenant) -> Json {
    let settings = match &tenant.ecosystem {
        Ecosystem::ConfluentCloud(settings) => confluent_cloud(settings),
        Ecosystem::SelfManagedKafka(settings) => metered::self_managed(settings),
        Ecosystem::GenericMetrics(settings) => metered::generic(settings),
        Ecosystem::External(settings) => external(settings),
    };
    json!({
        "ecosystem": tenant.ecosystem.name(),
        "tenant_id": tenant.tenant_id,
        "lookback_days": tenant.lookback_days,
        "cutoff_days": tenant.cutoff_days,
        "retention_days": tenant.retention_days,
        "allocation_retry_limit": tenant.allocation_retry_limit,
        "topic_attribution_retry_limit": tenant.topic_attribution_retry_limit,
        "zero_gather_deletion_threshold": tenant.zero_gather_deletion_threshold,
        "gather_failure_threshold": tenant.gather_failure_threshold,
        "tenant_execution_timeout_seconds": tenant.tenant_execution_timeout_seconds,
        "metrics_prefetch_workers": tenant.metrics_prefetch_workers,
        "plugin_settings": settings,
    })
}

fn confluent_cloud(settings: &ConfluentCloud) -> Json {
    let mut params: Map<_, _> = settings.allocator_params.iter().map(|(k, v)| (k.clone(), param(v))).collect();
    params.insert("kafka_cku_usage_ratio".into(), number(&settings.cku_usage_ratio));
    params.insert("kafka_cku_shared_ratio".into(), number(&settings.cku_shared_ratio));
    let flink = settings.flink.iter().map(|region| {
        json!({
            "region_id": region.region_id, "key": region.key, "secret": "***", "base_url": region.base_url,
        })
    });
    with_rules(
        &settings.rules,
        json!({
            "ccloud_api": {"key": settings.api.key, "secret": "***", "base_url": settings.api.base_url},
            "billing_api": {"days_per_query": settings.days_per_query},
            "metrics": settings.metrics.as_ref().map(metrics),
            "flink": flink.collect::<Vec<_>>(),
            "allocator_params": params,
            "topic_attribution": topic_attribution(&settings.topic_attribution),
            "granularity_durations": settings.granularity_durations,
        "min_refresh_gap_seconds": settings.min_refresh_gap_seconds,
            "metrics_step_seconds": settings.metrics_step_seconds,
            "emitters": settings.emitters.iter().map(emitter).collect::<Vec<_>>(),
        }),
    )
}

fn external(settings: &External) -> Json {
    let rules_of = match settings.starts_from {
        BaseBook::None => "none",
        BaseBook::ConfluentCloud => "confluent_cloud",
    };
    let emitters = settings.emitters.iter().map(emitter).collect::<Vec<_>>();
    with_rules(&settings.rules, json!({"rules_of": rules_of, "emitters": emitters}))
}

/// The settings with the operator's own rules.
fn with_rules(rules: &Rules, mut settings: Json) -> Json {
    if let Json::Object(settings) = &mut settings {
        settings.extend(rules.written.clone());
    }
    settings
}

fn metrics(metrics: &Metrics) -> Json {
    let mut shown = match &metrics.auth {
        MetricsAuth::None => json!({"auth_type": "none"}),
        MetricsAuth::Basic { username, .. } => {
            json!({"auth_type": "basic", "username": username, "password": "***"})
        }
        MetricsAuth::Bearer { .. } => json!({"auth_type": "bearer", "bearer_token": "***"}),
    };
    let headers: Map<_, _> = metrics.headers.iter().map(|(name, _)| (name.clone(), "***".into())).collect();
    let (certificate, key) = metrics.tls.client.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
    shown["url"] = metrics.url.clone().into();
    shown["headers"] = Json::Object(headers);
    shown["tls"] = json!({
        "ca_file": metrics.tls.ca_file, "cert_file": certificate, "key_file": key,
        "insecure_skip_verify": metrics.tls.insecure,
    });
    shown
}

fn topic_attribution(topics: &TopicAttribution) -> Json {
    let method = |method: &TopicMethod| match method {
        TopicMethod::BytesRatio => "bytes_ratio",
        TopicMethod::RetainedBytesRatio => "retained_bytes_ratio",
        TopicMethod::EvenSplit => "even_split",
        TopicMethod::Disabled => "disabled",
    };
    let missing = match topics.missing_metrics_behavior {
        MissingMetrics::EvenSplit => "even_split",
        MissingMetrics::Skip => "skip",
    };
    let costs: Map<_, _> = topics.cost_mapping_overrides.iter().map(|(k, v)| (k.clone(), method(v).into())).collect();
    json!({
        "enabled": topics.enabled,
        "exclude_topic_patterns": topics.exclude_topic_patterns,
        "missing_metrics_behavior": missing,
        "cost_mapping_overrides": costs,
        "metric_name_overrides": topics.metric_name_overrides,
        "retention_days": topics.retention_days,
        "emitters": topics.emitters.iter().map(emitter).collect::<Vec<_>>(),
    })
}

fn emitter(emitter: &Emitter) -> Json {
    let (kind, params) = match &emitter.sink {
        Sink::Csv { output_dir, filename_template } => {
            ("csv", json!({"output_dir": output_dir, "filename_template": filename_template}))
        }
        Sink::Prometheus { host, port, prefix, max_series } => {
            ("prometheus", json!({"host": host, "port": port, "prefix": prefix, "max_series": max_series}))
        }
    };
    let aggregation = emitter.aggregation.map(|granularity| match granularity {
        Granularity::Hourly => "hourly",
        Granularity::Daily => "daily",
        Granularity::Monthly => "monthly",
    });
    json!({
        "type": kind, "name": emitter.name, "aggregation": aggregation, "params": params,
        "lookback_days": emitter.lookback_days,
    })
}

fn auth_of(auth: &Auth) -> Json {
    let mode = match auth.mode {
        AuthMode::None => "none",
        AuthMode::Tokens => "tokens",
        AuthMode::Oidc => "oidc",
        AuthMode::Both => "both",
    };
    let oidc = auth.oidc.as_ref().map(|oidc| {
        let scopes = oidc.scopes.iter().map(|(value, scopes)| {
            (value.clone(), scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().into())
        });
        let tenants = oidc.tenants.iter().map(|(value, names)| (value.clone(), names.clone().into()));
        json!({
            "issuer": oidc.issuer, "audience": oidc.audience, "leeway_seconds": oidc.leeway_seconds,
            "scopes_claim": oidc.scopes_claim, "scopes": scopes.collect::<Map<_, _>>(),
            "tenants_claim": oidc.tenants_claim, "tenants": tenants.collect::<Map<_, _>>(),
        })
    });
    json!({"mode": mode, "open_to_network": auth.open_to_network, "oidc": oidc})
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    }
}

fn param(param: &Param) -> Json {
    match param {
        Param::Number(text) => number(text),
        Param::Text(text) => json!(text),
        Param::Flag(flag) => json!(flag),
    }
}

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// JSON's scalars are YAML's too, quotes included.
fn write(value: &Json, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    match value {
        Json::Object(map) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                out.push_str(&format!("{margin}{}:", key_text(key)));
                write_behind(value, indent + 1, out);
            }
        }
        Json::Array(items) => {
            for item in items {
                let mut inner = String::new();
                write(item, indent + 1, &mut inner);
                // The dash takes the place of the first line's margin.
                out.push_str(&format!("{margin}- {}", inner.trim_start()));
            }
        }
        scalar => out.push_str(&format!("{margin}{scalar}\n")),
    }
}

fn write_behind(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Json::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Json::Object(_) | Json::Array(_) => {
            out.push('\n');
            write(value, indent, out);
        }
        scalar => out.push_str(&format!(" {scalar}\n")),
    }
}

fn key_text(key: &str) -> String {
    let simple = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if simple { key.to_owned() } else { json!(key).to_string() }
}
