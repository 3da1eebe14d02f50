//! The inventory as the public APIs list it.
//!
//! In: the tables of `estate` and the ids of a seed. Out: JSON objects by the path they are listed under.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::bill::{Billed, uuid};
use super::estate::{self, Login};
use super::shape::hash;
use crate::domain::Day;

/// Name of every environment's Schema Registry, as Confluent Cloud calls it.
pub const GOVERNANCE: &str = "Stream Governance Package";

/// What a path answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// Items in pages. Where items have an environment, it must be asked for.
    Pages { api: &'static str, kind: &'static str, items: Vec<Item> },
    /// One object by name, in one answer (connectors).
    Whole(Map<String, Value>),
}

/// One item of a paged listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The environment by which the listing is asked for.
    pub env: Option<String>,
    pub body: Value,
}

/// Makes ids and moments of creation from names.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub seed: u64,
    pub first_day: Day,
}

impl Ids {
    /// The id of a thing, for example `lkc-4xk20p`.
    pub fn of(&self, prefix: &str, name: &str) -> String {
        format!("{prefix}-{}", self.letters(&format!("{prefix}/{name}"), 6, b"0123456789abcdefghijkmnpqrstvwxyz"))
    }

    /// The id of an account, user or pool, by its name.
    pub fn principal(&self, name: &str) -> String {
        let prefix = match name {
            name if estate::USERS.contains(&name) => "u",
            name if estate::POOLS.contains(&name) => "pool",
            _ => "sa",
        };
        self.of(prefix, name)
    }

    /// What a billing row says about a thing.
    pub fn billed(&self, prefix: &str, name: &str, env: &str) -> Billed {
        Billed { id: self.of(prefix, name), name: name.to_owned(), env: self.of("env", env) }
    }

    /// A key or password of `n` letters and digits.
    pub fn letters(&self, name: &str, n: usize, from: &[u8]) -> String {
        let pick = |i| char::from(from[(hash(self.seed, name, i) % from.len() as u64) as usize]);
        (0..n as u64).map(pick).collect()
    }

    /// The organisation's own id.
    pub fn organisation(&self) -> String {
        uuid(self.seed, "organisation", 0)
    }

    fn metadata(&self, path: &str) -> Value {
        let ago = TimeDelta::minutes((50_000 + hash(self.seed, path, 1) % 900_000) as i64);
        self.metadata_at(path, self.first_day.start() - ago)
    }

    fn metadata_at(&self, path: &str, created: DateTime<Utc>) -> Value {
        let at = created.to_rfc3339_opts(SecondsFormat::Micros, true);
        let crn = format!("crn://confluent.cloud/organization={}/{path}", self.organisation());
        let crn = crn.trim_end_matches('/');
        json!({"created_at": at, "updated_at": at, "resource_name": crn})
    }
}

/// Everything that can be listed.
pub fn listings(ids: &Ids) -> BTreeMap<String, Listing> {
    let mut all = BTreeMap::new();
    let mut pages = |path: &str, kind, items: Vec<Item>| {
        let api = match path.trim_start_matches('/') {
            p if p.starts_with("flink/") => "sql/v1",
            p if p.starts_with("org/") => "org/v2",
            p if p.starts_with("cmk/") => "cmk/v2",
            p if p.starts_with("srcm/") => "srcm/v3",
            p if p.starts_with("ksqldbcm/") => "ksqldbcm/v2",
            p if p.starts_with("fcpm/") => "fcpm/v2",
            _ => "iam/v2",
        };
        all.insert(path.to_owned(), Listing::Pages { api, kind, items });
    };
    let org = json!({"id": ids.organisation(), "display_name": "Acme", "metadata": ids.metadata("")});
    pages("/org/v2/organizations", "OrganizationList", vec![Item { env: None, body: org }]);
    pages("/org/v2/environments", "EnvironmentList", environments(ids));
    pages("/cmk/v2/clusters", "ClusterList", clusters(ids));
    pages("/srcm/v3/clusters", "ClusterList", registries(ids));
    pages("/ksqldbcm/v2/clusters", "ClusterList", ksqldbs(ids));
    pages("/fcpm/v2/compute-pools", "ComputePoolList", flink_pools(ids));
    pages("/iam/v2/service-accounts", "ServiceAccountList", accounts(ids));
    pages("/iam/v2/users", "UserList", users(ids));
    pages("/iam/v2/api-keys", "ApiKeyList", api_keys(ids));
    let provider = ids.of("op", "single-sign-on");
    let body = json!({"id": provider, "display_name": "single-sign-on", "description": "Acme's logins",
        "issuer": "https://login.acme.example", "metadata": ids.metadata("identity-provider=sso")});
    pages("/iam/v2/identity-providers", "IdentityProviderList", vec![Item { env: None, body }]);
    pages(&format!("/iam/v2/identity-providers/{provider}/identity-pools"), "IdentityPoolList", pools(ids));
    for region in estate::REGIONS {
        for (env, _) in estate::ENVIRONMENTS {
            let cloud = estate::CLOUD.to_lowercase();
            let scope = format!("organizations/{}/environments/{}", ids.organisation(), ids.of("env", env));
            let path = format!("/flink/{region}.{cloud}/sql/v1/{scope}/statements");
            pages(&path, "StatementList", statements(ids, region, env));
        }
    }
    for cluster in &estate::CLUSTERS {
        let (env, lkc) = (ids.of("env", cluster.env), ids.of("lkc", cluster.name));
        let path = format!("/connect/v1/environments/{env}/clusters/{lkc}/connectors");
        all.insert(path, Listing::Whole(connectors(ids, cluster.name)));
    }
    all
}

fn environments(ids: &Ids) -> Vec<Item> {
    let item = |(name, package): (&str, &str)| {
        let id = ids.of("env", name);
        let metadata = ids.metadata(&format!("environment={id}"));
        let governance = json!({"package": package});
        let body =
            json!({"id": id, "display_name": name, "stream_governance_config": governance, "metadata": metadata});
        Item { env: None, body }
    };
    estate::ENVIRONMENTS.map(item).into()
}

/// An item with a `spec` in an environment.
fn scoped(ids: &Ids, env: &str, id: &str, crn: &str, mut spec: Value) -> Item {
    let env = ids.of("env", env);
    spec["environment"] = json!({"id": env});
    let metadata = ids.metadata(&format!("environment={env}/{crn}={id}"));
    let body = json!({"id": id, "spec": spec, "status": {"phase": "PROVISIONED"}, "metadata": metadata});
    Item { env: Some(env), body }
}

fn clusters(ids: &Ids) -> Vec<Item> {
    let item = |c: &estate::Cluster| {
        let id = ids.of("lkc", c.name);
        let mut config = json!({"kind": c.kind});
        if let Some((_, ckus)) = c.ckus.last() {
            config["cku"] = json!(ckus);
        }
        let host = format!("{}.{}.aws.confluent.cloud", ids.of("pkc", c.name), c.region);
        let spec = json!({"display_name": c.name, "availability": "HIGH", "cloud": estate::CLOUD, "region": c.region,
            "config": config, "kafka_bootstrap_endpoint": format!("SASL_SSL://{host}:9092"),
            "http_endpoint": format!("https://{host}:443")});
        let mut item = scoped(ids, c.env, &id, "cloud-cluster", spec);
        if c.born > 0 {
            let born = ids.first_day.plus(c.born.into()).start() + TimeDelta::hours(9);
            item.body["metadata"] = ids.metadata_at(&format!("cloud-cluster={id}"), born);
        }
        item
    };
    estate::CLUSTERS.iter().map(item).collect()
}

fn registries(ids: &Ids) -> Vec<Item> {
    let item = |(env, package): (&str, &str)| {
        let id = ids.of("lsrc", env);
        let endpoint = format!("https://{}.us-east-2.aws.confluent.cloud", ids.of("psrc", env));
        let spec = json!({"display_name": GOVERNANCE, "package": package, "cloud": estate::CLOUD,
            "region": estate::REGIONS[0], "http_endpoint": endpoint});
        scoped(ids, env, &id, "schema-registry", spec)
    };
    estate::ENVIRONMENTS.map(item).into()
}

fn ksqldbs(ids: &Ids) -> Vec<Item> {
    let item = |(cluster, name, owner, csus): (&str, &str, &str, u32)| {
        let env = estate::env_of(cluster);
        let spec = json!({"display_name": name, "csu": csus, "credential_identity": {"id": ids.principal(owner)},
            "kafka_cluster": {"id": ids.of("lkc", cluster), "environment": ids.of("env", env)}});
        scoped(ids, env, &ids.of("lksqlc", name), "ksql", spec)
    };
    estate::KSQLDBS.map(item).into()
}

fn flink_pools(ids: &Ids) -> Vec<Item> {
    let item = |(env, region, name): (&str, &str, &str)| {
        let spec = json!({"display_name": name, "cloud": estate::CLOUD, "region": region, "max_cfu": 40});
        let crn = format!("flink-region=aws.{region}/compute-pool");
        scoped(ids, env, &ids.of("lfcp", name), &crn, spec)
    };
    estate::FLINK_POOLS.map(item).into()
}

fn statements(ids: &Ids, region: &str, env: &str) -> Vec<Item> {
    let here = |pool: &str| estate::FLINK_POOLS.iter().any(|(e, r, name)| (*e, *r, *name) == (env, region, pool));
    let item = |estate::Statement(pool, name, owner, minutes, _): &estate::Statement| {
        let phase = if *minutes > 0 { "RUNNING" } else { "STOPPED" };
        let spec = json!({"compute_pool_id": ids.of("lfcp", pool), "principal": ids.principal(owner),
            "stopped": *minutes == 0, "statement": format!("-- {name}")});
        let mut metadata = ids.metadata(&format!("statement={name}"));
        metadata["uid"] = json!(uuid(ids.seed, name, 0));
        let body = json!({"name": name, "organization_id": ids.organisation(), "environment_id": ids.of("env", env),
            "spec": spec, "status": {"phase": phase}, "metadata": metadata});
        Item { env: None, body }
    };
    estate::STATEMENTS.iter().filter(|s| here(s.0)).map(item).collect()
}

fn identity(ids: &Ids, id: &str, kind: &str, name: &str, value: &str) -> Item {
    let mut body = json!({"id": id, "description": "", "metadata": ids.metadata(&format!("{kind}={id}"))});
    body[name] = json!(value);
    Item { env: None, body }
}

fn accounts(ids: &Ids) -> Vec<Item> {
    let item = |name| identity(ids, &ids.principal(name), "service-account", "display_name", name);
    estate::ACCOUNTS.map(item).into()
}

fn users(ids: &Ids) -> Vec<Item> {
    estate::USERS.map(|name| identity(ids, &ids.principal(name), "user", "full_name", name)).into()
}

fn pools(ids: &Ids) -> Vec<Item> {
    estate::POOLS.map(|name| identity(ids, &ids.principal(name), "identity-pool", "display_name", name)).into()
}

/// The id of the key with which somebody opens a resource.
fn key_id(ids: &Ids, who: &str, resource: &str) -> String {
    ids.letters(&format!("{who}@{resource}"), 16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
}

/// One key for each account and user on each cluster it uses, and one on that environment's Schema Registry.
fn api_keys(ids: &Ids) -> Vec<Item> {
    let mut keys = BTreeMap::new();
    for estate::Flow(cluster, who, ..) in &estate::FLOWS {
        if estate::POOLS.contains(who) || *who == estate::GONE {
            continue;
        }
        let env = estate::env_of(cluster);
        for (resource, kind) in [(ids.of("lkc", cluster), "Cluster"), (ids.of("lsrc", env), "SchemaRegistry")] {
            keys.insert((resource, *who), kind);
        }
    }
    let item = |((resource, who), kind): ((String, &str), &str)| {
        let id = key_id(ids, who, &resource);
        let spec = json!({"display_name": "", "description": format!("{who} on {resource}"),
            "owner": {"id": ids.principal(who)}, "resource": {"id": resource, "kind": kind}});
        let metadata = ids.metadata(&format!("api-key={id}"));
        Item { env: None, body: json!({"id": id, "spec": spec, "metadata": metadata}) }
    };
    keys.into_iter().map(item).collect()
}

fn connectors(ids: &Ids, cluster: &str) -> Map<String, Value> {
    let entry = |estate::Connector(_, name, class, login, tasks, _): &estate::Connector| {
        let mut config = json!({"name": name, "connector.class": class, "tasks.max": tasks.to_string()});
        let (mode, field, value) = match login {
            Login::Account(who) => ("SERVICE_ACCOUNT", "kafka.service.account.id", ids.principal(who)),
            Login::Key(who) => ("KAFKA_API_KEY", "kafka.api.key", key_id(ids, who, &ids.of("lkc", cluster))),
            Login::Masked => ("KAFKA_API_KEY", "kafka.api.key", "*".repeat(16)),
        };
        config["kafka.auth.mode"] = json!(mode);
        config[field] = json!(value);
        let kind = if class.to_lowercase().contains("sink") { "sink" } else { "source" };
        let id = json!({"id": ids.of("lcc", name), "id_type": "ID"});
        let info = json!({"name": name, "type": kind, "config": config});
        let status = json!({"name": name, "connector": {"state": "RUNNING"}, "type": kind});
        ((*name).to_owned(), json!({"id": id, "info": info, "status": status}))
    };
    estate::CONNECTORS.iter().filter(|c| c.0 == cluster).map(entry).collect()
}
