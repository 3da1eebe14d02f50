//! One resource or identity with what is around it.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::graph::{Cost, costs};
use super::graph_of::draw;
use super::inventory::{Entity, EntityParams, ask, item};
use crate::api::Api;
use crate::api::graph::Key;
use crate::api::params::{AliveAtParams, Params, RangeParams};
use crate::api::problem::Problem;
use crate::store::read::{InventoryQuery, Reader, ResourceOrIdentity, ThingRow, Within};

/// A resource or identity, as it was on the last day of the range that names it, and what it has to do with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntityDetail {
    #[serde(flatten)]
    entity: Entity,
    /// Resources that it hangs on, the outermost first.
    ancestors: Vec<Relative>,
    /// Who owns it, where the provider says so.
    owner: Option<Relative>,
    /// Of the range: rows at it and below it, or those that it pays; of a topic what is attributed to it. Empty: none.
    costs: Vec<Cost>,
}

/// A resource or identity beside another one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Relative {
    id: String,
    /// Null where it is not in the inventory.
    #[serde(rename = "type")]
    entity_type: Option<String>,
    display_name: Option<String>,
}

/// One resource, with what it hangs on, its owner and what it cost
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/resources/{id}", tag = "inventory",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the resource"), RangeParams, AliveAtParams),
    responses((status = 200, body = EntityDetail), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn resource(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    Params(range): Params<RangeParams>,
    Params(alive): Params<AliveAtParams>,
) -> Result<Json<EntityDetail>, Problem> {
    one(&api, ask(&api, ResourceOrIdentity::Resource, &tenant, range, &alive, EntityParams::default())?, id).await
}

/// One identity, with its owner and what it pays
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/identities/{id}", tag = "inventory",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the identity"), RangeParams, AliveAtParams),
    responses((status = 200, body = EntityDetail), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn identity(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    Params(range): Params<RangeParams>,
    Params(alive): Params<AliveAtParams>,
) -> Result<Json<EntityDetail>, Problem> {
    one(&api, ask(&api, ResourceOrIdentity::Identity, &tenant, range, &alive, EntityParams::default())?, id).await
}

async fn one(api: &Api, mut ask: InventoryQuery, id: String) -> Result<Json<EntityDetail>, Problem> {
    let (what, key) = match ask.kind {
        ResourceOrIdentity::Resource => ("resource", Key::Resource(id.clone())),
        ResourceOrIdentity::Identity => ("identity", Key::Identity(id.clone())),
    };
    if id.contains('\0') {
        return Err(Problem::not_found(what, &id));
    }
    ask.id = Some(id.clone());
    let (mut reader, _turn) = api.reader(&ask.tenant).await?;
    let row = reader.inventory(&ask, None, 1).await?.into_iter().next();
    let entity = item(row.ok_or_else(|| Problem::not_found(what, &id))?);
    let within = Within { tenant: &ask.tenant, from: ask.from, to: ask.to };
    let owner = match &entity.owner_id {
        Some(owner) => relatives(&mut reader, &within, ResourceOrIdentity::Identity, &[owner]).await?.pop(),
        None => None,
    };
    let drawn = draw(&mut reader, &within, &key, 1, 1).await?;
    let path = drawn.as_ref().map(|drawn| drawn.path.as_slice()).unwrap_or_default();
    let above: Vec<&String> =
        path.iter().filter_map(|key| if let Key::Resource(id) = key { Some(id) } else { None }).collect();
    let ancestors = relatives(&mut reader, &within, ResourceOrIdentity::Resource, &above).await?;
    let costs = drawn.and_then(|drawn| drawn.view.nodes.first().map(|node| costs(&node.costs))).unwrap_or_default();
    Ok(Json(EntityDetail { entity, ancestors, owner, costs }))
}

/// These things in this order, with what is known of them.
async fn relatives(
    reader: &mut Reader,
    within: &Within<'_>,
    kind: ResourceOrIdentity,
    ids: &[&String],
) -> Result<Vec<Relative>, Problem> {
    let wanted: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
    let known = reader.things(within, kind, &wanted).await?;
    let of = |id: String| {
        let thing: Option<&ThingRow> = known.iter().find(|thing| thing.id == id);
        Relative {
            entity_type: thing.map(|thing| thing.entity_type.clone()),
            display_name: thing.and_then(|thing| thing.display_name.clone()),
            id,
        }
    };
    Ok(wanted.into_iter().map(of).collect())
}
