//! `tributary tenant grant | revoke | list`: logins that read the tables of one tenant.
//!
//! In: the tables, the configuration, a tenant as people call it. Out: lines to read. Absent: what a login may see; the
//! policies in the tables say that.

use std::io::Write;

use anyhow::{Result, bail};

use crate::config::Config;
use crate::store::{Granted, Store};

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
    let mut ids = store.tenants().await?;
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

/// Prints every tenant with its roles.
///
/// # Errors
/// If Postgres does not answer.
pub async fn list(store: &Store, config: &Config, out: &mut impl Write) -> Result<()> {
    let roles = store.tenant_roles().await?;
    let mut ids = store.tenants().await?;
    ids.extend(config.tenants.iter().map(|tenant| tenant.tenant_id.clone()));
    ids.sort_unstable();
    ids.dedup();
    let mut table = super::status::table(&["tenant", "configured as", "logins"]);
    for id in ids {
        let name = config.tenants.iter().find(|tenant| tenant.tenant_id == id).map(|tenant| tenant.name.clone());
        let logins: Vec<&str> = roles.iter().filter(|of| of.tenant == id).map(|of| of.role.as_str()).collect();
        table.add_row([id, name.unwrap_or_else(|| "(not)".to_owned()), logins.join(", ")]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}
