//! The server: routes, limits, the OpenAPI document and its pages.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use super::answer::linked;
use super::auth::{Gate, guard};
use super::exports::{ExportFolder, Shelf};
use super::known::known;
use super::measure::measured;
use super::once::{self, once};
use super::pace::Pace;
use super::problem::{Code, Problem};
use super::request::{self, identified};
use super::routes::{
    aggregate, billing, chargebacks, days, dimensions, entity, events, explanation, exports, graph, inventory,
    line_revisions, operations, readiness, runs, tag_lists, tag_sets, tags, tenants, tokens, topics,
};
use super::write::{self, Ledger, catch_up};
use super::{Api, contract};
use crate::clock::Clock;
use crate::domain::Reach;
use crate::health::Health;
use crate::meter::Meter;
use crate::serving;
use crate::store::Store;

/// Attempts to sign in that failed, of one address.
const STRANGERS_PER_SECOND: u32 = 20;
/// Larger bodies are refused; nothing that is asked today needs one.
const BODY_LIMIT: usize = 1 << 20;

/// Runs that may be watched at the same time.
const WATCHERS: usize = 100;
/// Ten thousand tags may have longer ones.
pub(super) const BATCH_LIMIT: usize = 8 << 20;

/// A tenant that may be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name in addresses.
    pub name: String,
    /// What its facts are keyed by.
    pub tenant_id: String,
    pub ecosystem: String,
    /// What can be gathered of it; none: another program gathers it.
    pub reach: Option<Reach>,
}

/// What the server was told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub tenants: Vec<Tenant>,
    /// How long one question may take, 1 to 300.
    pub request_timeout_seconds: u32,
    /// Web pages of these origins may call.
    pub cors_origins: Vec<String>,
    /// Requests that may be at Postgres at the same time, at least 1.
    pub parallel_requests: usize,
    /// What one client may ask on average; 0: as much as it likes.
    pub requests_per_second: u32,
    /// `None`: there are no exports.
    pub exports: Option<ExportFolder>,
}

/// What is behind the server.
#[derive(Debug, Clone)]
pub struct Doors {
    pub store: Store,
    pub ledger: Ledger,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// How the process is.
    pub health: Health,
    /// What it counted; `None`: nobody counts.
    pub meter: Option<Meter>,
    /// Told when tables may have changed. Whoever waits for that looks now and then besides.
    pub moved: Arc<Notify>,
}

/// The contract.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tributary",
        description = "Who caused which part of the bill. Amounts are decimal texts with their currency beside them; \
                       ranges of days include `from` and exclude `to`; every fault is a problem document (RFC 9457)."
    ),
    // Its path ends within a segment, which the router cannot tell apart; see `routes`.
    paths(runs::cancel),
    tags(
        (name = "tenants", description = "Whose costs there are"),
        (name = "days", description = "How far each day has come, and which have rows"),
        (name = "costs", description = "Billing lines, chargeback rows, sums over them"),
        (name = "dimensions", description = "What rows can be chosen and grouped by"),
        (name = "inventory", description = "Resources and identities"),
        (name = "graph", description = "What hangs on what, and who pays"),
        (name = "tags", description = "What people wrote on resources and identities"),
        (name = "runs", description = "Cycles of gathering: asked for, listed, watched"),
        (name = "operations", description = "How far everything is"),
        (name = "exports", description = "Files of all rows of a range"),
        (name = "audit", description = "Who changed what"),
        (name = "access", description = "Who may call, and what"),
    )
)]
struct Contract;

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Contract::openapi())
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::one))
        .routes(routes!(days::list))
        .routes(routes!(days::availability))
        .routes(routes!(billing::list))
        .routes(routes!(billing::one))
        .routes(routes!(line_revisions::list))
        .routes(routes!(chargebacks::list))
        .routes(routes!(chargebacks::one))
        .routes(routes!(explanation::of_chargeback))
        .routes(routes!(chargebacks::issues))
        .routes(routes!(topics::list))
        .routes(routes!(aggregate::aggregate, aggregate::of_body))
        .routes(routes!(dimensions::list))
        .routes(routes!(dimensions::values))
        .routes(routes!(inventory::resources))
        .routes(routes!(entity::resource))
        .routes(routes!(inventory::identities))
        .routes(routes!(entity::identity))
        .routes(routes!(inventory::summary))
        .routes(routes!(graph::graph))
        .routes(routes!(graph::search))
        .routes(routes!(tags::of_entity))
        .routes(routes!(tags::put, tags::delete))
        .routes(routes!(tag_lists::list))
        .routes(routes!(tag_lists::keys))
        .routes(routes!(tag_lists::values))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(tag_sets::batch))
                .routes(routes!(tag_sets::apply))
                .layer(DefaultBodyLimit::max(BATCH_LIMIT)),
        )
        .routes(routes!(runs::start))
        .routes(routes!(runs::list))
        .routes(routes!(runs::one))
        .route("/api/v1/tenants/{tenant}/runs/{id}", post(runs::cancel))
        .routes(routes!(runs::watch))
        .routes(routes!(readiness::readiness))
        .routes(routes!(operations::metrics))
        .routes(routes!(exports::start))
        .routes(routes!(exports::list))
        .routes(routes!(exports::one))
        .routes(routes!(exports::content))
        .routes(routes!(events::of_tenant))
        .routes(routes!(events::of_all))
        .routes(routes!(tokens::whoami))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::remove))
}

/// What supervisors ask, who have no token.
fn open_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::version))
}

/// The OpenAPI 3.1 document of the routes.
pub fn openapi() -> Document {
    let open = open_routes().into_openapi();
    let names: Vec<String> = open.paths.paths.keys().cloned().collect();
    contract::finished(routes().merge(open_routes()).into_openapi(), &names)
}

/// Serves until `stop`, then ends the requests that are under way.
///
/// # Errors
/// If serving fails, or a folder that was asked for cannot be used; a listener that takes no connection is no fault of a
/// request.
pub async fn serve(
    listener: TcpListener,
    doors: Doors,
    clock: Clock,
    settings: Settings,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let shelf = Shelf::of(settings.exports.as_ref(), &clock, &stop)?;
    let app = app(doors, clock, settings, shelf, stop.clone());
    serving::serve(listener, app, serving::HEAD_WITHIN, stop).await
}

fn app(doors: Doors, clock: Clock, settings: Settings, shelf: Option<Arc<Shelf>>, stop: CancellationToken) -> Router {
    let turns = Arc::new(Semaphore::new(settings.parallel_requests.max(1)));
    let files = Arc::new(Semaphore::new((settings.parallel_requests / 2).max(1)));
    let (watchers, readiness, changing) = (Arc::new(Semaphore::new(WATCHERS)), Arc::default(), Arc::default());
    let cors = cors(&settings.cors_origins);
    let Doors { store, ledger, gate, health, meter, moved } = doors;
    let (pace, strangers) = (Pace::of(settings.requests_per_second), Pace::of(STRANGERS_PER_SECOND));
    let (paces, settings) = (Arc::new((pace, strangers)), Arc::new(settings));
    let api = Api {
        store,
        clock,
        ledger,
        gate,
        health,
        meter,
        paces,
        settings,
        turns,
        files,
        shelf,
        watchers,
        readiness,
        changing,
        moved,
        stop,
    };
    let (router, _) = routes().split_for_parts();
    let (open, _) = open_routes().split_for_parts();
    router
        .method_not_allowed_fallback(no_method)
        .fallback(no_route)
        // The last one is the first to see a request.
        .layer(middleware::from_fn_with_state(api.clone(), catch_up))
        .layer(middleware::from_fn_with_state(api.clone(), once))
        .layer(middleware::from_fn(known))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .layer(middleware::from_fn(linked))
        .layer(middleware::from_fn(measured))
        .with_state(api.clone())
        .merge(open.method_not_allowed_fallback(no_method).with_state(api))
        // Whoever opens the port in a browser looks for the pages.
        .route("/", get(async || Redirect::temporary("/docs/")))
        // Without this, pages that are not on this machine ask a public service to check the document.
        .merge(
            SwaggerUi::new("/docs")
                .url("/api/v1/openapi.json", openapi())
                .config(SwaggerConfig::default().validator_url("none")),
        )
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::map_response(headers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(identified))
        .layer(cors)
}

async fn no_route(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is nothing at {}; /docs shows what there is", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    Problem::new(Code::Internal, "the service made a mistake; its log says which").into_response()
}

/// What every answer carries.
async fn headers<B>(mut response: axum::http::Response<B>) -> axum::http::Response<B> {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            header::IF_MATCH,
            header::RANGE,
            header::IF_RANGE,
            HeaderName::from_static(request::HEADER),
            HeaderName::from_static(once::HEADER),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            header::LOCATION,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
            header::LINK,
            header::CONTENT_DISPOSITION,
            HeaderName::from_static(request::HEADER),
            HeaderName::from_static(write::POSITION_HEADER),
            HeaderName::from_static(once::REPLAYED),
        ])
        .max_age(Duration::from_secs(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_one_that_was_released() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
        let now = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("TRIBUTARY_BLESS").is_some() {
            std::fs::write(golden, &now).unwrap();
        }
        let released = std::fs::read_to_string(golden).unwrap();
        assert!(now == released, "the contract changed; if that is meant: TRIBUTARY_BLESS=1 cargo test the_contract");
    }
}
