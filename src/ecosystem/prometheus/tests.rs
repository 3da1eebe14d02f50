//! The client against a small server of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::domain::Day;
use crate::domain::promql::Sampling;
use crate::ecosystem::http::Limits;
use crate::ecosystem::http::tests::{quick, quick_http, serve};

type Fields = BTreeMap<String, String>;

/// Answers every point with 1, up to so many points; remembers what it was asked.
#[derive(Clone, Default)]
struct Server {
    most: usize,
    asked: Arc<Mutex<Vec<(String, HeaderMap, Fields)>>>,
}

async fn range(State(server): State<Server>, uri: Uri, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    let moment = |name: &str| form[name].parse::<DateTime<Utc>>().unwrap().timestamp();
    let (start, end, step) = (moment("start"), moment("end"), form["step"].parse::<i64>().unwrap());
    server.asked.lock().unwrap().push((uri.path().to_owned(), headers, form));
    let count = (end - start) / step + 1;
    if count > server.most as i64 {
        let error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution";
        let body = json!({"status": "error", "errorType": "bad_data", "error": error});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let values: Vec<_> = (0..count).map(|n| json!([start + n * step, "1"])).collect();
    let data = json!({"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": values}]});
    Json(json!({"status": "success", "data": data})).into_response()
}

async fn asked(most: usize, days: u64) -> (Result<Matrix, SourceError>, Server) {
    let server = Server { most, ..Server::default() };
    let base = serve(Router::new().fallback(range).with_state(server.clone())).await;
    let settings = Settings {
        url: format!("{base}/api/prom"),
        auth: Auth::None,
        headers: vec![("X-Scope-OrgID".into(), Secret::new("payments"))],
        tls: Tls::default(),
    };
    // Answers are large: a machine under load may take its time.
    let http = Http::new(Limits { timeout: std::time::Duration::from_secs(60), ..quick() }).unwrap();
    let prometheus = Prometheus::new(&http, &settings).unwrap();
    let from: Day = "2026-01-01".parse().unwrap();
    let times = Times::within(from, from.plus(days), Sampling::FINE).unwrap();
    (prometheus.range("sum(x)", times).await, server)
}

/// Every moment once, in order, however it was asked.
#[track_caller]
fn is_whole(matrix: &Matrix, days: u64) {
    let points = &matrix.series[0].points;
    assert_eq!((matrix.series.len(), points.len() as u64), (1, days * 288));
    assert!(points.windows(2).all(|pair| pair[1].0 - pair[0].0 == TimeDelta::minutes(5)));
}

#[tokio::test]
async fn many_moments_are_asked_in_parts_with_prefix_and_headers() {
    let (matrix, server) = asked(11_000, 100).await;
    is_whole(&matrix.unwrap(), 100);
    let requests = server.asked.lock().unwrap();
    assert_eq!(requests.len(), 3, "28,800 moments, at most 10,000 at once");
    for (path, headers, form) in requests.iter() {
        assert_eq!(
            (path.as_str(), headers["x-scope-orgid"].to_str().unwrap()),
            ("/api/prom/api/v1/query_range", "payments")
        );
        assert_eq!((form["partial_response"].as_str(), form["deny_partial_response"].as_str()), ("false", "1"));
    }
}

#[tokio::test]
async fn a_server_with_lower_limits_is_asked_in_smaller_parts() {
    let (matrix, server) = asked(500, 5).await;
    is_whole(&matrix.unwrap(), 5);
    assert_eq!(server.asked.lock().unwrap().len(), 7, "one, two halves, four quarters");
    let (refused, _) = asked(0, 1).await;
    assert!(matches!(&refused, Err(SourceError::Unusable(why)) if why.contains("maximum resolution")), "{refused:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told_at_once() {
    async fn refuse(State(server): State<Server>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
        server.asked.lock().unwrap().push((String::new(), headers, form));
        let body =
            json!({"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unclosed paren payments"});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
    let server = Server::default();
    let base = serve(Router::new().fallback(refuse).with_state(server.clone())).await;
    let headers = vec![("X-Scope-OrgID".into(), Secret::new("payments"))];
    let settings = Settings { url: base, auth: Auth::None, headers, tls: Tls::default() };
    let prometheus = Prometheus::new(&quick_http(), &settings).unwrap();
    let from: Day = "2026-01-01".parse().unwrap();
    let times = Times::within(from, from.plus(9), Sampling::FINE).unwrap();
    let Err(SourceError::Unusable(text)) = prometheus.range("sum(", times).await else { panic!("it was answered") };
    assert!(text.contains("unclosed paren ***"), "{text}");
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

#[test]
fn headers_that_cannot_be_sent_are_named_without_their_value() {
    let headers = vec![("X-Key".to_owned(), Secret::new("hush\n1"))];
    let settings = Settings { url: "http://h".into(), auth: Auth::None, headers, tls: Tls::default() };
    let text = Prometheus::new(&quick_http(), &settings).unwrap_err().to_string();
    assert!(text.contains("`metrics.headers`: the value of header \"X-Key\"") && !text.contains("hush"), "{text}");
}
