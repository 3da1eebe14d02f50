//! Query strings as typed parameters; what cannot be read is a problem document that says where.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use axum_extra::extract::Query;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use super::{Cursor, Filters, PageParams, RangeParams, conditions};
use crate::api::problem::{Fault, Problem};
use crate::domain::Day;
use crate::store::read::Dataset;

/// Reads a query string in all the ways in which routes read theirs: days, filters and a page of chargebacks. For tests
/// that damage it; routes take their `Params` one by one.
///
/// # Errors
/// The [`Problem`] that a caller would be told.
pub fn read_query(query: &str, now: DateTime<Utc>) -> Result<(), Problem> {
    fn of<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
        let unreadable = |message: String| Problem::of_parameters(vec![Fault::new("query", message)]);
        let uri = Uri::builder().path_and_query(format!("/?{query}")).build().map_err(|e| unreadable(e.to_string()))?;
        Query::<T>::try_from_uri(&uri).map(|Query(read)| read).map_err(|e| unreadable(e.body_text()))
    }
    let range = of::<RangeParams>(query)?.read(now)?;
    let filters = conditions(Dataset::Chargebacks, &of::<Filters>(query)?.filter)?;
    let page = Cursor::of(&["chargebacks"]).page::<(Day, i64)>(&of::<PageParams>(query)?)?;
    debug_assert!(range.from < range.to && page.limit > 0 && filters.len() < query.len().max(1));
    Ok(())
}

/// The query string as `T`; a parameter that may be repeated is a `Vec`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(read)) => Ok(Self(read)),
            Err(error) => {
                let text = error.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (name, message) = text.split_once(": ").unwrap_or(("query", text));
                Err(Problem::of_parameters(vec![Fault::new(name, message)]))
            }
        }
    }
}
