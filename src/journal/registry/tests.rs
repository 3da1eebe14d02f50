//! A codec with a registry, against a small one in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;
use crate::domain::{BillingLine, Resource};
use crate::journal::codec::{Codec, DecodeError};
use crate::journal::samples;

/// What a registry knows; ids count from 100001 as in Confluent Cloud.
#[derive(Default)]
struct Fake {
    schemas: Vec<(String, String)>,
    levels: HashMap<String, String>,
    refused: Option<&'static str>,
}

type Shared = Arc<Mutex<Fake>>;

fn refusal(status: u16, error_code: u32, message: &str) -> Response {
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, Json(json!({"error_code": error_code, "message": message}))).into_response()
}

async fn register(State(fake): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Response {
    let mut fake = fake.lock().unwrap();
    if fake.refused.is_some_and(|refused| refused == subject) {
        return refusal(409, 409, "READER_FIELD_MISSING_DEFAULT_VALUE");
    }
    let entry = (subject, body["schema"].as_str().unwrap().to_owned());
    let at = fake.schemas.iter().position(|known| *known == entry).unwrap_or(fake.schemas.len());
    if at == fake.schemas.len() {
        fake.schemas.push(entry);
    }
    Json(json!({"id": 100_001 + at})).into_response()
}

async fn by_id(State(fake): State<Shared>, Path(id): Path<usize>) -> Response {
    let fake = fake.lock().unwrap();
    match id.checked_sub(100_001).and_then(|at| fake.schemas.get(at)) {
        Some((_, schema)) => Json(json!({"schema": schema})).into_response(),
        None => refusal(404, 40403, "Schema not found"),
    }
}

async fn level(State(fake): State<Shared>, Path(subject): Path<String>) -> Response {
    match fake.lock().unwrap().levels.get(&subject) {
        Some(level) => Json(json!({"compatibilityLevel": level})).into_response(),
        None => refusal(404, 40408, "Subject does not have subject-level compatibility configured"),
    }
}

async fn set_level(State(fake): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Response {
    let level = body["compatibility"].as_str().unwrap().to_owned();
    fake.lock().unwrap().levels.insert(subject, level);
    Json(body).into_response()
}

async fn ana_only(headers: HeaderMap, request: Request, next: Next) -> Response {
    // ana:s3cret
    match headers.get("authorization").map(|value| value.as_bytes()) {
        Some(b"Basic YW5hOnMzY3JldA==") => next.run(request).await,
        _ => refusal(401, 401, "Unauthorized"),
    }
}

async fn serve(fake: Fake) -> (Shared, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shared = Arc::new(Mutex::new(fake));
    let router = axum::Router::new()
        .route("/registry/subjects/{subject}/versions", post(register))
        .route("/registry/schemas/ids/{id}", get(by_id))
        .route("/registry/config/{subject}", get(level).put(set_level))
        .layer(from_fn(ana_only))
        .with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/registry", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shared, address)
}

fn registry(address: &str, password: &str) -> Registry {
    Registry::new(address, Some(("ana".to_owned(), password.to_owned()))).unwrap()
}

async fn codec(address: &str) -> Result<Codec, RegistryError> {
    Codec::from_registry(registry(address, "s3cret"), |topic| format!("t.{topic}")).await
}

#[tokio::test]
async fn ids_come_from_the_registry_and_those_of_the_program_stay_readable() {
    let levels = HashMap::from([("t.days-value".to_owned(), "FULL_TRANSITIVE".to_owned())]);
    let (fake, address) = serve(Fake { levels, ..Fake::default() }).await;
    let (with, again) = (codec(&address).await.unwrap(), codec(&address).await.unwrap());
    let (mut bytes, mut own) = (Vec::new(), Vec::new());
    with.encode(&samples::billing_line(), &mut bytes).unwrap();
    Codec::builtin().encode(&samples::billing_line(), &mut own).unwrap();
    assert_eq!(bytes[..5], [0, 0, 1, 0x86, 0xa1]);
    for bytes in [&bytes, &own] {
        assert_eq!(again.decode::<BillingLine>(bytes).unwrap(), samples::billing_line());
    }
    let fake = fake.lock().unwrap();
    assert_eq!(fake.schemas.len(), crate::journal::schema::FILES.len());
    assert_eq!(fake.levels["t.billing-value"], "BACKWARD");
    assert_eq!(fake.levels["t.days-value"], "FULL_TRANSITIVE");
}

#[tokio::test]
async fn a_schema_of_another_writer_is_learned() {
    let (_, address) = serve(Fake::default()).await;
    let codec = codec(&address).await.unwrap();
    // A gatherer of somebody else's: other namespace, other order, a field more.
    let theirs = r#"{"type": "record", "name": "Resource", "namespace": "com.acme", "fields": [
        {"name": "colour", "type": "string"}, {"name": "resource_id", "type": "string"},
        {"name": "tenant", "type": "string"}, {"name": "day", "type": "int"}, {"name": "revision", "type": "int"},
        {"name": "ordinal", "type": "int"}, {"name": "count", "type": "int"}, {"name": "ecosystem", "type": "string"},
        {"name": "resource_type", "type": "string"},
        {"name": "created_at", "type": ["null", "long"]}, {"name": "deleted_at", "type": ["null", "long"]},
        {"name": "attributes", "type": {"type": "map", "values": "string"}}]}"#;
    let id = registry(&address, "s3cret").register("theirs", theirs).await.unwrap();
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    bytes.extend(b"\x06red\x04r1\x02t\x04\x02\x00\x02\x02e\x02k\x00\x00\x00");

    let unknown = codec.decode::<Resource>(&bytes).unwrap_err();
    assert!(matches!(unknown, DecodeError::UnknownSchema(unknown) if unknown == id));
    // An id that nobody has, bytes that are no record, and one that is known: none of them is in the way.
    let mut own = Vec::new();
    codec.encode(&samples::billing_line(), &mut own).unwrap();
    let payloads = [&b"\x00\x7f\xff\xff\xff"[..], b"garbage", &own, &bytes];
    codec.learn_missing(payloads.into_iter()).await.unwrap();
    let resource: Resource = codec.decode(&bytes).unwrap();
    assert_eq!((resource.resource_id.as_str(), resource.day.to_string().as_str()), ("r1", "1970-01-03"));
    assert_eq!(resource.parent_id, None);
    let wrong = codec.decode::<BillingLine>(&bytes).unwrap_err();
    assert!(matches!(wrong, DecodeError::WrongSchema { .. }), "{wrong}");
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_no_answer_about_a_schema() {
    let (_, address) = serve(Fake::default()).await;
    let codec = Codec::from_registry(registry(&address, "s3cret"), |topic| format!("t.{topic}")).await.unwrap();
    codec.learn_missing(std::iter::once(&b"\x00\x00\x00\x00\x63"[..])).await.unwrap();
    let status = reqwest::StatusCode::SERVICE_UNAVAILABLE;
    let down = RegistryError::Unexpected { address, what: "it".into(), status, message: String::new() };
    assert!(down.is_transient() && !down.is_about_the_schema());
    let nobody = registry("http://127.0.0.1:1", "s3cret").schema(5).await.unwrap_err();
    assert!(nobody.is_transient() && !nobody.is_about_the_schema());
}

#[tokio::test]
async fn each_way_to_fail_says_what_to_do() {
    let (_, address) = serve(Fake { refused: Some("t.days-value"), ..Fake::default() }).await;
    let says = |error: RegistryError, words: &str| assert!(error.to_string().contains(words), "{error}");

    says(codec(&address).await.unwrap_err(), "subject t.days-value (READER_FIELD_MISSING_DEFAULT_VALUE)");
    let denied = registry(&address, "wrong").schema(1).await.unwrap_err();
    assert!(!format!("{denied} {denied:?}").contains("wrong"), "{denied:?}");
    says(denied, "refuses schema id 1 (401 Unauthorized); check schema_registry.username");
    says(registry(&address, "s3cret").schema(5).await.unwrap_err(), "no schema of id 5");
    let elsewhere = registry(&format!("{address}/x"), "s3cret").schema(5).await.unwrap_err();
    says(elsewhere, "with 404 Not Found ; check schema_registry.url");
    let nobody = registry("http://127.0.0.1:1", "s3cret").schema(5).await.unwrap_err();
    says(nobody, "http://127.0.0.1:1/ does not answer");
    says(Codec::builtin().learn(5).await.unwrap_err(), "set schema_registry.url");
    says(Registry::new("registry:8081", None).unwrap_err(), "not an http(s) address");
    says(Registry::new("http://ana:s3cret@registry:8081", None).unwrap_err(), "move it to schema_registry.username");
}
