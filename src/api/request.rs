//! What every request has: an id, on the answer, in each problem and on each log line.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::problem::Problem;

/// The header that carries it, both ways.
pub(super) const HEADER: &str = "x-request-id";
/// A client's own id may be this long.
const LONGEST: usize = 64;

/// The id of a request: the client's if it sent a usable one, else a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(pub String);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let plain = |text: &&str| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(plain);
        Self(given.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned))
    }
}

/// Gives the request its id, and writes it on whatever the answer is.
pub(super) async fn identified(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = id.0, %method, path);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.request_id = Some(id.0.clone());
        problem.instance = Some(path);
        let body = serde_json::to_vec(&problem).expect("a problem is plain data");
        response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    let value = HeaderValue::from_str(&id.0).expect("it was checked, or is hex");
    response.headers_mut().insert(HEADER, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_taken_unless_it_could_break_a_log_line() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(value));
            RequestId::of(&headers).0
        };
        assert_eq!(of("deploy-7.a_B"), "deploy-7.a_B");
        for unusable in ["", "a b", "a\"b", "{}"] {
            assert_eq!(of(unusable).len(), 32, "{unusable}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
