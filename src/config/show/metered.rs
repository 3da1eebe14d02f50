//! Measured ecosystems as they would load again.

use serde_json::{Map, Value as Json, json};

use super::super::metered::{
    Aggregation, CostQuantity, CostSplit, CostType, IdentityOrigin, IdentitySource, Metered, MetricNames, Rates,
    ResourceSource,
};
use super::super::{GenericMetrics, SelfManagedKafka};
use super::{emitter, metrics, topic_attribution, with_rules};
use crate::domain::Amount;

pub(super) fn self_managed(settings: &SelfManagedKafka) -> Json {
    let SelfManagedKafka { cluster_id, broker_count, region, cost_model, identities, resources, names, .. } = settings;
    let mut shown = metered(&settings.metered);
    let base = cost_model.base;
    let base = Rates {
        compute_hourly: Some(base.compute_hourly),
        storage_per_gib_hourly: Some(base.storage_per_gib_hourly),
        ingress_per_gib: Some(base.ingress_per_gib),
        egress_per_gib: Some(base.egress_per_gib),
    };
    let overrides: Map<_, _> = cost_model.region_overrides.iter().map(|(k, own)| (k.clone(), rates(own))).collect();
    shown["cluster_id"] = json!(cluster_id);
    shown["broker_count"] = json!(broker_count);
    shown["region"] = json!(region);
    shown["cost_model"] = rates(&base);
    shown["cost_model"]["region_overrides"] = Json::Object(overrides);
    shown["identity_source"] = identity_source(identities);
    shown["resource_source"] = resource_source(resources);
    shown["metric_names"] = metric_names(names);
    shown["discovery_window_hours"] = json!(settings.discovery_window_hours);
    shown["topic_attribution"] = topic_attribution(&settings.topic_attribution);
    shown
}

pub(super) fn generic(settings: &GenericMetrics) -> Json {
    let mut shown = metered(&settings.metered);
    let mut identities = identity_source(&settings.identities);
    identities["label"] = json!(settings.label);
    if !settings.discovery_query.is_empty() {
        identities["discovery_query"] = json!(settings.discovery_query);
    }
    shown["cluster_id"] = json!(settings.cluster_id);
    shown["display_name"] = json!(settings.display_name);
    shown["identity_source"] = identities;
    shown["cost_types"] = settings.cost_types.iter().map(cost_type).collect();
    shown
}

fn metered(metered: &Metered) -> Json {
    let settings = json!({
        "metrics": metrics(&metered.metrics),
        "currency": metered.currency,
        "completeness": {
            "minimum_coverage": metered.minimum_coverage.to_string(), "wait_days": metered.wait_days,
        },
        "min_refresh_gap_seconds": metered.min_refresh_gap_seconds,
        "emitters": metered.emitters.iter().map(emitter).collect::<Vec<_>>(),
    });
    with_rules(&metered.rules, settings)
}

fn rates(rates: &Rates<Option<Amount>>) -> Json {
    let text = |price: Option<Amount>| price.map(|price| price.to_string());
    json!({
        "compute_hourly_rate": text(rates.compute_hourly),
        "storage_per_gib_hourly": text(rates.storage_per_gib_hourly),
        "network_ingress_per_gib": text(rates.ingress_per_gib),
        "network_egress_per_gib": text(rates.egress_per_gib),
    })
}

fn identity_source(source: &IdentitySource) -> Json {
    let origin = match source.origin {
        IdentityOrigin::Prometheus => "prometheus",
        IdentityOrigin::Static => "static",
        IdentityOrigin::Both => "both",
    };
    let fixed = source.static_identities.iter().map(|identity| {
        json!({
            "identity_id": identity.id, "identity_type": identity.kind, "display_name": identity.display_name,
            "team": identity.team,
        })
    });
    json!({
        "source": origin,
        "principal_to_team": source.principal_to_team,
        "default_team": source.default_team,
        "static_identities": fixed.collect::<Vec<_>>(),
    })
}

fn resource_source(source: &ResourceSource) -> Json {
    let ResourceSource::Admin(api) = source else { return json!({"source": "prometheus"}) };
    let sasl = api.sasl.as_ref();
    json!({
        "source": "admin_api",
        "bootstrap_servers": api.bootstrap_servers,
        "security_protocol": api.security_protocol,
        "sasl_mechanism": sasl.map(|sasl| sasl.mechanism),
        "sasl_username": sasl.map(|sasl| &sasl.username),
        "sasl_password": sasl.map(|_| "***"),
        "ssl_ca_file": api.ssl_ca_file,
    })
}

fn metric_names(names: &MetricNames) -> Json {
    let mut shown = json!({
        "bytes_in": names.bytes_in, "bytes_out": names.bytes_out, "log_size": names.log_size,
        "broker_label": names.broker_label, "topic_label": names.topic_label,
        "partition_label": names.partition_label, "principal_label": names.principal_label,
        "selector": names.selector,
    });
    if let Some([written, read]) = &names.by_principal {
        shown["principal_bytes_in"] = json!(written);
        shown["principal_bytes_out"] = json!(read);
        shown["principal_kind"] = json!(if names.principal_rates { "rate" } else { "counter" });
    }
    shown
}

fn cost_type(cost: &CostType) -> Json {
    let quantity = match &cost.quantity {
        CostQuantity::Fixed { count } => json!({"type": "fixed", "count": count}),
        CostQuantity::StorageGib { query } => json!({"type": "storage_gib", "query": query}),
        CostQuantity::NetworkGib { query } => json!({"type": "network_gib", "query": query}),
        CostQuantity::UnitRate { query, aggregation, hourly } => {
            let aggregation = match aggregation {
                Aggregation::Sum => "sum",
                Aggregation::Average => "average",
                Aggregation::Maximum => "maximum",
            };
            let per = if *hourly { "hour" } else { "unit" };
            json!({"type": "unit_rate", "query": query, "aggregation": aggregation, "per": per})
        }
    };
    let mut shown = json!({
        "name": cost.name, "product_category": cost.product_category, "rate": cost.rate.to_string(),
        "cost_quantity": quantity, "allocation_strategy": "even_split",
    });
    if let CostSplit::Usage { query, label } = &cost.split {
        shown["allocation_strategy"] = json!("usage_ratio");
        shown["allocation_query"] = json!(query);
        shown["allocation_label"] = json!(label);
    }
    shown
}
