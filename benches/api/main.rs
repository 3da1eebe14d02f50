//! How fast people and programs get answers over ten million rows, and what two hundred of them at once do to the service.
//!
//! `cargo bench --bench api [-- pages|sums|files|readers…]`. Starts an embedded Postgres in a temporary folder, fills it through
//! the projection's own COPY, and serves it with the real API in a process of its own; all questions go over HTTP, with tokens.
//!
//! | Case | What |
//! |---|---|
//! | `pages` | pages of a hundred chargebacks: the first and deep ones, filtered and not |
//! | `sums` | a month of one tenant by two dimensions, and other spans, periods and dimensions |
//! | `files` | all rows of a tenant as CSV and as NDJSON, and the memory that takes |
//! | `readers` | 200 readers for a minute, each with another question all the time |
//!
//! Figures go to `benches/results/latest.json`, beside those of `road`.

mod files;
mod fill;
#[path = "../road/headline.rs"]
mod headline;
#[path = "../road/machine.rs"]
#[allow(dead_code, reason = "the road uses all of it")]
mod machine;
mod pages;
mod readers;
mod report;
mod server;
mod sums;
mod timed;

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary::embedded;
use tributary::store::Store;

use fill::SHAPE;
use server::Server;

const ALL: [&str; 4] = ["pages", "sums", "files", "readers"];

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tributary::telemetry::init("warn", &Default::default(), false, None);
    let runtime = tokio::runtime::Runtime::new()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [flag, database] = args.as_slice()
        && flag == server::CHILD
    {
        return runtime.block_on(server::serve(database));
    }
    runtime.block_on(bench(&args))
}

async fn bench(wanted: &[String]) -> Result<()> {
    let (began, machine) = (Instant::now(), machine::description());
    let dir = TempDir::with_prefix("tributary-bench-")?;
    let settings = embedded::Settings { data_dir: Some(dir.path().into()), kafka: false, postgres: true };
    let services = embedded::start(settings, &|line| eprintln!("{line}")).await?;
    let measured = cases(wanted, &services.database_url().context("asked for")?).await;
    services.stop().await;
    report::write(machine, machine::commit(), began.elapsed().as_secs_f64() / 60.0, &measured?)
}

async fn cases(wanted: &[String], database: &str) -> Result<Value> {
    let store = Store::connect(database, 10).await?;
    let filled = fill::fill(&store, SHAPE).await?;
    let mut results = json!({ "fill": filled });
    let server = Server::start(database, &fill::tokens(&store).await?).await?;
    for name in ALL.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|arg| arg == name)) {
        results[name] = match name {
            "pages" => pages::measure(&server).await?,
            "sums" => sums::measure(&server).await?,
            "files" => files::measure(&server).await?,
            _ => readers::measure(&server).await?,
        };
    }
    if std::env::var_os("TRIBUTARY_BENCH_STAY").is_some() {
        println!("{database}\npress return to go on");
        std::io::stdin().read_line(&mut String::new())?;
    }
    server.stop()?;
    Ok(results)
}
