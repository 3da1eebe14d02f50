//! Lists of the Confluent Cloud API, page by page.
//!
//! In: a path and parameters. Out: the items, whole; or what arrived before a failure, and the failure.
//! Absent: what an item means.

use std::collections::HashSet;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ecosystem::SourceError;
use crate::ecosystem::http::Door;

/// What a list yielded, in the provider's order.
#[derive(Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// `Err` if a page failed for good; `items` are those before it.
    pub outcome: Result<(), SourceError>,
}

/// One API of Confluent Cloud.
#[derive(Debug, Clone)]
pub struct Api {
    door: Door,
}

/// What it means that a list is not there (404).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Nothing is in it: the thing it belongs to is gone, or the product is not used.
    Empty,
    /// Every organisation has this list, so this is not the Confluent Cloud API.
    Wrong,
}

#[derive(Debug, Deserialize)]
struct Page {
    metadata: Option<Metadata>,
    data: Option<Vec<Box<RawValue>>>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    next: Option<String>,
}

impl Api {
    /// Behind this door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    /// Address of a path, for messages.
    pub fn url(&self, path: &str) -> Url {
        self.door.url(path)
    }

    /// All items of a list, each as the JSON it was received as.
    pub async fn raw_list(&self, path: &str, query: &[(&str, &str)], absence: Absence) -> Listed<Box<RawValue>> {
        let mut items = Vec::new();
        let outcome = self.pages(path, query, absence, &mut items).await;
        Listed { items, outcome }
    }

    /// All items of a list.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], absence: Absence) -> Listed<Value> {
        let Listed { items, outcome } = self.raw_list(path, query, absence).await;
        // What has been parsed once as a part of its page parses again.
        let items = items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect();
        Listed { items, outcome }
    }

    /// An answer without pages around it; `null` if it is not there.
    pub async fn plain(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, SourceError> {
        Ok(self.door.get(path, query).await?.unwrap_or_default())
    }

    async fn pages(
        &self,
        path: &str,
        query: &[(&str, &str)],
        absence: Absence,
        items: &mut Vec<Box<RawValue>>,
    ) -> Result<(), SourceError> {
        let mut seen = HashSet::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let Some(page) = self.door.get::<Page>(path, &query).await? else {
                return self.not_there(path, absence);
            };
            items.extend(page.data.unwrap_or_default());
            let next = page.metadata.and_then(|m| m.next).and_then(|next| page_token(&self.door.url(path), &next));
            let Some(next) = next else { return Ok(()) };
            if !seen.insert(next.clone()) {
                let url = self.door.url(path);
                let text =
                    format!("Confluent Cloud at {url} names a page of its list as the next one for the second time");
                return Err(SourceError::Unavailable(text));
            }
            token = Some(next);
        }
    }

    fn not_there(&self, path: &str, absence: Absence) -> Result<(), SourceError> {
        match absence {
            Absence::Empty => Ok(()),
            Absence::Wrong => Err(SourceError::Unusable(format!(
                "{} answered 404 Not Found, which Confluent Cloud never does; is `{}` right?",
                self.door.url(path),
                self.door.words().url_setting
            ))),
        }
    }
}

/// The token in a link to the next page; its host and path are of no interest.
fn page_token(base: &Url, next: &str) -> Option<String> {
    let link = base.join(next).ok()?;
    let token = link.query_pairs().find(|(key, _)| key == "page_token")?.1.into_owned();
    Some(token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_any_form_gives_its_token() {
        let base = Url::parse("https://api.confluent.cloud/org/v2/environments").unwrap();
        let token = |next| page_token(&base, next);
        assert_eq!(token("https://other/x?page_size=9&page_token=bzo%3D"), Some("bzo=".into()));
        assert_eq!(token("/x?page_token=a"), Some("a".into()));
        assert_eq!(token("?page_token=a+b"), Some("a b".into()));
        assert_eq!(token("https://other/x?page_token="), None);
        assert_eq!(token(""), None);
    }
}
