//! Resources and identities.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::api::answer::{Kept, Listing, tag};
use crate::api::params::{AliveAtParams, Cursor, PageParams, Params, Range, RangeParams, moment_of};
use crate::api::problem::{Fault, Problem};
use crate::domain::{Day, TagKey};
use crate::store::Projection;
use crate::store::read::{EntityOrder, EntityPlace, EntityRow, InventoryQuery, ResourceOrIdentity};

/// Does it exist?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Active,
    Deleted,
}

/// Which entities.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntityParams {
    /// Only of this type, such as `kafka_cluster` or `service_account`.
    #[serde(rename = "type")]
    entity_type: Option<String>,
    #[param(inline)]
    status: Option<Status>,
    /// Only those whose id or name contains this text; letter case aside.
    #[serde(default)]
    search: String,
    /// Only those with this tag: a key, or `key:value`.
    #[param(example = "team:payments")]
    tag: Option<String>,
    /// What to sort by; those that are alike in it by id. Names are sorted letter case aside, none before all others.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// Which way.
    #[serde(default)]
    #[param(inline)]
    order: Direction,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    #[default]
    Id,
    DisplayName,
    Type,
    /// What exists, then what is deleted.
    Status,
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    #[default]
    Asc,
    Desc,
}

impl From<Sort> for EntityOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Id => Self::Id,
            Sort::DisplayName => Self::Name,
            Sort::Type => Self::Type,
            Sort::Status => Self::Status,
        }
    }
}

/// A resource or identity, as it was on the last day of the range that names it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entity {
    pub(super) id: String,
    #[serde(rename = "type")]
    entity_type: String,
    ecosystem: String,
    display_name: Option<String>,
    /// Resources only.
    parent_id: Option<String>,
    pub(super) owner_id: Option<String>,
    /// API keys only: the resource the key opens.
    resource_id: Option<String>,
    created_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
    last_day: NaiveDate,
    /// What else the provider says.
    #[schema(value_type = Object)]
    attributes: serde_json::Value,
}

/// Resources of a range of days
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/resources", tag = "inventory",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, EntityParams, AliveAtParams, PageParams),
    responses((status = 200, body = Listing<Entity>), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn resources(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(entities): Params<EntityParams>,
    Params(alive): Params<AliveAtParams>,
    Params(page): Params<PageParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = ask(&api, ResourceOrIdentity::Resource, &tenant, range, &alive, entities)?;
    list(&api, ask, &page, &headers).await
}

/// Identities of a range of days
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/identities", tag = "inventory",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, EntityParams, AliveAtParams, PageParams),
    responses((status = 200, body = Listing<Entity>), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn identities(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(entities): Params<EntityParams>,
    Params(alive): Params<AliveAtParams>,
    Params(page): Params<PageParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = ask(&api, ResourceOrIdentity::Identity, &tenant, range, &alive, entities)?;
    list(&api, ask, &page, &headers).await
}

async fn list(api: &Api, ask: InventoryQuery, page: &PageParams, headers: &HeaderMap) -> Result<Response, Problem> {
    let cursor = Cursor::of(&[&format!("{ask:?}")]);
    let page = cursor.page::<EntityPlace>(page)?;
    let (mut reader, _turn) = api.reader(&ask.tenant).await?;
    let tag = tag(&reader.version(&[ask.kind.projection(), Projection::Tags]).await?, &format!("{ask:?} {page:?}"));
    if tag.is_known(headers) {
        return Ok(tag.not_modified());
    }
    let rows = reader.inventory(&ask, page.after.as_ref(), page.limit + 1).await?;
    let body = Listing::of(rows, page.limit, |row| cursor.text(&row.place()), item);
    Ok(Kept { tag, body }.page(headers))
}

/// A key, and the value behind its colon.
fn tagged(text: &str) -> Result<(TagKey, Option<String>), String> {
    let (key, value) = text.split_once(':').map_or((text, None), |(key, value)| (key, Some(value.to_owned())));
    let key: TagKey = key.parse().map_err(|error: crate::domain::NoTag| error.to_string())?;
    match value {
        Some(value) if value.contains('\0') => Err("a NUL character is in no value".to_owned()),
        value => Ok((key, value)),
    }
}

pub(super) fn ask(
    api: &Api,
    kind: ResourceOrIdentity,
    tenant: &str,
    range: RangeParams,
    alive: &AliveAtParams,
    entities: EntityParams,
) -> Result<InventoryQuery, Problem> {
    let tenant = api.tenant(tenant)?.tenant_id.clone();
    let alive_at = moment_of(alive.as_of.as_deref(), &range)?;
    let range = days(range, alive_at, api.clock.now())?;
    let texts = [("type", entities.entity_type.as_deref().unwrap_or_default()), ("search", &entities.search)];
    let nul = texts.iter().filter(|(_, text)| text.contains('\0'));
    let mut faults: Vec<Fault> = nul.map(|(name, _)| Fault::new(*name, "a NUL character is in no id")).collect();
    let tag = entities.tag.as_deref().map(tagged).transpose().unwrap_or_else(|message| {
        faults.push(Fault::new("tag", message));
        None
    });
    if alive_at.is_some() && entities.status.is_some() {
        faults.push(Fault::new("status", "with as_of only what existed then is told; leave `status` out"));
    }
    if !faults.is_empty() {
        return Err(Problem::of_parameters(faults));
    }
    Ok(InventoryQuery {
        kind,
        tenant,
        from: range.from,
        to: range.to,
        alive_at,
        entity_type: entities.entity_type,
        active: entities.status.map(|status| status == Status::Active),
        search: entities.search,
        id: None,
        tag,
        order: entities.sort.into(),
        descending: entities.order == Direction::Desc,
    })
}

/// The days of a range, those after the moment left out.
fn days(mut range: RangeParams, alive_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<Range, Problem> {
    let Some(moment) = alive_at else { return range.read(now) };
    let last = Day::from(moment.min(now).date_naive());
    range.to.get_or_insert_with(|| last.plus(1).to_string());
    let Range { from, to } = range.read(now)?;
    if !(from..to).contains(&last) {
        let message = format!("it lies on {last}, which is not within `from` ({from}) and `to` ({to}, excluded)");
        return Err(Problem::of_parameters(vec![Fault::new("as_of", message)]));
    }
    Ok(Range { from, to: last.plus(1) })
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    total: i64,
    active: i64,
    deleted: i64,
}

/// How many entities there are of each type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventorySummary {
    resources: BTreeMap<String, Counts>,
    identities: BTreeMap<String, Counts>,
}

/// How many resources and identities there are of each type
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/inventory/summary", tag = "inventory",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, AliveAtParams),
    responses((status = 200, body = InventorySummary), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn summary(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(alive): Params<AliveAtParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut counts = Vec::new();
    let question = ask(&api, ResourceOrIdentity::Resource, &tenant, range, &alive, EntityParams::default())?;
    let (mut reader, _turn) = api.reader(&question.tenant).await?;
    let version = reader.version(&[Projection::Resources, Projection::Identities]).await?;
    let tag = tag(&version, &format!("summary {question:?}"));
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    for kind in [ResourceOrIdentity::Resource, ResourceOrIdentity::Identity] {
        let rows = reader.inventory_counts(&InventoryQuery { kind, ..question.clone() }).await?;
        let count = |(active, deleted)| Counts { total: active + deleted, active, deleted };
        let of: BTreeMap<String, Counts> =
            rows.into_iter().map(|row| (row.entity_type, count((row.active, row.deleted)))).collect();
        counts.push(of);
    }
    let identities = counts.pop().unwrap_or_default();
    let body = InventorySummary { resources: counts.pop().unwrap_or_default(), identities };
    Ok(Kept { tag, body }.respond(&headers))
}

pub(super) fn item(row: EntityRow) -> Entity {
    Entity {
        id: row.id,
        entity_type: row.entity_type,
        ecosystem: row.ecosystem,
        display_name: row.display_name,
        parent_id: row.parent_id,
        owner_id: row.owner_id,
        resource_id: row.resource_id,
        created_at: row.created_at,
        deleted_at: row.deleted_at,
        last_day: row.last_day,
        attributes: row.attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: Option<&str>, to: Option<&str>, moment: &str) -> Result<(String, String), String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let range = RangeParams { from: own(from), to: own(to), tz: None };
        let found = days(range, Some(moment.parse().unwrap()), "2026-03-06T06:30:00Z".parse().unwrap());
        found.map(|range| (range.from.to_string(), range.to.to_string())).map_err(|problem| problem.detail)
    }

    #[test]
    fn what_exists_at_a_moment_is_told_by_days_up_to_it() {
        let range = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(told(None, None, "2026-02-10T12:00:00Z"), range("2026-01-12", "2026-02-11"));
        assert_eq!(
            told(Some("2026-02-01"), Some("2026-03-01"), "2026-02-10T00:00:00Z"),
            range("2026-02-01", "2026-02-11")
        );
        // What has not come yet is as now.
        assert_eq!(told(Some("2026-03-01"), None, "2027-01-01T00:00:00Z"), range("2026-03-01", "2026-03-07"));
        for (from, to) in [(None, Some("2026-02-10")), (Some("2026-02-11"), Some("2026-02-12"))] {
            assert!(told(from, to, "2026-02-10T00:00:00Z").unwrap_err().contains("it lies on 2026-02-10"), "{from:?}");
        }
    }
}
