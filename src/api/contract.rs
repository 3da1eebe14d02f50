//! What the OpenAPI document says of every route alike: who may call it, and how a reader sees what was just written.

use axum::http::Method;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, Required};

use super::auth::{needed, tenant_of};

/// The name of the one way to sign in.
const BEARER: &str = "bearer";

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
            if open.contains(path) {
                operation.security = Some(Vec::new());
                continue;
            }
            // For HTTP schemes the list names what the caller needs.
            let scopes = needed(&method, path).map(|scope| scope.as_str());
            operation.security = Some(vec![SecurityRequirement::new(BEARER, scopes)]);
            if method == Method::POST {
                add_idempotency_key(operation);
            }
            if method == Method::GET && tenant_of(path).is_some() {
                add_min_position(operation);
            }
        }
    }
    document
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
