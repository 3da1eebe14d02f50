//! How fast facts in Kafka become rows in Postgres, with broker and database on the same machine.
//!
//! `cargo bench --bench road [-- many|one|latency…]`. Starts the embedded Kafka and Postgres in a temporary folder, writes
//! sealed days as a gatherer does, and runs the real roles on them. Each phase is a process of its own:
//!
//! * `road`: facts to rows that readers see, all roles;
//! * `allocate`: facts to rows in Kafka, against `through`, which reads and writes the same bytes and decides nothing;
//! * `project`: rows in Kafka to rows in Postgres, against `copy`, a raw COPY of the same rows into the same tables;
//! * `latency`: from a seal to its visible rows, when there is nothing else to do.
//!
//! Times include joining the consumer groups. Figures go to `benches/results/latest.json`, too.

mod facts;
mod limits;
mod machine;
mod phases;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary::embedded;

use machine::Others;
use phases::{Found, Setup};

/// Name, days, rows of each.
const CASES: [(&str, u32, u32); 2] = [("many", 20, 50_000), ("one", 1, 1_000_000)];
const CHILD: &str = "--phase";

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tributary::telemetry::init("warn", &Default::default(), false, None);
    let runtime = tokio::runtime::Runtime::new()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [flag, phase, setup] = args.as_slice()
        && flag == CHILD
    {
        let found = runtime.block_on(phases::run(phase, serde_json::from_str(setup)?))?;
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    runtime.block_on(bench(&args))
}

async fn bench(wanted: &[String]) -> Result<()> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|arg| arg == name);
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
            days: 0,
            rows_per_day: 0,
            others,
        };
        let mut results = json!({});
        heading();
        for (name, days, rows_per_day) in CASES.into_iter().filter(|case| is_wanted(case.0)) {
            results[name] = case(name, Setup { days, rows_per_day, ..setup.clone() }).await?;
        }
        if is_wanted("latency") {
            results["latency"] = latency(&setup).await?;
        }
        anyhow::Ok(results)
    }
    .await;
    services.stop().await;
    report(measured?)
}

/// All phases on one amount of facts. The road is measured on one set of topics, its parts on another.
async fn case(name: &str, base: Setup) -> Result<Value> {
    let at = async |part: &str| -> Result<Setup> {
        let database_url = limits::database(&base.database_url, &format!("{name}_{part}")).await?;
        Ok(Setup { prefix: format!("{name}.{part}."), database_url, ..base.clone() })
    };
    let (whole, parts) = (at("whole").await?, at("parts").await?);
    phase(name, "seed", &whole)?;
    let road = phase(name, "road", &whole)?;
    phase(name, "seed", &parts)?;
    let allocate = phase(name, "allocate", &parts)?;
    let through = phase(name, "through", &parts)?;
    let project = phase(name, "project", &parts)?;
    let copy = phase(name, "copy", &parts)?;
    ensure!([&allocate, &through, &project, &copy].iter().all(|found| found.rows == road.rows), "rows were lost");
    let (allocate_share, project_share) = (speed(&allocate) / speed(&through), speed(&project) / speed(&copy));
    println!("{name:<8} allocate / through = {allocate_share:.2}, project / copy = {project_share:.2}");
    let taken = |found: &Found| json!({ "rows_per_s": speed(found).round(), "taken": found.taken });
    Ok(json!({
        "rows": road.rows,
        "road": taken(&road), "allocate": taken(&allocate), "through": taken(&through),
        "project": taken(&project), "copy": taken(&copy),
        "allocate_share_of_limit": allocate_share, "project_share_of_copy": project_share,
    }))
}

async fn latency(base: &Setup) -> Result<Value> {
    let database_url = limits::database(&base.database_url, "latency").await?;
    let setup = Setup { prefix: "latency.".to_owned(), database_url, days: 20, rows_per_day: 700, ..base.clone() };
    let found = run("latency", &setup)?;
    let at = |share: f64| found.latencies[((found.latencies.len() - 1) as f64 * share).round() as usize];
    let (p50, p99) = (at(0.5), at(0.99));
    println!("seal to visible rows, idle: p50 {p50:.0} ms, p99 {p99:.0} ms of {} days", found.latencies.len());
    Ok(json!({ "p50_ms": p50, "p99_ms": p99, "days": found.latencies.len() }))
}

/// Runs a phase in a process of its own and prints its line of the table.
fn phase(case: &str, name: &str, setup: &Setup) -> Result<Found> {
    let found = run(name, setup)?;
    let taken = &found.taken;
    println!(
        "{case:<8} {name:<10} {:>10} {:>8.2} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>8}",
        found.rows,
        taken.seconds,
        speed(&found),
        taken.cpu_ours,
        taken.cpu_kafka,
        taken.cpu_postgres,
        taken.peak_mb
    );
    Ok(found)
}

fn run(name: &str, setup: &Setup) -> Result<Found> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args([CHILD, name, &serde_json::to_string(setup)?]).stderr(Stdio::inherit());
    let output = child.output()?;
    ensure!(output.status.success(), "phase {name} failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn speed(found: &Found) -> f64 {
    found.rows as f64 / found.taken.seconds
}

fn heading() {
    println!(
        "{:<8} {:<10} {:>10} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "days", "phase", "rows", "s", "rows/s", "cpu us", "kafka", "postgres", "peak MB"
    );
}

fn report(mut results: Value) -> Result<()> {
    let headline = |results: &Value, path: &str| results.pointer(path).cloned().unwrap_or(Value::Null);
    for (key, path) in [
        ("road_rows_per_s", "/many/road/rows_per_s"),
        ("allocate_share_of_limit", "/many/allocate_share_of_limit"),
        ("project_share_of_copy", "/many/project_share_of_copy"),
        ("latency_p99_ms", "/latency/p99_ms"),
        ("peak_rss_mb_1m_day", "/one/road/taken/peak_mb"),
    ] {
        results[key] = headline(&results, path);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("latest.json");
    std::fs::write(&file, serde_json::to_string_pretty(&results)? + "\n")?;
    println!("written to benches/results/{}", file.file_name().unwrap_or_default().display());
    Ok(())
}
