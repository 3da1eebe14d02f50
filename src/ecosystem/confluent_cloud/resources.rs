//! From the provider's objects to resources.
//!
//! In: items of its lists. Out: [`Resource`]s, tenant and day left empty. Pure. An item without an id is
//! no resource; anything else that is missing is left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ECOSYSTEM;
use super::json::{at, lower, moment, text};
use crate::domain::{Day, Resource};

/// Attributes with a value, by name.
type Attributes<const N: usize> = [(&'static str, Option<String>); N];

/// A resource of an item that has the provider's usual shape.
fn resource<const N: usize>(kind: &str, item: &Value, attributes: Attributes<N>) -> Option<Resource> {
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Some(Resource {
        display_name: text(item, &["spec", "display_name"]),
        created_at: moment(item, &["metadata", "created_at"]),
        attributes,
        ..bare(kind, text(item, &["id"])?)
    })
}

/// A resource of which nothing is known but its id.
pub fn bare(kind: &str, id: String) -> Resource {
    Resource {
        tenant: String::new(),
        day: Day::from(chrono::NaiveDate::default()),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: ECOSYSTEM.to_owned(),
        resource_id: id,
        resource_type: kind.to_owned(),
        display_name: None,
        parent_id: None,
        owner_id: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

/// An environment.
pub fn environment(item: &Value) -> Option<Resource> {
    let environment = resource("environment", item, [])?;
    Some(Resource { display_name: text(item, &["display_name"]), ..environment })
}

/// A Kafka cluster; `env` is the environment it was listed in.
pub fn kafka_cluster(item: &Value, env: &str) -> Option<Resource> {
    let attributes = [
        ("bootstrap_url", text(item, &["spec", "kafka_bootstrap_endpoint"])),
        ("cloud", lower(item, &["spec", "cloud"])),
        ("region", lower(item, &["spec", "region"])),
        ("provider_cloud", text(item, &["spec", "cloud"])),
        ("provider_region", text(item, &["spec", "region"])),
    ];
    Some(Resource { parent_id: Some(parent(item, env)), ..resource("kafka_cluster", item, attributes)? })
}

/// `env` is the environment it was listed in.
pub fn schema_registry(item: &Value, env: &str) -> Option<Resource> {
    let attributes = [
        ("http_endpoint", text(item, &["spec", "http_endpoint"])),
        ("cloud", lower(item, &["spec", "cloud"])),
        ("region", lower(item, &["spec", "region"])),
        ("provider_cloud", text(item, &["spec", "cloud"])),
        ("provider_region", text(item, &["spec", "region"])),
        ("crn", text(item, &["metadata", "resource_name"])),
    ];
    Some(Resource { parent_id: Some(parent(item, env)), ..resource("schema_registry", item, attributes)? })
}

/// `env` is the environment it was listed in. Without credentials its owner is a name for that.
pub fn ksqldb_cluster(item: &Value, env: &str) -> Option<Resource> {
    let attributes = [
        ("kafka_cluster_id", text(item, &["spec", "kafka_cluster", "id"])),
        ("csu_count", text(item, &["spec", "csu"])),
    ];
    let owner = text(item, &["spec", "credential_identity", "id"]);
    Some(Resource {
        parent_id: Some(parent(item, env)),
        owner_id: Some(owner.unwrap_or_else(|| "ksqldb_owner_unknown".to_owned())),
        ..resource("ksqldb_cluster", item, attributes)?
    })
}

/// A Flink compute pool of an environment. `is_allocatable` says whether a region has credentials, so that its statements can be known.
pub fn compute_pool(item: &Value, env: &str, is_allocatable: impl Fn(&str) -> bool) -> Option<Resource> {
    let region = lower(item, &["spec", "region"]);
    let attributes = [
        ("cloud", lower(item, &["spec", "cloud"])),
        ("is_allocatable", Some(region.as_deref().is_some_and(is_allocatable).to_string())),
        ("region", region),
        ("provider_cloud", text(item, &["spec", "cloud"])),
        ("provider_region", text(item, &["spec", "region"])),
        ("crn", text(item, &["metadata", "resource_name"])),
    ];
    Some(Resource { parent_id: Some(env.to_owned()), ..resource("flink_compute_pool", item, attributes)? })
}

/// A Flink statement of an environment. `only_pool` is the pool of a statement that names none, if there is
/// just one in its region.
pub fn statement(item: &Value, env: &str, only_pool: Option<&str>) -> Resource {
    let name = text(item, &["name"]);
    let id = text(item, &["metadata", "uid"]).or_else(|| name.clone()).unwrap_or_else(|| unnamed_statement(env, item));
    let pool = text(item, &["spec", "compute_pool_id"])
        .or_else(|| text(item, &["spec", "compute_pool", "id"]))
        .or_else(|| only_pool.map(str::to_owned));
    let phase = text(item, &["status", "phase"]).unwrap_or_default().to_uppercase();
    let is_stopped = matches!(phase.as_str(), "COMPLETED" | "FAILED" | "STOPPED");
    let attributes =
        [("statement_name", name.clone()), ("compute_pool_id", pool), ("is_stopped", Some(is_stopped.to_string()))];
    Resource {
        display_name: name,
        parent_id: Some(env.to_owned()),
        owner_id: text(item, &["spec", "principal"]),
        attributes: attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        ..bare("flink_statement", id)
    }
}

/// The same statement always gets the same id.
fn unnamed_statement(env: &str, item: &Value) -> String {
    let digest = blake3::hash(format!("{env}:{item}").as_bytes()).to_hex();
    format!("flink_stmt_unknown_{}", &digest[..12])
}

/// A connector by its name in the cluster's list. `item` is `null` where only names are listed.
pub fn connector(name: &str, item: &Value, env: &str, cluster: &str) -> Option<Resource> {
    let config = at(item, &["info", "config"]).unwrap_or(&Value::Null);
    let id = text(item, &["id", "id"]).unwrap_or_else(|| name.to_owned());
    if id.is_empty() {
        return None;
    }
    let mode = connector_mode(config);
    let only = |wanted: &str, key: &str| (mode == wanted).then(|| text(config, &[key])).flatten();
    let attributes = [
        ("env_id", Some(env.to_owned())),
        ("connector_class", text(config, &["connector.class"])),
        ("kafka_service_account_id", only("SERVICE_ACCOUNT", "kafka.service.account.id")),
        ("kafka_api_key", only("KAFKA_API_KEY", "kafka.api.key")),
        ("kafka_auth_mode", Some(mode)),
    ];
    Some(Resource {
        display_name: text(config, &["name"]).or_else(|| Some(name.to_owned())),
        parent_id: Some(cluster.to_owned()),
        attributes: attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        ..bare("connector", id)
    })
}

/// With whose credentials it connects; where it is not said, by the credentials that are there.
fn connector_mode(config: &Value) -> String {
    let told = text(config, &["kafka.auth.mode"]);
    told.unwrap_or_else(|| {
        let guess = if config.get("kafka.api.key").is_some() {
            "KAFKA_API_KEY"
        } else if config.get("kafka.service.account.id").is_some() {
            "SERVICE_ACCOUNT"
        } else {
            "UNKNOWN"
        };
        guess.to_owned()
    })
}

fn parent(item: &Value, env: &str) -> String {
    text(item, &["spec", "environment", "id"]).unwrap_or_else(|| env.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(resource: &Resource) -> Vec<(&str, &str)> {
        resource.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    #[test]
    fn a_cluster() {
        let item = json!({"id": "lkc-1", "spec": {"display_name": "orders", "cloud": " AWS", "region": "EU-1",
            "kafka_bootstrap_endpoint": "SASL_SSL://b:9092", "environment": {"id": "env-2"}},
            "metadata": {"created_at": "2026-02-01T00:00:00Z"}});
        let cluster = kafka_cluster(&item, "env-1").unwrap();
        assert_eq!((cluster.resource_id.as_str(), cluster.parent_id.as_deref()), ("lkc-1", Some("env-2")));
        assert_eq!(cluster.created_at, Some("2026-02-01T00:00:00Z".parse().unwrap()));
        assert_eq!(
            attributes(&cluster),
            [
                ("bootstrap_url", "SASL_SSL://b:9092"),
                ("cloud", "aws"),
                ("provider_cloud", " AWS"),
                ("provider_region", "EU-1"),
                ("region", "eu-1")
            ]
        );
    }

    #[test]
    fn null_parts_are_missing_parts_and_no_id_is_no_resource() {
        let bare = kafka_cluster(&json!({"id": "lkc-1", "spec": null, "metadata": null}), "env-1").unwrap();
        assert_eq!((bare.parent_id.as_deref(), bare.display_name, bare.created_at), (Some("env-1"), None, None));
        for item in [json!({"spec": {}}), json!({"id": null}), json!({"id": ""}), json!(null), json!("lkc-1")] {
            assert_eq!(kafka_cluster(&item, "env-1"), None);
        }
    }

    #[test]
    fn ksqldb_without_credentials_has_a_named_unknown_owner() {
        let item = json!({"id": "lksqlc-1", "spec": {"csu": 4, "kafka_cluster": {"id": "lkc-1"},
            "credential_identity": {"id": "sa-1"}}});
        let cluster = ksqldb_cluster(&item, "env-1").unwrap();
        assert_eq!(cluster.owner_id.as_deref(), Some("sa-1"));
        assert_eq!(attributes(&cluster), [("csu_count", "4"), ("kafka_cluster_id", "lkc-1")]);
        let ownerless = ksqldb_cluster(&json!({"id": "lksqlc-1"}), "env-1").unwrap();
        assert_eq!(ownerless.owner_id.as_deref(), Some("ksqldb_owner_unknown"));
    }

    #[test]
    fn connectors_say_whose_credentials_they_use() {
        #[track_caller]
        fn check(config: Value, expected: &[(&str, &str)]) {
            let item = json!({"id": {"id": "lcc-1"}, "info": {"config": config}});
            let connector = connector("sink", &item, "env-1", "lkc-1").unwrap();
            let mut got = attributes(&connector);
            got.retain(|(name, _)| name.starts_with("kafka"));
            assert_eq!(got, expected);
        }
        let account = ("kafka_service_account_id", "sa-1");
        check(
            json!({"kafka.auth.mode": "SERVICE_ACCOUNT", "kafka.service.account.id": "sa-1", "kafka.api.key": "K"}),
            &[("kafka_auth_mode", "SERVICE_ACCOUNT"), account],
        );
        check(json!({"kafka.service.account.id": "sa-1"}), &[("kafka_auth_mode", "SERVICE_ACCOUNT"), account]);
        check(json!({"kafka.api.key": "**"}), &[("kafka_api_key", "**"), ("kafka_auth_mode", "KAFKA_API_KEY")]);
        check(json!({"kafka.api.key": ""}), &[("kafka_auth_mode", "KAFKA_API_KEY")]);
        check(json!({}), &[("kafka_auth_mode", "UNKNOWN")]);
    }

    #[test]
    fn a_connector_of_which_only_the_name_is_known() {
        let connector = connector("sink", &Value::Null, "env-1", "lkc-1").unwrap();
        assert_eq!((connector.resource_id.as_str(), connector.display_name.as_deref()), ("sink", Some("sink")));
        assert_eq!(attributes(&connector), [("env_id", "env-1"), ("kafka_auth_mode", "UNKNOWN")]);
    }

    #[test]
    fn statements_name_their_pool_in_either_form() {
        let pool = |spec: Value| {
            let item = json!({"name": "s", "spec": spec, "status": {"phase": "failed"}});
            statement(&item, "env-1", Some("lfcp-9")).attributes.remove("compute_pool_id").unwrap()
        };
        assert_eq!(pool(json!({"compute_pool_id": "lfcp-1", "compute_pool": {"id": "lfcp-2"}})), "lfcp-1");
        assert_eq!(pool(json!({"compute_pool": {"id": "lfcp-2"}})), "lfcp-2");
        assert_eq!(pool(json!({})), "lfcp-9");
    }

    #[test]
    fn statements_have_an_id_in_any_case_and_no_creation_time() {
        let item = json!({"name": "s", "spec": {"principal": "sa-1"}, "status": {"phase": "failed"},
            "metadata": {"uid": "u-1", "created_at": "2026-02-01T00:00:00Z"}});
        let whole = statement(&item, "env-1", None);
        assert_eq!((whole.resource_id.as_str(), whole.owner_id.as_deref()), ("u-1", Some("sa-1")));
        assert_eq!(whole.created_at, None);
        assert_eq!(attributes(&whole), [("is_stopped", "true"), ("statement_name", "s")]);
        assert_eq!(statement(&json!({"name": "s"}), "env-1", None).resource_id, "s");
        let unnamed = statement(&json!({"spec": {}}), "env-1", None).resource_id;
        assert!(unnamed.starts_with("flink_stmt_unknown_") && unnamed.len() == 31, "{unnamed}");
    }

    #[test]
    fn a_pool_is_allocatable_where_its_region_has_credentials() {
        let item = json!({"id": "lfcp-1", "spec": {"cloud": "AWS", "region": "EU-Central-1"}});
        let pool = compute_pool(&item, "env-1", |region| region == "eu-central-1").unwrap();
        assert_eq!(pool.attributes["is_allocatable"], "true");
        assert_eq!(compute_pool(&item, "env-1", |_| false).unwrap().attributes["is_allocatable"], "false");
    }
}
