//! Exports: asked for, watched, fetched in whole or in parts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use axum::Json;
use axum::body::Body as Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::days::DatasetParam;
use crate::api::Api;
use crate::api::auth::Caller;
use crate::api::exports::{Document, Part, Shelf, State as Stage, Wish, make, part};
use crate::api::params::{Body, RangeParams, conditions};
use crate::api::problem::{Code, Fault, Problem};
use crate::api::table::Format;
use crate::api::write::Change;
use crate::store::read::Dataset;

/// Bytes read from the disk at once.
const CHUNK: u64 = 256 << 10;

/// What to export.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportWish {
    #[serde(default)]
    dataset: DatasetParam,
    /// Names of columns, in order. Default: all.
    #[serde(default)]
    columns: Option<Vec<String>>,
    /// Conditions `field:operator:value`, as `filter` of lists has them; all must hold.
    #[serde(default)]
    filters: Vec<String>,
    /// First day, included: as in lists.
    from: Option<String>,
    /// Last day, excluded: as in lists.
    to: Option<String>,
    /// The calendar in which instants and "tomorrow" are read.
    tz: Option<String>,
    format: Format,
}

/// An export and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Export {
    id: String,
    state: Stage,
    dataset: String,
    columns: Vec<String>,
    filters: Vec<String>,
    from: NaiveDate,
    /// Excluded.
    to: NaiveDate,
    format: Format,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// When the file is removed.
    expires_at: Option<DateTime<Utc>>,
    /// Of the whole file, once it is ready; so are the two below.
    rows: Option<u64>,
    bytes: Option<u64>,
    /// Hex digits; the same as the content's `ETag`.
    sha256: Option<String>,
    /// Why it failed.
    error: Option<String>,
    /// Where the file is, once it is ready.
    content: Option<String>,
}

/// Exports of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exports {
    items: Vec<Export>,
}

/// Asks for a file of all rows of a range
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/exports", tag = "exports", request_body = ExportWish,
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 202, body = Export, headers(("Location" = String, description = "Where the export is watched"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn start(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    caller: Caller,
    Body(asked): Body<ExportWish>,
) -> Result<Response, Problem> {
    let of = api.tenant(&tenant)?.tenant_id.clone();
    let shelf = shelf(&api)?;
    let now = api.clock.now();
    let wish = read(asked, now)?;
    if !shelf.has_room() {
        return Err(Problem::new(Code::Busy, "too many exports are under way; try again when some are done"));
    }
    let document = Document::new(format!("{:032x}", rand::random::<u128>()), of, wish, now);
    // Who took which rows out of the house is remembered before there is a file.
    let told = Change::told().of("export.asked", "export", &document.id).to(&document.wish);
    let position = api.ledger.write(&caller.by(), Some(&document.tenant), vec![told]).await?;
    shelf.sweep(now);
    shelf.put(document.clone()).map_err(|error| away(&error))?;
    tokio::spawn(make(api, document.clone()));
    let location = place(&tenant, &document.id);
    let location = HeaderValue::from_str(&location).map_err(|_| Problem::not_found("tenant", &tenant))?;
    Ok((StatusCode::ACCEPTED, position, [(header::LOCATION, location)], Json(item(&tenant, document))).into_response())
}

/// Exports that are not removed yet, newest first
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/exports", tag = "exports",
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 200, body = Exports), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(api): State<Api>, Path(tenant): Path<String>) -> Result<Json<Exports>, Problem> {
    let of = &api.tenant(&tenant)?.tenant_id;
    let found = shelf(&api)?.of_tenant(of);
    Ok(Json(Exports { items: found.into_iter().map(|document| item(&tenant, document)).collect() }))
}

/// One export
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/exports/{id}", tag = "exports",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the export")),
    responses((status = 200, body = Export), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<Export>, Problem> {
    let (_, document) = found(&api, &tenant, &id)?;
    Ok(Json(item(&tenant, document)))
}

/// The file of an export, in whole or the part that `Range` asks for
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/exports/{id}/content", tag = "exports",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the export"),
        ("range" = Option<String>, Header, description = "`bytes=1000-`: what is missing of a download"),
        ("if-range" = Option<String>, Header, description = "The `ETag` of what is there already: the whole file where it is another")),
    responses((status = 200, content((Vec<u8> = "text/csv"), (Vec<u8> = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet")),
            headers(("Accept-Ranges" = String, description = "`bytes`"))),
        (status = 206, description = "The part asked for",
            content((Vec<u8> = "text/csv"), (Vec<u8> = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet")),
            headers(("Accept-Ranges" = String, description = "`bytes`"), ("Content-Range" = String, description = "Which bytes of how many"))),
        (status = 304, description = "The client has it", headers(("Accept-Ranges" = String, description = "`bytes`"))),
        (status = 416, description = "The range begins behind the file", body = Problem, content_type = "application/problem+json",
            headers(("Accept-Ranges" = String, description = "`bytes`"), ("Content-Range" = String, description = "How many bytes there are"),
                ("ETag" = String, description = "Of the whole file"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn content(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let (shelf, document) = found(&api, &tenant, &id)?;
    let (Some(length), Some(digest)) = (document.bytes, &document.sha256) else {
        let reason = document.error.as_deref().unwrap_or("it is not ready yet; watch its `state`");
        return Err(Problem::new(Code::Conflict, format!("this export has no file: {reason}")));
    };
    let tag = format!("\"{digest}\"");
    let said = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("hex digits in quotes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if said(header::IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let same = said(header::IF_RANGE).is_none_or(|known| known == tag);
    let (status, first, count) = match part(said(header::RANGE).filter(|_| same), length) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Of(first, last) => {
            let text = format!("bytes {first}-{last}/{length}");
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).expect("numbers"));
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Part::Nothing => {
            let text = format!("bytes */{length}");
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).expect("numbers"));
            let problem =
                Problem::new(Code::BadRange, format!("the file has {length} bytes; the range begins behind them"));
            return Ok((headers, problem).into_response());
        }
    };
    let format = document.wish.format;
    let name = format!("attachment; filename=\"{}.{}\"", document.wish.dataset, format.extension());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&name).expect("a plain name"));
    let path = shelf.file(&document);
    let opened = tokio::task::spawn_blocking(move || opened(&path, first)).await;
    let file = opened.map_err(io::Error::other).flatten().map_err(|error| away(&error))?;
    Ok((status, headers, sent(file, count)).into_response())
}

fn opened(path: &std::path::Path, first: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(first))?;
    Ok(file)
}

/// The next `count` bytes of a file, read as the client takes them.
fn sent(file: File, count: u64) -> Bytes {
    Bytes::from_stream(futures_util::stream::try_unfold((file, count), async |(mut file, left)| {
        if left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; left.min(CHUNK) as usize];
            file.read_exact(&mut chunk).map(|()| (chunk, file))
        });
        let (chunk, file) = read.await.map_err(io::Error::other)??;
        let left = left - chunk.len() as u64;
        Ok::<_, io::Error>(Some((chunk, (file, left))))
    }))
}

pub(super) fn read(asked: ExportWish, now: DateTime<Utc>) -> Result<Wish, Problem> {
    let dataset: Dataset = asked.dataset.into();
    let range = RangeParams { from: asked.from, to: asked.to, tz: asked.tz }.read(now);
    let mut faults = Vec::new();
    faults.extend(range.as_ref().err().map(|problem| problem.errors.clone()).unwrap_or_default());
    if let Err(problem) = conditions(dataset, &asked.filters) {
        faults.extend(problem.errors.into_iter().map(|fault| Fault { pointer: "filters".to_owned(), ..fault }));
    }
    let known: Vec<&str> = dataset.columns().iter().map(|column| column.name).collect();
    let columns = asked.columns.unwrap_or_else(|| known.iter().map(|name| (*name).to_owned()).collect());
    let mut seen = BTreeSet::new();
    for name in &columns {
        if !known.contains(&name.as_str()) {
            let all = known.join(", ");
            faults.push(Fault::new("columns", format!("{} have no column {name:?}; there are {all}", dataset.name())));
        } else if !seen.insert(name) {
            faults.push(Fault::new("columns", format!("{name} is there twice")));
        }
    }
    if columns.is_empty() {
        faults.push(Fault::new("columns", "name at least one, or leave `columns` out for all"));
    }
    match range {
        Ok(range) if faults.is_empty() => Ok(Wish {
            dataset: dataset.name().to_owned(),
            columns,
            filters: asked.filters,
            from: range.from,
            to: range.to,
            format: asked.format,
        }),
        _ => Err(Problem::of_parameters(faults)),
    }
}

fn shelf(api: &Api) -> Result<Arc<Shelf>, Problem> {
    let nowhere = "this process has no folder for exports: it can use none, or another process holds it, as the log says. \
                   Ask that process, or give this one a folder of its own as `api.exports.directory` and start it again";
    api.shelf.clone().ok_or_else(|| Problem::new(Code::Unavailable, nowhere))
}

fn found(api: &Api, tenant: &str, id: &str) -> Result<(Arc<Shelf>, Document), Problem> {
    let of = &api.tenant(tenant)?.tenant_id;
    let shelf = shelf(api)?;
    let now = api.clock.now();
    let document = shelf.get(id).filter(|document| document.tenant == *of && !document.has_expired(now));
    document.map(|document| (shelf, document)).ok_or_else(|| Problem::not_found("export", id))
}

fn away(error: &io::Error) -> Problem {
    tracing::error!(%error, "the folder of exports cannot be used");
    Problem::new(Code::Unavailable, "the folder of exports cannot be used now; the service's log says why")
}

fn place(tenant: &str, id: &str) -> String {
    format!("/api/v1/tenants/{}/exports/{id}", crate::api::answer::segment(tenant))
}

fn item(tenant: &str, document: Document) -> Export {
    let content = (document.state == Stage::Ready).then(|| format!("{}/content", place(tenant, &document.id)));
    Export {
        id: document.id,
        state: document.state,
        dataset: document.wish.dataset,
        columns: document.wish.columns,
        filters: document.wish.filters,
        from: document.wish.from.date(),
        to: document.wish.to.date(),
        format: document.wish.format,
        created_at: document.created_at,
        ended_at: document.ended_at,
        expires_at: document.expires_at,
        rows: document.rows,
        bytes: document.bytes,
        sha256: document.sha256,
        error: document.error,
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at_once(wish: &str) -> Result<Wish, Problem> {
        read(serde_json::from_str(wish).unwrap(), "2026-03-06T06:30:00Z".parse().unwrap())
    }

    #[test]
    fn all_faults_of_a_wish_are_named_at_once() {
        let wish =
            r#"{"columns": ["amount", "team", "amount"], "filters": ["x:eq:1"], "from": "never", "format": "csv"}"#;
        let told = read_at_once(wish).unwrap_err().detail;
        for part in ["no column \"team\"", "amount is there twice", "filters: ", "from: "] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
        let none = r#"{"columns": [], "format": "parquet"}"#;
        assert!(read_at_once(none).is_err());
        let all = read_at_once(r#"{"format": "ndjson"}"#).unwrap();
        assert_eq!(all.columns.len(), Dataset::Chargebacks.columns().len());
    }
}
