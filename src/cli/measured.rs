//! From the configuration of measured ecosystems to what their sources work with.

use crate::config::metered::{
    Aggregation, CostQuantity, CostSplit, IdentityOrigin, IdentitySource, MetricNames, ResourceSource,
};
use crate::config::{GenericMetrics, SelfManagedKafka};
use crate::domain::Amount;
use crate::domain::promql::{Fold, Sampling, sampling_of};
use crate::ecosystem::metered::measure::{GIB, Measure};
use crate::ecosystem::metered::people::{Fixed, Origin, People};
use crate::ecosystem::metered::tariff::{Cost, Quantity};
use crate::ecosystem::{generic_metrics, self_managed_kafka, topics};

use super::sources::metrics;

/// A cluster of one's own.
pub fn self_managed(cluster: &SelfManagedKafka) -> self_managed_kafka::Settings {
    let rates = cluster.cost_model.rates(cluster.region.as_deref());
    self_managed_kafka::Settings {
        cluster_id: cluster.cluster_id.clone(),
        broker_count: cluster.broker_count,
        region: cluster.region.clone(),
        currency: cluster.metered.currency.clone(),
        rates: self_managed_kafka::Rates {
            compute_hourly: rates.compute_hourly,
            storage_per_gib_hourly: rates.storage_per_gib_hourly,
            ingress_per_gib: rates.ingress_per_gib,
            egress_per_gib: rates.egress_per_gib,
        },
        people: people(&cluster.identities),
        resources: resources(&cluster.resources),
        metrics: metrics(&cluster.metered.metrics),
        names: names(&cluster.names),
        topic_names: cluster.topic_attribution.enabled.then(|| topic_names(cluster)),
        discovery_window_hours: cluster.discovery_window_hours,
        minimum_coverage: part(cluster.metered.minimum_coverage),
        wait_days: cluster.metered.wait_days,
    }
}

/// What usage by topic is asked for by: the cluster's names, and those that topics have of their own.
fn topic_names(cluster: &SelfManagedKafka) -> self_managed_kafka::Names {
    let own = |name: &str| cluster.topic_attribution.metric_name_overrides.get(name).cloned();
    let usual = names(&cluster.names);
    self_managed_kafka::Names {
        bytes_in: own(topics::BYTES_IN).unwrap_or(usual.bytes_in),
        bytes_out: own(topics::BYTES_OUT).unwrap_or(usual.bytes_out),
        log_size: own(topics::RETAINED).unwrap_or(usual.log_size),
        ..usual
    }
}

/// Any measured system.
pub fn generic(system: &GenericMetrics) -> generic_metrics::Settings {
    let cost_type = |cost: &crate::config::metered::CostType| generic_metrics::CostType {
        cost: Cost {
            product_type: cost.name.clone(),
            category: cost.product_category.clone(),
            unit_price: cost.rate,
            quantity: quantity(&cost.quantity),
        },
        split: match &cost.split {
            CostSplit::Even => generic_metrics::Split::Even,
            CostSplit::Usage { query, label } => {
                generic_metrics::Split::ByUsage { query: query.clone(), label: label.clone() }
            }
        },
    };
    generic_metrics::Settings {
        cluster_id: system.cluster_id.clone(),
        display_name: system.display_name.clone(),
        currency: system.metered.currency.clone(),
        people: people(&system.identities),
        label: system.label.clone(),
        discovery_query: system.discovery_query.clone(),
        metrics: metrics(&system.metered.metrics),
        cost_types: system.cost_types.iter().map(cost_type).collect(),
        minimum_coverage: part(system.metered.minimum_coverage),
        wait_days: system.metered.wait_days,
    }
}

fn quantity(quantity: &CostQuantity) -> Quantity {
    // The configuration has refused sums whose step does not divide a day.
    let measured = |query: &str, fold, unit, hourly| {
        let sampling = sampling_of(query, fold).unwrap_or(Sampling::FINE);
        Quantity::Measured(Measure { expressions: vec![query.to_owned()], sampling, fold, unit, hourly })
    };
    match quantity {
        CostQuantity::Fixed { count } => Quantity::Fixed { per_hour: Amount::whole(i64::from(*count)) },
        CostQuantity::StorageGib { query } => measured(query, Fold::Mean, GIB, true),
        CostQuantity::NetworkGib { query } => measured(query, Fold::Sum, GIB, false),
        CostQuantity::UnitRate { query, aggregation, hourly } => {
            let fold = match aggregation {
                Aggregation::Sum => Fold::Sum,
                Aggregation::Average => Fold::Mean,
                Aggregation::Maximum => Fold::Maximum,
            };
            measured(query, fold, 1.0, *hourly)
        }
    }
}

fn people(source: &IdentitySource) -> People {
    let origin = match source.origin {
        IdentityOrigin::Prometheus => Origin::Prometheus,
        IdentityOrigin::Static => Origin::Static,
        IdentityOrigin::Both => Origin::Both,
    };
    let fixed = source.static_identities.iter().map(|identity| Fixed {
        id: identity.id.clone(),
        kind: identity.kind.clone(),
        name: identity.display_name.clone(),
        team: identity.team.clone(),
    });
    People {
        origin,
        teams: source.principal_to_team.clone(),
        default_team: source.default_team.clone(),
        fixed: fixed.collect(),
    }
}

fn resources(source: &ResourceSource) -> self_managed_kafka::Resources {
    let ResourceSource::Admin(api) = source else { return self_managed_kafka::Resources::Prometheus };
    let mut properties = vec![("security.protocol", api.security_protocol.to_owned())];
    if let Some(sasl) = &api.sasl {
        properties.push(("sasl.mechanism", sasl.mechanism.to_owned()));
        properties.push(("sasl.username", sasl.username.clone()));
    }
    properties.extend(api.ssl_ca_file.iter().map(|path| ("ssl.ca.location", path.display().to_string())));
    self_managed_kafka::Resources::Admin(self_managed_kafka::AdminApi {
        bootstrap_servers: api.bootstrap_servers.clone(),
        properties: properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        password: api.sasl.as_ref().map(|sasl| sasl.password.clone()),
    })
}

fn names(names: &MetricNames) -> self_managed_kafka::Names {
    let by_principal = names.by_principal.clone().map(|[bytes_in, bytes_out]| self_managed_kafka::PrincipalMetrics {
        bytes_in,
        bytes_out,
        rates: names.principal_rates,
    });
    self_managed_kafka::Names {
        bytes_in: names.bytes_in.clone(),
        bytes_out: names.bytes_out.clone(),
        log_size: names.log_size.clone(),
        by_principal,
        broker: names.broker_label.clone(),
        topic: names.topic_label.clone(),
        partition: names.partition_label.clone(),
        principal: names.principal_label.clone(),
        selector: names.selector.clone(),
    }
}

/// A decimal between 0 and 1 as a float: it is compared with, never billed.
fn part(decimal: Amount) -> f64 {
    decimal.units() as f64 / Amount::whole(1).units() as f64
}
