//! What the OpenAPI document says of every route alike: who may call it, how a reader sees what was just written, which
//! headers answers carry.

mod headers;

use axum::http::Method;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, Required};

use super::auth::needed;
use crate::domain::Scope;

/// The name of the one way to sign in.
const BEARER: &str = "bearer";
const BASE: &str = "/api/v1/";

/// Adds what holds for all routes; `open` are the paths that nobody has to sign in for.
pub(super) fn finished(mut document: OpenApi, open: &[String]) -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `POST /api/v1/tokens`, or an access token of the configured issuer (OIDC)."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations.into_iter().filter_map(|(method, of)| Some((method, of.as_mut()?))) {
            operation.operation_id = Some(operation_id(&method, path));
            let is_open = open.contains(path);
            if is_open {
                operation.security = Some(Vec::new());
                headers::add(&method, path, is_open, operation);
                continue;
            }
            // For HTTP schemes the list names what the caller needs.
            let scopes = needed(&method, path).map(|scope| scope.as_str());
            operation.security = Some(vec![SecurityRequirement::new(BEARER, scopes)]);
            // A POST that only reads is a question, and asked again is answered again.
            if method == Method::POST && needed(&method, path) != Some(Scope::CostsRead) {
                add_idempotency_key(operation);
            }
            if method == Method::GET && path.starts_with(BASE) {
                add_min_position(operation);
            }
            headers::add(&method, path, is_open, operation);
        }
    }
    document
}

/// A name that no other operation has, for those who make clients: `get_tenant_chargebacks_by_id`.
fn operation_id(method: &Method, path: &str) -> String {
    let path = path.strip_prefix(BASE).unwrap_or(path).replace("tenants/{tenant}/", "tenant/");
    let mut words = vec![method.as_str().to_lowercase()];
    for segment in path.split(['/', ':']).filter(|segment| !segment.is_empty()) {
        words.push(match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(parameter) => format!("by_{parameter}"),
            None => segment.replace(['-', '.'], "_"),
        });
    }
    words.join("_")
}

fn add_idempotency_key(operation: &mut Operation) {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name of your own for this request: sent again within a day, it is answered again and done once.",
        ))
        .schema(Some(schema.pattern(Some("^[!-~]+$"))))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

fn add_min_position(operation: &mut Operation) {
    let parameter = ParameterBuilder::new()
        .name("min_position")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "`X-Event-Position` of a change: answers once the tables have it, 503 if that takes too long.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = crate::api::openapi();
        let items = document.paths.paths.values();
        let operations = items.flat_map(|item| [&item.get, &item.post, &item.put, &item.patch, &item.delete]);
        let names: Vec<_> = operations.flatten().map(|operation| operation.operation_id.clone()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert_eq!(
            operation_id(&Method::GET, "/api/v1/tenants/{tenant}/chargebacks/{id}"),
            "get_tenant_chargebacks_by_id"
        );
    }
}
