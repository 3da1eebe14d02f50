//! The role `api`: from the configuration to a server.

use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

use crate::api::auth::{Claims, Gate, Issuer};
use crate::api::write::Ledger;
use crate::api::{Doors, ExportFolder, Settings, Tenant, serve as serve_api};
use crate::config::{AuthMode, Config};
use crate::embedded;
use crate::meter::Meter;
use crate::service::Parts;

/// Takes the address.
///
/// # Errors
/// If others could reach it, or another program has it.
pub async fn listen(config: &Config) -> Result<TcpListener> {
    let (host, port) = (config.api.host.as_str(), config.api.port);
    let addresses: Vec<IpAddr> = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("api.host: {host:?} is no address of this machine"))?
        .map(|address| address.ip())
        .collect();
    let open = config.auth.mode == AuthMode::None && !config.auth.open_to_network;
    if open && !addresses.iter().all(IpAddr::is_loopback) {
        bail!(
            "api.host: {host} can be reached from other machines, and with `auth.mode: none` everybody there may do \
             everything; set `auth.mode: tokens`, or write 127.0.0.1, or insist with `auth.open_to_network: true`"
        );
    }
    let taken = || format!("the API cannot listen on {host}:{port}; choose another api.port");
    TcpListener::bind((host, port)).await.with_context(taken)
}

/// Serves until the parts are told to stop.
///
/// # Errors
/// If Kafka does not answer, or Postgres lets the service make no role to read as.
pub async fn serve(
    listener: TcpListener,
    config: &Config,
    parts: &Parts,
    meter: Option<Meter>,
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let tenant = |tenant: &crate::config::Tenant| Tenant {
        name: tenant.name.clone(),
        tenant_id: tenant.tenant_id.clone(),
        ecosystem: tenant.ecosystem.name().to_owned(),
        reach: tenant.ecosystem.is_gathered().then(|| super::ask::reach(tenant)),
    };
    let settings = Settings {
        tenants: config.tenants.iter().map(tenant).collect(),
        request_timeout_seconds: config.api.request_timeout_seconds,
        cors_origins: if config.api.enable_cors { config.api.cors_origins.clone() } else { Vec::new() },
        // Some connections are left to the projections.
        parallel_requests: (config.database.max_connections as usize / 2).max(1),
        exports: exports(config),
        requests_per_second: config.api.requests_per_second,
    };
    let Parts { connection, codec, store, clock, stop, health, moved, .. } = parts.clone();
    let store = if config.api.row_security { store.walled().await? } else { store };
    let ledger = Ledger::open(connection.clone(), Arc::clone(&codec), clock, "api")?;
    let takes_tokens = matches!(config.auth.mode, AuthMode::Tokens | AuthMode::Both);
    if takes_tokens && let Some(line) = super::token::first(&store, &connection, &codec, &ledger).await? {
        // Not into the log, which others may read.
        println!("{line}");
    }
    let gate =
        if config.auth.mode == AuthMode::None { Gate::open() } else { Gate::closed(takes_tokens, issuer(config)?) };
    let doors = Doors { store, ledger, gate: Arc::new(gate), health, meter, moved };
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the API listens; its pages are at /docs");
    }
    Ok(async move { Ok(serve_api(listener, doors, clock, settings, stop).await?) })
}

/// The issuer of access tokens, if one is configured.
fn issuer(config: &Config) -> Result<Option<Issuer>> {
    let Some(oidc) = &config.auth.oidc else { return Ok(None) };
    let claims = Claims {
        issuer: oidc.issuer.clone(),
        audience: oidc.audience.clone(),
        leeway_seconds: oidc.leeway_seconds,
        scopes_claim: oidc.scopes_claim.clone(),
        scopes: oidc.scopes.iter().cloned().collect(),
        tenants_claim: oidc.tenants_claim.clone(),
        tenants: oidc.tenants.iter().cloned().collect(),
        known: config.tenants.iter().map(|tenant| (tenant.name.clone(), tenant.tenant_id.clone())).collect(),
    };
    Ok(Some(Issuer::new(claims)?))
}

/// Where exports lie: where the operator says, else beside the data of the embedded services.
fn exports(config: &Config) -> Option<ExportFolder> {
    let asked = config.api.exports.directory.clone();
    let usual = || embedded::data_folder(config.data_dir.as_deref()).map(|folder| folder.join("exports"));
    let (keep_hours, is_asked) = (config.api.exports.keep_hours, asked.is_some());
    asked.or_else(usual).map(|directory| ExportFolder { directory, keep_hours, asked: is_asked })
}
