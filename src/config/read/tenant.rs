//! One tenant: how far back, how patiently, and from which ecosystem.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::kind::{Anything, Kind, Names, object};
use super::super::number::Int;
use super::super::scalar::{quoted, scalar};
use super::super::section::{Inner, Section, Value, describe};
use super::super::text::Name;
use super::super::{Ecosystem, Tenant, suggest};
use super::{ccloud, emitter, external, generic, preview, self_managed};

/// All tenants that can be read, after comparing them.
pub(super) fn tenants(s: &mut Section<'_>) -> Vec<Tenant> {
    let doc = "name of the tenant, for people, to its settings";
    let read = s.default("tenants", Names(object(tenant)), vec![], doc);
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, read) in &read {
        if name.trim().is_empty() {
            s.fault_inside("tenants", Inner::Key(name), "the tenant has no name", "write one before the colon");
        }
        if read.id.is_empty() {
            continue;
        }
        if let Some(first) = owners.insert(&read.id, name) {
            let problem =
                format!("{} has the same `tenant_id` as {}: {}", quoted(name), quoted(first), quoted(&read.id));
            s.fault_inside("tenants", Inner::Key(name), problem, "give each tenant its own; facts are kept by it");
        }
    }
    let named = read.into_iter().filter_map(|(name, read)| Some(Tenant { name, ..read.tenant? }));
    let tenants: Vec<Tenant> = named.collect();
    emitter::tell_apart(s, &tenants);
    tenants
}

/// A tenant as far as it could be read.
struct Read {
    id: String,
    /// `None`: its ecosystem cannot be read.
    tenant: Option<Tenant>,
}

fn tenant(s: &mut Section<'_>) -> Read {
    let kind = s.required(
        "ecosystem",
        EcosystemName,
        "where the costs come from: `confluent_cloud`, `self_managed_kafka`, `generic_metrics_only`, or `external` if \
         another program writes the days",
    );
    let id = s.required("tenant_id", Name, "what facts and results are kept by; unique, never sent to a provider");
    s.ignored("storage", Anything, "results go to the PostgreSQL of `database.url`, facts to Kafka");
    s.optional("focus_preview", object(preview::tenant), "Chitragupta's FOCUS export; not in this version");
    if s.has("focus_preview") {
        s.warn("focus_preview", "has no effect in this version; FOCUS exports are not built yet");
    }
    let ecosystem = match kind {
        Known::ConfluentCloud => {
            let settings = s.section("plugin_settings", ccloud::settings, "what the ecosystem needs");
            Some(Ecosystem::ConfluentCloud(Box::new(settings)))
        }
        Known::SelfManagedKafka => {
            let settings = s.section("plugin_settings", self_managed::settings, "what the ecosystem needs");
            Some(Ecosystem::SelfManagedKafka(Box::new(settings)))
        }
        Known::GenericMetrics => {
            let settings = s.section("plugin_settings", generic::settings, "what the ecosystem needs");
            Some(Ecosystem::GenericMetrics(Box::new(settings)))
        }
        Known::External => {
            let settings = s.section("plugin_settings", external::settings, "the rules of its days");
            Some(Ecosystem::External(Box::new(settings)))
        }
        Known::Unreadable => {
            s.pass("plugin_settings");
            None
        }
    };
    s.shapes("plugin_settings", || {
        let settings = |of: Known| match of {
            Known::ConfluentCloud | Known::Unreadable => describe(ccloud::settings).1,
            Known::SelfManagedKafka => describe(self_managed::settings).1,
            Known::GenericMetrics => describe(generic::settings).1,
            Known::External => describe(external::settings).1,
        };
        let shapes = ECOSYSTEMS.into_iter().map(|(name, of)| {
            let mut shape = settings(of);
            shape["title"] = name.into();
            shape
        });
        shapes.chain([json!({"type": "null"})]).collect()
    });
    let lookback_days = s.default("lookback_days", Int(1..=364), 200, "days before now at which the window begins");
    let cutoff_days = s.default("cutoff_days", Int(1..=30), 5, "days before now at which the window ends");
    let retention_days = s.default("retention_days", Int(1..=730), 250, "age in days at which data is deleted");
    compare_days(s, lookback_days, cutoff_days, retention_days);
    let retries = "attempt at which a failing line goes to UNALLOCATED";
    let allocation_retry_limit = s.default("allocation_retry_limit", Int(1..=10), 3, retries);
    let retries = "the same for topic attribution";
    let topic_attribution_retry_limit = s.default("topic_attribution_retry_limit", Int(1..=10), 3, retries);
    let empty = "empty listings in a row that mean deletion; -1: never";
    let zero_gather_deletion_threshold = s.default("zero_gather_deletion_threshold", Int(-1..=i32::MAX), -1, empty);
    let failures = "failed gathers in a row before suspension";
    let gather_failure_threshold = s.default("gather_failure_threshold", Int(1..=u32::MAX), 5, failures);
    let timeout = "limit of one run, seconds; 0: none";
    let timeout = s.default("tenant_execution_timeout_seconds", Int(0..=u64::MAX), 3600, timeout);
    let queries = "metric queries at the same time";
    let metrics_prefetch_workers = s.default("metrics_prefetch_workers", Int(1..=20), 4, queries);
    let tenant = ecosystem.map(|ecosystem| Tenant {
        name: String::new(),
        tenant_id: id.clone(),
        lookback_days,
        cutoff_days,
        retention_days,
        allocation_retry_limit,
        topic_attribution_retry_limit,
        zero_gather_deletion_threshold,
        gather_failure_threshold,
        tenant_execution_timeout_seconds: timeout,
        metrics_prefetch_workers,
        ecosystem,
    });
    Read { id, tenant }
}

fn compare_days(s: &Section<'_>, lookback: u32, cutoff: u32, retention: u32) {
    if lookback <= cutoff && s.sound(&["lookback_days", "cutoff_days"]) {
        let problem =
            format!("{lookback} is not more than `cutoff_days`, which is {cutoff}: no day would ever be gathered");
        s.fault("lookback_days", problem, format!("write at least {}, or lower `cutoff_days`", cutoff + 1));
    }
    if retention < lookback && s.sound(&["lookback_days", "retention_days"]) {
        let problem = format!(
            "{retention} is less than `lookback_days`, which is {lookback}: days would be gathered and deleted in turn"
        );
        s.fault("retention_days", problem, format!("write at least {lookback}, or lower `lookback_days`"));
    }
}

#[derive(Clone, Copy)]
enum Known {
    ConfluentCloud,
    SelfManagedKafka,
    GenericMetrics,
    External,
    /// Its fault is recorded; its settings cannot be judged.
    Unreadable,
}

/// The word behind `ecosystem:`.
struct EcosystemName;

const ECOSYSTEMS: [(&str, Known); 4] = [
    ("confluent_cloud", Known::ConfluentCloud),
    ("self_managed_kafka", Known::SelfManagedKafka),
    ("generic_metrics_only", Known::GenericMetrics),
    ("external", Known::External),
];

impl Kind for EcosystemName {
    type Out = Known;

    fn schema(&self) -> Json {
        json!({"enum": ECOSYSTEMS.map(|(name, _)| name)})
    }

    fn read(&self, value: &Value<'_>) -> Option<Known> {
        let word = match scalar(value, "an ecosystem's name") {
            Some(scalar) => scalar.text.into_owned(),
            None => return Some(Known::Unreadable),
        };
        if let Some((_, known)) = ECOSYSTEMS.iter().find(|(name, _)| *name == word) {
            return Some(*known);
        }
        let names = ECOSYSTEMS.map(|(name, _)| name);
        let remedy = match suggest::nearest(&word, &names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("use one of {}", suggest::list(&names)),
        };
        value.fault(format!("{} is not a known ecosystem", quoted(&word)), remedy);
        Some(Known::Unreadable)
    }

    fn placeholder(&self) -> Known {
        Known::ConfluentCloud
    }
}
