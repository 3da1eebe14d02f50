//! The organisation's APIs over HTTP, on a free loopback port.
//!
//! In: an organisation. Out: the Confluent Cloud endpoints, the regional Flink API under `/flink/REGION.CLOUD`,
//! and Prometheus' two query endpoints; Basic auth and paging as the public ones do it. Absent: state, writes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::inventory::Ids;
use super::organisation::Organisation;
use super::{api, estate};

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
        .route("/api/v1/query", get(api::instant).post(api::instant))
        .route("/api/v1/query_range", get(api::range).post(api::range))
        .route("/billing/v1/costs", get(api::costs))
        .fallback(api::listing)
        .layer(middleware::from_fn_with_state(Arc::clone(&org), authorise))
        .with_state(org)
}

/// An error as the public API answers it.
#[derive(Debug)]
pub struct Refusal(pub StatusCode, pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = json!({"id": "demo", "status": self.0.as_str(), "detail": self.1});
        (self.0, Json(json!({"errors": [error]}))).into_response()
    }
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::demo::inventory::Listing;

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
        assert_eq!(caller.get("/api/v1/query?query=1", &running.prometheus).await.0, 400);
        assert_eq!(caller.get("/api/v1/query?query=1", &running.cloud).await.0, 401);
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
