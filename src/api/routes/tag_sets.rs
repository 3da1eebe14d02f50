//! Many tags at once: named one by one, or on everything that a filter chooses.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lists::Question;
use super::tags::EntityParam;
use crate::api::Api;
use crate::api::auth::Caller;
use crate::api::params::{Body, Filters, RangeParams, conditions};
use crate::api::problem::{Fault, Problem};
use crate::api::tagging::{self, Outcome, outcome};
use crate::api::write::{By, EventPosition};
use crate::domain::tag::{check_entity, check_value};
use crate::domain::{EntityType, NoTag, Tag, TagKey};
use crate::journal::Topic;
use crate::store::read::{Dataset, TagPlace};

/// Tags of one request.
const MOST: usize = 10_000;
/// Ids that an answer shows of those that a filter chose.
const SHOWN: usize = 100;

/// Tags to set or remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// 1 to 10,000.
    #[schema(min_items = 1, max_items = 10000)]
    pub(super) items: Vec<Wanted>,
    /// Replace and remove what is there with another value.
    #[serde(default)]
    override_existing: bool,
}

/// A tag to set or remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    entity_type: EntityParam,
    entity_id: String,
    key: String,
    /// Null: remove it.
    value: Option<String>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// In the order of the request.
    items: Vec<DoneItem>,
    counts: BTreeMap<String, usize>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoneItem {
    outcome: Outcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Sets and removes many tags; those that cannot be are told and do not keep the others back
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/tags:batch", tag = "tags", request_body = Batch,
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 200, body = Done), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn batch(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    caller: Caller,
    Body(batch): Body<Batch>,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?.tenant_id.clone();
    if !(1..=MOST).contains(&batch.items.len()) {
        let message = format!("{} tags; one request takes 1 to {MOST}", batch.items.len());
        return Err(Problem::of_parameters(vec![Fault::new("items", message)]));
    }
    let mut seen = BTreeSet::new();
    let read = batch.items.into_iter().map(|wanted| {
        let wish = checked(wanted).map_err(|error| error.to_string())?;
        let twice = || "another item of the request is about the same tag".to_owned();
        if seen.insert(wish.place()) { Ok(wish) } else { Err(twice()) }
    });
    let wishes: Vec<Result<Wish, String>> = read.collect();
    let sound: Vec<&Wish> = wishes.iter().flatten().collect();
    let (outcomes, position) = fulfilled(&api, &caller.by(), &tenant, &sound, batch.override_existing, false).await?;
    let mut outcomes = outcomes.into_iter();
    let items: Vec<DoneItem> = wishes
        .iter()
        .map(|wish| match wish {
            Ok(_) => DoneItem { outcome: outcomes.next().unwrap_or(Outcome::Failed), message: None },
            Err(message) => DoneItem { outcome: Outcome::Failed, message: Some(message.clone()) },
        })
        .collect();
    let counts = counted(items.iter().map(|item| item.outcome));
    Ok((position, Json(Done { items, counts })).into_response())
}

/// A tag for everything that a filter chooses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apply {
    /// Whether the resources or the identities of the chosen chargeback rows get the tag.
    target: EntityParam,
    /// Conditions `field:operator:value` over chargeback rows; all must hold.
    #[serde(default)]
    filters: Vec<String>,
    /// First day, included: as in lists.
    from: Option<String>,
    /// Last day, excluded: as in lists.
    to: Option<String>,
    /// The calendar in which instants and "tomorrow" are read.
    tz: Option<String>,
    key: String,
    /// Null: remove it.
    value: Option<String>,
    /// Replace and remove what is there with another value.
    #[serde(default)]
    override_existing: bool,
    /// Change nothing, but say what would be.
    #[serde(default)]
    dry_run: bool,
}

/// What became of everything that was chosen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applied {
    dry_run: bool,
    matched: usize,
    counts: BTreeMap<String, usize>,
    /// The first 100 ids.
    entity_ids: Vec<String>,
}

/// Sets or removes a tag on all resources or identities that chargeback rows of a range are about
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/tags:apply", tag = "tags", request_body = Apply,
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 200, body = Applied), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn apply(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    caller: Caller,
    Body(asked): Body<Apply>,
) -> Result<Response, Problem> {
    let range = RangeParams { from: asked.from, to: asked.to, tz: asked.tz };
    let question =
        Question::read(&api, &tenant, Dataset::Chargebacks, &range, &Filters { filter: asked.filters }, None)?;
    let tenant = api.tenant(&tenant)?.tenant_id.clone();
    let kind = EntityType::from(asked.target);
    let key = tag_of(&asked.key, asked.value.as_deref())?;
    let ids = {
        let (mut reader, _turn) = api.reader(&tenant).await?;
        reader.entities_of(&question.of, kind, MOST as u32 + 1).await?
    };
    if ids.len() > MOST {
        let message = format!("more than {MOST} of them are chosen; narrow the filters or the days");
        return Err(Problem::of_parameters(vec![Fault::new("filters", message)]));
    }
    let wish = |id: &String| Wish { kind, id: id.clone(), key: key.to_string(), value: asked.value.clone() };
    // Ids that no tag can be put on are not those of any provider.
    let wishes: Vec<Wish> = ids.iter().filter(|id| check_entity(id).is_ok()).map(wish).collect();
    let sound: Vec<&Wish> = wishes.iter().collect();
    let (outcomes, position) =
        fulfilled(&api, &caller.by(), &tenant, &sound, asked.override_existing, asked.dry_run).await?;
    let (matched, counts) = (outcomes.len(), counted(outcomes.into_iter()));
    let entity_ids = wishes.into_iter().take(SHOWN).map(|wish| wish.id).collect();
    Ok((position, Json(Applied { dry_run: asked.dry_run, matched, counts, entity_ids })).into_response())
}

/// The key, if there can be a tag of these.
fn tag_of(key: &str, value: Option<&str>) -> Result<TagKey, Problem> {
    let fault = |name: &str, error: NoTag| Problem::of_parameters(vec![Fault::new(name, error.to_string())]);
    let key: TagKey = key.parse().map_err(|error| fault("key", error))?;
    value.map_or(Ok(()), check_value).map_err(|error| fault("value", error))?;
    Ok(key)
}

impl Apply {
    /// Can it be done?
    ///
    /// # Errors
    /// The [`Problem`] that a caller is told.
    pub(super) fn check(self, now: DateTime<Utc>) -> Result<(), Problem> {
        RangeParams { from: self.from, to: self.to, tz: self.tz }.read(now)?;
        conditions(Dataset::Chargebacks, &self.filters)?;
        tag_of(&self.key, self.value.as_deref()).map(drop)
    }
}

/// A wish that can be fulfilled.
#[derive(Debug)]
pub(super) struct Wish {
    pub kind: EntityType,
    pub id: String,
    pub key: String,
    pub value: Option<String>,
}

impl Wish {
    fn place(&self) -> TagPlace {
        (self.kind.as_str().to_owned(), self.id.clone(), self.key.clone())
    }
}

pub(super) fn checked(wanted: Wanted) -> Result<Wish, NoTag> {
    let key: TagKey = wanted.key.parse()?;
    check_entity(&wanted.entity_id)?;
    wanted.value.as_deref().map_or(Ok(()), check_value)?;
    Ok(Wish { kind: wanted.entity_type.into(), id: wanted.entity_id, key: key.to_string(), value: wanted.value })
}

/// Writes what the wishes come to, in one transaction, and tells each.
async fn fulfilled(
    api: &Api,
    by: &By,
    tenant: &str,
    wishes: &[&Wish],
    override_existing: bool,
    dry_run: bool,
) -> Result<(Vec<Outcome>, Option<EventPosition>), Problem> {
    let turn = api.turn_to_change(Topic::Tags).await?;
    let places: Vec<TagPlace> = wishes.iter().map(|wish| wish.place()).collect();
    let now = {
        let (mut reader, _turn) = api.reader(tenant).await?;
        reader.tags_at(tenant, &places).await?
    };
    let now: BTreeMap<TagPlace, String> =
        now.into_iter().map(|row| ((row.entity_type, row.entity_id, row.key), row.value)).collect();
    let (mut outcomes, mut changes) = (Vec::with_capacity(wishes.len()), Vec::new());
    let at = api.ledger.now();
    for (wish, place) in wishes.iter().zip(&places) {
        let current = now.get(place).map(String::as_str);
        let outcome = outcome(current, wish.value.as_deref(), override_existing);
        outcomes.push(outcome);
        match (outcome, &wish.value, current) {
            (Outcome::Created | Outcome::Updated, Some(value), before) => {
                let tag = Tag {
                    tenant: tenant.to_owned(),
                    entity_type: wish.kind,
                    entity_id: wish.id.clone(),
                    key: wish.key.clone(),
                    value: value.clone(),
                    at,
                    by: by.actor.clone(),
                };
                changes.push(tagging::set(&api.ledger, &tag, before)?);
            }
            (Outcome::Removed, _, Some(before)) => {
                changes.push(tagging::remove(tenant, wish.kind, &wish.id, &wish.key, before));
            }
            _ => {}
        }
    }
    if dry_run || changes.is_empty() {
        return Ok((outcomes, None));
    }
    let position = turn.write(api, by, Some(tenant), changes).await?;
    Ok((outcomes, Some(position)))
}

fn counted(outcomes: impl Iterator<Item = Outcome>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        let name = serde_json::to_value(outcome).ok().and_then(|name| name.as_str().map(str::to_owned));
        *counts.entry(name.unwrap_or_default()).or_default() += 1;
    }
    counts
}
