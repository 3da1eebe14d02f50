//! `tributary backfill-tsdb`: past days as blocks of a Prometheus.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::args::BackfillTsdb;
use crate::config::{self, Sink};
use crate::emit::backfill::{Backfill, write};
use crate::journal::blocking;
use crate::store::Store;

/// Writes the period and lets promtool make blocks of it, if there is one.
///
/// # Errors
/// If the period is empty, a file cannot be written, or promtool refuses.
pub async fn backfill(store: &Store, tenant: &config::Tenant, args: &BackfillTsdb, out: &mut impl Write) -> Result<()> {
    if args.from >= args.to {
        bail!("--from {} is not before --to {}, which is excluded", args.from, args.to);
    }
    let of = Backfill { tenant: tenant.tenant_id.clone(), from: args.from, to: args.to, prefix: prefix(tenant) };
    let path = args.output.join(format!("{}_{}.openmetrics", args.from, args.to));
    let written = write(store, &of, &path).await?;
    if written.days == 0 {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        bail!(
            "{} has no rows from {} to {} (excluded); `tributary export days` shows which it has",
            tenant.name,
            of.from,
            of.to
        );
    }
    writeln!(out, "{} samples of {} days", written.samples, written.days)?;
    let (promtool, input, folder) = (args.promtool.clone(), path.clone(), args.output.clone());
    match blocking(move || make_blocks(&promtool, &input, &folder)).await {
        Ok(made) if made.status.success() => {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            writeln!(out, "blocks are in {}; put them into the data folder of a Prometheus", args.output.display())?;
        }
        Ok(refused) => bail!(
            "{} made no blocks of {}: {}",
            args.promtool.display(),
            path.display(),
            String::from_utf8_lossy(&refused.stderr).trim()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (path, folder) = (path.display(), args.output.display());
            writeln!(out, "there is no {} here; where Prometheus is installed, run", args.promtool.display())?;
            writeln!(out, "  promtool tsdb create-blocks-from openmetrics {path} {folder}")?;
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {}", args.promtool.display())),
    }
    Ok(())
}

fn make_blocks(promtool: &Path, input: &Path, folder: &Path) -> std::io::Result<Output> {
    Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
        .arg(input)
        .arg(folder)
        .output()
}

/// Names as the tenant's gauges have them.
fn prefix(tenant: &config::Tenant) -> String {
    let prefixes = tenant.ecosystem.emitters().iter().filter_map(|emitter| match &emitter.sink {
        Sink::Prometheus { prefix, .. } => Some(prefix.clone()),
        Sink::Csv { .. } => None,
    });
    prefixes.into_iter().next().unwrap_or_else(|| config::GAUGE_PREFIX.to_owned())
}
