//! Listing everything an organisation has.
//!
//! In: the API. Out: an [`Inventory`] with one [`Listing`] per family. A family with a failed request is
//! incomplete and keeps what it yielded. Absent: what was there before, what its absence means.

use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::api::{Absence, Listed};
use super::{ConfluentCloud, PARALLEL, flink, identities, resources};
use crate::domain::{Identity, Resource};
use crate::ecosystem::{Inventory, Listing, SourceError};

/// Items per request where the provider takes up to 100.
pub const PER_PAGE: (&str, &str) = ("page_size", "99");
/// Items per request where it takes less.
pub const PER_SMALL_PAGE: (&str, &str) = ("page_size", "50");

/// A family of listings on its way.
#[derive(Debug)]
pub struct Family {
    pub name: &'static str,
    pub types: &'static [&'static str],
    pub resources: Vec<Resource>,
    pub identities: Vec<Identity>,
    pub outcome: Result<(), SourceError>,
}

impl Family {
    /// Nothing listed yet, nothing failed.
    pub fn new(name: &'static str, types: &'static [&'static str]) -> Self {
        Self { name, types, resources: Vec::new(), identities: Vec::new(), outcome: Ok(()) }
    }

    /// Takes what a list yielded; the first failure is the family's.
    pub fn add(&mut self, listed: &Listed<Value>, map: impl Fn(&Value) -> Option<Resource>) {
        self.resources.extend(mapped(self.name, listed, map));
        self.note(&listed.outcome);
    }

    fn add_identities(&mut self, listed: &Listed<Value>, map: impl Fn(&Value) -> Option<Identity>) {
        self.identities.extend(mapped(self.name, listed, map));
        self.note(&listed.outcome);
    }

    /// Remembers a failure, if it is the first.
    pub fn note(&mut self, outcome: &Result<(), SourceError>) {
        if self.outcome.is_ok() {
            self.outcome = outcome.clone();
        }
    }

    fn finish(self, inventory: &mut Inventory) {
        inventory.resources.extend(self.resources);
        inventory.identities.extend(self.identities);
        let types = self.types.iter().map(|kind| (*kind).to_owned()).collect();
        inventory.listings.push(Listing { name: self.name.to_owned(), types, outcome: self.outcome });
    }
}

/// The items that could be mapped; the others are counted in a log line.
fn mapped<T>(family: &str, listed: &Listed<Value>, map: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let found: Vec<T> = listed.items.iter().filter_map(map).collect();
    let skipped = listed.items.len() - found.len();
    if skipped > 0 {
        tracing::warn!(family, skipped, "Confluent Cloud listed items without an id; they are left out");
    }
    found
}

/// Lists everything.
///
/// # Errors
/// [`SourceError`] if environments or clusters could not be listed.
pub async fn gather(cloud: &ConfluentCloud) -> Result<Inventory, SourceError> {
    let mut kafka = Family::new("kafka", &["environment", "kafka_cluster"]);
    let environments = cloud.api.list("/org/v2/environments", &[PER_PAGE], Absence::Wrong).await;
    kafka.add(&environments, resources::environment);
    kafka.outcome.clone()?;
    let envs: Vec<String> = kafka.resources.iter().map(|env| env.resource_id.clone()).collect();
    per_environment(cloud, &mut kafka, &envs, "/cmk/v2/clusters", PER_PAGE, resources::kafka_cluster).await;
    kafka.outcome.clone()?;
    let clusters = clusters(&kafka);
    let (registries, connectors, ksqldb, flink, identities) = tokio::join!(
        schema_registries(cloud, &envs),
        connectors(cloud, &clusters),
        ksqldb_clusters(cloud, &envs),
        flink::gather(cloud, &envs),
        identities(cloud),
    );
    let mut inventory = Inventory::default();
    for family in [kafka, registries, connectors, ksqldb, flink, identities] {
        family.finish(&mut inventory);
    }
    once_each(&mut inventory);
    Ok(inventory)
}

/// (environment, cluster) of each Kafka cluster.
fn clusters(kafka: &Family) -> Vec<(String, String)> {
    let clusters = kafka.resources.iter().filter(|resource| resource.resource_type == "kafka_cluster");
    clusters.filter_map(|cluster| Some((cluster.parent_id.clone()?, cluster.resource_id.clone()))).collect()
}

/// Pages that shift while they are read may show an item twice; the later one is the newer.
fn once_each(inventory: &mut Inventory) {
    inventory.resources.reverse();
    inventory.resources.sort_by(|a, b| a.resource_id.cmp(&b.resource_id));
    inventory.resources.dedup_by(|a, b| a.resource_id == b.resource_id);
    inventory.identities.reverse();
    inventory.identities.sort_by(|a, b| a.identity_id.cmp(&b.identity_id));
    inventory.identities.dedup_by(|a, b| a.identity_id == b.identity_id);
}

/// Adds a list that must be asked for environment by environment.
pub async fn per_environment(
    cloud: &ConfluentCloud,
    family: &mut Family,
    envs: &[String],
    path: &str,
    page_size: (&str, &str),
    map: impl Fn(&Value, &str) -> Option<Resource>,
) {
    let lists: Vec<_> = envs
        .iter()
        .map(|env| async move { (env, cloud.api.list(path, &[page_size, ("environment", env)], Absence::Empty).await) })
        .collect();
    let lists: Vec<_> = stream::iter(lists).buffered(PARALLEL).collect().await;
    for (env, listed) in lists {
        family.add(&listed, |item| map(item, env));
    }
}

async fn schema_registries(cloud: &ConfluentCloud, envs: &[String]) -> Family {
    let mut family = Family::new("schema_registry", &["schema_registry"]);
    let path = "/srcm/v3/clusters";
    per_environment(cloud, &mut family, envs, path, PER_SMALL_PAGE, resources::schema_registry).await;
    family
}

async fn ksqldb_clusters(cloud: &ConfluentCloud, envs: &[String]) -> Family {
    let mut family = Family::new("ksqldb", &["ksqldb_cluster"]);
    let path = "/ksqldbcm/v2/clusters";
    per_environment(cloud, &mut family, envs, path, PER_PAGE, resources::ksqldb_cluster).await;
    family
}

async fn connectors(cloud: &ConfluentCloud, clusters: &[(String, String)]) -> Family {
    let mut family = Family::new("connector", &["connector"]);
    let lists: Vec<_> = clusters
        .iter()
        .map(|(env, cluster)| async move {
            let path = format!("/connect/v1/environments/{env}/clusters/{cluster}/connectors");
            (env, cluster, cloud.api.plain(&path, &[("expand", "info,status,id")]).await)
        })
        .collect();
    let lists: Vec<_> = stream::iter(lists).buffered(PARALLEL).collect().await;
    for (env, cluster, answer) in lists {
        match answer.and_then(|answer| connectors_in(&answer, env, cluster)) {
            Ok(connectors) => family.resources.extend(connectors),
            Err(error) => family.note(&Err(error)),
        }
    }
    family
}

/// Connectors by name, or a list of bare names, as old and empty clusters answer.
fn connectors_in(answer: &Value, env: &str, cluster: &str) -> Result<Vec<Resource>, SourceError> {
    match answer {
        Value::Null => Ok(Vec::new()),
        Value::Object(by_name) => {
            let known = by_name.iter().filter(|(_, item)| item.is_object());
            let known: Vec<Resource> =
                known.filter_map(|(name, item)| resources::connector(name, item, env, cluster)).collect();
            if known.len() < by_name.len() {
                let skipped = by_name.len() - known.len();
                tracing::warn!(cluster, skipped, "Confluent Cloud listed connectors without a name or content");
            }
            Ok(known)
        }
        Value::Array(names) => {
            if !names.is_empty() {
                tracing::warn!(cluster, "connectors are listed by name only, so their owners are not known");
            }
            let names = names.iter().filter_map(Value::as_str);
            Ok(names.filter_map(|name| resources::connector(name, &Value::Null, env, cluster)).collect())
        }
        _ => Err(SourceError::Unusable(format!("the connectors of {cluster} are neither an object nor a list"))),
    }
}

async fn identities(cloud: &ConfluentCloud) -> Family {
    let list = |path| cloud.api.list(path, &[PER_PAGE], Absence::Empty);
    let (accounts, users, keys, providers) = tokio::join!(
        list("/iam/v2/service-accounts"),
        list("/iam/v2/users"),
        list("/iam/v2/api-keys"),
        list("/iam/v2/identity-providers"),
    );
    let mut family = Family::new("identities", &identities::TYPES);
    family.add_identities(&accounts, identities::service_account);
    family.add_identities(&users, identities::user);
    family.add_identities(&keys, identities::api_key);
    family.add_identities(&providers, identities::identity_provider);
    let providers = family.identities.iter().filter(|identity| identity.identity_type == "identity_provider");
    let lists: Vec<_> = providers
        .map(|provider| provider.identity_id.clone())
        .map(|provider| async move {
            let path = format!("/iam/v2/identity-providers/{provider}/identity-pools");
            let listed = cloud.api.list(&path, &[PER_PAGE], Absence::Empty).await;
            (provider, listed)
        })
        .collect();
    let lists: Vec<_> = stream::iter(lists).buffered(PARALLEL).collect().await;
    for (provider, listed) in lists {
        family.add_identities(&listed, |item| identities::identity_pool(item, &provider));
    }
    family
}
