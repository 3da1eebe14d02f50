//! A request that is sent again is not done again: `Idempotency-Key`.
//!
//! The key is taken in Postgres before the request is done, so two processes cannot do it both, and the answer is kept
//! for a day. A request that changed nothing gives its key back. One of which nobody knows what it did keeps the key
//! without an answer: whoever sends it again is told to look first, and nothing is done twice. A POST that only asks is
//! answered anew each time: there is nothing to do twice.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::auth::{Caller, needed};
use super::params::arrived;
use super::problem::{Code, Fault, Problem};
use super::server::BATCH_LIMIT;
use super::write::POSITION_HEADER;
use crate::domain::Scope;
use crate::store::{Claimed, KeptAnswer, OnceKey};

/// The header with the caller's name for a request.
pub(super) const HEADER: &str = "idempotency-key";
/// Says that an answer is the one that was given before.
pub(super) const REPLAYED: &str = "idempotency-replayed";
const LONGEST_KEY: usize = 255;
/// Larger answers are not kept.
const LARGEST_ANSWER: usize = 1 << 20;

/// On an answer with a secret in it, which is not kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secretive;

/// Stands behind the guard and in front of every route.
pub(super) async fn once(State(api): State<Api>, request: Request, next: Next) -> Response {
    let key = request.headers().get(HEADER).cloned();
    match key {
        Some(key) if changes_something(&request) => match api.once(&key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        _ => next.run(request).await,
    }
}

/// May a request do something that must not be done twice?
fn changes_something(request: &Request) -> bool {
    let right = needed(request.method(), request.uri().path());
    *request.method() == Method::POST && right.is_some_and(|right| right != Scope::CostsRead)
}

impl Api {
    async fn once(&self, key: &HeaderValue, request: Request, next: Next) -> Result<Response, Problem> {
        let plain = |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        let unusable = || {
            let message = format!("a key has 1 to {LONGEST_KEY} visible ASCII characters, best of all a UUID");
            Problem::of_parameters(vec![Fault::new("Idempotency-Key", message)])
        };
        let key = key.to_str().ok().filter(plain).ok_or_else(unusable)?.to_owned();
        let (parts, body) = request.into_parts();
        let unguarded = || Problem::new(Code::Internal, "the service made a mistake: nobody looked who asks");
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(unguarded)?;
        let too_large = |_| Problem::new(Code::TooLarge, "the body is larger than is taken");
        // Each route has a limit of its own behind this one.
        let body = arrived(to_bytes(body, BATCH_LIMIT)).await?.map_err(too_large)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(parts.method.as_str().as_bytes()).update(b" ").update(parts.uri.to_string().as_bytes());
        let digest = hasher.update(b"\n").update(&body).finalize().to_hex().to_string();

        let of = OnceKey { caller: caller.actor, key };
        match self.store.claim_request(&of, &digest, &caller.request_id, self.clock.now()).await? {
            Claimed::Ours => {}
            Claimed::Other => {
                return Err(Problem::new(
                    Code::KeyReused,
                    "another request was sent with this key; take a new one for each",
                ));
            }
            Claimed::Begun(first) => {
                let told = format!(
                    "request {first} with this key is under way, or ended without an answer; look whether it did what it \
                     should (the events of request {first} say so) before you send it with another key"
                );
                return Err(Problem::new(Code::Conflict, told));
            }
            Claimed::Done(answer) => return replayed(answer),
        }
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        self.settled(&of, response).await
    }

    /// Keeps the answer, or gives the key back.
    async fn settled(&self, of: &OnceKey, response: Response) -> Result<Response, Problem> {
        let status = response.status();
        if !status.is_success() {
            let unknown = response.extensions().get::<Problem>().is_none_or(Problem::leaves_open_what_was_done);
            if !unknown && let Err(error) = self.store.give_back(of).await {
                tracing::warn!(%error, "a key could not be given back; it is free again after a day");
            }
            return Ok(response);
        }
        let secret = response.extensions().get::<Secretive>().is_some();
        let (parts, body) = response.into_parts();
        // Only what is known to be small is read here; all else goes to the caller as it comes.
        let small = body.size_hint().exact().is_some_and(|size| size <= LARGEST_ANSWER as u64);
        let (body, kept_body) = if small && !secret {
            let broken = |_| Problem::new(Code::Internal, "the request was done, and its answer is lost");
            let bytes = to_bytes(body, LARGEST_ANSWER).await.map_err(broken)?;
            (Body::from(bytes.clone()), Some(bytes.to_vec()))
        } else {
            (body, None)
        };
        let kept = [header::CONTENT_TYPE, header::LOCATION, header::ETAG, HeaderName::from_static(POSITION_HEADER)];
        let headers = kept.iter().filter_map(|name| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let answer = KeptAnswer { status: status.as_u16(), headers: headers.collect(), body: kept_body };
        if let Err(error) = self.store.keep_answer(of, &answer).await {
            tracing::warn!(%error, "an answer could not be kept; the request is not done again all the same");
        }
        Ok(Response::from_parts(parts, body))
    }
}

fn replayed(answer: KeptAnswer) -> Result<Response, Problem> {
    let Some(body) = answer.body else {
        let told = "this request was done; its answer was not kept, as it held a secret or was too large";
        return Err(Problem::new(Code::Conflict, told));
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
