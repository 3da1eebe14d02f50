//! `/metrics` of a port.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Exposition, Format};
use crate::journal::blocking;
use crate::serving;

impl Exposition {
    /// Takes the port.
    ///
    /// # Errors
    /// If it cannot be had, with what to do.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        let (host, port) = (self.host.as_str(), self.port);
        TcpListener::bind((host, port)).await.map_err(|error| {
            let told =
                format!("gauges cannot be served at {host}:{port} ({error}); choose another `port` of the emitter");
            io::Error::new(error.kind(), told)
        })
    }

    /// Answers scrapes until `stop`.
    ///
    /// # Errors
    /// If serving fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let app = Router::new().route("/metrics", get(metrics)).with_state(self);
        serving::serve(listener, app, serving::HEAD_WITHIN, stop).await
    }
}

async fn metrics(State(exposition): State<Arc<Exposition>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::asked(accept);
    match blocking(move || exposition.text(format)).await {
        Some(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        // A scrape that fails is better than one that says there is nothing.
        None => (StatusCode::SERVICE_UNAVAILABLE, "the tables have not been read yet\n").into_response(),
    }
}
