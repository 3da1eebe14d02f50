//! `tributary status`: how the tenants' cycles go, how many days are where, how far each projection is behind, what is in
//! quarantine.
//!
//! In: tables, and the ends of topics. Out: one [`Status`], as tables or as JSON. Absent: decisions.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::runs::{moment, name};
use crate::config::Config;
use crate::domain::Run;
use crate::journal::{Connection, blocking, members};
use crate::service::{self, lag::lag};
use crate::store::{Held, Overview, Projection, Store};
use crate::{allocate, project};

/// How often `--watch` looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Everything that is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub tenants: Vec<TenantStatus>,
    pub projections: Vec<Behind>,
    /// The roles that work on topics.
    pub roles: Vec<AtWork>,
    /// Open entries of the quarantine.
    pub quarantined: u64,
}

/// How it goes with a tenant.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TenantStatus {
    pub name: String,
    pub tenant_id: String,
    /// Whether we gather it; if not, another program writes its days.
    pub gathered: bool,
    /// `None`: it was never gathered.
    pub last_run: Option<LastRun>,
    pub next_due_at: Option<DateTime<Utc>>,
    pub suspended: Option<String>,
    pub sealed: u64,
    pub allocated: u64,
    pub projected: u64,
    pub refused: u64,
    /// `YYYY-MM-DD`.
    pub last_day: Option<String>,
    pub held: Vec<HeldDay>,
}

/// A tenant's last run that was not skipped.
#[derive(Debug, Clone, Serialize)]
pub struct LastRun {
    pub id: String,
    /// The process that gathers the tenant, as far as its last run tells.
    pub instance: String,
    pub status: &'static str,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub failures_in_a_row: u32,
    pub errors: Vec<String>,
}

/// A day that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldDay {
    /// `YYYY-MM-DD`.
    pub day: String,
    pub why: String,
}

/// How far a projection is behind its topics.
#[derive(Debug, Clone, Serialize)]
pub struct Behind {
    pub projection: &'static str,
    pub records: u64,
}

/// How many processes have a role, by the members of its consumer groups.
#[derive(Debug, Clone, Serialize)]
pub struct AtWork {
    pub role: &'static str,
    /// Of the projections' groups the smallest.
    pub processes: usize,
}

/// Prints the status, again and again with `watch`.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn status(
    store: &Store,
    connection: &Connection,
    config: &Config,
    (watch, json): (bool, bool),
    mut out: impl Write,
) -> Result<()> {
    loop {
        let status = read(store, connection, config).await?;
        if json {
            writeln!(out, "{}", serde_json::to_string(&status)?)?;
        } else {
            if watch {
                // Home, and nothing below.
                write!(out, "\x1b[H\x1b[J")?;
            }
            write!(out, "{}", told(&status))?;
        }
        out.flush()?;
        if !watch {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Asks for everything that is shown.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn read(store: &Store, connection: &Connection, config: &Config) -> Result<Status> {
    let (days, runs, held) = (store.overview().await?, store.last_runs().await?, store.held().await?);
    let asked = connection.clone();
    let (projections, members) = tokio::join!(lag(store, connection), blocking(move || members(&asked)));
    let projections = projections?;
    Ok(Status {
        roles: roles(&members?),
        tenants: tenants(config, &days, &runs, held),
        projections: projections.into_iter().map(|(p, records)| Behind { projection: p.name(), records }).collect(),
        quarantined: store.open_quarantine().await?,
    })
}

/// How many processes work on what is not in the API's or the emitters' hands.
fn roles(members: &BTreeMap<String, usize>) -> Vec<AtWork> {
    let of = |group: &str| members.get(group).copied().unwrap_or_default();
    let project = Projection::ALL.iter().map(|projection| of(&project::group(*projection))).min();
    vec![
        AtWork { role: "gather", processes: of(service::GROUP) },
        AtWork { role: "allocate", processes: of(allocate::worker::GROUP) },
        AtWork { role: "project", processes: project.unwrap_or_default() },
    ]
}

/// The tenants of the configuration in its order, then those that are only in the tables.
fn tenants(config: &Config, days: &[Overview], runs: &[Run], held: Vec<Held>) -> Vec<TenantStatus> {
    let configured = config.tenants.iter().map(|tenant| tenant.tenant_id.as_str());
    let stored =
        days.iter().map(|d| &d.tenant).chain(runs.iter().map(|r| &r.tenant)).chain(held.iter().map(|h| &h.tenant));
    let mut ids: Vec<&str> = Vec::new();
    for id in configured.chain(stored.map(String::as_str)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let of = |id: &str| {
        let (day, run) = (days.iter().find(|day| day.tenant == id), runs.iter().find(|run| run.tenant == id));
        let held = held.iter().filter(|held| held.tenant == id);
        let day = day.cloned().unwrap_or_default();
        TenantStatus {
            name: name(config, id).to_owned(),
            tenant_id: id.to_owned(),
            gathered: config.tenants.iter().any(|it| it.tenant_id == id && it.ecosystem.is_gathered()),
            last_run: run.map(|run| LastRun {
                id: run.id.clone(),
                instance: run.instance.clone(),
                status: run.status.as_str(),
                started_at: run.started_at,
                ended_at: run.ended_at,
                failures_in_a_row: run.failures_in_a_row,
                errors: run.errors.clone(),
            }),
            next_due_at: run.and_then(|run| run.next_due_at),
            suspended: run.and_then(|run| run.suspended.clone()),
            sealed: day.sealed,
            allocated: day.allocated,
            projected: day.projected,
            refused: day.refused,
            last_day: day.last_day.map(|day| day.to_string()),
            held: held.map(|held| HeldDay { day: held.day.to_string(), why: held.why.clone() }).collect(),
        }
    };
    ids.into_iter().map(of).collect()
}

/// The status for people.
fn told(status: &Status) -> String {
    let mut days = table(&["tenant", "sealed", "allocated", "projected", "held", "refused", "last day"]);
    let mut runs = table(&["tenant", "last run", "status", "instance", "next"]);
    let mut remarks = Vec::new();
    for tenant in &status.tenants {
        days.add_row([
            tenant.name.clone(),
            tenant.sealed.to_string(),
            tenant.allocated.to_string(),
            tenant.projected.to_string(),
            tenant.held.len().to_string(),
            tenant.refused.to_string(),
            tenant.last_day.clone().unwrap_or_default(),
        ]);
        let run = tenant.last_run.as_ref();
        runs.add_row([
            tenant.name.clone(),
            run.map(|run| moment(run.started_at)).unwrap_or_default(),
            run.map_or(if tenant.gathered { "never gathered" } else { "not gathered here" }, |run| run.status)
                .to_owned(),
            run.map(|run| run.instance.clone()).unwrap_or_default(),
            match &tenant.suspended {
                Some(_) => "suspended".to_owned(),
                None => tenant.next_due_at.map(moment).unwrap_or_default(),
            },
        ]);
        let name = &tenant.name;
        remarks.extend(run.into_iter().flat_map(|run| &run.errors).map(|error| format!("{name}: {error}")));
        let resume = format!("`tributary resume {name}` lifts that, and so does a changed configuration");
        remarks.extend(tenant.suspended.iter().map(|why| format!("{name}: suspended: {why}; {resume}")));
        let held: Vec<(&str, String)> = tenant.held.iter().map(|held| (held.day.as_str(), held.why.clone())).collect();
        remarks.extend(super::summary::said_of_held(&held).into_iter().map(|said| format!("{name}: {said}")));
    }
    let mut lags = table(&["projection", "behind"]);
    for behind in &status.projections {
        lags.add_row([behind.projection.to_owned(), behind.records.to_string()]);
    }
    let mut roles = table(&["role", "processes"]);
    for AtWork { role, processes } in &status.roles {
        roles.add_row([(*role).to_owned(), processes.to_string()]);
        if *processes == 0 {
            remarks.push(format!(
                "no process has the role {role}, so its work waits: start one with `tributary run --roles {role}`"
            ));
        }
    }
    let remarks: String = remarks.into_iter().map(|remark| format!("{remark}\n")).collect();
    let hint = if status.quarantined > 0 { "; see `tributary quarantine list`" } else { "" };
    format!(
        "{runs}\n\n{days}\n\n{roles}\n\n{lags}\n\n{remarks}open entries in quarantine: {}{hint}\n",
        status.quarantined
    )
}

/// An empty table in the style of all others.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(header.iter().copied());
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;

    fn members(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
        let all = Projection::ALL.iter().map(|projection| (project::group(*projection), 2));
        all.chain(counts.iter().map(|(group, count)| ((*group).to_owned(), *count))).collect()
    }

    fn said(members: &BTreeMap<String, usize>) -> String {
        told(&Status { tenants: Vec::new(), projections: Vec::new(), roles: roles(members), quarantined: 0 })
    }

    #[test]
    fn a_role_that_nobody_has_is_told_with_a_command_that_can_be_typed() {
        let gathering = [(service::GROUP, 1), (allocate::worker::GROUP, 0)];
        let told = said(&members(&gathering));
        let hints: Vec<&str> = told.lines().filter(|line| line.contains("no process has")).collect();
        assert_eq!(hints.len(), 1, "{told}");
        assert!(hints[0].contains("the role allocate"), "{told}");
        let command = hints[0].split('`').nth(1).expect("a command");
        // Hints leave out which configuration it is.
        let typed = command.split(' ').chain(["--config", "tributary.yaml"]);
        assert!(Cli::try_parse_from(typed).is_ok(), "{command}");
    }

    #[test]
    fn a_projection_that_nobody_writes_is_a_role_that_nobody_has() {
        let all = [(service::GROUP, 1), (allocate::worker::GROUP, 3)];
        assert!(!said(&members(&all)).contains("no process has"));
        let mut but_one = members(&all);
        but_one.insert(project::group(Projection::Tags), 0);
        assert!(said(&but_one).contains("no process has the role project"));
        assert_eq!(said(&BTreeMap::new()).matches("no process has").count(), 3);
    }
}
