//! Lists of rows: pages as JSON, or everything that is chosen as CSV or NDJSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::as_of;
use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag};
use crate::api::flow::{self, Cut};
use crate::api::params::{
    AsOfParams, Cursor, Filters, NOT_HERE, PageParams, Params, RangeParams, accepted, conditions, moment_of,
};
use crate::api::problem::{Code, Fault, Problem};
use crate::api::table::{Format, Table};
use crate::store::Projection;
use crate::store::read::{Dataset, Listed, Place, Selection};
use crate::wording::chain;

/// Chunks of bytes that wait for a slow client.
const WAITING: usize = 4;

/// Is the number of all rows wanted?
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountParams {
    /// `exact`: count all rows that the filters choose; `estimate`: about how many they are, at once.
    #[param(inline)]
    count: Option<Count>,
}

/// How to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Count {
    Exact,
    Estimate,
}

/// What is asked of a tenant's rows.
#[derive(Debug)]
pub(super) struct Question {
    pub of: Selection,
    dataset: Dataset,
}

impl Question {
    /// Reads the parameters that all questions about rows have.
    ///
    /// # Errors
    /// A [`Problem`] for an unknown tenant, and for every parameter that cannot be used.
    pub fn read(
        api: &Api,
        tenant: &str,
        dataset: Dataset,
        range: &RangeParams,
        filters: &Filters,
        as_of: Option<&str>,
    ) -> Result<Self, Problem> {
        let tenant = api.tenant(tenant)?;
        let days = range.read(api.clock.now());
        let conditions = conditions(dataset, &filters.filter);
        let as_of = match as_of {
            Some(_) if dataset != Dataset::Billing => Err(Problem::of_parameters(vec![Fault::new("as_of", NOT_HERE)])),
            as_of => moment_of(as_of, range),
        };
        match (days, conditions, as_of) {
            (Ok(days), Ok(conditions), Ok(as_of)) => {
                let tenant = tenant.tenant_id.clone();
                Ok(Self { of: Selection { tenant, from: days.from, to: days.to, conditions, as_of }, dataset })
            }
            (days, conditions, as_of) => {
                let problems = [days.err(), conditions.err(), as_of.err()].into_iter().flatten();
                Err(Problem::of_parameters(problems.flat_map(|problem| problem.errors).collect()))
            }
        }
    }

    /// What an answer is made from.
    pub fn projections(&self) -> Vec<Projection> {
        // Which revision held when is told by seals.
        let seals = self.of.as_of.map(|_| Projection::Days);
        [self.dataset.projection(), Projection::Resources, Projection::Tags].into_iter().chain(seals).collect()
    }

    /// The cursors of this question; `version` changes when places lose their meaning.
    pub fn cursor(&self, version: &str) -> Cursor {
        Cursor::of(&[self.dataset.name(), &format!("{:?}", self.of), version])
    }
}

/// What may be said to a list.
#[derive(Debug)]
pub(crate) struct Asked {
    range: RangeParams,
    filters: Filters,
    as_of: AsOfParams,
    page: PageParams,
    count: CountParams,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Params(range) = Params::from_request_parts(parts, state).await?;
        let Params(filters) = Params::from_request_parts(parts, state).await?;
        let Params(as_of) = Params::from_request_parts(parts, state).await?;
        let Params(page) = Params::from_request_parts(parts, state).await?;
        let Params(count) = Params::from_request_parts(parts, state).await?;
        Ok(Self { range, filters, as_of, page, count, headers: parts.headers.clone() })
    }
}

/// The list of `R`: a page of items, or a file of all of them, as the caller accepts.
///
/// # Errors
/// A [`Problem`] for what cannot be asked, and when Postgres does not answer in time.
pub(super) async fn list<R, I>(api: &Api, tenant: &str, asked: Asked, item: fn(R) -> I) -> Result<Response, Problem>
where
    R: Listed,
    R::Key: Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    I: Serialize,
{
    let as_of = asked.as_of.as_of.as_deref();
    let question = Question::read(api, tenant, R::DATASET, &asked.range, &asked.filters, as_of)?;
    match accepted(&asked.headers) {
        Some(format) => file(api, question, &asked, format).await,
        None => page(api, &question, &asked, item).await,
    }
}

async fn page<R, I>(api: &Api, question: &Question, asked: &Asked, item: fn(R) -> I) -> Result<Response, Problem>
where
    R: Listed,
    R::Key: Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    I: Serialize,
{
    let (mut reader, _turn) = api.reader(&question.of.tenant).await?;
    let projection = question.dataset.projection();
    // A rebuild gives dimensions new keys.
    let cursor = question.cursor(&reader.generation(projection).await?.to_string());
    let page = cursor.page::<Place<R::Key>>(&asked.page)?;
    let version = reader.version(&question.projections()).await?;
    let tag = tag(&version, &format!("{question:?} {page:?} {:?}", asked.count));
    if tag.is_known(&asked.headers) {
        return Ok(tag.not_modified());
    }
    as_of::known_days(&mut reader, &question.of).await?;
    let rows: Vec<R> = reader.page(&question.of, page.after.as_ref(), page.limit + 1).await?;
    let mut body = Listing::of(rows, page.limit, |row| cursor.text(&row.place()), item);
    body.total = match asked.count.count {
        Some(Count::Exact) => Some(reader.count(question.dataset, &question.of).await?),
        Some(Count::Estimate) => Some(reader.estimate(question.dataset, &question.of).await?),
        None => None,
    };
    Ok(Kept { tag, body }.page(&asked.headers))
}

/// All rows as a file, while they are read.
async fn file(api: &Api, question: Question, asked: &Asked, format: Format) -> Result<Response, Problem> {
    let whole = "is for pages of JSON: the other formats answer all rows that are chosen";
    let said = [
        ("limit", asked.page.limit.is_some()),
        ("cursor", asked.page.cursor.is_some()),
        ("count", asked.count.count.is_some()),
    ];
    let faults: Vec<Fault> = said.iter().filter(|(_, said)| *said).map(|(name, _)| Fault::new(*name, whole)).collect();
    if !faults.is_empty() {
        return Err(Problem::of_parameters(faults));
    }
    let turn = tokio::time::timeout(api.patience(), Arc::clone(&api.files).acquire_owned()).await;
    let busy = || Problem::new(Code::Busy, "too many files are being sent; try again shortly, or make an export");
    let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
    let mut reader = api.store.reader_of(&question.of.tenant, flow::LIMIT).await?;
    let version = reader.version(&question.projections()).await?;
    let tag = tag(&version, &format!("{question:?} {format:?}"));
    if tag.is_known(&asked.headers) {
        return Ok(tag.not_modified());
    }
    as_of::known_days(&mut reader, &question.of).await?;
    let name = format!("attachment; filename=\"{}.{}\"", question.dataset.name(), format.extension());
    let columns = question.dataset.columns();
    let table = Table::begin(format, columns).map_err(|error| {
        tracing::error!(%error, "a file could not be begun");
        Problem::new(Code::Internal, "the service made a mistake; its log says which")
    })?;
    let (taker, bytes) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let _turn = turn;
        let poured = flow::pour(&mut reader, question.dataset, &question.of, columns, table, &taker).await;
        if let Err(error) = poured {
            // The connection is closed without an end, so the client knows.
            let end = std::io::Error::other("the rows could not be read to their end");
            let _ = taker.send_timeout(Err(end), Duration::from_secs(1)).await;
            match error {
                Cut::Gone => tracing::debug!("a client left before its file was whole"),
                error => tracing::warn!(error = chain(&error), "a file was cut off"),
            }
        }
    });
    let body = futures_util::stream::unfold(bytes, async |mut bytes: mpsc::Receiver<flow::Bytes>| {
        bytes.recv().await.map(|chunk| (chunk, bytes))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    tag.sign(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&name).expect("a plain name"));
    Ok(response)
}
