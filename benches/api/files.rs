//! Every row of a tenant as one file.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::fill::SHAPE;
use super::server::Server;

const QUESTION: &str = "chargebacks?from=2026-01-01&to=2026-07-01";

/// Speed of each form, and how much more memory the server held than before at most.
pub async fn measure(server: &Server) -> Result<Value> {
    let mut told = json!({});
    let (mut slowest, mut grown) = (f64::INFINITY, 0.0_f64);
    // What a first file needs, such as buffers of the allocator, stays.
    taken(server, 4, "text/csv", 0).await?;
    for (n, (name, accept, heading)) in
        [("csv", "text/csv", 1), ("ndjson", "application/x-ndjson", 0)].into_iter().enumerate()
    {
        let before = server.resident_mb()?;
        let began = Instant::now();
        let (rows, bytes, most) = taken(server, n as u32, accept, heading).await?;
        ensure!(rows == SHAPE.rows_of_tenant(), "{rows} rows are not {}", SHAPE.rows_of_tenant());
        let per_s = rows as f64 / began.elapsed().as_secs_f64();
        println!(
            "{name:<44} {rows:>8} rows  {per_s:>8.0} rows/s  {:>6.1} MB/s  {:>+6.1} MB of memory",
            bytes as f64 / began.elapsed().as_secs_f64() / 1e6,
            most - before
        );
        told[name] = json!({ "rows": rows, "rows_per_s": per_s.round(), "memory_before_mb": before.round(), "memory_most_mb": most.round() });
        slowest = slowest.min(per_s);
        grown = grown.max(most - before);
    }
    told["rows_per_s"] = slowest.round().into();
    told["memory_grown_mb"] = ((grown * 10.0).round() / 10.0).into();
    Ok(told)
}

/// Rows, bytes, and the most memory the server held meanwhile.
async fn taken(server: &Server, of: u32, accept: &str, heading: u64) -> Result<(u64, u64, f64)> {
    let mut answer = server.ask(0, of, QUESTION, accept).await?;
    let (mut lines, mut bytes, mut most, mut looked) = (0_u64, 0_u64, 0.0_f64, 0_u64);
    while let Some(chunk) = answer.chunk().await? {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += chunk.len() as u64;
        if bytes - looked > 4 << 20 {
            looked = bytes;
            most = most.max(server.resident_mb()?);
        }
    }
    Ok((lines - heading, bytes, most))
}
