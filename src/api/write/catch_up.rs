//! Lets a reader see what it has just written: waits until the tables have it.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::EventPosition;
use crate::api::Api;
use crate::api::params::Params;
use crate::api::problem::{Code, Fault, Problem};
use crate::store::Position;

/// How long a reader waits. The tables are milliseconds behind as a rule; when they are not, the client does better to
/// come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
pub(super) const FIRST_LOOK_AFTER: Duration = Duration::from_millis(10);
pub(super) const LAST_LOOK_AFTER: Duration = Duration::from_millis(200);

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
        let (since, mut pause) = (Instant::now(), FIRST_LOOK_AFTER);
        while self.store.behind(&records).await? {
            if since.elapsed() > PATIENCE {
                return Err(Problem::new(
                    Code::Behind,
                    "the tables do not have the change of `min_position` yet; try again shortly, or without it",
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK_AFTER);
        }
        Ok(())
    }
}
