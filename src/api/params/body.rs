//! Bodies as typed values.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;

use super::json;
use crate::api::problem::{Code, Fault, Problem};

/// How long a body may take to arrive: enough for the largest one at half a megabit a second.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// A body of JSON as `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|text| text.split(';').next()).map(|text| text.trim().to_ascii_lowercase());
        if kind.as_deref() != Some("application/json") {
            return Err(Problem::new(Code::UnsupportedMedia, "send the body as `Content-Type: application/json`"));
        }
        let bytes = arrived(Bytes::from_request(request, state)).await?;
        let bytes = bytes.map_err(|error| match error.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge, "the body is larger than is taken"),
            _ => Problem::of_parameters(vec![Fault::new("body", "it could not be read to its end")]),
        })?;
        json(&bytes).map(Self)
    }
}

/// What `reading` a body comes to.
///
/// # Errors
/// A [`Problem`] if the body takes too long: a client that is slow to send it keeps no place.
pub(crate) async fn arrived<T>(reading: impl Future<Output = T>) -> Result<T, Problem> {
    within(ARRIVES_WITHIN, reading).await
}

async fn within<T>(limit: Duration, reading: impl Future<Output = T>) -> Result<T, Problem> {
    let slow = |_| Problem::new(Code::SlowBody, "the body did not arrive in time, and nothing was done; send it again");
    tokio::time::timeout(limit, reading).await.map_err(slow)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_body_without_an_end_is_not_waited_for() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let body = to_bytes(axum::body::Body::from_stream(never), 100);
        let problem = within(Duration::from_millis(20), body).await.expect_err("it has no end");
        assert_eq!((problem.status, problem.retryable), (408, true));
        let whole = within(Duration::from_secs(20), to_bytes(axum::body::Body::from("whole"), 100)).await;
        assert_eq!(whole.expect("in time").expect("read"), "whole");
    }
}
