//! The client against a small server of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap as Headers, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::retry::Patience;
use super::*;

/// Limits that make tests quick.
pub(crate) fn quick() -> Limits {
    let patience = Patience {
        attempts: 6,
        connect_attempts: 2,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(10),
        deadline: Duration::from_secs(5),
    };
    Limits { spacing: Duration::ZERO, timeout: Duration::from_millis(500), patience, ..Limits::default() }
}

/// A client with [`quick`] limits.
pub(crate) fn quick_http() -> Http {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Http::new(quick()).unwrap()
}

/// Serves on a free port for as long as the test runs; the base address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn door(base: &str) -> Door {
    let auth = Auth::Basic { username: "key".into(), password: Secret::new("hush") };
    let words = Words {
        name: "Confluent Cloud".into(),
        url_setting: "ccloud_api.base_url".into(),
        credentials: "`ccloud_api.key`".into(),
    };
    quick_http().door(base, &auth, words).unwrap()
}

type Script = Arc<(AtomicUsize, Vec<fn() -> Response>)>;

/// A door to a server that answers by the script, its last answer for ever; and the count of requests.
async fn scripted(script: Vec<fn() -> Response>) -> (Door, Script) {
    async fn answer(State(script): State<Script>) -> Response {
        let n = script.0.fetch_add(1, Ordering::Relaxed);
        script.1[n.min(script.1.len() - 1)]()
    }
    let script: Script = Arc::new((AtomicUsize::new(0), script));
    let base = serve(Router::new().fallback(answer).with_state(Arc::clone(&script))).await;
    (door(&base), script)
}

fn good() -> Response {
    "{\"ok\": 1}".into_response()
}

async fn ask(script: Vec<fn() -> Response>) -> (Result<Option<Value>, SourceError>, usize) {
    let (door, script) = scripted(script).await;
    let answer = door.get("/x", &[("q", "private")]).await;
    (answer, script.0.load(Ordering::Relaxed))
}

#[track_caller]
fn unavailable(answer: Result<Option<Value>, SourceError>) -> String {
    match answer {
        Err(SourceError::Unavailable(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unusable(answer: Result<Option<Value>, SourceError>) -> String {
    match answer {
        Err(SourceError::Unusable(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    for passing in [
        || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        || StatusCode::TOO_MANY_REQUESTS.into_response(),
        || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0.01")]).into_response(),
        || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]).into_response(),
        || "{\"ok\": ".into_response(),
    ] {
        let (answer, requests) = ask(vec![passing, passing, good]).await;
        assert_eq!(answer.unwrap().unwrap()["ok"], 1);
        assert_eq!(requests, 3);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_given_up_with_its_story() {
    let (answer, requests) = ask(vec![|| (StatusCode::BAD_GATEWAY, "try  the\nother door").into_response()]).await;
    let text = unavailable(answer);
    assert!(text.contains("502 Bad Gateway: try the other door; gave up after 6 attempts"), "{text}");
    assert!(!text.contains("private"), "{text}");
    assert_eq!(requests, 6);
    let (answer, _) = ask(vec![|| "[1, 2".into_response()]).await;
    assert!(unavailable(answer).contains("cut off"));
}

#[tokio::test]
async fn an_hour_of_silence_is_not_waited_for() {
    let silence = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response();
    let (door, script) = scripted(vec![silence]).await;
    unavailable(door.get("/x", &[]).await);
    assert!(unavailable(door.get("/y", &[]).await).contains("without requests"));
    assert_eq!(script.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn wrong_credentials_say_what_to_check_and_keep_the_secret() {
    let (answer, requests) = ask(vec![|| (StatusCode::UNAUTHORIZED, "bad secret hush").into_response()]).await;
    let Err(SourceError::Denied(text)) = answer else { panic!("{answer:?}") };
    assert!(
        text.contains("refused the credentials (401 Unauthorized): check `ccloud_api.key`: bad secret ***"),
        "{text}"
    );
    assert_eq!(requests, 1);
    assert!(!format!("{:?}", door("http://localhost:1")).contains("hush"));
}

#[tokio::test]
async fn other_answers_than_the_api_s_are_told_at_once() {
    let html = || ([("content-type", "text/html; charset=utf-8")], "<html>").into_response();
    assert!(unusable(ask(vec![html]).await.0).contains("HTML; is `ccloud_api.base_url` right?"));
    let moved = || (StatusCode::MOVED_PERMANENTLY, [("location", "https://elsewhere/x?t=1")]).into_response();
    let text = unusable(ask(vec![moved, good]).await.0);
    assert!(text.contains("to https://elsewhere/x, which is not followed"), "{text}");
    assert!(unusable(ask(vec![|| "{not json".into_response()]).await.0).contains("no JSON"));
    assert!(unusable(ask(vec![|| StatusCode::BAD_REQUEST.into_response()]).await.0).contains("400 Bad Request"));
    assert_eq!(ask(vec![|| StatusCode::NOT_FOUND.into_response()]).await.0.unwrap(), None);
}

#[tokio::test]
async fn nobody_there_is_unavailable_with_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/prefix/", listener.local_addr().unwrap());
    drop(listener);
    let text = unavailable(door(&base).get("/x", &[("q", "private")]).await);
    assert!(text.contains(&format!("{base}x cannot be reached (")), "{text}");
    assert!(text.contains("gave up after 2 attempts") && !text.contains("private"), "{text}");
}

#[tokio::test]
async fn slow_answers_are_given_up_and_asked_again() {
    async fn slow_once(State(n): State<Arc<AtomicUsize>>) -> Response {
        if n.fetch_add(1, Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        good()
    }
    let base = serve(Router::new().fallback(slow_once).with_state(Arc::default())).await;
    let door = door(&base);
    assert!(door.get::<Value>("/x", &[]).await.unwrap().is_some());
    assert_eq!(door.http.outcomes(), Outcomes { answered: 1, repeated: 1, ..Outcomes::default() });
}

#[tokio::test]
async fn forms_and_credentials_arrive() {
    async fn echo(headers: Headers, body: String) -> Response {
        let value = serde_json::json!({"auth": headers["authorization"].to_str().unwrap(), "body": body});
        value.to_string().into_response()
    }
    let base = serve(Router::new().fallback(echo)).await;
    let answer: Value = door(&base).ask_by_form("/q", &[("query", "a{b=\"c\"}")]).await.unwrap().unwrap();
    assert_eq!(answer["auth"], "Basic a2V5Omh1c2g=");
    assert_eq!(answer["body"], "query=a%7Bb%3D%22c%22%7D");
}

#[test]
fn addresses_are_checked_before_anything_is_sent() {
    let http = {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Http::new(quick()).unwrap()
    };
    for base in ["", "api.confluent.cloud", "ftp://x", "https://key:hush@x"] {
        let words = Words { name: "x".into(), url_setting: "metrics.url".into(), credentials: String::new() };
        let Err(SourceError::Unusable(text)) = http.door(base, &Auth::None, words) else { panic!("{base}") };
        assert!(text.contains("`metrics.url`") && !text.contains("hush"), "{text}");
    }
}
