//! Bodies as typed values; what cannot be read is a problem document that says where.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::api::problem::{Code, Fault, Problem};

/// The JSON body as `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(read)) => Ok(Self(read)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::new(Code::OtherMedia, "send the body as JSON, with `Content-Type: application/json`"))
            }
            Err(JsonRejection::BytesRejection(error))
                if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Err(Problem::new(Code::TooLarge, "the body is larger than this service takes (1 MiB)"))
            }
            Err(error) => {
                let text = error.body_text();
                let text = text.rsplit_once("target type: ").map_or(text.as_str(), |(_, behind)| behind);
                Err(Problem::of_parameters(vec![Fault::new("body", text)]))
            }
        }
    }
}
