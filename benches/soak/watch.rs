//! What the service holds and what it has done.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use tributary::domain::Amount;
use tributary::store::Store;

/// One minute of the service.
pub struct Minute {
    /// The most memory it held, bytes.
    pub resident: u64,
}

/// Memory of a process, bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// In units of 2²⁰ bytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Runs that have ended, revisions that were sealed and that were allocated, of all tenants.
pub async fn done(store: &Store) -> Result<(i64, i64, i64)> {
    let done = sqlx::query_as(
        "SELECT (SELECT count(*) FROM runs WHERE ended_at IS NOT NULL),
                (SELECT coalesce(sum(sealed_revision), 0) FROM days),
                (SELECT count(*) FROM days WHERE allocated_revision IS NOT NULL)",
    );
    Ok(done.fetch_one(store.pool()).await?)
}

/// How many tenants had a whole run since that moment with everything in the tables; and those of them whose lines, or whose
/// chargebacks, do not add up to the bill.
pub async fn settled(store: &Store, since: DateTime<Utc>, bill: &Amount) -> Result<(i64, Vec<String>)> {
    let current = sqlx::query_scalar(
        "SELECT count(DISTINCT r.tenant_id) FROM runs r WHERE r.status = 'completed' AND r.started_at > $1 AND NOT EXISTS (
             SELECT FROM days d WHERE d.tenant_id = r.tenant_id
             AND (d.billing_revision IS DISTINCT FROM d.sealed_revision
                  OR d.chargebacks_revision IS DISTINCT FROM d.sealed_revision))",
    );
    let wrong = sqlx::query_scalar(
        "SELECT t.tenant_id FROM tenants t
         WHERE (SELECT coalesce(sum(amount), 0) FROM billing b WHERE b.tenant_id = t.tenant_id) <> $1::numeric
            OR (SELECT coalesce(sum(amount), 0) FROM chargebacks c WHERE c.tenant_id = t.tenant_id) <> $1::numeric
         ORDER BY t.tenant_id",
    );
    let current = current.bind(since).fetch_one(store.pool()).await?;
    Ok((current, wrong.bind(bill.to_string()).fetch_all(store.pool()).await?))
}

/// Is memory flat? The first third of the minutes warms up; the last third may hold a twentieth more than the middle
/// one, and 4 MB.
pub fn flat(minutes: &[Minute]) -> (bool, String) {
    let third = minutes.len().div_ceil(3);
    let mean = |part: &[Minute]| part.iter().map(|m| m.resident).sum::<u64>() / part.len().max(1) as u64;
    let rest = minutes.get(third..).unwrap_or_default();
    if rest.len() < 2 {
        return (false, "fewer than three minutes say nothing".to_owned());
    }
    let (middle, last) = rest.split_at(rest.len() / 2);
    let (middle, last) = (mean(middle), mean(last));
    let why =
        format!("{:.1} MB in the middle third of the time, {:.1} in the last", megabytes(middle), megabytes(last));
    (last <= middle + middle / 20 + (4 << 20), why)
}
