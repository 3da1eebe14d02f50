//! Stands before the made-up organisation and changes its bill all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::net::TcpListener;
use tributary::clock::Clock;
use tributary::demo::Running;
use tributary::domain::{Amount, Day};

/// Seconds between two corrections.
const ROUND: u64 = 20;
/// The line that is corrected; every day has one.
const CORRECTED: &str = "SUPPORT";
/// Larger than any answer.
const LARGEST: usize = 64 << 20;

/// The organisation with a bill that changes.
pub struct Upstream {
    url: String,
    door: Arc<Door>,
    bill: Vec<(Day, Value)>,
}

struct Door {
    behind: String,
    client: reqwest::Client,
    since: Instant,
    /// The round at which corrections ended; negative while they go on.
    frozen: AtomicI64,
}

impl Upstream {
    /// Serves the organisation on a port of its own.
    pub async fn start(served: &Running) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let client = reqwest::Client::new();
        let frozen = AtomicI64::new(-1);
        let door = Arc::new(Door { behind: served.base_url.clone(), client, since: Instant::now(), frozen });
        let app = Router::new().fallback(through).with_state(Arc::clone(&door));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let bill = served.organisation.costs.iter().map(|row| (row.day, row.body.clone())).collect();
        Ok(Self { url, door, bill })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the corrections; the bill stays as it is now. Returns that moment.
    pub fn freeze(&self) -> DateTime<Utc> {
        self.door.frozen.store(self.door.round(), Ordering::SeqCst);
        Clock::system().now()
    }

    /// What the bill adds up to now.
    pub fn total(&self) -> Amount {
        let round = self.door.round();
        let amount = |(_, row): &(Day, Value)| corrected(row, round).unwrap_or_else(|| amount(row));
        self.bill.iter().map(amount).sum()
    }
}

impl Door {
    fn round(&self) -> i64 {
        match self.frozen.load(Ordering::SeqCst) {
            frozen if frozen >= 0 => frozen,
            _ => (self.since.elapsed().as_secs() / ROUND) as i64,
        }
    }
}

/// A row's amount in a round, if it is not the one it had from the beginning: of every three days one is corrected, another
/// one each time, and by another amount.
fn corrected(row: &Value, round: i64) -> Option<Amount> {
    let day: Day = row["start_date"].as_str()?.parse().ok()?;
    let third = i64::from(chrono::Datelike::num_days_from_ce(&day.date()));
    let changes = row["line_type"] == CORRECTED && (third + round) % 3 == 0;
    changes.then(|| amount(row) + Amount::parse(&format!("{}.{:02}", round / 100, round % 100)).expect("cents"))
}

fn amount(row: &Value) -> Amount {
    Amount::parse(&row["amount"].to_string()).expect("a row of the bill has an amount")
}

/// Passes a request on; a bill is corrected on its way back.
async fn through(State(door): State<Arc<Door>>, request: Request) -> Response {
    let answered = async {
        let (head, body) = request.into_parts();
        let costs = head.uri.path() == "/billing/v1/costs";
        let url = format!("{}{}", door.behind, head.uri.path_and_query().context("a path")?);
        let asked = door.client.request(head.method, url).headers(head.headers).body(to_bytes(body, LARGEST).await?);
        let answer = asked.send().await?;
        let (status, headers, mut bytes) = (answer.status(), answer.headers().clone(), answer.bytes().await?.to_vec());
        if costs && status.is_success() {
            let mut page: Value = serde_json::from_slice(&bytes)?;
            let round = door.round();
            for row in page["data"].as_array_mut().context("rows")? {
                if let Some(amount) = corrected(row, round) {
                    row["amount"] = serde_json::from_str(&amount.to_string())?;
                }
            }
            bytes = serde_json::to_vec(&page)?;
        }
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        if let Some(kind) = headers.get("content-type") {
            response.headers_mut().insert("content-type", kind.clone());
        }
        anyhow::Ok(response)
    };
    answered.await.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}
