//! The kinds of problems there are, in one table: for answers, for the contract, for the book.

use axum::http::StatusCode;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// Where the book has the kinds; each is at `<this>#<code>` there.
const PAGE: &str = "https://tributary-costs.github.io/problems/";

/// What is known of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub word: &'static str,
    pub status: StatusCode,
    pub title: &'static str,
    /// May the same request succeed later?
    pub retryable: bool,
    /// When it happens.
    pub when: &'static str,
    /// What the caller does.
    pub remedy: &'static str,
}

/// Word, status, retryable or final; title; when; what to do.
macro_rules! kinds {
    ($($code:ident: $word:literal $status:ident $retryable:ident; $title:literal $when:literal $remedy:literal)*) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($code,)*
        }

        impl Code {
            /// All of them, by status.
            pub(super) const ALL: [Self; [$($word),*].len()] = [$(Self::$code),*];

            pub(super) fn kind(self) -> Kind {
                match self {
                    $(Self::$code => Kind {
                        word: $word,
                        status: StatusCode::$status,
                        title: $title,
                        retryable: kinds!($retryable),
                        when: $when,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
    (retryable) => { true };
    (final) => { false };
}

kinds! {
    BadParameter: "bad-parameter" BAD_REQUEST final;
        "A parameter cannot be used"
        "a parameter, a member of the body or an `Idempotency-Key` is not what is asked for, or has a name that the route does not know"
        "correct what `errors` names: `pointer` says where, `message` what would be right"
    Unauthenticated: "unauthenticated" UNAUTHORIZED final;
        "Nobody knows who asks"
        "the request has no header `Authorization`"
        "send `Authorization: Bearer` and a token"
    BadToken: "bad-token" UNAUTHORIZED final;
        "The token lets nobody in"
        "the token is unknown, expired or taken back, or is none that this service takes"
        "get a new token, or sign in to the issuer again"
    Forbidden: "forbidden" FORBIDDEN final;
        "The caller may not do this"
        "the token lacks the scope that the route needs, or is limited to tenants where the question is about all of them"
        "use a token with the scope that `detail` names"
    NotFound: "not-found" NOT_FOUND final;
        "There is no such thing"
        "nothing has this address, or the caller may not see it: the two look alike"
        "look the name or id up in a list; `/docs` has the routes"
    MethodNotAllowed: "method-not-allowed" METHOD_NOT_ALLOWED final;
        "The resource does not take this method"
        "the route is there, but not for this method"
        "look the route up in `/docs`"
    SlowBody: "slow-body" REQUEST_TIMEOUT retryable;
        "The body took too long to arrive"
        "the body was not whole within two minutes; nothing was done"
        "send it again, in smaller parts where the way is slow"
    Conflict: "conflict" CONFLICT final;
        "The thing is not in a state that allows this"
        "a run has ended that is to be cancelled, an export has no file, a tenant is not gathered here, or the first request with this \
         `Idempotency-Key` is under way"
        "do what `detail` says; read the thing again first"
    PreconditionFailed: "precondition-failed" PRECONDITION_FAILED final;
        "The thing is not as the caller believes"
        "`If-Match` or `If-None-Match` of a change does not hold: somebody else was faster"
        "read the thing again, decide anew, send its new `ETag`"
    TooLarge: "too-large" PAYLOAD_TOO_LARGE final;
        "The request is too large"
        "the body has more than 1 MiB, or 8 MiB where many tags are set"
        "send it in parts"
    UnsupportedMedia: "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE final;
        "The body is of a type that is not read"
        "the body is not sent as JSON"
        "send `Content-Type: application/json`"
    BadRange: "bad-range" RANGE_NOT_SATISFIABLE final;
        "The range lies outside the file"
        "`Range` begins behind the end of an export's file"
        "`Content-Range` says how long the file is; if all of it is there already, nothing is missing"
    KeyReused: "idempotency-key-reused" UNPROCESSABLE_ENTITY final;
        "The key belongs to another request"
        "the same `Idempotency-Key` was sent with another request within a day"
        "take a new key for each request"
    TooFast: "too-fast" TOO_MANY_REQUESTS retryable;
        "The client asks faster than it may"
        "the client is above `api.requests_per_second`, or its address failed to sign in too often"
        "wait as long as `Retry-After` says, and ask more slowly"
    Busy: "busy" TOO_MANY_REQUESTS retryable;
        "Too many requests at the same time"
        "all places for questions, files, exports, watched runs or changes are taken, and none became free in time"
        "wait as long as `Retry-After` says, then send it again"
    Internal: "internal" INTERNAL_SERVER_ERROR final;
        "The service made a mistake"
        "the program has a fault, or the tables hold what they must not"
        "give `request_id` to whoever runs the service: its log says what happened"
    Unavailable: "unavailable" SERVICE_UNAVAILABLE retryable;
        "A service behind this one does not answer now"
        "Postgres, Kafka, the issuer of tokens or the folder of exports cannot be reached, or a row's line is not in the tables yet; \
         nothing was changed"
        "wait as long as `Retry-After` says, then send it again"
    Unknown: "outcome-unknown" SERVICE_UNAVAILABLE final;
        "Nobody knows whether the change was written"
        "Kafka did not say in time whether it took a change: all of it was written, or nothing"
        "look whether it is there (`/events` with the `request_id`), and only then send it again"
    Behind: "behind" SERVICE_UNAVAILABLE retryable;
        "The tables are behind the change"
        "`min_position` names a change that the tables do not have after three seconds, or a change has to wait for the one before it; \
         nothing was changed"
        "wait as long as `Retry-After` says, then send it again"
    TooSlow: "too-slow" GATEWAY_TIMEOUT retryable;
        "The answer took too long"
        "the question took longer than `api.request_timeout_seconds`"
        "ask for fewer days or dimensions, or make an export"
}

impl Kind {
    /// The address that names the kind.
    pub fn uri(&self) -> String {
        format!("{PAGE}{}", self.word)
    }
}

/// The schema of `code`: which words there are, and what each means.
pub(super) fn schema() -> Object {
    let kinds = Code::ALL.map(Code::kind);
    let mut told = "The kind as one word:\n".to_owned();
    for Kind { word, status, when, remedy, .. } in &kinds {
        told.push_str(&format!("\n* `{word}` ({}): {when}; {remedy}", status.as_u16()));
    }
    let words = kinds.map(|kind| kind.word);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(told)).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    const HEAD: &str = "# Problems

Every fault of the API is a problem document (RFC 9457, `application/problem+json`). This page has all kinds there are; it is made from
the program's own table.

| Member | What it is |
|---|---|
| `type` | address of the kind, stable: `https://tributary-costs.github.io/problems/` and the code |
| `code` | the kind as one word, for programs |
| `title`, `status` | the kind in a few words, and the HTTP status again |
| `detail` | what happened here, and what to do about it, for people |
| `retryable` | true: the same request may succeed later; a header `Retry-After` says in how many seconds |
| `errors` | of `bad-parameter`: each parameter or member that is wrong (`pointer`), and what would be right (`message`), all at once |
| `instance`, `request_id` | path and id of the request; the service's log has the same id |

| Code | Status | When | What to do | Retryable |
|---|---|---|---|---|
";

    fn page() -> String {
        let mut page = HEAD.to_owned();
        for Kind { word, status, retryable, when, remedy, .. } in Code::ALL.map(Code::kind) {
            let again = if retryable { "yes" } else { "no" };
            let anchor = format!("<a id=\"{word}\"></a>`{word}`");
            let _ = writeln!(page, "| {anchor} | {} | {when} | {remedy} | {again} |", status.as_u16());
        }
        page
    }

    /// `TRIBUTARY_BLESS=1 cargo test --lib the_page_of_problems` writes it anew.
    #[test]
    fn the_page_of_problems_is_what_the_program_answers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/problems.md");
        if std::env::var_os("TRIBUTARY_BLESS").is_some() {
            std::fs::write(path, page()).expect("written");
        }
        let there = std::fs::read_to_string(path).expect("the page is there");
        assert!(
            there == page(),
            "docs/src/problems.md is behind; run: TRIBUTARY_BLESS=1 cargo test --lib the_page_of_problems"
        );
    }

    #[test]
    fn kinds_are_told_apart_and_listed_by_status() {
        let kinds = Code::ALL.map(Code::kind);
        assert_eq!(kinds.iter().map(|kind| kind.word).collect::<BTreeSet<_>>().len(), kinds.len());
        assert!(kinds.is_sorted_by_key(|kind| kind.status));
        let texts = kinds.iter().flat_map(|kind| [kind.when, kind.remedy]);
        assert!(texts.into_iter().all(|text| !text.is_empty() && !text.contains('|') && !text.contains('\n')));
    }
}
