//! What people and programs read: the REST API under `/api/v1`.
//!
//! In: requests. Out: JSON, CSV, NDJSON, Parquet, amounts as decimal texts, every fault as a problem document (RFC 9457). The
//! OpenAPI document is made from the handlers' own types. Absent: SQL (the store's), decisions about money, sessions.
//!
//! A handler reads its parameters, asks one [`crate::store::read::Reader`], and shapes the answer; shaping is pure. A handler
//! that changes something writes events by way of [`mod@write`]; who may do what is decided in front of all of them, in [`auth`].

mod answer;
pub mod auth;
mod contract;
mod exports;
mod flow;
mod fold;
mod graph;
mod known;
mod measure;
mod once;
mod pace;
mod params;
mod periods;
mod problem;
mod request;
mod routes;
mod server;
mod table;
mod tagging;
pub mod wish;
pub mod write;

pub use exports::ExportFolder;
pub use params::read_query;
pub use problem::Problem;
pub use routes::read_body;
pub use server::{Doors, Settings, Tenant, openapi, serve};

use std::sync::Arc;

use tokio::sync::{Mutex, Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::health::Health;
use crate::meter::Meter;
use crate::store::Store;

/// What every handler works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    store: Store,
    clock: Clock,
    ledger: write::Ledger,
    gate: Arc<auth::Gate>,
    health: Health,
    meter: Option<Meter>,
    /// How fast a caller may ask, and how often an address may fail to sign in.
    paces: Arc<(Option<pace::Pace>, Option<pace::Pace>)>,
    settings: Arc<Settings>,
    /// Requests that may be at Postgres at the same time.
    turns: Arc<Semaphore>,
    /// Files that may be sent at the same time: each keeps a connection to Postgres for as long as its client reads.
    files: Arc<Semaphore>,
    /// `None`: there is no folder for exports.
    shelf: Option<Arc<exports::Shelf>>,
    /// Runs that may be watched at the same time.
    watchers: Arc<Semaphore>,
    readiness: routes::readiness::Last,
    /// Held by the one change that is being made of those that depend on what is there.
    changing: Arc<Mutex<()>>,
    /// Told when tables may have changed.
    moved: Arc<Notify>,
    stop: CancellationToken,
}
