//! The role `api`: from the configuration to a server.

use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

use crate::api::write::Ledger;
use crate::api::{Doors, ExportFolder, Settings, Tenant, serve as serve_api};
use crate::config::Config;
use crate::embedded;
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
    if !addresses.iter().all(IpAddr::is_loopback) {
        bail!(
            "api.host: {host} can be reached from other machines, and this version asks for no tokens; write 127.0.0.1 and \
             put a proxy that authenticates in front of it"
        );
    }
    let taken = || format!("the API cannot listen on {host}:{port}; choose another api.port");
    TcpListener::bind((host, port)).await.with_context(taken)
}

/// Serves until the parts are told to stop.
///
/// # Errors
/// If the system has no thread to give.
pub fn serve(
    listener: TcpListener,
    config: &Config,
    parts: &Parts,
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let tenant = |tenant: &crate::config::Tenant| Tenant {
        name: tenant.name.clone(),
        tenant_id: tenant.tenant_id.clone(),
        ecosystem: tenant.ecosystem.name().to_owned(),
    };
    let settings = Settings {
        tenants: config.tenants.iter().map(tenant).collect(),
        request_timeout_seconds: config.api.request_timeout_seconds,
        cors_origins: if config.api.enable_cors { config.api.cors_origins.clone() } else { Vec::new() },
        // Some connections are left to the projections.
        parallel_requests: (config.database.max_connections as usize / 2).max(1),
        exports: exports(config),
    };
    let Parts { connection, codec, store, clock, stop, .. } = parts.clone();
    let ledger = Ledger::open(connection, codec, clock, "api")?;
    let doors = Doors { store, ledger };
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the API listens; its pages are at /docs");
    }
    Ok(async move { Ok(serve_api(listener, doors, clock, settings, stop).await?) })
}

/// Where exports lie: where the operator says, else beside the data of the embedded services.
fn exports(config: &Config) -> Option<ExportFolder> {
    let asked = config.api.exports.directory.clone();
    let usual = || embedded::data_folder(config.data_dir.as_deref()).map(|folder| folder.join("exports"));
    let (keep_hours, is_asked) = (config.api.exports.keep_hours, asked.is_some());
    asked.or_else(usual).map(|directory| ExportFolder { directory, keep_hours, asked: is_asked })
}
