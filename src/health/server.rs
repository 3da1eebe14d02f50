//! The port.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Health;
use crate::meter::Meter;
use crate::serving;

/// Between two calls of [`Meter::tidy`].
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Why nobody can ask how we are.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Each process needs a port of its own.
    #[error(
        "{host}:{port} is taken, so /healthz, /readyz and /metrics have no place; give each process on a host its own \
         with health.port or TRIBUTARY_HEALTH_PORT (0: any), or set health.enabled to false"
    )]
    Taken { host: String, port: u16 },
    #[error("cannot listen on {host}:{port} for /healthz, /readyz and /metrics; correct health.host and health.port")]
    Unusable {
        host: String,
        port: u16,
        #[source]
        source: std::io::Error,
    },
}

/// An open port that nobody is answered on yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens the port; 0 takes any that is free.
    ///
    /// # Errors
    /// [`ListenError`] with the setting to change.
    pub async fn open(host: &str, port: u16) -> Result<Self, ListenError> {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => ListenError::Taken { host: host.to_owned(), port },
            _ => ListenError::Unusable { host: host.to_owned(), port, source },
        };
        let socket = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to stop.
    pub async fn serve(self, health: Health, meter: Meter, stop: CancellationToken) {
        let router = Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .with_state(health)
            .route("/metrics", get(measured).with_state(meter.clone()));
        let served = serving::serve(self.socket, router, serving::HEAD_WITHIN, stop);
        let tidying = async {
            loop {
                tokio::time::sleep(TIDY_EVERY).await;
                meter.tidy();
            }
        };
        tokio::select! {
            ended = served => if let Err(error) = ended {
                tracing::error!(%error, "/healthz, /readyz and /metrics are gone");
            },
            () = tidying => {}
        }
    }
}

async fn ready(State(health): State<Health>) -> Response {
    let faults = health.faults();
    if faults.is_empty() {
        return (StatusCode::OK, "ready\n").into_response();
    }
    let lines: String = faults.iter().map(|(part, why)| format!("{part}: {why}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn measured(State(meter): State<Meter>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], meter.text()).into_response()
}
