//! Tags of one thing: read, set, removed.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Api;
use crate::api::auth::Caller;
use crate::api::params::Body;
use crate::api::problem::{Code, Fault, Problem};
use crate::api::tagging;
use crate::domain::tag::{check_entity, check_value};
use crate::domain::{EntityType, NoTag, Tag, TagKey};
use crate::journal::Topic;
use crate::store::read::{TagQuery, TagRow};

/// More tags than one thing has.
const MOST_OF_ONE: u32 = 10_000;

/// What a tag is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntityParam {
    Resource,
    Identity,
}

impl From<EntityParam> for EntityType {
    fn from(param: EntityParam) -> Self {
        match param {
            EntityParam::Resource => Self::Resource,
            EntityParam::Identity => Self::Identity,
        }
    }
}

/// A tag.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TagItem {
    /// `resource` or `identity`.
    entity_type: String,
    entity_id: String,
    key: String,
    value: String,
    /// When it was last set.
    at: DateTime<Utc>,
    /// Who set it.
    by: String,
}

/// The tags of one thing, by key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsOf {
    items: Vec<TagItem>,
}

/// The value of a tag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagValue {
    /// 1 to 500 characters without control characters; not `UNTAGGED`, which is what rows without the tag show.
    #[schema(min_length = 1, max_length = 500)]
    pub(super) value: String,
}

/// The tags of a resource or identity
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/entities/{type}/{id}/tags", tag = "tags",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("type" = EntityParam, Path, description = "What it is"),
        ("id" = String, Path, description = "Its id; of a topic `<cluster>:topic:<name>`")),
    responses((status = 200, body = TagsOf, headers(("ETag" = String, description = "For `If-Match` of a change"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_entity(
    State(api): State<Api>,
    Path((tenant, kind, id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let rows = found(&api, &tenant_of(&api, &tenant, &id)?, entity_type(&kind)?, &id).await?;
    let etag = etag(&rows);
    let body = TagsOf { items: rows.into_iter().map(item).collect() };
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}

/// Sets a tag of a resource or identity
///
/// The thing need not have been seen yet. `If-Match` with the `ETag` of the thing's tags refuses the change where they are
/// others by now, `If-None-Match: *` where the tag is there.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/entities/{type}/{id}/tags/{key}", tag = "tags", request_body = TagValue,
    params(("tenant" = String, Path, description = "Name of the tenant"), ("type" = EntityParam, Path, description = "What it is"),
        ("id" = String, Path, description = "Its id"), ("key" = String, Path, description = "1 to 63 letters, digits, `_` and `-`"),
        ("if-match" = Option<String>, Header, description = "`ETag` of the thing's tags"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if it is not there")),
    responses((status = 200, body = TagItem), (status = 201, body = TagItem),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(api): State<Api>,
    Path((tenant, kind, id, key)): Path<(String, String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
    Body(TagValue { value }): Body<TagValue>,
) -> Result<Response, Problem> {
    let (kind, key) = (entity_type(&kind)?, tag_key(&key)?);
    check_value(&value).map_err(|error| fault("value", &error))?;
    let tenant_id = tenant_of(&api, &tenant, &id)?;
    let turn = api.turn_to_change(Topic::Tags).await?;
    let rows = found(&api, &tenant_id, kind, &id).await?;
    let before = rows.iter().find(|row| row.key == key.as_str());
    allowed(&headers, &rows, before.is_some())?;
    if let Some(same) = before.filter(|before| before.value == value) {
        return Ok(Json(item(same.clone())).into_response());
    }
    let by = caller.by();
    let tag = Tag {
        tenant: tenant_id.clone(),
        entity_type: kind,
        entity_id: id,
        key: key.to_string(),
        value,
        at: api.ledger.now(),
        by: by.actor.clone(),
    };
    let change = tagging::set(&api.ledger, &tag, before.map(|before| before.value.as_str()))?;
    let position = turn.write(&api, &by, Some(&tenant_id), vec![change]).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let body = TagItem {
        entity_type: kind.as_str().to_owned(),
        entity_id: tag.entity_id,
        key: tag.key,
        value: tag.value,
        at: tag.at,
        by: tag.by,
    };
    Ok((status, position, Json(body)).into_response())
}

/// Removes a tag of a resource or identity
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/entities/{type}/{id}/tags/{key}", tag = "tags",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("type" = EntityParam, Path, description = "What it is"),
        ("id" = String, Path, description = "Its id"), ("key" = String, Path, description = "Key of the tag"),
        ("if-match" = Option<String>, Header, description = "`ETag` of the thing's tags")),
    responses((status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(
    State(api): State<Api>,
    Path((tenant, kind, id, key)): Path<(String, String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (kind, key) = (entity_type(&kind)?, tag_key(&key)?);
    let tenant_id = tenant_of(&api, &tenant, &id)?;
    let turn = api.turn_to_change(Topic::Tags).await?;
    let rows = found(&api, &tenant_id, kind, &id).await?;
    let before = rows.iter().find(|row| row.key == key.as_str());
    let before = before.ok_or_else(|| Problem::not_found("tag", key.as_str()))?;
    allowed(&headers, &rows, true)?;
    let change = tagging::remove(&tenant_id, kind, &id, key.as_str(), &before.value);
    let position = turn.write(&api, &caller.by(), Some(&tenant_id), vec![change]).await?;
    Ok((StatusCode::NO_CONTENT, position, ()).into_response())
}

/// The kind of thing that a path names.
fn entity_type(text: &str) -> Result<EntityType, Problem> {
    let found = EntityType::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| Problem::not_found("kind of thing with tags, only resource and identity, but no", text))
}

pub(super) fn tag_key(text: &str) -> Result<TagKey, Problem> {
    text.parse().map_err(|error| fault("key", &error))
}

fn fault(name: &str, error: &NoTag) -> Problem {
    Problem::of_parameters(vec![Fault::new(name, error.to_string())])
}

/// The id of the tenant whose thing is named.
fn tenant_of(api: &Api, tenant: &str, id: &str) -> Result<String, Problem> {
    check_entity(id).map_err(|error| fault("id", &error))?;
    Ok(api.tenant(tenant)?.tenant_id.clone())
}

/// The tags of a tenant's thing.
async fn found(api: &Api, tenant: &str, kind: EntityType, id: &str) -> Result<Vec<TagRow>, Problem> {
    let (entity_type, entity_id) = (Some(kind), Some(id.to_owned()));
    let query = TagQuery { tenant: tenant.to_owned(), entity_type, entity_id, ..TagQuery::default() };
    let (mut reader, _turn) = api.reader(&query.tenant).await?;
    Ok(reader.tags(&query, None, MOST_OF_ONE).await?)
}

/// The same for the same tags.
fn etag(rows: &[TagRow]) -> HeaderValue {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        for text in [&row.key, &row.value] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
    }
    let text = format!("\"{}\"", &hasher.finalize().to_hex()[..32]);
    HeaderValue::from_str(&text).expect("hex digits in quotes")
}

/// Do the conditions of a change hold?
fn allowed(headers: &HeaderMap, rows: &[TagRow], is_there: bool) -> Result<(), Problem> {
    let named = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let now = etag(rows);
    let now = now.to_str().unwrap_or_default();
    if let Some(wanted) = named(header::IF_MATCH)
        && !wanted.split(',').map(str::trim).any(|one| one == now || (one == "*" && is_there))
    {
        let detail = format!("the tags are others than those of If-Match: they have the ETag {now}; read them again");
        return Err(Problem::new(Code::PreconditionFailed, detail));
    }
    if is_there && named(header::IF_NONE_MATCH).is_some_and(|text| text.trim() == "*") {
        return Err(Problem::new(Code::PreconditionFailed, "the tag is there already"));
    }
    Ok(())
}

pub(super) fn item(row: TagRow) -> TagItem {
    let TagRow { entity_type, entity_id, key, value, at, by } = row;
    TagItem { entity_type, entity_id, key, value, at, by }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(value: &str) -> Vec<TagRow> {
        let text = str::to_owned;
        let at = "2026-03-06T06:30:00Z".parse().unwrap();
        vec![TagRow {
            entity_type: text("resource"),
            entity_id: text("r"),
            key: text("k"),
            value: text(value),
            at,
            by: text("me"),
        }]
    }

    #[test]
    fn a_change_of_what_is_not_there_any_more_is_refused() {
        let with = |name: header::HeaderName, value: &HeaderValue| HeaderMap::from_iter([(name, value.clone())]);
        let known = with(header::IF_MATCH, &etag(&rows("a")));
        assert!(allowed(&known, &rows("a"), true).is_ok());
        assert_eq!(allowed(&known, &rows("b"), true).unwrap_err().status, 412);
        let any = with(header::IF_MATCH, &HeaderValue::from_static("*"));
        assert!(allowed(&any, &rows("a"), true).is_ok() && allowed(&any, &[], false).is_err());
        let none = with(header::IF_NONE_MATCH, &HeaderValue::from_static("*"));
        assert!(allowed(&none, &rows("a"), true).is_err() && allowed(&none, &[], false).is_ok());
        assert!(allowed(&HeaderMap::new(), &[], false).is_ok());
    }
}
