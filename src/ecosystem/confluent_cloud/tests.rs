//! A whole organisation behind a small server: paging, absence, isolation of failures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::ecosystem::http::tests::{quick_http, serve};
use crate::ecosystem::{Listing, Source};

/// Answers by a part of path and query; what nothing matches is an empty list. The first match answers.
#[derive(Default)]
struct Organisation {
    answers: Vec<(&'static str, StatusCode, String)>,
    asked: Mutex<Vec<String>>,
}

impl Organisation {
    fn with(mut self, part: &'static str, answer: Value) -> Self {
        self.answers.push((part, StatusCode::OK, answer.to_string()));
        self
    }

    fn failing(mut self, part: &'static str, status: StatusCode) -> Self {
        self.answers.push((part, status, String::new()));
        self
    }

    async fn open(self) -> (ConfluentCloud, Arc<Self>) {
        let organisation = Arc::new(self);
        let base = serve(Router::new().fallback(answer).with_state(Arc::clone(&organisation))).await;
        let region = |id: &str| FlinkRegion {
            region_id: id.to_owned(),
            key: "fk".to_owned(),
            secret: Secret::new("fs"),
            base_url: Some(format!("{base}/flink/{}", id.trim().to_lowercase())),
        };
        let settings = Settings {
            key: "key".to_owned(),
            secret: Secret::new("hush"),
            days_per_query: 15,
            metrics: Some(prometheus::Settings {
                url: format!("{base}/prom"),
                auth: Auth::None,
                headers: vec![],
                tls: Default::default(),
            }),
            renamed_metrics: BTreeMap::new(),
            granularities: Default::default(),
            metrics_workers: 2,
            flink: vec![region(" EU "), region("us")],
            base_url: base,
        };
        (ConfluentCloud::new(&quick_http(), settings).unwrap(), organisation)
    }
}

async fn answer(State(organisation): State<Arc<Organisation>>, uri: Uri, body: String) -> Response {
    let request = format!("{uri} {body}");
    organisation.asked.lock().unwrap().push(request.clone());
    match organisation.answers.iter().find(|(part, ..)| request.contains(part)) {
        Some((_, status, body)) => (*status, body.clone()).into_response(),
        None => json!({"data": []}).to_string().into_response(),
    }
}

fn list(items: Value) -> Value {
    json!({"metadata": {}, "data": items})
}

/// One environment with one cluster.
fn small() -> Organisation {
    Organisation::default()
        .with("/org/v2/environments", list(json!([{"id": "env-1"}])))
        .with("/cmk/v2/clusters", list(json!([{"id": "lkc-1", "spec": {"environment": {"id": "env-1"}}}])))
}

fn ids(inventory: &Inventory) -> Vec<&str> {
    inventory.resources.iter().map(|resource| resource.resource_id.as_str()).collect()
}

#[track_caller]
fn listing<'a>(inventory: &'a Inventory, name: &str) -> &'a Listing {
    inventory.listings.iter().find(|listing| listing.name == name).unwrap()
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_empty_organisation_is_empty_and_complete() {
    let (cloud, _) = Organisation::default().open().await;
    let source = Source::ConfluentCloud(Box::new(cloud));
    let inventory = is_send(source.inventory()).await.unwrap();
    assert!(inventory.resources.is_empty() && inventory.identities.is_empty());
    let names: Vec<_> = inventory.listings.iter().map(|listing| listing.name.as_str()).collect();
    assert_eq!(names, ["kafka", "schema_registry", "connector", "ksqldb", "flink", "identities"]);
    assert!(inventory.listings.iter().all(|listing| listing.outcome.is_ok()));
    let bill = is_send(source.bill(day("2026-02-01"), day("2026-03-01"))).await.unwrap();
    assert!(bill.days.is_empty() && bill.undated.is_empty());
    assert!(is_send(source.usage(day("2026-02-01"), &[])).await.is_empty());
}

#[tokio::test]
async fn pages_are_followed_to_their_end() {
    let next = |token: &str| json!({"next": format!("https://elsewhere/other?page_token={token}&page_size=1")});
    let (cloud, organisation) = Organisation::default()
        .with("page_token=b%3D", json!({"metadata": null, "data": [{"id": "env-3"}, {"id": "env-1"}]}))
        .with("page_token=a", json!({"metadata": next("b%3D"), "data": [{"id": "env-2"}, {"no": "id"}]}))
        .with("/org/v2/environments", json!({"metadata": next("a"), "data": [{"id": "env-1"}]}))
        .open()
        .await;
    assert_eq!(ids(&cloud.inventory().await.unwrap()), ["env-1", "env-2", "env-3"]);
    let asked = organisation.asked.lock().unwrap();
    assert!(asked[2].starts_with("/org/v2/environments?page_size=99&page_token=b%3D"), "{asked:?}");
}

#[tokio::test]
async fn a_circle_of_pages_ends() {
    let circle = json!({"metadata": {"next": "?page_token=a"}, "data": [{"id": "env-1"}]});
    let (cloud, organisation) = Organisation::default().with("/org/v2/environments", circle).open().await;
    assert!(cloud.inventory().await.unwrap_err().to_string().contains("for the second time"));
    assert_eq!(organisation.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn without_environments_or_clusters_there_is_no_inventory() {
    let (cloud, _) = Organisation::default().failing("environments", StatusCode::FORBIDDEN).open().await;
    let error = cloud.inventory().await.unwrap_err();
    assert!(matches!(&error, SourceError::Denied(text) if text.contains("OrganizationAdmin")), "{error}");
    let (cloud, _) = Organisation::default().failing("environments", StatusCode::NOT_FOUND).open().await;
    let error = cloud.inventory().await.unwrap_err();
    assert!(matches!(&error, SourceError::Unusable(text) if text.contains("`ccloud_api.base_url`")), "{error}");
    let (cloud, _) = Organisation::default()
        .with("/org/v2/environments", list(json!([{"id": "env-1"}])))
        .failing("/cmk/", StatusCode::INTERNAL_SERVER_ERROR)
        .open()
        .await;
    assert!(matches!(cloud.inventory().await, Err(SourceError::Unavailable(_))));
}

#[tokio::test]
async fn a_failing_family_keeps_what_it_has_and_stops_no_other() {
    let (cloud, _) = Organisation::default()
        .with("/org/v2/environments", list(json!([{"id": "env-1"}, {"id": "env-2"}])))
        .failing("/ksqldbcm/v2/clusters?page_size=99&environment=env-1", StatusCode::BAD_GATEWAY)
        .with("/ksqldbcm/", list(json!([{"id": "lksqlc-2"}])))
        .failing("/iam/v2/users", StatusCode::FORBIDDEN)
        .failing("/srcm/", StatusCode::NOT_FOUND)
        .with("/iam/v2/service-accounts", list(json!([{"id": "sa-1"}])))
        .open()
        .await;
    let inventory = cloud.inventory().await.unwrap();
    assert_eq!(ids(&inventory), ["env-1", "env-2", "lksqlc-2"]);
    assert_eq!(inventory.identities.len(), 1);
    assert!(matches!(listing(&inventory, "ksqldb").outcome, Err(SourceError::Unavailable(_))));
    assert!(matches!(listing(&inventory, "identities").outcome, Err(SourceError::Denied(_))));
    for name in ["kafka", "schema_registry", "connector", "flink"] {
        assert!(listing(&inventory, name).outcome.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn connectors_are_an_object_or_a_list_of_names() {
    let expanded = json!({"sink": {"id": {"id": "lcc-1"}, "info": {"config": {"name": "Sink"}}}, "odd": null});
    for (answer, expected) in [
        (expanded, vec!["env-1", "lcc-1", "lkc-1"]),
        (json!(["a", "b", 7]), vec!["a", "b", "env-1", "lkc-1"]),
        (json!([]), vec!["env-1", "lkc-1"]),
        (json!({}), vec!["env-1", "lkc-1"]),
    ] {
        let (cloud, organisation) = small().with("/connectors", answer).open().await;
        let inventory = cloud.inventory().await.unwrap();
        assert_eq!(ids(&inventory), expected);
        assert!(listing(&inventory, "connector").outcome.is_ok());
        let asked = organisation.asked.lock().unwrap();
        let path = "/connect/v1/environments/env-1/clusters/lkc-1/connectors?expand=info%2Cstatus%2Cid ";
        assert!(asked.iter().any(|request| request == path), "{asked:?}");
    }
    let (cloud, _) = small().with("/connectors", json!("what")).open().await;
    assert!(listing(&cloud.inventory().await.unwrap(), "connector").outcome.is_err());
}

fn pool(id: &str, region: &str, organization: &str) -> Value {
    let name = format!("crn://confluent.cloud{organization}/environment=env-1/compute-pool={id}");
    json!({"id": id, "spec": {"region": region, "cloud": "AWS"}, "metadata": {"resource_name": name}})
}

#[tokio::test]
async fn statements_are_listed_once_per_region_with_the_organisation_of_the_pool_or_of_the_key() {
    let org = "/organization=o-1";
    let pools = [pool("p1", "eu", org), pool("p2", "eu", org), pool("p3", "us", ""), pool("p4", "mars", org)];
    let (cloud, organisation) = small()
        .with("/fcpm/", list(json!(pools)))
        .with("/org/v2/organizations", list(json!([{"id": "o-2"}])))
        .with("/flink/eu/sql", list(json!([{"name": "s1", "spec": {"compute_pool_id": "p2"}}])))
        .with("/flink/us/sql", list(json!([{"name": "s2", "spec": {}}])))
        .open()
        .await;
    let inventory = cloud.inventory().await.unwrap();
    assert_eq!(ids(&inventory), ["env-1", "lkc-1", "p1", "p2", "p3", "p4", "s1", "s2"]);
    let pool_of = |i: usize| inventory.resources[i].attributes["compute_pool_id"].as_str();
    assert_eq!((pool_of(6), pool_of(7)), ("p2", "p3"));
    let asked = organisation.asked.lock().unwrap();
    let mut statements: Vec<_> = asked.iter().filter(|request| request.contains("/statements")).cloned().collect();
    statements.sort();
    let path =
        |region, org| format!("/flink/{region}/sql/v1/organizations/{org}/environments/env-1/statements?page_size=50 ");
    assert_eq!(statements, [path("eu", "o-1"), path("us", "o-2")]);
}

#[tokio::test]
async fn one_region_s_failure_leaves_the_other_s_statements() {
    let pools = [pool("p1", "eu", "/organization=o-1"), pool("p2", "us", "")];
    let (cloud, _) = small()
        .with("/fcpm/", list(json!(pools)))
        .with("organizations?", list(json!([{"id": "o-1"}, {"id": "o-2"}])))
        .with("/flink/eu/sql", list(json!([{"name": "s1"}])))
        .open()
        .await;
    let inventory = cloud.inventory().await.unwrap();
    assert_eq!(ids(&inventory), ["env-1", "lkc-1", "p1", "p2", "s1"]);
    let text = listing(&inventory, "flink").outcome.clone().unwrap_err().to_string();
    assert!(text.contains("names 2 organisations"), "{text}");
}

#[tokio::test]
async fn wrong_flink_credentials_name_the_region() {
    let (cloud, _) = small()
        .with("/fcpm/", list(json!([pool("p1", "eu", "/organization=o-1")])))
        .failing("/flink/eu/sql", StatusCode::UNAUTHORIZED)
        .open()
        .await;
    let outcome = listing(&cloud.inventory().await.unwrap(), "flink").outcome.clone();
    assert!(matches!(&outcome, Err(SourceError::Denied(text)) if text.contains("region_id eu")), "{outcome:?}");
}

#[tokio::test]
async fn identities_of_every_kind() {
    let (cloud, _) = small()
        .with("/identity-pools", list(json!([{"id": "pool-1"}])))
        .with("/iam/v2/identity-providers", list(json!([{"id": "op-1"}])))
        .with("/iam/v2/service-accounts", list(json!([{"id": "sa-1"}])))
        .with("/iam/v2/users", list(json!([{"id": "u-1"}])))
        .with("/iam/v2/api-keys", list(json!([{"id": "K-1"}])))
        .open()
        .await;
    let inventory = cloud.inventory().await.unwrap();
    let got: Vec<_> = inventory.identities.iter().map(|i| format!("{} {}", i.identity_id, i.identity_type)).collect();
    let expected =
        ["K-1 api_key", "op-1 identity_provider", "pool-1 identity_pool", "sa-1 service_account", "u-1 user"];
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_bill_keeps_every_digit_and_reaches_back_a_month() {
    let row = |start: &str, amount: &str| {
        serde_json::from_str::<Value>(&format!(
            r#"{{"id": "{amount}", "start_date": "{start}", "product": "K", "line_type": "T", "amount": {amount}}}"#
        ))
        .unwrap()
    };
    let (cloud, organisation) = Organisation::default()
        .failing("start_date=2026-01-01", StatusCode::BAD_REQUEST)
        .with("start_date=2026-02-01", list(json!([row("2026-02-02", "0.30000000000000004")])))
        .with("start_date=2026-02-16", list(json!([row("2026-02-17", "1e-7")])))
        .open()
        .await;
    let bill = cloud.bill(day("2026-02-01"), day("2026-02-20")).await.unwrap();
    let lines: Vec<_> = bill.days.values().flat_map(|booked| &booked.lines).collect();
    assert_eq!(lines.iter().map(|line| line.amount.to_string()).collect::<Vec<_>>(), ["0.3", "0.0000001"]);
    assert!(lines[0].evidence[0].contains("0.30000000000000004"));
    let mut asked = organisation.asked.lock().unwrap().clone();
    asked.sort();
    let dates: Vec<_> = asked.iter().map(|request| request.split_once("start_date=").unwrap().1.trim()).collect();
    let expected = [
        "2026-01-01&end_date=2026-01-16",
        "2026-01-16&end_date=2026-01-31",
        "2026-01-31&end_date=2026-02-01",
        "2026-02-01&end_date=2026-02-16",
        "2026-02-16&end_date=2026-02-20",
    ];
    assert_eq!(dates, expected);
}

#[tokio::test]
async fn a_bill_is_whole_or_an_error() {
    let (cloud, _) = Organisation::default().failing("start_date=2026-02-16", StatusCode::BAD_REQUEST).open().await;
    assert!(matches!(cloud.bill(day("2026-02-01"), day("2026-02-20")).await, Err(SourceError::Unusable(_))));
    assert!(cloud.bill(day("2026-02-20"), day("2026-02-01")).await.unwrap().days.is_empty());
}

#[tokio::test]
async fn usage_answers_each_need_on_its_own() {
    let vector = |result: Value| json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    let series = json!([{"metric": {"kafka_id": "lkc-1", "principal_id": "sa-1"}, "value": [1, "12"]}]);
    let (cloud, organisation) = Organisation::default()
        .failing("lkc-2", StatusCode::UNPROCESSABLE_ENTITY)
        .with("request_bytes", vector(series))
        .with("/prom/api/v1/query", vector(json!([])))
        .open()
        .await;
    let need = |id: &str, metrics: &[&str]| UsageNeed {
        resource_id: id.to_owned(),
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
    };
    let needs = [need("lkc-2", &["bytes_in"]), need("lkc-1", &["bytes_in", "bytes_out"]), need("lkc-3", &["unheard"])];
    let answers = cloud.usage(day("2026-02-01"), &needs).await;
    assert_eq!(answers.iter().map(|answer| &answer.need).collect::<Vec<_>>(), needs.iter().collect::<Vec<_>>());
    assert!(matches!(answers[0].values, Err(SourceError::Unusable(_))));
    let values = answers[1].values.as_ref().unwrap();
    let got: Vec<_> = values.iter().map(|v| (v.metric.as_str(), v.subject.as_str(), v.value)).collect();
    assert_eq!(got, [("bytes_in", "sa-1", 12.0)]);
    assert!(answers[2].values.as_ref().unwrap_err().to_string().contains("\"unheard\""));
    let asked = organisation.asked.lock().unwrap();
    assert_eq!(asked.iter().filter(|request| request.contains("lkc-2")).count(), 1);
    assert!(asked.iter().all(|request| request.contains("time=2026-02-02T00%3A00%3A00Z")), "{asked:?}");
}
