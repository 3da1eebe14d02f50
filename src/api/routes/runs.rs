//! Runs: asked for through topic `commands`, listed, and watched.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Api;
use crate::api::answer::{Listing, segment};
use crate::api::auth::Caller;
use crate::api::params::{Body, Cursor, PageParams, Params};
use crate::api::problem::{Code, Fault, Problem};
use crate::api::wish::{self, ASKED, KIND, LeftOut, Wish};
use crate::domain::{Command, CommandKind, Day};
use crate::journal::Topic;
use crate::store::read::{Reader, RunPlace, RunRow};

/// How often a watched run is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long one connection watches; a client that wants more connects again.
const LONGEST_WATCH: Duration = Duration::from_secs(900);
/// Characters of a reason.
const LONGEST_REASON: usize = 500;

/// What a run does. One run does all of it: what it gathers is allocated and shown by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StageParam {
    /// Bill, inventory and usage, sealed as days.
    Gather,
}

/// A run to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWish {
    /// Default: all there are.
    #[serde(default)]
    stages: Vec<StageParam>,
    /// First day to look at, included. Default: where the tenant's window begins.
    pub(super) from: Option<NaiveDate>,
    /// Last day to look at, excluded. Default: where the window ends.
    pub(super) to: Option<NaiveDate>,
    /// Also although the tenant was gathered a moment ago, and seal days of the range again although nothing changed.
    #[serde(default)]
    force: bool,
    /// End a suspension of the tenant first.
    #[serde(default)]
    resume: bool,
    /// Why, for people; at most 500 characters.
    reason: Option<String>,
}

/// A run, or the wish for one that nobody has taken up yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunItem {
    /// Of the run; of the wish while there is no run yet.
    id: String,
    /// `requested`, `running`, `completed`, `failed`, `timed_out`, `interrupted`, `cancelled` or `skipped`.
    status: String,
    /// `periodic`, `command` or `once`.
    trigger: String,
    /// Ids of the wishes that it answers.
    requests: Vec<String>,
    /// The wishes themselves: who asked for what, and why.
    wishes: Vec<Wish>,
    /// The process that gathers.
    instance: Option<String>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// First day that is looked at, included; known once the bill was read. What was asked for stands in `wishes`.
    from: Option<NaiveDate>,
    /// Last day that is looked at, excluded.
    to: Option<NaiveDate>,
    /// Days that were asked for and are not looked at; known once the bill was read.
    left_out: Vec<LeftOut>,
    progress: RunProgress,
    days_sealed: i32,
    days_unchanged: i32,
    days_held: i32,
    quarantined: i32,
    errors: Vec<String>,
    failures_in_a_row: i32,
    suspended: Option<String>,
    next_due_at: Option<DateTime<Utc>>,
}

/// How far a run is, in days. What it sealed is allocated and shown by itself, also after it has ended.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct RunProgress {
    /// Days that the run looks at: those with a bill, or that had one. Null until it has read the bill.
    wanted: Option<i32>,
    /// Of them, those that it is done with: sealed, unchanged or held. All of them when the run has ended by itself.
    gathered: i32,
    /// Of those, the ones that got a new revision.
    sealed: i32,
    /// Of the sealed ones, those that are allocated.
    allocated: i32,
    /// Of the sealed ones, those that allocation refused; `/days` says why.
    refused: i32,
    /// Of the allocated ones, those whose lines and rows are all in the tables.
    projected: i32,
}

/// Asks for a run of the tenant's gathering
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/runs", tag = "runs", request_body = RunWish,
    params(("tenant" = String, Path, description = "Name of the tenant")),
    responses((status = 202, body = RunItem, headers(("Location" = String, description = "Where the run is watched"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn start(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    caller: Caller,
    Body(wish): Body<RunWish>,
) -> Result<Response, Problem> {
    let of = api.tenant(&tenant)?;
    let Some(reach) = of.reach else {
        let detail = format!("{tenant} is not gathered here: another program writes its days; ask that one");
        return Err(Problem::new(Code::Conflict, detail));
    };
    check(&wish)?;
    let (from, to) = (wish.from.map(Day::from), wish.to.map(Day::from));
    if let Some(why) = reach.misses(api.clock.now(), from, to) {
        return Err(Problem::of_parameters(vec![Fault::new(if to.is_some() { "to" } else { "from" }, why)]));
    }
    let by = caller.by();
    let command = Command {
        id: format!("{:032x}", rand::random::<u128>()),
        tenant: of.tenant_id.clone(),
        kind: if wish.resume { CommandKind::Resume } else { CommandKind::Gather },
        from,
        to,
        force: wish.force,
        requested_at: api.ledger.now(),
        requested_by: by.actor.clone(),
        cancels: Vec::new(),
    };
    let change = wish::change(&api.ledger, &command, wish.reason.as_deref(), &command.id)?;
    let position = api.ledger.write(&by, Some(&of.tenant_id), vec![change]).await?.without(Topic::Commands);
    let location = place(&tenant, &command.id)?;
    let body = Json(requested(command.id.clone(), vec![Wish::of(&command, wish.reason)]));
    Ok((StatusCode::ACCEPTED, position, [(header::LOCATION, location)], body).into_response())
}

pub(super) fn check(wish: &RunWish) -> Result<(), Problem> {
    let mut faults = Vec::new();
    if let (Some(from), Some(to)) = (wish.from, wish.to)
        && to <= from
    {
        faults.push(Fault::new("to", format!("{to} is excluded and must be after `from` ({from})")));
    }
    for (name, day) in [("from", wish.from), ("to", wish.to)] {
        if let Some(day) = day.filter(|day| !(1970..=9999).contains(&day.year())) {
            faults.push(Fault::new(name, format!("{day} is not a day from 1970 to 9999")));
        }
    }
    let reason = wish.reason.as_deref().unwrap_or_default();
    if reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        let message = format!("a reason has at most {LONGEST_REASON} characters, and no control characters");
        faults.push(Fault::new("reason", message));
    }
    if wish.stages.iter().filter(|stage| **stage == StageParam::Gather).count() > 1 {
        faults.push(Fault::new("stages", "gather is there twice"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::of_parameters(faults)) }
}

/// Runs, newest first
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/runs", tag = "runs",
    params(("tenant" = String, Path, description = "Name of the tenant"), PageParams),
    responses((status = 200, body = Listing<RunItem>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Listing<RunItem>, Problem> {
    let tenant = &api.tenant(&tenant)?.tenant_id;
    let cursor = Cursor::of(&["runs", tenant]);
    let page = cursor.page::<RunPlace>(&page)?;
    let (mut reader, _turn) = api.reader(tenant).await?;
    let rows = reader.runs(tenant, page.after.as_ref(), page.limit + 1).await?;
    let ids = rows.iter().flat_map(|row| row.commands.clone()).collect();
    let wishes = wishes(&mut reader, tenant, ids).await?;
    Ok(Listing::of(rows, page.limit, |row| cursor.text(&(row.started_at, &row.run_id)), |row| item(row, &wishes)))
}

/// One run, by its own id or that of the wish it answers
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/runs/{id}", tag = "runs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the run or of the wish")),
    responses((status = 200, body = RunItem), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<RunItem>, Problem> {
    found(&api, &tenant, &id).await.map(Json)
}

/// A run while it goes on: an event `run` whenever something of it changes; the last event, `end`, says why there are no
/// more: `run_ended`, or `time_over` and `service_ends`, after which a client may connect again
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/runs/{id}/events", tag = "runs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the run or of the wish")),
    responses((status = 200, content((String = "text/event-stream"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn watch(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let first = found(&api, &tenant, &id).await?;
    let busy = || Problem::new(Code::Busy, "too many runs are being watched; try again shortly");
    let place = Arc::clone(&api.watchers).try_acquire_owned().map_err(|_| busy())?;
    let until = tokio::time::Instant::now() + LONGEST_WATCH;
    let begin = Watched::Showing(Some(Box::new(first)), String::new());
    let events = stream::unfold(begin, move |watched| {
        let (api, tenant, id, _place) = (api.clone(), tenant.clone(), id.clone(), &place);
        async move {
            let (mut next, shown) = match watched {
                Watched::Showing(next, shown) => (next, shown),
                Watched::Ending(why) => return Some((Ok::<_, Infallible>(end(why)), Watched::Over)),
                Watched::Over => return None,
            };
            loop {
                if let Some(run) = next.take() {
                    let text = serde_json::to_string(&run).unwrap_or_default();
                    if text != shown {
                        let rest = match run.ended_at {
                            Some(_) => Watched::Ending("run_ended"),
                            None => Watched::Showing(None, text.clone()),
                        };
                        return Some((Ok(Event::default().event("run").data(text)), rest));
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep_until(until) => return Some((Ok(end("time_over")), Watched::Over)),
                    () = api.stop.cancelled() => return Some((Ok(end("service_ends")), Watched::Over)),
                    () = tokio::time::sleep(LOOK) => {}
                }
                // An outage is waited for: the client sees that nothing is sent but the signs of life.
                next = found(&api, &tenant, &id).await.ok().map(Box::new);
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Where a stream is.
enum Watched {
    /// What is to be shown next, and what was shown last.
    Showing(Option<Box<RunItem>>, String),
    /// All but why it ends was said.
    Ending(&'static str),
    Over,
}

/// The last event of a stream: why there are no more. After `time_over` and `service_ends` a client may connect again.
fn end(why: &str) -> Event {
    Event::default().event("end").data(format!("{{\"why\":\"{why}\"}}"))
}

/// Asks for the end of a run that is under way, or takes back a wish for one; what the run had sealed stays
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/runs/{id}:cancel", tag = "runs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the run or of the wish")),
    responses((status = 202, description = "It ends at its next safe point", body = RunItem,
            headers(("Location" = String, description = "Where the run is watched"))),
        (status = 409, description = "It has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(
    State(api): State<Api>,
    Path((tenant, action)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Problem> {
    let of = api.tenant(&tenant)?;
    let no_action = || Problem::new(Code::MethodNotAllowed, "a run takes GET, and POST with `:cancel` behind its id");
    let id = action.strip_suffix(":cancel").ok_or_else(no_action)?;
    // The wish for it may have been written a moment ago.
    api.caught_up(Topic::Audit).await?;
    let run = found(&api, &tenant, id).await?;
    if run.ended_at.is_some() {
        return Err(Problem::new(Code::Conflict, format!("run {} has ended already: {}", run.id, run.status)));
    }
    let by = caller.by();
    let command = Command {
        id: format!("{:032x}", rand::random::<u128>()),
        tenant: of.tenant_id.clone(),
        kind: CommandKind::Cancel,
        from: None,
        to: None,
        force: false,
        requested_at: api.ledger.now(),
        requested_by: by.actor.clone(),
        // Should its process end meanwhile, the next one knows it by its wishes.
        cancels: [vec![run.id.clone()], run.requests.clone()].concat(),
    };
    let change = wish::change(&api.ledger, &command, None, &run.id)?;
    let position = api.ledger.write(&by, Some(&of.tenant_id), vec![change]).await?.without(Topic::Commands);
    let location = place(&tenant, id)?;
    Ok((StatusCode::ACCEPTED, position, [(header::LOCATION, location)], Json(run)).into_response())
}

/// Where a run or the wish for it is.
fn place(tenant: &str, id: &str) -> Result<HeaderValue, Problem> {
    let place = format!("/api/v1/tenants/{}/runs/{}", segment(tenant), segment(id));
    HeaderValue::from_str(&place).map_err(|_| Problem::not_found("tenant", tenant))
}

async fn found(api: &Api, tenant: &str, id: &str) -> Result<RunItem, Problem> {
    let tenant = &api.tenant(tenant)?.tenant_id;
    if id.contains('\0') {
        return Err(Problem::not_found("run", id));
    }
    let (mut reader, _turn) = api.reader(tenant).await?;
    if let Some(run) = reader.run(tenant, id).await? {
        let wishes = wishes(&mut reader, tenant, run.commands.clone()).await?;
        return Ok(item(run, &wishes));
    }
    let asked = reader.audit_of(tenant, ASKED, KIND, &[id.to_owned()]).await?;
    if asked.is_empty() {
        return Err(Problem::not_found("run", id));
    }
    Ok(requested(id.to_owned(), asked.into_iter().filter_map(wish::of_event).collect()))
}

/// What is remembered of wishes, by their ids.
async fn wishes(reader: &mut Reader, tenant: &str, ids: Vec<String>) -> Result<Vec<Wish>, Problem> {
    let asked = reader.audit_of(tenant, ASKED, KIND, &ids).await?;
    Ok(asked.into_iter().filter_map(wish::of_event).collect())
}

/// A wish that nobody has taken up yet.
fn requested(id: String, wishes: Vec<Wish>) -> RunItem {
    RunItem {
        status: "requested".to_owned(),
        trigger: "command".to_owned(),
        requests: vec![id.clone()],
        wishes,
        id,
        instance: None,
        started_at: None,
        ended_at: None,
        from: None,
        to: None,
        left_out: Vec::new(),
        progress: RunProgress::default(),
        days_sealed: 0,
        days_unchanged: 0,
        days_held: 0,
        quarantined: 0,
        errors: Vec::new(),
        failures_in_a_row: 0,
        suspended: None,
        next_due_at: None,
    }
}

fn item(row: RunRow, wishes: &[Wish]) -> RunItem {
    let wishes: Vec<Wish> = wishes.iter().filter(|wish| row.commands.contains(&wish.id)).cloned().collect();
    RunItem {
        left_out: wish::left_out(&wishes, (row.from_day, row.to_day)),
        progress: RunProgress {
            wanted: row.wanted,
            gathered: row.sealed + row.unchanged + row.held,
            sealed: row.sealed,
            allocated: row.allocated,
            refused: row.refused,
            projected: row.projected,
        },
        wishes,
        id: row.run_id,
        status: row.status,
        trigger: row.trigger,
        requests: row.commands,
        instance: Some(row.instance),
        started_at: Some(row.started_at),
        ended_at: row.ended_at,
        from: row.from_day,
        to: row.to_day,
        days_sealed: row.sealed,
        days_unchanged: row.unchanged,
        days_held: row.held,
        quarantined: row.quarantined,
        errors: row.errors,
        failures_in_a_row: row.failures_in_a_row,
        suspended: row.suspended,
        next_due_at: row.next_due_at,
    }
}
