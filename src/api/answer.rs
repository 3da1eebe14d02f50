//! The shapes that many answers share.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Amount;

/// A page of rows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// How many rows there are on all pages, if `count` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Listing<T> {
    /// A page of at most `limit` of `rows`, of which one more than that was read to see whether another page follows.
    pub fn of<R>(mut rows: Vec<R>, limit: u32, cursor: impl Fn(&R) -> String, item: impl Fn(R) -> T) -> Self {
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Self { items: rows.into_iter().map(item).collect(), next_cursor, total: None }
    }
}

/// The cursor of the page after this one, for [`linked`].
#[derive(Debug, Clone)]
struct NextPage(String);

impl<T: Serialize> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        let next = self.next_cursor.clone();
        followed(Json(self).into_response(), next)
    }
}

impl<T: Serialize> Kept<Listing<T>> {
    /// The same of a page, which tells where the next one is.
    pub fn page(self, asked: &HeaderMap) -> Response {
        let next = self.body.next_cursor.clone();
        followed(self.respond(asked), next)
    }
}

/// The same answer, known to have a page after it.
fn followed(mut response: Response, next: Option<String>) -> Response {
    if let Some(cursor) = next {
        response.extensions_mut().insert(NextPage(cursor));
    }
    response
}

/// Says where the next page is, in a header of its own (RFC 8288), for programs that follow links.
pub(crate) async fn linked(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    if let Some(NextPage(cursor)) = response.extensions().get() {
        let link = format!("<{}>; rel=\"next\"", after(uri.path(), uri.query().unwrap_or_default(), cursor));
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

/// The same question, from that place on.
fn after(path: &str, query: &str, cursor: &str) -> String {
    let said = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let parts: Vec<String> = said.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    format!("{path}?{}", parts.join("&"))
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The tags of a row, as Postgres has put them together.
pub(crate) fn tags(json: &str) -> BTreeMap<String, String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// An amount in every place where one is written: a decimal text, never a float.
pub(crate) fn decimal(amount: Amount) -> String {
    amount.to_string()
}

/// An answer that a client may keep for as long as its tables do not change.
pub(crate) struct Kept<T> {
    /// What the answer was made from.
    pub tag: Tag,
    pub body: T,
}

impl<T: Serialize> Kept<T> {
    /// The answer, or 304 where the client has it.
    pub fn respond(self, asked: &HeaderMap) -> Response {
        if self.tag.is_known(asked) {
            return self.tag.not_modified();
        }
        let mut response = Json(self.body).into_response();
        self.tag.sign(response.headers_mut());
        response
    }
}

/// The same for the same tables and the same question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

/// The tag of an answer to `question` from tables of that version.
pub(crate) fn tag(version: &str, question: &str) -> Tag {
    let mut hasher = blake3::Hasher::new();
    hasher.update(version.as_bytes()).update(b" ").update(question.as_bytes());
    Tag(format!("W/\"{}\"", &hasher.finalize().to_hex()[..32]))
}

impl Tag {
    /// Does the client have the answer?
    pub fn is_known(&self, asked: &HeaderMap) -> bool {
        let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        known.is_some_and(|known| known.split(',').any(|one| one.trim() == self.0))
    }

    /// The answer to a client that has it.
    pub fn not_modified(&self) -> Response {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        self.sign(response.headers_mut());
        response
    }

    /// Says how the answer may be kept.
    pub fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(header::ETAG, HeaderValue::from_str(&self.0).expect("hex digits in quotes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_where_the_next_one_begins() {
        let page = |rows: Vec<u32>| Listing::of(rows, 2, |row| format!("after {row}"), |row| row * 10);
        let of = |listing: Listing<u32>| (listing.items, listing.next_cursor);
        assert_eq!(of(page(vec![1, 2, 3])), (vec![10, 20], Some("after 2".to_owned())));
        assert_eq!(of(page(vec![1, 2])), (vec![10, 20], None));
        assert_eq!(of(page(vec![])), (vec![], None));
    }

    #[test]
    fn the_next_page_is_the_same_question_from_another_place() {
        assert_eq!(after("/x", "", "c"), "/x?cursor=c");
        assert_eq!(after("/x", "limit=5&cursor=b&filter=a:eq:1", "c"), "/x?limit=5&filter=a:eq:1&cursor=c");
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(segment("acme-1.eu_x~"), "acme-1.eu_x~");
        assert_eq!(segment("a/b ä?"), "a%2Fb%20%C3%A4%3F");
    }

    #[test]
    fn an_answer_the_client_has_is_not_sent_again() {
        let mut asked = HeaderMap::new();
        let answer = || Kept { tag: tag("tables", "question"), body: "rows" };
        assert_eq!(answer().respond(&asked).status(), StatusCode::OK);
        let sent = answer().respond(&asked).headers()[header::ETAG].to_str().unwrap().to_owned();
        asked.insert(header::IF_NONE_MATCH, format!("\"x\", {sent}").parse().unwrap());
        assert_eq!(answer().respond(&asked).status(), StatusCode::NOT_MODIFIED);
        asked.insert(header::IF_NONE_MATCH, sent[..10].parse().unwrap());
        assert_eq!(answer().respond(&asked).status(), StatusCode::OK);
        assert_ne!(tag("tables", "question"), tag("later tables", "question"));
    }
}
