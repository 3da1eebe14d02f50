//! Query strings as typed parameters; what cannot be read is a problem document that says where.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum_extra::extract::Query;
use serde::de::DeserializeOwned;

use crate::api::problem::{Fault, Problem};

/// The query string as `T`; a parameter that may be repeated is a `Vec`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(read)) => Ok(Self(read)),
            Err(error) => {
                let text = error.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (name, message) = text.split_once(": ").unwrap_or(("query", text));
                Err(Problem::of_parameters(vec![Fault::new(name, message)]))
            }
        }
    }
}
