//! Costs as a graph, and things found by their names.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::graph_of::{Drawn, draw};
use crate::api::Api;
use crate::api::answer::{Kept, decimal, tag};
use crate::api::graph::{Costs, Key, Node, Relation};
use crate::api::params::{Params, RangeParams};
use crate::api::problem::{Fault, Problem};
use crate::store::Projection;
use crate::store::read::{FoundRow, Reader, ResourceOrIdentity, ThingRow, Within};

/// What the answer is made of.
const FROM: [Projection; 5] = [
    Projection::Chargebacks,
    Projection::TopicAttributions,
    Projection::Resources,
    Projection::Identities,
    Projection::Tags,
];
const MOST_LEVELS: u32 = 3;
const MOST_NODES: u32 = 500;
const NODES: u32 = 50;
const MOST_FOUND: u32 = 100;
const FOUND: u32 = 20;

/// Which part of the graph.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GraphParams {
    /// Id of the node to look at: `tenant` (the default), `organization`, `unallocated`, `resource:<id>` or `identity:<id>`.
    #[param(example = "resource:lkc-1")]
    focus: Option<String>,
    /// Levels of what hangs on the focus, 1 to 3. Default: 1.
    #[param(minimum = 1, maximum = 3, default = 1)]
    depth: Option<u32>,
    /// The most nodes of each relation, 1 to 500; the dearest are shown, the others are one node `rest`. Default: 50.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// An amount in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Cost {
    currency: String,
    /// Decimal text.
    amount: String,
}

/// Something that costs or pays.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GraphNode {
    /// Unique among all nodes; `focus` takes it, but for `rest` and `unattributed`.
    id: String,
    /// `tenant`, `resource`, `identity`, `organization` (what has no environment), `unallocated`, `unattributed` (what no
    /// topic was found for) or `rest` (all that is not shown).
    kind: String,
    /// What the provider calls it: `environment`, `kafka_cluster`, `topic`, `service_account`…; null where it is not in the
    /// inventory.
    #[serde(rename = "type")]
    entity_type: Option<String>,
    /// Of a resource or identity, as everywhere else.
    entity_id: Option<String>,
    display_name: Option<String>,
    /// Id of the node that it hangs on in the inventory.
    parent_id: Option<String>,
    created_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
    tags: BTreeMap<String, String>,
    /// Of the rows that the focus is about: those at this node and below it, or those that it pays. Empty: none.
    costs: Vec<Cost>,
    /// Of these, the rows at the node itself.
    own_costs: Vec<Cost>,
    /// How many nodes it stands for; of `rest` only.
    count: Option<usize>,
}

/// How two nodes are related.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GraphEdge {
    /// Ids of nodes.
    source: String,
    target: String,
    /// `parent`: the target hangs on the source; `charge`: the target pays for the source, also for itself where nobody else
    /// was found; `attribution`: the target is a topic of the source.
    relation: Relation,
    /// What the two have in common.
    costs: Vec<Cost>,
}

/// A node on the way to the focus.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GraphStep {
    id: String,
    display_name: Option<String>,
}

/// A focus and what is around it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Graph {
    from: NaiveDate,
    /// Excluded.
    to: NaiveDate,
    /// Id of the node that is looked at, the first of `nodes`.
    focus: String,
    /// From the tenant down to what the focus hangs on.
    path: Vec<GraphStep>,
    /// Nearer before farther, dearer before cheaper, then by id.
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
    /// True if something is not shown but in a node `rest`.
    truncated: bool,
}

/// Costs as a graph: a focus, what hangs on it, who pays for it
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/graph", tag = "graph",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, GraphParams),
    responses((status = 200, body = Graph), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn graph(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(params): Params<GraphParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of = api.tenant(&tenant)?;
    let range = range.read(api.clock.now())?;
    let (focus, depth, limit) = read(&params)?;
    let within = Within { tenant: &of.tenant_id, from: range.from, to: range.to };
    let (mut reader, _turn) = api.reader(&of.tenant_id).await?;
    let tag = tag(&reader.version(&FROM).await?, &format!("graph {within:?} {focus} {depth} {limit}"));
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    let drawn = draw(&mut reader, &within, &focus, depth, limit as usize).await?;
    let Drawn { view, path } = drawn.ok_or_else(|| Problem::not_found("node", &focus.to_string()))?;
    let shown = path.iter().chain(view.nodes.iter().map(|node| &node.key));
    let mut known = Known::of(&mut reader, &within, shown).await?;
    known.names.insert(Key::Tenant, Some(tenant.clone()));
    let step = |key: &Key| GraphStep { id: key.to_string(), display_name: known.name(key) };
    let truncated = view.is_truncated();
    let edge = |edge: crate::api::graph::Edge| GraphEdge {
        source: edge.source.to_string(),
        target: edge.target.to_string(),
        relation: edge.relation,
        costs: costs(&edge.costs),
    };
    let body = Graph {
        from: range.from.date(),
        to: range.to.date(),
        focus: focus.to_string(),
        path: path.iter().map(step).collect(),
        nodes: view.nodes.iter().map(|node| known.node(node)).collect(),
        edges: view.edges.into_iter().map(edge).collect(),
        truncated,
    };
    Ok(Kept { tag, body }.respond(&headers))
}

fn read(params: &GraphParams) -> Result<(Key, u32, u32), Problem> {
    let mut faults = Vec::new();
    let mut within = |name: &str, said: Option<u32>, default: u32, most: u32| {
        let said = said.unwrap_or(default);
        if !(1..=most).contains(&said) {
            faults.push(Fault::new(name, format!("{said} is not within 1 and {most}")));
        }
        said
    };
    let depth = within("depth", params.depth, 1, MOST_LEVELS);
    let limit = within("limit", params.limit, NODES, MOST_NODES);
    let text = params.focus.as_deref().unwrap_or("tenant");
    let focus = Key::parse(text).filter(|_| !text.contains('\0')).unwrap_or_else(|| {
        let message = format!(
            "{text:?} is no node that can be looked at; there are tenant, organization, unallocated, resource:<id> and \
             identity:<id>"
        );
        faults.push(Fault::new("focus", message));
        Key::Tenant
    });
    if faults.is_empty() { Ok((focus, depth, limit)) } else { Err(Problem::of_parameters(faults)) }
}

pub(super) fn costs(of: &Costs) -> Vec<Cost> {
    let cost = |(currency, amount): (&String, &crate::domain::Amount)| Cost {
        currency: currency.clone(),
        amount: decimal(*amount),
    };
    of.0.iter().map(cost).collect()
}

/// What is known of the things that are shown.
struct Known {
    things: HashMap<Key, ThingRow>,
    tags: HashMap<Key, BTreeMap<String, String>>,
    names: HashMap<Key, Option<String>>,
}

impl Known {
    async fn of<'a>(
        reader: &mut Reader,
        within: &Within<'_>,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<Self, Problem> {
        let (mut resources, mut identities) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                Key::Resource(id) => resources.push(id.clone()),
                Key::Identity(id) => identities.push(id.clone()),
                _ => {}
            }
        }
        let mut things = HashMap::new();
        for row in reader.things(within, ResourceOrIdentity::Resource, &resources).await? {
            things.insert(Key::Resource(row.id.clone()), row);
        }
        for row in reader.things(within, ResourceOrIdentity::Identity, &identities).await? {
            things.insert(Key::Identity(row.id.clone()), row);
        }
        let named = |kind: &str, ids: Vec<String>| ids.into_iter().map(|id| (kind.to_owned(), id)).collect::<Vec<_>>();
        let all = [named("resource", resources), named("identity", identities)].concat();
        let mut tags: HashMap<Key, BTreeMap<String, String>> = HashMap::new();
        for row in reader.tags_of(within.tenant, &all).await? {
            let id = row.entity_id;
            let key = if row.entity_type == "resource" { Key::Resource(id) } else { Key::Identity(id) };
            tags.entry(key).or_default().insert(row.key, row.value);
        }
        let names = things.iter().map(|(key, row)| (key.clone(), row.display_name.clone())).collect();
        Ok(Self { things, tags, names })
    }

    fn name(&self, key: &Key) -> Option<String> {
        self.names.get(key).cloned().flatten()
    }

    fn node(&self, node: &Node) -> GraphNode {
        let thing = self.things.get(&node.key);
        let parent = thing.and_then(|thing| thing.parent_id.clone()).filter(|id| !id.is_empty());
        GraphNode {
            id: node.key.to_string(),
            kind: node.key.kind().to_owned(),
            entity_type: thing.map(|thing| thing.entity_type.clone()),
            entity_id: node.key.entity().map(str::to_owned),
            display_name: self.name(&node.key),
            parent_id: parent.map(|id| Key::Resource(id).to_string()),
            created_at: thing.and_then(|thing| thing.created_at),
            deleted_at: thing.and_then(|thing| thing.deleted_at),
            tags: self.tags.get(&node.key).cloned().unwrap_or_default(),
            costs: costs(&node.costs),
            own_costs: costs(&node.own),
            count: node.count,
        }
    }
}

/// What is typed so far.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParams {
    /// A part of the id or name, letter case aside.
    #[param(min_length = 1)]
    q: String,
    /// The most results, 1 to 100. Default: 20.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// A thing that fits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    /// Of its node: `focus` of the graph takes it.
    id: String,
    /// `resource` or `identity`.
    kind: String,
    #[serde(rename = "type")]
    entity_type: String,
    entity_id: String,
    display_name: Option<String>,
    /// Id of the node that it hangs on.
    parent_id: Option<String>,
    parent_display_name: Option<String>,
    deleted_at: Option<DateTime<Utc>>,
}

/// Things that fit, best first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundThings {
    items: Vec<Found>,
}

/// Resources and identities of the range by a part of their id or name, for type-ahead
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/graph/search", tag = "graph",
    params(("tenant" = String, Path, description = "Name of the tenant"), RangeParams, SearchParams),
    responses((status = 200, body = FoundThings), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(range): Params<RangeParams>,
    Params(typed): Params<SearchParams>,
) -> Result<Json<FoundThings>, Problem> {
    let of = api.tenant(&tenant)?;
    let range = range.read(api.clock.now())?;
    let limit = typed.limit.unwrap_or(FOUND);
    let mut faults = Vec::new();
    if typed.q.is_empty() || typed.q.contains('\0') {
        faults.push(Fault::new("q", "give at least one character of an id or name, and no NUL"));
    }
    if !(1..=MOST_FOUND).contains(&limit) {
        faults.push(Fault::new("limit", format!("{limit} is not within 1 and {MOST_FOUND}")));
    }
    if !faults.is_empty() {
        return Err(Problem::of_parameters(faults));
    }
    let within = Within { tenant: &of.tenant_id, from: range.from, to: range.to };
    let (mut reader, _turn) = api.reader(&of.tenant_id).await?;
    let rows = reader.search(&within, &typed.q, limit).await?;
    Ok(Json(FoundThings { items: rows.into_iter().map(found).collect() }))
}

fn found(row: FoundRow) -> Found {
    let id = row.id.clone();
    let key = if row.is_resource { Key::Resource(id) } else { Key::Identity(id) };
    let parent = row.parent_id.filter(|id| !id.is_empty());
    Found {
        id: key.to_string(),
        kind: key.kind().to_owned(),
        entity_type: row.entity_type,
        entity_id: row.id,
        display_name: row.display_name,
        parent_id: parent.map(|id| Key::Resource(id).to_string()),
        parent_display_name: row.parent_name,
        deleted_at: row.deleted_at,
    }
}
