//! `tributary retention`: removes now what the service removes once a day.

use std::io::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::domain::Day;
use crate::journal::{Codec, Connection};
use crate::store::Store;
use crate::upkeep::{self, Keep};

/// From which day on each configured tenant's days are kept.
pub fn keep(config: &Config, now: DateTime<Utc>) -> Keep {
    Keep::new(periods(config), Day::of(now))
}

/// The configured tenants with their `retention_days`.
pub fn periods(config: &Config) -> Vec<(String, u32)> {
    config.tenants.iter().map(|tenant| (tenant.tenant_id.clone(), tenant.retention_days)).collect()
}

/// Prints what is too old in the tables, and names tenants that nobody says anything about.
///
/// # Errors
/// If Postgres does not answer.
pub async fn show(store: &Store, keep: &Keep, out: &mut impl Write) -> anyhow::Result<()> {
    let steps = upkeep::steps(store, keep).await?;
    steps.iter().try_for_each(|step| writeln!(out, "{step}"))?;
    if steps.is_empty() {
        writeln!(out, "nothing is too old")?;
    }
    for tenant in store.tenants().await?.into_iter().filter(|tenant| tenant.forgotten_at.is_none()) {
        if keep.first(&tenant.id).is_none() {
            let id = tenant.id;
            writeln!(
                out,
                "tenant {id} is not in this configuration: all its days are kept; `tributary tenant forget {id}` removes it"
            )?;
        }
    }
    Ok(())
}

/// Removes it, and prints what was removed.
///
/// # Errors
/// What stands in the way; what was done is done.
pub async fn clean(
    store: &Store,
    connection: &Connection,
    codec: &Arc<Codec>,
    keep: &Keep,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    show(store, keep, out).await?;
    let done = upkeep::clean(store, connection, codec, keep).await?;
    let upkeep::Done { partitions, rows, outcomes } = done;
    writeln!(out, "dropped {partitions} partitions, deleted {rows} rows, forgot {outcomes} outcomes")?;
    Ok(())
}
