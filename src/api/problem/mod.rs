//! Every fault in one shape: a problem document (RFC 9457).

mod code;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub use code::Code;

use crate::store::StoreError;

/// What went wrong, for programs (`code`, `retryable`, `errors`) and for people (`detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A stable address that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: &'static str,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened here, and what to do about it.
    pub detail: String,
    /// The kind as one word.
    #[schema(schema_with = code::schema)]
    pub code: &'static str,
    /// May the same request succeed later?
    pub retryable: bool,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The id of the request: the same as in the header `X-Request-Id` and in the service's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When to try again, seconds; where that is not said, one.
    #[serde(skip)]
    pub retry_after: u32,
    /// The parameters that are wrong, if any are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// One parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The parameter's name.
    pub pointer: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem of a kind, with what happened.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let kind = code.kind();
        Self {
            kind: kind.uri(),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: detail.into(),
            code: kind.word,
            retryable: kind.retryable,
            instance: None,
            request_id: None,
            retry_after: 1,
            errors: Vec::new(),
        }
    }

    /// Came it about so that the request may have done something all the same?
    pub(super) fn leaves_open_what_was_done(&self) -> bool {
        matches!(self.code, "outcome-unknown" | "internal" | "too-slow")
    }

    /// Parameters that cannot be used, all of them at once.
    pub fn of_parameters(errors: Vec<Fault>) -> Self {
        let all: Vec<String> = errors.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
        Self { errors, ..Self::new(Code::BadParameter, all.join("; ")) }
    }

    /// Nothing of that name, or nothing that the caller may see.
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {name:?}"))
    }
}

impl Fault {
    /// A parameter, and what is wrong with it.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.took_too_long() {
            return Self::new(
                Code::TooSlow,
                "the question took longer than the limit; ask for fewer days or dimensions",
            );
        }
        if error.is_transient() {
            tracing::warn!(%error, "a request could not be answered");
            return Self::new(Code::Unavailable, "Postgres does not answer now; try again shortly");
        }
        // The statement and its values stay in the log.
        tracing::error!(error = crate::wording::chain(&error), "a request failed");
        Self::new(Code::Internal, "the service made a mistake; its log says which")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let again = self.retryable.then_some(HeaderValue::from(self.retry_after));
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let challenge = match self.code {
            "unauthenticated" => Some("Bearer realm=\"tributary\""),
            "bad-token" => Some("Bearer realm=\"tributary\", error=\"invalid_token\""),
            _ => None,
        };
        challenge.map(|how| headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(how)));
        again.map(|seconds| headers.insert(header::RETRY_AFTER, seconds));
        // Whoever knows the request writes its id into it.
        response.extensions_mut().insert(self);
        response
    }
}
