//! The cases: which phases on which amounts, and what their figures come to.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::facts::Shape;
use super::limits;
use super::phases::{Found, Setup};

/// The first argument of a process that runs one phase.
pub const CHILD: &str = "--phase";

/// Small amounts come first: they warm up the broker.
pub const ALL: [&str; 7] = ["core", "growth", "many", "steady", "one", "latency", "start"];

const MANY: Shape = Shape::days(20, 50_000);
/// Long enough for twenty transactions: how the first and the last differ from the others hardly counts.
const STEADY: Shape = Shape::days(100, 50_000);
/// How often it is measured, each time on topics of its own.
const TURNS: usize = 3;
const ONE: Shape = Shape::days(1, 1_000_000);
/// By name, the smallest first. The cost ratio compares the last one with the third.
const GROWTH: [(&str, Shape); 4] = [
    ("10 k", Shape::days(1, 10_000)),
    ("100 k", Shape::days(2, 50_000)),
    ("1 M", Shape::days(20, 50_000)),
    ("10 M", Shape::days(200, 50_000)),
];
/// About a million rows each, with about as many dimensions as those of one tenant.
const TENANTS: [(&str, Shape); 2] = [
    ("10 tenants", Shape { tenants: 10, days: 20, rows_per_day: 5_000 }),
    ("100 tenants", Shape { tenants: 100, days: 10, rows_per_day: 1_000 }),
];
const LATENCY: Shape = Shape::days(20, 700);
const SMALL: Shape = Shape { tenants: 50, days: 200, rows_per_day: 7 };

/// Runs the case of that name.
pub async fn run(name: &str, base: &Setup) -> Result<Value> {
    match name {
        "core" => core(base),
        "many" => parts(name, &Setup { shape: MANY, ..base.clone() }).await,
        "steady" => steady(base).await,
        "one" => parts(name, &Setup { shape: ONE, ..base.clone() }).await,
        "growth" => growth(base).await,
        "latency" => latency(base).await,
        "start" => start(base).await,
        other => anyhow::bail!("there is no case {other}"),
    }
}

/// Topics and a database of its own.
async fn at(base: &Setup, name: &str, shape: Shape) -> Result<Setup> {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let database_url = limits::database(&base.database_url, &format!("bench_{}", name.to_lowercase())).await?;
    Ok(Setup { prefix: format!("{name}."), database_url, shape, ..base.clone() })
}

fn core(base: &Setup) -> Result<Value> {
    let core = child("core", base)?.core.context("the phase measures it")?;
    println!(
        "core: {:.1} M rows/s allocated and read on one core, {:.1} M facts/s collected; the bare arithmetic {:.1} M parts/s",
        core.rows_per_s / 1e6,
        core.facts_collected_per_s / 1e6,
        core.arithmetic_per_s / 1e6,
    );
    Ok(json!({
        "rows": core.rows,
        "rows_per_s": core.rows_per_s.round(),
        "facts_collected_per_s": core.facts_collected_per_s.round(),
        "arithmetic_parts_per_s": core.arithmetic_per_s.round(),
        "share_of_arithmetic": round(core.rows_per_s / core.arithmetic_per_s),
    }))
}

/// The road on one set of topics, its parts on another.
async fn parts(name: &str, base: &Setup) -> Result<Value> {
    let whole = at(base, &format!("{name}_whole"), base.shape).await?;
    let parts = at(base, &format!("{name}_parts"), base.shape).await?;
    phase(name, "seed", &whole)?;
    let road = phase(name, "road", &whole)?;
    phase(name, "seed", &parts)?;
    let allocate = phase(name, "allocate", &parts)?;
    let through = phase(name, "through", &parts)?;
    let plain = phase(name, "plain", &parts)?;
    let project = phase(name, "project", &parts)?;
    let copy = phase(name, "copy", &parts)?;
    ensure!(
        [&allocate, &through, &plain, &project, &copy].iter().all(|found| found.rows == road.rows),
        "rows were lost"
    );
    let copy_alone = copy.rows as f64 / copy.seconds_of_chargebacks.context("measured with the copy")?;
    let shares = [
        ("allocate_share_of_limit", speed(&allocate) / speed(&through)),
        ("allocate_share_of_plain", speed(&allocate) / speed(&plain)),
        ("project_share_of_copy", speed(&project) / speed(&copy)),
        ("project_share_of_copy_of_chargebacks_alone", speed(&project) / copy_alone),
        ("project_cpu_of_copy", project.taken.cpu() / copy.taken.cpu()),
    ];
    let mut result = json!({ "rows": road.rows });
    for (key, share) in shares {
        println!("{name:<12} {key} = {share:.2}");
        result[key] = round(share).into();
    }
    for (part, found) in [
        ("road", road),
        ("allocate", allocate),
        ("through", through),
        ("plain", plain),
        ("project", project),
        ("copy", copy),
    ] {
        result[part] = told(&found);
    }
    Ok(result)
}

/// The allocate role and its limit in turns, because a machine is not always equally fast. The share in the middle counts.
async fn steady(base: &Setup) -> Result<Value> {
    let mut turns = Vec::new();
    for turn in 1..=TURNS {
        let setup = at(base, &format!("steady_{turn}"), STEADY).await?;
        phase("steady", "seed", &setup)?;
        let (allocate, through) = (phase("steady", "allocate", &setup)?, phase("steady", "through", &setup)?);
        ensure!(allocate.rows == STEADY.rows() && through.rows == allocate.rows, "rows were lost");
        turns.push((speed(&allocate) / speed(&through), allocate, through));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    let shares: Vec<f64> = turns.iter().map(|(share, ..)| round(*share)).collect();
    println!("steady       allocate_share_of_limit = {shares:.2?}");
    let (share, allocate, through) = &turns[TURNS / 2];
    Ok(json!({
        "rows": STEADY.rows(),
        "allocate_share_of_limit": round(*share),
        "allocate_share_of_limit_of_each_turn": shares,
        "allocate_cpu_of_through": round(allocate.taken.cpu() / through.taken.cpu()),
        "allocate": told(allocate),
        "through": told(through),
    }))
}

async fn growth(base: &Setup) -> Result<Value> {
    let mut results = json!({});
    let mut costs = Vec::new();
    for (name, shape) in GROWTH.into_iter().chain(TENANTS) {
        let setup = at(base, &format!("growth_{name}"), shape).await?;
        phase(name, "seed", &setup)?;
        let road = phase(name, "road", &setup)?;
        costs.push(cost(&road));
        results[name] = told(&road);
        results[name]["tenants"] = shape.tenants.into();
        if name == GROWTH[3].0 {
            results["rebuild_of_10_m"] = told(&phase(name, "rebuild", &setup)?);
        }
    }
    let ratio = costs[3] / costs[2];
    println!("cost of a row, 10 M / 1 M rows: {ratio:.2}");
    results["cost_ratio"] = round(ratio).into();
    Ok(results)
}

async fn latency(base: &Setup) -> Result<Value> {
    let setup = at(base, "latency", LATENCY).await?;
    let found = phase("latency", "latency", &setup)?;
    let at = |share: f64| found.latencies[((found.latencies.len() - 1) as f64 * share).round() as usize];
    let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(at);
    println!(
        "latency: p50 {p50:.0} ms, p90 {p90:.0} ms, p99 {p99:.0} ms, most {most:.0} ms of {} days",
        found.latencies.len()
    );
    Ok(json!({
        "p50_ms": p50.round(), "p90_ms": p90.round(), "p99_ms": p99.round(), "max_ms": most.round(),
        "days": found.latencies.len(), "rows_per_day": LATENCY.rows_per_day,
    }))
}

/// A start with one allocated day behind it, and one with 10,000.
async fn start(base: &Setup) -> Result<Value> {
    let mut results = json!({});
    for (name, shape) in [("1 day", Shape::days(1, SMALL.rows_per_day)), ("10,000 days", SMALL)] {
        let setup = at(base, &format!("start_{name}"), shape).await?;
        phase(name, "seed_small", &setup)?;
        results[name] = json!({ "allocate": told(&phase(name, "allocate", &setup)?) });
        results[name]["restore"] = told(&phase(name, "restore", &setup)?);
    }
    Ok(results)
}

pub fn heading() {
    println!(
        "{:<12} {:<10} {:>10} {:>8} {:>10} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "case", "phase", "rows", "s", "rows/s", "cpu us", "kafka", "postgres", "cpu µs/row", "peak MB", "join s"
    );
}

/// Runs a phase in a process of its own and prints its line of the table.
fn phase(case: &str, name: &str, setup: &Setup) -> Result<Found> {
    let found = child(name, setup)?;
    let taken = &found.taken;
    let joining = found.joining.map_or_else(String::new, |seconds| format!("{seconds:.2}"));
    println!(
        "{case:<12} {name:<10} {:>10} {:>8.2} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>10.2} {:>8} {joining:>8}",
        found.rows,
        taken.seconds,
        speed(&found),
        taken.cpu_ours,
        taken.cpu_kafka,
        taken.cpu_postgres,
        cost(&found),
        taken.peak_mb
    );
    Ok(found)
}

fn child(name: &str, setup: &Setup) -> Result<Found> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args([CHILD, name, &serde_json::to_string(setup)?]).stderr(Stdio::inherit());
    let output = child.output()?;
    ensure!(output.status.success(), "phase {name} failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Rows a second.
fn speed(found: &Found) -> f64 {
    found.rows as f64 / found.taken.seconds
}

/// Microseconds of processor time a row.
fn cost(found: &Found) -> f64 {
    if found.rows == 0 { 0.0 } else { found.taken.cpu() * 1e6 / found.rows as f64 }
}

fn told(found: &Found) -> Value {
    let taken = &found.taken;
    let mut told = json!({
        "rows": found.rows,
        "seconds": round(taken.seconds),
        "rows_per_s": speed(found).round(),
        "cpu_ours_s": round(taken.cpu_ours),
        "cpu_kafka_s": round(taken.cpu_kafka),
        "cpu_postgres_s": round(taken.cpu_postgres),
        "cpu_us_per_row": round(cost(found)),
        "peak_mb": taken.peak_mb,
    });
    if let Some(joining) = found.joining {
        told["joining_s"] = round(joining).into();
    }
    told
}

/// Three decimals are more than a run gives.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
