//! The organisation's APIs over HTTP, on a free loopback port.
//!
//! In: an organisation. Out: the Confluent Cloud endpoints, the regional Flink API under `/flink/REGION.CLOUD`,
//! and Prometheus' two query endpoints; Basic auth and paging as the public ones do it. Absent: state, writes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::inventory::{Ids, Item, Listing};
use super::organisation::Organisation;
use super::{estate, prometheus};
use crate::domain::Day;

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// A served organisation; it is served until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    /// Without a slash at the end.
    pub base_url: String,
    pub organisation: Arc<Organisation>,
    pub cloud: Login,
    pub prometheus: Login,
    /// By region, with the base URL of its regional API.
    pub flink: Vec<(&'static str, String, Login)>,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Ends the service and waits until its port is free.
    ///
    /// # Errors
    /// If serving had failed.
    pub async fn stop(mut self) -> std::io::Result<()> {
        self.stop.cancel();
        (&mut self.task).await.map_err(std::io::Error::other)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves an organisation on a free loopback port.
///
/// # Errors
/// If no port can be opened.
pub async fn serve(organisation: Organisation) -> std::io::Result<Running> {
    let organisation = Arc::new(organisation);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let app = router(Arc::clone(&organisation));
    let task =
        tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned()).into_future());
    let cloud = login(&organisation, "cloud");
    let flink = estate::REGIONS.map(|region| {
        let prefix = flink_prefix(region);
        (region, format!("{base_url}{prefix}"), login(&organisation, &prefix))
    });
    let prometheus = login(&organisation, "prometheus");
    Ok(Running { base_url, cloud, prometheus, flink: flink.into(), organisation, stop, task })
}

fn flink_prefix(region: &str) -> String {
    format!("/flink/{region}.{}", estate::CLOUD.to_lowercase())
}

/// The credentials of one of the organisation's doors.
fn login(org: &Organisation, door: &str) -> Login {
    let ids = Ids { seed: org.seed, first_day: org.first_day };
    let user = ids.letters(&format!("{door}/key"), 16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    Login { user, password: ids.letters(&format!("{door}/secret"), 32, b"abcdefghijkmnpqrstuvwxyz23456789") }
}

fn router(org: Arc<Organisation>) -> Router {
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/billing/v1/costs", get(costs))
        .fallback(listing)
        .layer(middleware::from_fn_with_state(Arc::clone(&org), authorise))
        .with_state(org)
}

/// An error as the public API answers it.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = json!({"id": "demo", "status": self.0.as_str(), "detail": self.1});
        (self.0, Json(json!({"errors": [error]}))).into_response()
    }
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, detail.into())
}

async fn authorise(State(org): State<Arc<Organisation>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let door = match path.split('/').nth(1) {
        Some("api") => "prometheus".to_owned(),
        Some("flink") => path.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"),
        _ => "cloud".to_owned(),
    };
    let Login { user, password } = login(&org, &door);
    let expected = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
    if request.headers().get(header::AUTHORIZATION).is_some_and(|given| given.as_bytes() == expected.as_bytes()) {
        next.run(request).await
    } else {
        Refusal(StatusCode::UNAUTHORIZED, format!("no such key for {door}")).into_response()
    }
}

type Params = HashMap<String, String>;

/// Any listing of the inventory: its path is its name.
async fn listing(
    State(org): State<Arc<Organisation>>,
    uri: Uri,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Json<Value>, Refusal> {
    let unknown = || Refusal(StatusCode::NOT_FOUND, format!("nothing is served at {}", uri.path()));
    match org.listings.get(uri.path()).ok_or_else(unknown)? {
        Listing::Whole(all) if params.contains_key("expand") => Ok(Json(Value::Object(all.clone()))),
        Listing::Whole(all) => Ok(Json(all.keys().cloned().collect())),
        Listing::Pages { api, kind, items } => {
            let asked = params.get("environment").map(String::as_str);
            if asked.is_none() && items.iter().any(|item| item.env.is_some()) {
                return Err(bad("the parameter environment is required"));
            }
            let here = |item: &&Item| item.env.is_none() || item.env.as_deref() == asked;
            let items = items.iter().filter(here).map(|item| &item.body).collect();
            page(items, 100, (api, kind), &uri, &headers, &params).map(Json)
        }
    }
}

/// The costs of `[start_date, end_date)`, at most a month.
async fn costs(
    State(org): State<Arc<Organisation>>,
    uri: Uri,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Json<Value>, Refusal> {
    let day = |name: &str| -> Result<Day, Refusal> {
        let text = params.get(name).ok_or_else(|| bad(format!("the parameter {name} is required")))?;
        text.parse().map_err(|e| bad(format!("{name}: {e}")))
    };
    let (start, end) = (day("start_date")?, day("end_date")?);
    if end <= start || end > start.plus(31) {
        return Err(bad("end_date must be 1 to 31 days after start_date"));
    }
    let rows = org.costs.iter().filter(|row| start <= row.day && row.day < end).map(|row| &row.body).collect();
    page(rows, 10_000, ("billing/v1", "CostList"), &uri, &headers, &params).map(Json)
}

/// One page of items, with the address of the next one.
fn page(
    items: Vec<&Value>,
    largest: usize,
    (api, kind): (&str, &str),
    uri: &Uri,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Value, Refusal> {
    let size = match params.get("page_size") {
        Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad("page_size must be a positive number"))?,
        None => largest.min(100),
    };
    let size = largest.min(size);
    let from = match params.get("page_token") {
        Some(token) => token.strip_prefix('t').and_then(|t| t.parse().ok()).ok_or_else(|| bad("unknown page_token"))?,
        None => 0_usize,
    };
    let data: Vec<&Value> = items.iter().skip(from).take(size).copied().collect();
    let mut metadata = json!({"total_size": items.len()});
    if from.saturating_add(size) < items.len() {
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let mut next = format!("http://{host}{}?page_size={size}&page_token=t{}", uri.path(), from + size);
        for (name, value) in params.iter().filter(|(name, _)| !name.starts_with("page_")) {
            next.push_str(&format!("&{name}={value}"));
        }
        metadata["next"] = json!(next);
    }
    Ok(json!({"api_version": api, "kind": kind, "metadata": metadata, "data": data}))
}

/// Prometheus' instant query; without a time, at the end of the organisation's last day.
async fn instant(State(org): State<Arc<Organisation>>, Form(params): Form<Params>) -> Response {
    answered(&params, |query| {
        let end = org.end().start().to_rfc3339_opts(SecondsFormat::Secs, true);
        let at = prometheus::moment(params.get("time").unwrap_or(&end))?;
        let sample =
            |(labels, value): (_, u64)| json!({"metric": labels, "value": [at.timestamp(), value.to_string()]});
        let result: Vec<Value> = query.at(&org, at).into_iter().map(sample).collect();
        Ok(json!({"resultType": "vector", "result": result}))
    })
}

/// Prometheus' range query: both ends included.
async fn range(State(org): State<Arc<Organisation>>, Form(params): Form<Params>) -> Response {
    answered(&params, |query| {
        let field = |name: &str| params.get(name).ok_or_else(|| format!("the parameter {name} is required"));
        let (start, end) = (prometheus::moment(field("start")?)?, prometheus::moment(field("end")?)?);
        let step = prometheus::duration(field("step")?)?;
        if end < start || (end - start).num_seconds() / step.num_seconds() > 11_000 {
            return Err("end must not be before start, nor more than 11000 steps after it".to_owned());
        }
        let mut series: HashMap<_, Vec<Value>> = HashMap::new();
        for at in std::iter::successors(Some(start), |at| Some(*at + step)).take_while(|at| *at <= end) {
            for (labels, value) in query.at(&org, at) {
                let key: Vec<_> = labels.into_iter().collect();
                series.entry(key).or_default().push(json!([at.timestamp(), value.to_string()]));
            }
        }
        let mut series: Vec<_> = series.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let one = |(labels, values): (Vec<(String, String)>, Vec<Value>)| json!({"metric": labels.into_iter().collect::<HashMap<_, _>>(), "values": values});
        Ok(json!({"resultType": "matrix", "result": series.into_iter().map(one).collect::<Vec<_>>()}))
    })
}

/// Prometheus' envelope around an answer or an error.
fn answered(params: &Params, answer: impl FnOnce(prometheus::Query) -> Result<Value, String>) -> Response {
    let query = prometheus::Query::parse(params.get("query").map_or("", String::as_str));
    match query.and_then(answer) {
        Ok(data) => Json(json!({"status": "success", "data": data})).into_response(),
        Err(error) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Caller(Running, reqwest::Client);

    impl Caller {
        async fn new() -> Self {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let org = Organisation::generate(1, "2026-01-10".parse().unwrap(), 30);
            Self(serve(org).await.unwrap(), reqwest::Client::new())
        }

        async fn get(&self, path: &str, login: &Login) -> (u16, Value) {
            let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.0.base_url) };
            let answer = self.1.get(url).basic_auth(&login.user, Some(&login.password)).send().await.unwrap();
            (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
        }

        async fn cloud(&self, path: &str) -> (u16, Value) {
            self.get(path, &self.0.cloud).await
        }
    }

    #[tokio::test]
    async fn pages_hold_every_item_once() {
        let caller = Caller::new().await;
        let (mut path, mut seen) = ("/iam/v2/api-keys?page_size=10".to_owned(), Vec::new());
        loop {
            let (status, body) = caller.cloud(&path).await;
            assert_eq!(status, 200);
            seen.extend(body["data"].as_array().unwrap().iter().map(|k| k["id"].to_string()));
            match body["metadata"]["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        let Some(Listing::Pages { items, .. }) = caller.0.organisation.listings.get("/iam/v2/api-keys") else {
            panic!("api keys are paged")
        };
        assert!(seen.len() > 20);
        assert_eq!(seen, items.iter().map(|i| i.body["id"].to_string()).collect::<Vec<_>>());
        caller.0.stop().await.unwrap();
    }

    #[tokio::test]
    async fn costs_of_all_windows_are_the_whole_bill() {
        let caller = Caller::new().await;
        let mut rows = 0;
        for window in ["start_date=2026-01-10&end_date=2026-01-25", "start_date=2026-01-25&end_date=2026-02-09"] {
            let (_, body) = caller.cloud(&format!("/billing/v1/costs?page_size=2000&{window}")).await;
            rows += body["data"].as_array().unwrap().len();
        }
        assert_eq!(rows, caller.0.organisation.costs.len());
        assert_eq!(caller.cloud("/billing/v1/costs?start_date=2026-01-10").await.0, 400);
        assert_eq!(caller.cloud("/billing/v1/costs?start_date=2026-01-10&end_date=2026-03-10").await.0, 400);
    }

    #[tokio::test]
    async fn listings_are_by_environment_and_connectors_one_object() {
        let caller = Caller::new().await;
        let (_, environments) = caller.cloud("/org/v2/environments").await;
        let prod = environments["data"][0]["id"].as_str().unwrap();
        let (_, clusters) = caller.cloud(&format!("/cmk/v2/clusters?environment={prod}")).await;
        assert_eq!(clusters["data"].as_array().unwrap().len(), 4);
        let lkc = clusters["data"][0]["id"].as_str().unwrap();
        let path = format!("/connect/v1/environments/{prod}/clusters/{lkc}/connectors");
        let (_, connectors) = caller.cloud(&format!("{path}?expand=info,status,id")).await;
        assert!(connectors["orders-db-cdc"]["id"]["id"].as_str().unwrap().starts_with("lcc-"));
        assert!(caller.cloud(&path).await.1.is_array());
        assert_eq!(caller.cloud("/cmk/v2/clusters").await.0, 400);
        assert_eq!(caller.cloud("/iam/v9/robots").await.0, 404);
    }

    #[tokio::test]
    async fn every_door_wants_its_own_key() {
        let caller = Caller::new().await;
        let running = &caller.0;
        let (region, base, login) = &running.flink[0];
        let path =
            running.organisation.listings.keys().find(|p| p.contains(region) && p.contains("statements")).unwrap();
        assert!(path.starts_with(base.strip_prefix(running.base_url.as_str()).unwrap()));
        assert_eq!(caller.get(path, login).await.0, 200);
        assert_eq!(caller.cloud(path).await.0, 401);
        assert_eq!(caller.get("/iam/v2/users", login).await.0, 401);
        assert_eq!(caller.get("/api/v1/query?query=up", &running.prometheus).await.0, 400);
        assert_eq!(caller.get("/api/v1/query?query=up", &running.cloud).await.0, 401);
    }

    #[tokio::test]
    async fn instant_and_range_queries_agree_in_both_methods() {
        let caller = Caller::new().await;
        let Login { user, password } = &caller.0.prometheus;
        let query = "sum by (kafka_id) (sum_over_time(confluent_kafka_server_request_bytes[1d]))";
        let instant = [("query", query), ("time", "2026-01-12T00:00:00+00:00")];
        let range = [("query", query), ("start", "1768089600"), ("end", "1768176000"), ("step", "86400")];
        let url = format!("{}/api/v1/query", caller.0.base_url);
        let post = caller.1.post(&url).form(&instant).basic_auth(user, Some(password)).send().await.unwrap();
        let get = caller.1.get(&url).query(&instant).basic_auth(user, Some(password)).send().await.unwrap();
        let ranged =
            caller.1.post(format!("{url}_range")).form(&range).basic_auth(user, Some(password)).send().await.unwrap();
        let [post, get, ranged] =
            [post, get, ranged].map(|r| async { serde_json::from_str(&r.text().await.unwrap()).unwrap() });
        let (post, get, ranged): (Value, Value, Value) = (post.await, get.await, ranged.await);
        assert_eq!(post, get);
        let (one, many) = (&post["data"]["result"][0], &ranged["data"]["result"][0]);
        assert_eq!(one["metric"], many["metric"]);
        assert_eq!(one["value"], many["values"][1]);
    }
}
