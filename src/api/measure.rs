//! Counts and times the requests of each route.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use crate::meter;

/// A layer around the routes. Counted is the route's path, not the caller's, so that nobody can make up new series. The
/// time is that until the answer begins; a file goes on after it.
pub(super) async fn measured(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let (begun, method) = (Instant::now(), request.method().clone());
    let response = next.run(request).await;
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    meter::api_request(route, method.as_str(), response.status().as_u16(), begun.elapsed());
    response
}
