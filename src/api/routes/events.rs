//! Who changed what.

use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::api::answer::Listing;
use crate::api::params::{Cursor, PageParams, Params};
use crate::api::problem::{Fault, Problem};
use crate::store::read::{AuditQuery, AuditRow};

/// One change of one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventItem {
    id: String,
    /// Of the tenant; null where the change is of the installation.
    tenant_id: Option<String>,
    at: DateTime<Utc>,
    /// Who did it: `token:<id>`, `user:<subject>`, `cli:<login>`, `service`, or `nobody` where nobody has to sign in.
    actor: String,
    /// What was done, for example `token.created`.
    action: String,
    entity_type: String,
    entity_id: String,
    /// The thing before; null where it was not there.
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// The thing after; null where it is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
    /// All changes of one request have the same.
    request_id: String,
}

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Only this deed, for example `token.created`.
    #[serde(rename = "type")]
    pub action: Option<String>,
    /// Only changes of things of one kind, or of one thing: `<kind>` or `<kind>:<id>`.
    pub entity: Option<String>,
    /// Only what this one did: `token:<id>`, `user:<subject>`, `cli:<login>`, `service` or `nobody`.
    pub actor: Option<String>,
    /// Only at this moment or later, for example `2026-03-01T00:00:00Z`.
    pub from: Option<DateTime<Utc>>,
    /// Only before this moment.
    pub to: Option<DateTime<Utc>>,
    /// Which come first; default: the oldest.
    #[serde(default)]
    #[param(inline)]
    pub order: EventOrder,
}

/// Which events come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventOrder {
    /// The oldest.
    #[default]
    Asc,
    /// The newest.
    Desc,
}

impl EventParams {
    fn read(&self) -> Result<Option<(String, Option<String>)>, Problem> {
        let Some(entity) = self.entity.as_deref() else { return Ok(None) };
        let (kind, id) = entity.split_once(':').map_or((entity, None), |(kind, id)| (kind, Some(id.to_owned())));
        if kind.is_empty() || id.as_deref() == Some("") {
            let message =
                format!("{entity:?} names no thing; write it as resource:lkc-1, or resource for all of a kind");
            return Err(Problem::of_parameters(vec![Fault::new("entity", message)]));
        }
        Ok(Some((kind.to_owned(), id)))
    }
}

/// What was changed of a tenant's things, and by whom, in the order it happened
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/events", tag = "audit",
    params(("tenant" = String, Path, description = "Name of the tenant"), EventParams, PageParams),
    responses((status = 200, body = Listing<EventItem>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_tenant(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(events): Params<EventParams>,
    Params(page): Params<PageParams>,
) -> Result<Listing<EventItem>, Problem> {
    let tenant = api.tenant(&tenant)?.tenant_id.clone();
    list(&api, Some(tenant), &events, &page).await
}

/// Everything that was changed, also what belongs to no tenant
#[utoipa::path(get, path = "/api/v1/events", tag = "audit", params(EventParams, PageParams),
    responses((status = 200, body = Listing<EventItem>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_all(
    State(api): State<Api>,
    Params(events): Params<EventParams>,
    Params(page): Params<PageParams>,
) -> Result<Listing<EventItem>, Problem> {
    list(&api, None, &events, &page).await
}

async fn list(
    api: &Api,
    tenant: Option<String>,
    events: &EventParams,
    page: &PageParams,
) -> Result<Listing<EventItem>, Problem> {
    let entity = events.read()?;
    let nul = |(name, text): (&str, &Option<String>)| {
        let message = "no event has a NUL character";
        text.as_ref().is_some_and(|text| text.contains('\0')).then(|| Fault::new(name, message))
    };
    let texts = [("type", &events.action), ("entity", &events.entity), ("actor", &events.actor)];
    let faults: Vec<Fault> = texts.into_iter().filter_map(nul).collect();
    if !faults.is_empty() {
        return Err(Problem::of_parameters(faults));
    }
    let cursor = Cursor::of(&["events", tenant.as_deref().unwrap_or_default(), &format!("{events:?}")]);
    let page = cursor.page::<i64>(page)?;
    let (mut reader, _turn) = match &tenant {
        Some(tenant) => api.reader(tenant).await?,
        None => api.reader_of_all().await?,
    };
    let query = AuditQuery {
        tenant,
        action: events.action.clone(),
        entity,
        actor: events.actor.clone(),
        from: events.from,
        to: events.to,
        descending: events.order == EventOrder::Desc,
        after: page.after,
        limit: page.limit + 1,
    };
    let rows = reader.audit(&query).await?;
    Ok(Listing::of(rows, page.limit, |row| cursor.text(&row.seq), item))
}

fn item(row: AuditRow) -> EventItem {
    // Others may write the topic, too: what is no JSON is left out.
    let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
    EventItem {
        id: row.id,
        tenant_id: row.tenant_id,
        at: row.at,
        actor: row.actor,
        action: row.action,
        entity_type: row.entity_type,
        entity_id: row.entity_id,
        before: json(row.before),
        after: json(row.after),
        request_id: row.request_id,
    }
}
