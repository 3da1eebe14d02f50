//! How fast facts in Kafka become rows in Postgres, with broker and database on the same machine.
//!
//! `cargo bench --bench road [-- core|many|steady|one|growth|latency|start…]`. Starts the embedded Kafka and Postgres in a
//! temporary folder, writes sealed days as a gatherer does, and runs the real roles on them. Each phase is a process of its own.
//!
//! | Case | What |
//! |---|---|
//! | `core` | the pure allocation of 1 M rows on one core, beside the bare arithmetic |
//! | `growth` | 10 k, 100 k, 1 M, 10 M rows of one tenant; 1 M rows of 10 and of 100 tenants; all tables rebuilt from 10 M rows |
//! | `many` | 20 days of 50,000 rows whose dimensions repeat, part by part, each beside its limit |
//! | `steady` | 100 such days: `allocate` and `through` in turns, three times |
//! | `one` | a day of 1 M rows, each with a dimension of its own, part by part |
//! | `latency` | from a seal to its visible rows, when there is nothing else to do |
//! | `start` | an allocate role started with 10,000 allocated days behind it |
//!
//! The parts are `road`, all roles; `allocate`, beside `through` and `plain`, which read and write the same bytes and decide
//! nothing; and `project`, beside `copy`, a raw COPY of the same rows into the same tables.
//!
//! Times of `allocate`, `through` and `plain` begin when the group has handed out its partitions and the role knows where to
//! read on; those of `road` and `project` include joining. Figures go to `benches/results/latest.json`, too.

mod cases;
mod core;
mod facts;
mod headline;
mod limits;
mod machine;
mod phases;
mod reads;
mod report;
mod startup;

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;
use tributary::embedded;

use facts::Shape;
use machine::Others;
use phases::Setup;

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tributary::telemetry::init("warn", &Default::default(), false, None);
    let runtime = tokio::runtime::Runtime::new()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [flag, phase, setup] = args.as_slice()
        && flag == cases::CHILD
    {
        let found = runtime.block_on(phases::run(phase, serde_json::from_str(setup)?))?;
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    runtime.block_on(bench(&args))
}

async fn bench(wanted: &[String]) -> Result<()> {
    let (began, machine) = (Instant::now(), machine::description());
    let dir = TempDir::with_prefix("tributary-bench-")?;
    let services = embedded::start(embedded::Settings::both_in(dir.path()), &|line| eprintln!("{line}")).await?;
    let measured = async {
        let others = Others {
            kafka: services.kafka_pid().context("asked for")?,
            postgres: services.postgres_pid().context("asked for")?,
        };
        let setup = Setup {
            kafka: services.kafka_bootstrap().context("asked for")?,
            database_url: services.database_url().context("asked for")?,
            prefix: String::new(),
            shape: Shape::days(0, 0),
            others,
        };
        cases::heading();
        let mut results = json!({});
        for name in cases::ALL.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|arg| arg == name)) {
            results[name] = cases::run(name, &setup).await?;
        }
        anyhow::Ok(results)
    }
    .await;
    services.stop().await;
    report::write(machine, machine::commit(), began.elapsed().as_secs_f64() / 60.0, &measured?)
}
