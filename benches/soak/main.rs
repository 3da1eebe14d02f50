//! Does the service hold its memory over many cycles of many tenants whose bills change all the time?
//!
//! `make soak` (M=10 minutes, T=50 tenants). One process with all roles gathers T organisations over HTTP, on an embedded
//! Kafka and Postgres of its own; most days of every bill change every twenty seconds. Each minute it prints what
//! the process holds and what it has done. In the end corrections stop, and every tenant's lines have to add up to the last
//! bill, to the last digit.

mod upstream;
mod watch;

use std::fs::File;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tributary::clock::Clock;
use tributary::demo::{self, Organisation, TENANT};
use tributary::embedded::{self, Services};
use tributary::store::Store;

use upstream::Upstream;
use watch::{Minute, flat};

/// Days of every tenant's bill.
const DAYS: u32 = 7;
/// How long it may take until the last corrections are everywhere.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Result<ExitCode> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tributary::telemetry::init("warn", &Default::default(), false, None);
    let number = |name: &str, usual| match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text} is no number")),
        Err(_) => Ok(usual),
    };
    let (minutes, tenants) = (number("TRIBUTARY_SOAK_MINUTES", 10)?, number("TRIBUTARY_SOAK_TENANTS", 50)?);
    tokio::runtime::Runtime::new()?.block_on(soak(minutes, tenants))
}

async fn soak(minutes: u32, tenants: u32) -> Result<ExitCode> {
    let now = Clock::system().now();
    let served = demo::serve(Organisation::generate(7, demo::first_day(now, DAYS), DAYS)).await?;
    let upstream = Upstream::start(&served).await?;
    let dir = TempDir::with_prefix("tributary-soak-")?;
    let services = embedded::start(embedded::Settings::both_in(dir.path()), &|line| eprintln!("{line}")).await?;
    let one = demo::config_yaml(&served, now).replace(&served.base_url, upstream.url());
    let config = dir.path().join("tributary.yaml");
    std::fs::write(&config, configuration(&one, tenants, &services)?)?;
    let log = dir.path().join("tributary.log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["run", "--config"])
        .arg(&config)
        .stdin(std::process::Stdio::null())
        .stdout(File::create(&log)?)
        .stderr(File::options().append(true).open(&log)?)
        .spawn()?;
    let soaked = async {
        let store = Store::connect_within(&services.database_url().context("asked for")?, 2, PATIENCE).await?;
        let seen = work(&mut child, &store, minutes).await?;
        let stopped = upstream.freeze();
        settle(&mut child, &store, &upstream, tenants, stopped).await?;
        println!("the lines of all {tenants} tenants add up to the last bill, {}", upstream.total());
        anyhow::Ok(seen)
    }
    .await;
    // One that has ended by itself is told of below, with its log.
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    let ended = child.wait()?;
    services.stop().await;
    let seen = soaked.inspect_err(|_| eprintln!("{}", std::fs::read_to_string(&log).unwrap_or_default()))?;
    ensure!(ended.success(), "the service ended with {ended}");
    let (flat, why) = flat(&seen);
    println!("memory is {}: {why}", if flat { "flat" } else { "NOT flat" });
    Ok(if flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The configuration of one tenant for many, each gathered again fifteen seconds after it was.
fn configuration(one: &str, tenants: u32, services: &Services) -> Result<String> {
    // The demo has other tenants, too.
    let (_, rest) = one.split_once(&format!("  {TENANT}:\n")).context("the demo's configuration has its tenant")?;
    let block: String = rest.split_inclusive('\n').take_while(|line| line.starts_with("    ")).collect();
    let named = |name: String| {
        let block = block.replacen(&format!("tenant_id: {TENANT}\n"), &format!("tenant_id: {name}\n"), 1);
        format!("  {name}:\n{block}")
    };
    let all: String = (1..=tenants).map(|n| named(format!("tenant-{n:03}"))).collect();
    let [api, health] = [free_port()?, free_port()?];
    Ok(format!(
        "instance: soak\nkafka: {{bootstrap_servers: \"{}\"}}\ndatabase: {{url: \"{}\"}}\napi: {{port: {api}}}\nauth: {{mode: none}}\nhealth: {{port: {health}}}\n\
         features: {{refresh_interval: 15, max_parallel_tenants: 8}}\ntenants:\n{all}",
        services.kafka_bootstrap().context("asked for")?,
        services.database_url().context("asked for")?,
    ))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Lets it work and looks at it: every second at its memory, every minute at what it did.
async fn work(child: &mut Child, store: &Store, minutes: u32) -> Result<Vec<Minute>> {
    println!("minute   memory MB   runs   revisions   days allocated");
    let (mut seen, mut due) = (Vec::new(), tokio::time::interval(Duration::from_secs(1)));
    for minute in 1..=minutes {
        let mut most = 0;
        for _ in 0..60 {
            due.tick().await;
            alive(child)?;
            most = most.max(watch::resident(child.id())?);
        }
        let (runs, revisions, allocated) = watch::done(store).await?;
        println!("{minute:>6}   {:>9.1}   {runs:>4}   {revisions:>9}   {allocated:>14}", watch::megabytes(most));
        seen.push(Minute { resident: most });
    }
    Ok(seen)
}

/// Waits until every tenant was gathered after the corrections ended, and until its lines add up to the last bill.
async fn settle(
    child: &mut Child,
    store: &Store,
    upstream: &Upstream,
    tenants: u32,
    since: DateTime<Utc>,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        alive(child)?;
        let (current, wrong) = watch::settled(store, since, &upstream.total()).await?;
        if current == i64::from(tenants) && wrong.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("{current} of {tenants} tenants were gathered since; these do not add up: {}", wrong.join(", "));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn alive(child: &mut Child) -> Result<()> {
    match child.try_wait()? {
        None => Ok(()),
        Some(status) => bail!("the service ended with {status} although nobody asked it to"),
    }
}
