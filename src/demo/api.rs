//! What each path answers.
//!
//! In: an authorised request. Out: pages of the inventory and the costs, and Prometheus' two query endpoints.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::inventory::{Item, Listing};
use super::organisation::Organisation;
use super::promql::{self, Expr};
use super::server::Refusal;
use crate::domain::Day;

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, detail.into())
}

type Params = HashMap<String, String>;

/// Any listing of the inventory: its path is its name.
pub async fn listing(
    State(org): State<Arc<Organisation>>,
    uri: Uri,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Json<Value>, Refusal> {
    let unknown = || Refusal(StatusCode::NOT_FOUND, format!("nothing is served at {}", uri.path()));
    match org.listings.get(uri.path()).ok_or_else(unknown)? {
        Listing::Whole(all) if params.contains_key("expand") => Ok(Json(Value::Object(all.clone()))),
        Listing::Whole(all) => Ok(Json(all.keys().cloned().collect())),
        Listing::Pages { api, kind, items } => {
            let asked = params.get("environment").map(String::as_str);
            if asked.is_none() && items.iter().any(|item| item.env.is_some()) {
                return Err(bad("the parameter environment is required"));
            }
            let here = |item: &&Item| item.env.is_none() || item.env.as_deref() == asked;
            let items = items.iter().filter(here).map(|item| &item.body).collect();
            page(items, 100, (api, kind), &uri, &headers, &params).map(Json)
        }
    }
}

/// The costs of `[start_date, end_date)`, at most a month.
pub async fn costs(
    State(org): State<Arc<Organisation>>,
    uri: Uri,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Json<Value>, Refusal> {
    let day = |name: &str| -> Result<Day, Refusal> {
        let text = params.get(name).ok_or_else(|| bad(format!("the parameter {name} is required")))?;
        text.parse().map_err(|e| bad(format!("{name}: {e}")))
    };
    let (start, end) = (day("start_date")?, day("end_date")?);
    if end <= start || end > start.plus(31) {
        return Err(bad("end_date must be 1 to 31 days after start_date"));
    }
    let rows = org.costs.iter().filter(|row| start <= row.day && row.day < end).map(|row| &row.body).collect();
    page(rows, 10_000, ("billing/v1", "CostList"), &uri, &headers, &params).map(Json)
}

/// One page of items, with the address of the next one.
fn page(
    items: Vec<&Value>,
    largest: usize,
    (api, kind): (&str, &str),
    uri: &Uri,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Value, Refusal> {
    let size = match params.get("page_size") {
        Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad("page_size must be a positive number"))?,
        None => largest.min(100),
    };
    let size = largest.min(size);
    let from = match params.get("page_token") {
        Some(token) => token.strip_prefix('t').and_then(|t| t.parse().ok()).ok_or_else(|| bad("unknown page_token"))?,
        None => 0_usize,
    };
    let data: Vec<&Value> = items.iter().skip(from).take(size).copied().collect();
    let mut metadata = json!({"total_size": items.len()});
    if from.saturating_add(size) < items.len() {
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let mut next = format!("http://{host}{}?page_size={size}&page_token=t{}", uri.path(), from + size);
        for (name, value) in params.iter().filter(|(name, _)| !name.starts_with("page_")) {
            next.push_str(&format!("&{name}={value}"));
        }
        metadata["next"] = json!(next);
    }
    Ok(json!({"api_version": api, "kind": kind, "metadata": metadata, "data": data}))
}

/// Prometheus' instant query; without a time, at the end of the organisation's last day.
pub async fn instant(State(org): State<Arc<Organisation>>, Form(params): Form<Params>) -> Response {
    answered(&params, |query| {
        let end = org.end().start().to_rfc3339_opts(SecondsFormat::Secs, true);
        let at = promql::moment(params.get("time").unwrap_or(&end))?;
        let sample =
            |(labels, value): (_, u64)| json!({"metric": labels, "value": [at.timestamp(), value.to_string()]});
        let result: Vec<Value> = query.at(&org, at).into_iter().map(sample).collect();
        Ok(json!({"resultType": "vector", "result": result}))
    })
}

/// Prometheus' range query: both ends included.
pub async fn range(State(org): State<Arc<Organisation>>, Form(params): Form<Params>) -> Response {
    answered(&params, |query| {
        let field = |name: &str| params.get(name).ok_or_else(|| format!("the parameter {name} is required"));
        let (start, end) = (promql::moment(field("start")?)?, promql::moment(field("end")?)?);
        let step = promql::duration(field("step")?)?;
        if end < start || (end - start).num_seconds() / step.num_seconds() > 11_000 {
            return Err("end must not be before start, nor more than 11000 steps after it".to_owned());
        }
        let mut series: BTreeMap<_, Vec<Value>> = BTreeMap::new();
        for at in std::iter::successors(Some(start), |at| Some(*at + step)).take_while(|at| *at <= end) {
            for (labels, value) in query.at(&org, at) {
                series.entry(labels).or_default().push(json!([at.timestamp(), value.to_string()]));
            }
        }
        let one = |(labels, values)| json!({"metric": labels, "values": values});
        Ok(json!({"resultType": "matrix", "result": series.into_iter().map(one).collect::<Vec<Value>>()}))
    })
}

/// Prometheus' envelope around an answer or an error.
fn answered(params: &Params, answer: impl FnOnce(Expr) -> Result<Value, String>) -> Response {
    let query = Expr::parse(params.get("query").map_or("", String::as_str));
    match query.and_then(answer) {
        Ok(data) => Json(json!({"status": "success", "data": data})).into_response(),
        Err(error) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}
