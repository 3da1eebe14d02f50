//! `plugin_settings` of a Kafka cluster of one's own.

use super::super::address::{FilePath, Servers};
use super::super::kind::{Names, object};
use super::super::metered::{
    AdminApi, CostModel, IdentitySource, MetricNames, Rates, ResourceSource, Sasl, SelfManagedKafka,
};
use super::super::number::{Int, Price};
use super::super::scalar::{Choice, quoted};
use super::super::section::{Inner, Section};
use super::super::text::{MaybeSecret, Name, Text};
use super::metered;
use super::rules::SELF_MANAGED_WORDS;
use super::topic_attribution::topic_attribution;

pub(super) fn settings(s: &mut Section<'_>) -> SelfManagedKafka {
    let cluster_id = s.required("cluster_id", Name, "id of the cluster in bills and rows; need not be Kafka's own");
    let broker_count = s.required("broker_count", Int(1..=100_000), "number of brokers that are paid for");
    let region = s.optional("region", Text, "chooses among the `region_overrides` of the rates");
    let cost_model = s.required("cost_model", object(cost_model), "the rates");
    let overrides = &cost_model.region_overrides;
    let unknown = region.as_ref().filter(|region| !overrides.is_empty() && !overrides.contains_key(*region));
    if let Some(unknown) = unknown.filter(|_| s.sound(&["region", "cost_model"])) {
        s.warn("region", format!("{} has no `region_overrides`: the base rates hold", quoted(unknown)));
    }
    let identities: IdentitySource = s.section("identity_source", metered::identities, "who there is");
    let resources = s.section("resource_source", resources, "where brokers and topics are found");
    let names = s.section("metric_names", names, "what the cluster's metrics and labels are called");
    let doc = "how far back a look at brokers, topics and principals reaches";
    let discovery_window_hours = s.default("discovery_window_hours", Int(1..=744), 1, doc);
    let topic_attribution = s.section("topic_attribution", topic_attribution, "the cluster's costs down to topics");
    let metered = metered::metered(s, SELF_MANAGED_WORDS);
    SelfManagedKafka {
        cluster_id,
        broker_count,
        region,
        cost_model,
        identities,
        resources,
        names,
        discovery_window_hours,
        topic_attribution,
        metered,
    }
}

const COMPUTE: (&str, &str) = ("compute_hourly_rate", "a broker for an hour");
const STORAGE: (&str, &str) = ("storage_per_gib_hourly", "a GiB on disk, copies included, for an hour");
const INGRESS: (&str, &str) = ("network_ingress_per_gib", "a GiB written by clients");
const EGRESS: (&str, &str) = ("network_egress_per_gib", "a GiB read by clients");

fn cost_model(s: &mut Section<'_>) -> CostModel {
    let base = Rates {
        compute_hourly: s.required(COMPUTE.0, Price, COMPUTE.1),
        storage_per_gib_hourly: s.required(STORAGE.0, Price, STORAGE.1),
        ingress_per_gib: s.required(INGRESS.0, Price, INGRESS.1),
        egress_per_gib: s.required(EGRESS.0, Price, EGRESS.1),
    };
    let overrides =
        s.default("region_overrides", Names(object(rates)), vec![], "region to the rates that differ there");
    CostModel { base, region_overrides: overrides.into_iter().collect() }
}

fn rates(s: &mut Section<'_>) -> Rates<Option<crate::domain::Amount>> {
    Rates {
        compute_hourly: s.optional(COMPUTE.0, Price, COMPUTE.1),
        storage_per_gib_hourly: s.optional(STORAGE.0, Price, STORAGE.1),
        ingress_per_gib: s.optional(INGRESS.0, Price, INGRESS.1),
        egress_per_gib: s.optional(EGRESS.0, Price, EGRESS.1),
    }
}

fn resources(s: &mut Section<'_>) -> ResourceSource {
    const PROTOCOLS: Choice<&str> = Choice(&[
        ("PLAINTEXT", "PLAINTEXT"),
        ("SSL", "SSL"),
        ("SASL_PLAINTEXT", "SASL_PLAINTEXT"),
        ("SASL_SSL", "SASL_SSL"),
    ]);
    const MECHANISMS: Choice<&str> =
        Choice(&[("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512")]);
    let admin = Choice(&[("prometheus", false), ("admin_api", true)]);
    let admin = s.default("source", admin, false, "`prometheus` (labels of metrics) or `admin_api` (Kafka itself)");
    let servers = s.optional("bootstrap_servers", Servers, "for `admin_api`: host:port,host:port");
    let security_protocol = s.default("security_protocol", PROTOCOLS, "PLAINTEXT", "for `admin_api`");
    let mechanism = s.optional("sasl_mechanism", MECHANISMS, "for `admin_api` with SASL");
    let username = s.optional("sasl_username", Text, "for `admin_api` with SASL").filter(|name| !name.is_empty());
    let password = s.optional("sasl_password", MaybeSecret, "for `admin_api` with SASL").flatten();
    let ssl_ca_file =
        s.optional("ssl_ca_file", FilePath, "for `admin_api` with SSL: PEM file of certificates to trust");
    if !admin || !s.sound(&["source", "security_protocol", "sasl_mechanism", "sasl_username", "sasl_password"]) {
        return ResourceSource::Prometheus;
    }
    if servers.is_none() && s.sound(&["bootstrap_servers"]) {
        s.fault("bootstrap_servers", "is missing for `source: admin_api`", "add it: `kafka-1:9092,kafka-2:9092`");
    }
    let with_sasl = security_protocol.starts_with("SASL");
    let sasl = match (mechanism, username, password) {
        (Some(mechanism), Some(username), Some(password)) => Some(Sasl { mechanism, username, password }),
        (None, None, None) => None,
        (mechanism, username, password) => {
            let parts = [
                ("sasl_mechanism", mechanism.is_some()),
                ("sasl_username", username.is_some()),
                ("sasl_password", password.is_some()),
            ];
            for (key, _) in parts.into_iter().filter(|(_, there)| !there) {
                s.fault(key, "is missing beside the other `sasl_` keys", format!("add `{key}`, or remove all three"));
            }
            None
        }
    };
    let complete = s.sound(&["sasl_mechanism", "sasl_username", "sasl_password"]);
    if complete && with_sasl != sasl.is_some() {
        let problem =
            format!("{security_protocol} does not go with {} `sasl_mechanism`", if with_sasl { "no" } else { "a" });
        s.fault(
            "security_protocol",
            problem,
            "write `SASL_SSL` or `SASL_PLAINTEXT` with SASL, else `SSL` or `PLAINTEXT`",
        );
    }
    ResourceSource::Admin(AdminApi {
        bootstrap_servers: servers.unwrap_or_default(),
        security_protocol,
        sasl,
        ssl_ca_file,
    })
}

fn names(s: &mut Section<'_>) -> MetricNames {
    let mut metric = |key, default: &str, doc| checked(s, key, default, doc, ':');
    let bytes_in =
        metric("bytes_in", "kafka_server_brokertopicmetrics_bytesin_total", "counter of bytes written by clients");
    let bytes_out =
        metric("bytes_out", "kafka_server_brokertopicmetrics_bytesout_total", "counter of bytes read by clients");
    let log_size = metric("log_size", "kafka_log_log_size", "gauge: bytes of a partition's log on a broker");
    let doc = "bytes written by principal, where `bytes_in` has no such label";
    let principal_in = checked(s, "principal_bytes_in", "", doc, ':');
    let doc = "bytes read by principal, where `bytes_out` has no such label";
    let principal_out = checked(s, "principal_bytes_out", "", doc, ':');
    let kinds = Choice(&[("rate", true), ("counter", false)]);
    let doc = "`rate` as in Kafka's quota metrics (bytes per second, a gauge) or `counter`";
    let principal_rates = s.default("principal_kind", kinds, true, doc);
    let by_principal = match (principal_in.is_empty(), principal_out.is_empty()) {
        (true, true) => None,
        (false, false) => Some([principal_in, principal_out]),
        (here, _) => {
            let (there, missing) = if here { ("out", "in") } else { ("in", "out") };
            let (there, missing) = (format!("principal_bytes_{there}"), format!("principal_bytes_{missing}"));
            s.fault(
                &missing,
                format!("is missing although `{there}` is there"),
                format!("add `{missing}`, or remove both"),
            );
            None
        }
    };
    let mut label = |key, default: &str| checked(s, key, default, "label of that name on the metrics above", '_');
    let (broker_label, topic_label) = (label("broker_label", "broker"), label("topic_label", "topic"));
    let (partition_label, principal_label) =
        (label("partition_label", "partition"), label("principal_label", "principal"));
    let doc = "label to value that only this cluster's series have, where a server has those of several";
    let selector = s.default("selector", Names(Text), vec![], doc);
    for (name, _) in selector.iter().filter(|(name, _)| !is_name(name, '_')) {
        s.fault_inside("selector", Inner::Key(name), "is no name of a label", "use letters, digits and underscores");
    }
    MetricNames {
        bytes_in,
        bytes_out,
        log_size,
        by_principal,
        principal_rates,
        broker_label,
        topic_label,
        partition_label,
        principal_label,
        selector: selector.into_iter().collect(),
    }
}

/// A name that PromQL takes as it is; `also` is allowed besides letters, digits and underscores.
fn checked(s: &mut Section<'_>, key: &'static str, default: &str, doc: &str, also: char) -> String {
    let name = s.default(key, Text, default.to_owned(), doc);
    if !name.is_empty() && !is_name(&name, also) {
        s.fault(
            key,
            format!("{} is no name that Prometheus allows", quoted(&name)),
            "use letters, digits and underscores",
        );
    } else if name.is_empty() && !default.is_empty() {
        s.fault(key, "is empty", "write a name, or remove the key");
    }
    name
}

fn is_name(text: &str, also: char) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == also;
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}
