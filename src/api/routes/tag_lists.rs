//! Tags as lists: which there are, and which keys and values are in use.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::tags::{EntityParam, TagItem, item, tag_key};
use crate::api::Api;
use crate::api::answer::Listing;
use crate::api::params::{Cursor, PageParams, Params};
use crate::api::problem::{Fault, Problem};
use crate::domain::EntityType;
use crate::store::read::{TagCount, TagPlace, TagQuery, TagRow};

/// Values that one answer shows.
const MOST_VALUES: u32 = 1000;

/// Which tags.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TagParams {
    /// Only of this kind of thing.
    #[param(inline)]
    entity_type: Option<EntityParam>,
    /// Only of the thing with this id.
    entity_id: Option<String>,
    /// Only with this key.
    key: Option<String>,
    /// Only with this value.
    value: Option<String>,
}

impl TagParams {
    fn read(self, tenant: &str) -> Result<TagQuery, Problem> {
        let texts = [("entity_id", &self.entity_id), ("key", &self.key), ("value", &self.value)];
        let nul = |(name, text): (&str, &Option<String>)| {
            text.as_ref().is_some_and(|text| text.contains('\0')).then(|| name.to_owned())
        };
        let faults: Vec<Fault> =
            texts.into_iter().filter_map(nul).map(|name| Fault::new(name, "no tag has a NUL character")).collect();
        if !faults.is_empty() {
            return Err(Problem::of_parameters(faults));
        }
        let entity_type = self.entity_type.map(EntityType::from);
        Ok(TagQuery {
            tenant: tenant.to_owned(),
            entity_type,
            entity_id: self.entity_id,
            key: self.key,
            value: self.value,
        })
    }
}

/// Tags, by kind and id of the thing, then by key
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/tags", tag = "tags",
    params(("tenant" = String, Path, description = "Name of the tenant"), TagParams, PageParams),
    responses((status = 200, body = Listing<TagItem>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(of): Params<TagParams>,
    Params(page): Params<PageParams>,
) -> Result<Listing<TagItem>, Problem> {
    let query = of.read(&api.tenant(&tenant)?.tenant_id)?;
    let cursor = Cursor::of(&["tags", &format!("{query:?}")]);
    let page = cursor.page::<TagPlace>(&page)?;
    let (mut reader, _turn) = api.reader(&query.tenant).await?;
    let rows = reader.tags(&query, page.after.as_ref(), page.limit + 1).await?;
    let place = |row: &TagRow| cursor.text(&(&row.entity_type, &row.entity_id, &row.key));
    Ok(Listing::of(rows, page.limit, place, item))
}

/// A key or value that is in use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InUse {
    text: String,
    /// On how many things.
    entities: i64,
}

/// The tag keys there are, in order
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/tags/keys", tag = "tags",
    params(("tenant" = String, Path, description = "Name of the tenant"), TagParams, PageParams),
    responses((status = 200, body = Listing<InUse>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn keys(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(of): Params<TagParams>,
    Params(page): Params<PageParams>,
) -> Result<Listing<InUse>, Problem> {
    let query = of.read(&api.tenant(&tenant)?.tenant_id)?;
    let cursor = Cursor::of(&["tag keys", &format!("{query:?}")]);
    let page = cursor.page::<String>(&page)?;
    let (mut reader, _turn) = api.reader(&query.tenant).await?;
    let rows = reader.tag_keys(&query, page.after.as_deref(), page.limit + 1).await?;
    Ok(Listing::of(rows, page.limit, |row| cursor.text(&row.text), in_use))
}

/// Values in use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValuesInUse {
    items: Vec<InUse>,
}

/// What is typed so far.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TypedValue {
    /// Only values that contain this text; letter case aside.
    #[serde(default)]
    q: String,
}

/// The values that a key has, the most frequent first, at most 1000
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/tags/keys/{key}/values", tag = "tags",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("key" = String, Path, description = "Key of the tags"), TypedValue),
    responses((status = 200, body = ValuesInUse), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn values(
    State(api): State<Api>,
    Path((tenant, key)): Path<(String, String)>,
    Params(typed): Params<TypedValue>,
) -> Result<Json<ValuesInUse>, Problem> {
    let of = TagParams { key: Some(tag_key(&key)?.to_string()), ..TagParams::default() };
    let query = of.read(&api.tenant(&tenant)?.tenant_id)?;
    if typed.q.contains('\0') {
        return Err(Problem::of_parameters(vec![Fault::new("q", "a NUL character cannot be searched for")]));
    }
    let (mut reader, _turn) = api.reader(&query.tenant).await?;
    let found = reader.tag_values(&query, &typed.q, MOST_VALUES).await?;
    Ok(Json(ValuesInUse { items: found.into_iter().map(in_use).collect() }))
}

fn in_use(of: TagCount) -> InUse {
    InUse { text: of.text, entities: of.entities }
}
