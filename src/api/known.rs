//! Refuses parameters that a route does not have: a filter that is misspelt would otherwise choose everything, and the sum
//! would be wrong without a word.
//!
//! Which there are is read from the OpenAPI document, so what is documented and what is taken are the same.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};

use super::openapi;
use super::params::NOT_HERE;
use super::problem::{Fault, Problem};

/// By method and path of the route.
type Parameters = HashMap<(Method, String), Vec<String>>;

static KNOWN: LazyLock<Parameters> = LazyLock::new(|| {
    let document = openapi();
    document.paths.paths.iter().flat_map(|(path, item)| of_path(path, item)).collect()
});

fn of_path(path: &str, item: &PathItem) -> impl Iterator<Item = ((Method, String), Vec<String>)> {
    // An action is a part of the last segment, which routes take as a whole.
    let route = path.split_once("}:").map_or(path, |(route, _)| &path[..=route.len()]).to_owned();
    let operations = [
        (Method::GET, item.get.clone()),
        (Method::POST, item.post.clone()),
        (Method::PUT, item.put.clone()),
        (Method::DELETE, item.delete.clone()),
    ];
    operations.into_iter().filter_map(move |(method, of)| Some(((method, route.clone()), names(of?))))
}

fn names(operation: Operation) -> Vec<String> {
    let parameters = operation.parameters.unwrap_or_default().into_iter();
    let said = parameters.filter_map(|of| if let RefOr::T(of) = of { Some(of) } else { None });
    said.filter(|of| of.parameter_in == ParameterIn::Query).map(|of| of.name).collect()
}

/// A layer around the routes.
pub(super) async fn known(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let of_route = path.and_then(|path| KNOWN.get(&(method, path.as_str().to_owned())));
    let faults = of_route.map_or(Vec::new(), |known| unknown(request.uri().query().unwrap_or_default(), known));
    if faults.is_empty() { next.run(request).await } else { Problem::of_parameters(faults).into_response() }
}

/// What is wrong with the names in a query string.
fn unknown(query: &str, known: &[String]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        if known.iter().any(|known| *known == name) || faults.iter().any(|fault| fault.pointer == name) {
            continue;
        }
        let message = match known {
            _ if name == "as_of" => NOT_HERE.to_owned(),
            [] => "this takes no parameters".to_owned(),
            known => format!("there is no such parameter here; there are {}", known.join(", ")),
        };
        faults.push(Fault::new(name, message));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_document_names_is_known() {
        let sums = &KNOWN[&(Method::GET, "/api/v1/tenants/{tenant}/costs/aggregate".to_owned())];
        assert!(unknown("from=2026-02-01&group_by=env_id&filter=a%3Aeq%3Ab&min_position=x&tz=UTC", sums).is_empty());
        let faults = unknown("fliter=a&from=b&fliter=c&start%20date=d", sums);
        assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), ["fliter", "start date"]);
        assert!(faults[0].message.contains("filter, "), "{}", faults[0].message);
    }

    #[test]
    fn what_cannot_be_had_as_it_was_says_what_can() {
        let of = |list: &str| &KNOWN[&(Method::GET, format!("/api/v1/tenants/{{tenant}}/{list}"))];
        for list in ["chargebacks", "topic-costs", "allocation-issues", "graph"] {
            let faults = unknown("as_of=2026-02-01", of(list));
            assert!(faults[0].message.contains("Billing lines"), "{list}: {}", faults[0].message);
        }
        for list in ["billing-lines", "billing-lines/{id}", "resources", "identities", "inventory/summary"] {
            assert!(unknown("as_of=2026-02-01", of(list)).is_empty(), "{list}");
        }
    }

    #[test]
    fn an_action_has_its_routes_parameters() {
        assert!(KNOWN[&(Method::POST, "/api/v1/tenants/{tenant}/runs/{id}".to_owned())].is_empty());
    }
}
