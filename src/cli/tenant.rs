//! `tributary tenant grant | revoke | forget | list`: logins that read the tables of one tenant, and its end.
//!
//! In: the tables, the configuration, a tenant as people call it. Out: lines to read. Absent: what a login may see (the
//! policies in the tables say that), how a tenant is removed (`upkeep`).

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::config::Config;
use crate::journal::{Codec, Connection};
use crate::store::{Granted, Store};
use crate::upkeep::{self, Forgotten};

/// The `tenant_id` of a tenant that is called by its name in the configuration or by its `tenant_id`.
fn configured<'a>(config: &'a Config, tenant: &str) -> Option<&'a str> {
    let named = config.tenants.iter().find(|known| known.name == tenant);
    let found = named.or_else(|| config.tenants.iter().find(|known| known.tenant_id == tenant));
    found.map(|known| known.tenant_id.as_str())
}

/// The `tenant_id` of a tenant that is configured, or of which the tables know.
async fn known(store: &Store, config: &Config, tenant: &str) -> Result<String> {
    if let Some(id) = configured(config, tenant) {
        return Ok(id.to_owned());
    }
    let mut ids: Vec<String> = store.tenants().await?.into_iter().map(|known| known.id).collect();
    if ids.iter().any(|id| id == tenant) {
        return Ok(tenant.to_owned());
    }
    ids.extend(config.tenants.iter().map(|known| known.name.clone()));
    ids.sort_unstable();
    ids.dedup();
    bail!(
        "there is no tenant {tenant:?}, neither in the configuration nor in the tables; there are: {}",
        ids.join(", ")
    )
}

/// Lets a role read the rows of a tenant; a new one's password is printed, and known to nobody afterwards.
///
/// # Errors
/// What is in the way, and what to do instead.
pub async fn grant(
    store: &Store,
    config: &Config,
    tenant: &str,
    role: Option<&str>,
    out: &mut impl Write,
) -> Result<()> {
    let id = known(store, config, tenant).await?;
    let (role, granted) = store.grant(&id, role).await?;
    match granted {
        Granted::Made(password) => {
            let address = store.address();
            writeln!(out, "role {role} reads the rows of tenant {id}; this is the only time its password is shown:")?;
            writeln!(out, "postgres://{role}:{}@{address}", password.expose())?;
        }
        Granted::Allowed => writeln!(out, "role {role} reads the rows of tenant {id}; its password is what it was")?,
    }
    Ok(())
}

/// Takes the rights of a tenant's roles away.
///
/// # Errors
/// If there is no such role, or Postgres does not answer.
pub async fn revoke(
    store: &Store,
    config: &Config,
    tenant: &str,
    role: Option<&str>,
    out: &mut impl Write,
) -> Result<()> {
    let id = configured(config, tenant).unwrap_or(tenant);
    let revoked = store.revoke(id, role).await?;
    if revoked.is_empty() {
        bail!("tenant {id:?} has no such role; `tributary tenant list` shows which there are");
    }
    for (role, gone) in revoked {
        match gone {
            true => writeln!(out, "role {role} is gone")?,
            false => writeln!(out, "role {role} reads nothing of ours any more, and stays: drop it where it was made")?,
        }
    }
    Ok(())
}

/// Removes a tenant everywhere, after an order that cannot be a slip.
///
/// # Errors
/// If it is configured, or something does not answer; called again it does the rest.
pub async fn forget(
    store: &Store,
    connection: &Connection,
    codec: &Arc<Codec>,
    config: &Config,
    tenant: &str,
    yes: bool,
    out: &mut impl Write,
) -> Result<()> {
    if let Some(id) = configured(config, tenant) {
        bail!(
            "tenant {id:?} is in the configuration and would be gathered again; take it out of the configuration of \
             every process, start them again, then repeat this"
        );
    }
    let id = known(store, config, tenant).await?;
    if !yes {
        bail!(
            "this would remove tenant {id:?} from every table, drop its logins, and delete what gather-state, \
             allocations and quarantine keep of it; it cannot be undone. Repeat it with --yes"
        );
    }
    let done = upkeep::forget(store, connection, codec, &id, Clock::system().now()).await?;
    let Forgotten { event, tombstones, rows, roles } = done;
    writeln!(out, "tenant {id} is forgotten up to revision {} of its days", event.last_revision)?;
    writeln!(
        out,
        "{rows} rows and {} logins are gone; {tombstones} records of compacted topics have a tombstone",
        roles.len()
    )?;
    writeln!(out, "its facts and rows in Kafka are passed over from now on, and go with their topics' retention")?;
    Ok(())
}

/// Prints every tenant with its roles.
///
/// # Errors
/// If Postgres does not answer.
pub async fn list(store: &Store, config: &Config, out: &mut impl Write) -> Result<()> {
    let roles = store.tenant_roles().await?;
    let mut ids: BTreeMap<String, Option<DateTime<Utc>>> =
        config.tenants.iter().map(|tenant| (tenant.tenant_id.clone(), None)).collect();
    ids.extend(store.tenants().await?.into_iter().map(|known| (known.id, known.forgotten_at)));
    let mut table = super::status::table(&["tenant", "configured as", "logins", "forgotten"]);
    for (id, forgotten) in ids {
        let name = config.tenants.iter().find(|tenant| tenant.tenant_id == id).map(|tenant| tenant.name.clone());
        let logins: Vec<&str> = roles.iter().filter(|of| of.tenant == id).map(|of| of.role.as_str()).collect();
        let forgotten = forgotten.map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default();
        table.add_row([id.clone(), name.unwrap_or_else(|| "(not)".to_owned()), logins.join(", "), forgotten]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}
