//! Which headers answers carry, beside those that HTTP itself has on every answer.
//!
//! Most follow from what an operation is: one that answers 304 has an `ETag`, one that takes a `cursor` has a `Link`, one that
//! changes something says where. What one answer alone carries, its handler says.

use axum::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, HeaderBuilder, RefOr, Response};

use crate::api::auth::needed;
use crate::domain::Scope;

/// How a name is written, and what it says.
type Said = (&'static str, &'static str);

const REQUEST_ID: Said =
    ("X-Request-Id", "Id of the request: the caller's own, or a new one; problems and the log have the same");
const ETAG: Said = ("ETag", "The same for the same answer: send it as `If-None-Match`");
const LINK: Said = ("Link", "`<address>; rel=\"next\"`: where the next page is, if there is one");
const DISPOSITION: Said = ("Content-Disposition", "Name of the file, where the answer is one");
const POSITION: Said =
    ("X-Event-Position", "Where the change lies, if there was one to make: give it as `min_position`");
const REPLAYED: Said = ("Idempotency-Replayed", "`true`: the answer that was given to this `Idempotency-Key` before");
const CHALLENGE: Said = ("WWW-Authenticate", "With 401: how to sign in");
/// Seconds.
const RETRY_AFTER: Said = ("Retry-After", "Where the problem is `retryable`: in how many seconds to try again");

/// Adds to the answers of an operation what its kind has; `is_open`: nobody has to sign in for it.
pub(super) fn add(method: &Method, path: &str, is_open: bool, operation: &mut Operation) {
    let asked = operation.parameters.iter().flatten();
    let is_paged = asked.clone().any(|parameter| matches!(parameter, RefOr::T(of) if of.name == "cursor"));
    let has_key = asked.clone().any(|parameter| matches!(parameter, RefOr::T(of) if of.name == "Idempotency-Key"));
    let is_kept = operation.responses.responses.contains_key("304");
    let changes = *method != Method::GET && needed(method, path) != Some(Scope::CostsRead);
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let is_problem = response.content.keys().any(|kind| kind == "application/problem+json");
        let is_file = response.content.keys().any(|kind| kind == "text/csv");
        let is_done = status.starts_with('2');
        let of = [
            (true, REQUEST_ID),
            (is_kept && (is_done || status == "304"), ETAG),
            (is_paged && status == "200", LINK),
            (is_file, DISPOSITION),
            (is_done && changes, POSITION),
            (is_done && has_key, REPLAYED),
            (is_problem && !is_open, CHALLENGE),
        ];
        for (_, said) in of.into_iter().filter(|(has, _)| *has) {
            say(response, said, Type::String);
        }
        if is_problem {
            say(response, RETRY_AFTER, Type::Integer);
        }
    }
}

/// Says it, unless the handler has said it better.
fn say(response: &mut Response, (name, description): Said, kind: Type) {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    let header: Header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
    response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    /// The names of the headers of an answer.
    fn headers(document: &Value, method: &str, path: &str, status: &str) -> Vec<String> {
        let headers = &document["paths"][path][method]["responses"][status]["headers"];
        headers.as_object().unwrap_or_else(|| panic!("{method} {path} {status}")).keys().cloned().collect()
    }

    #[test]
    fn headers_follow_from_what_an_operation_is() {
        let document = serde_json::to_value(crate::api::openapi()).unwrap();
        let of = |method, path: &str, status| {
            headers(&document, method, &format!("/api/v1/tenants/{{tenant}}{path}"), status)
        };
        assert_eq!(of("get", "/chargebacks", "200"), ["Content-Disposition", "ETag", "Link", "X-Request-Id"]);
        assert_eq!(of("get", "/chargebacks", "304"), ["ETag", "X-Request-Id"]);
        assert_eq!(of("get", "/chargebacks", "default"), ["Retry-After", "WWW-Authenticate", "X-Request-Id"]);
        let started = ["Idempotency-Replayed", "Location", "X-Event-Position", "X-Request-Id"];
        assert_eq!(of("post", "/runs", "202"), started);
        assert_eq!(of("post", "/exports", "202"), started);
        assert_eq!(of("post", "/costs/aggregate", "200"), ["X-Request-Id"], "a question changes nothing");
        let tags = "/entities/{type}/{id}/tags";
        assert_eq!(of("get", tags, "200"), ["ETag", "X-Request-Id"]);
        assert_eq!(of("delete", &format!("{tags}/{{key}}"), "204"), ["X-Event-Position", "X-Request-Id"]);
        let told = &document["paths"]["/api/v1/tenants/{tenant}/entities/{type}/{id}/tags"]["get"];
        assert_eq!(told["responses"]["200"]["headers"]["ETag"]["description"], json!("For `If-Match` of a change"));
        assert_eq!(headers(&document, "get", "/version", "200"), ["X-Request-Id"]);
    }
}
