//! What supervisors ask of the process, on the API's own port: is it alive, is it ready, which one is it, what did it count.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::api::problem::{Code, Problem};

/// Which program answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    service: String,
    version: String,
}

/// Is the process alive? For supervisors: nobody has to sign in
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, content((String = "text/plain"))), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn healthz() -> &'static str {
    "alive\n"
}

/// Are all parts of the process ready? If not, the answer names those that are not; why, the health port and the log tell
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, content((String = "text/plain"))),
        (status = 503, description = "Not yet, or not now", content((String = "text/plain"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    let parts: BTreeSet<String> = api.health.faults().into_iter().map(|(part, _)| part).collect();
    if parts.is_empty() {
        return (StatusCode::OK, "ready\n").into_response();
    }
    let lines: String = parts.iter().map(|part| format!("{part}: not ready\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

/// Which program answers
#[utoipa::path(get, path = "/version", tag = "operations",
    responses((status = 200, body = Version), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn version() -> Json<Version> {
    Json(Version { service: "tributary".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// What the process counted, for Prometheus. It names all tenants: a caller that is limited to some may not read it
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, content((String = "text/plain"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let uncounted = || Problem::new(Code::NotFound, "this process does not count");
    let text = api.meter.as_ref().ok_or_else(uncounted)?.text();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
