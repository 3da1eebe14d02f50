//! Bodies as typed values; what cannot be read is a problem document that says where.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;

use crate::api::problem::{Code, Fault, Problem};

/// What no text of the tables can hold, as JSON writes it.
const ZERO_BYTE: &[u8] = b"\\u0000";

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
        let bytes =
            Bytes::from_request(request, state).await.map_err(|error| match error.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge, "the body is larger than is taken"),
                _ => Problem::of_parameters(vec![Fault::new("body", "it could not be read to its end")]),
            })?;
        json(&bytes).map(Self)
    }
}

/// Reads JSON.
///
/// # Errors
/// A [`Problem`] that says where it is not what is asked for.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.windows(ZERO_BYTE.len()).any(|part| part == ZERO_BYTE) {
        return Err(Problem::of_parameters(vec![Fault::new("body", "a text in it holds a zero byte (\\u0000)")]));
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::of_parameters(vec![Fault::new("body", error.to_string())]))
}
