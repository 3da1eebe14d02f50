//! Lets a reader see what it has just written: waits until the tables have it.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::timeout;

use super::EventPosition;
use crate::api::Api;
use crate::api::params::Params;
use crate::api::problem::{Code, Fault, Problem};
use crate::store::Position;

/// How long a reader waits. The tables are milliseconds behind as a rule; when they are not, the client does better to
/// come back.
const PATIENCE: Duration = Duration::from_secs(3);
/// The tables are looked at when something was projected, and after so long in any case: what is told may be missed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
struct Asked {
    min_position: Option<String>,
}

/// Holds a GET with `min_position` back until the tables have what lies there.
pub(in crate::api) async fn catch_up(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let asked = match parts.uri.query().is_some_and(|query| query.contains("min_position")) {
        true => <Params<Asked> as axum::extract::FromRequestParts<()>>::from_request_parts(&mut parts, &()).await,
        false => Ok(Params(Asked { min_position: None })),
    };
    let reached = match asked {
        Ok(Params(Asked { min_position: Some(text) })) => api.reached(&text).await,
        Ok(_) => Ok(()),
        Err(problem) => Err(problem),
    };
    match reached {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

impl Api {
    async fn reached(&self, text: &str) -> Result<(), Problem> {
        let none = "this is no position; take the header X-Event-Position of a change as it is";
        let position =
            EventPosition::parse(text).ok_or_else(|| Problem::of_parameters(vec![Fault::new("min_position", none)]))?;
        self.has(&position).await
    }

    /// Waits until the tables have what lies at a position.
    ///
    /// # Errors
    /// A [`Problem`] if they do not for seconds.
    async fn has(&self, position: &EventPosition) -> Result<(), Problem> {
        let records = position.records().iter().map(|at| Position {
            topic: self.ledger.topic(at.topic),
            partition: at.partition,
            next: at.offset + 1,
        });
        let records: Vec<Position> = records.collect();
        let waiting = Waiting::begin(&self.moved);
        loop {
            let told = waiting.told();
            if !self.store.behind(&records).await? {
                return Ok(());
            }
            if !waiting.goes_on(told).await {
                let behind =
                    "the tables do not have the change of `min_position` yet; try again shortly, or without it";
                return Err(Problem::new(Code::Behind, behind));
            }
        }
    }
}

/// Somebody who waits until the tables have something, and looks whenever something was projected.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    moved: &'a Notify,
    since: Instant,
}

impl<'a> Waiting<'a> {
    pub(super) fn begin(moved: &'a Notify) -> Self {
        Self { moved, since: Instant::now() }
    }

    /// Taken before a look, so that what comes while it lasts is not missed.
    pub(super) fn told(&self) -> Notified<'a> {
        self.moved.notified()
    }

    /// How long it has been waited.
    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits until another look is worth it; false: it has been waited for long enough.
    pub(super) async fn goes_on(&self, told: Notified<'a>) -> bool {
        let Some(left) = PATIENCE.checked_sub(self.waited()) else { return false };
        let _ = timeout(left.min(LOOK_AGAIN), told).await;
        true
    }
}
