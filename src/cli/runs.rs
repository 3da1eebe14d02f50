//! `tributary runs`: what the cycles of tenants did.

use std::io::Write;

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::status::table;
use crate::config::Config;
use crate::domain::{Run, RunStatus};
use crate::store::Store;

/// Characters of what a run did; all of it is in the status and in the table `runs`.
const WIDEST: usize = 100;

/// Prints the newest runs, of one tenant (by its id) or of all.
///
/// # Errors
/// When Postgres does not answer.
pub async fn runs(store: &Store, config: &Config, tenant: Option<&str>, limit: u32, mut out: impl Write) -> Result<()> {
    let mut shown = table(&["tenant", "run", "started", "took", "by", "instance", "status", "what it did"]);
    for run in store.runs(tenant, limit).await? {
        let took = run.ended_at.map(|ended| format!("{:.1} s", (ended - run.started_at).as_seconds_f64()));
        shown.add_row([
            name(config, &run.tenant).to_owned(),
            run.id.clone(),
            moment(run.started_at),
            took.unwrap_or_default(),
            run.trigger.as_str().to_owned(),
            run.instance.clone(),
            run.status.as_str().to_owned(),
            shortened(&did(&run)),
        ]);
    }
    writeln!(out, "{shown}")?;
    Ok(())
}

/// A run as one line.
pub fn said(run: &Run) -> String {
    format!("run {} {}: {}", run.id, run.status.as_str(), did(run))
}

/// How far a run is; nothing while it reads the bill.
pub fn progress(run: &Run) -> Option<String> {
    let wanted = run.wanted?;
    Some(format!("{} of {wanted} days looked at, {} sealed", run.sealed + run.unchanged + run.held, run.sealed))
}

/// A tenant's name in the configuration, or its id if it is not there.
pub fn name<'a>(config: &'a Config, tenant: &'a str) -> &'a str {
    config.tenants.iter().find(|known| known.tenant_id == tenant).map_or(tenant, |known| &known.name)
}

/// A moment to the second.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// As much of a text as a table has room for.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn did(run: &Run) -> String {
    if matches!(run.status, RunStatus::Running) {
        return progress(run).unwrap_or_default();
    }
    let counts =
        [(run.sealed, "sealed"), (run.unchanged, "unchanged"), (run.held, "held"), (run.quarantined, "set aside")];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let all: Vec<String> =
        [counts.join(", ")].into_iter().chain(run.errors.iter().cloned()).filter(|s| !s.is_empty()).collect();
    if all.is_empty() { "nothing to do".to_owned() } else { all.join("; ") }
}
