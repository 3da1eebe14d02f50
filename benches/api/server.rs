//! The API in a process of its own, and those who ask it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tributary::api::auth::Gate;
use tributary::api::write::Ledger;
use tributary::api::{Doors, Settings, Tenant, serve as serve_api};
use tributary::clock::Clock;
use tributary::health::Health;
use tributary::journal::{Codec, Connection};
use tributary::secret::Secret;
use tributary::store::Store;

use super::fill::{SHAPE, tenant};

/// The first argument of the process that serves.
pub const CHILD: &str = "--serve";
/// As `database.max_connections` is, and what the command line makes of it.
const CONNECTIONS: u32 = 10;

/// Serves until its standard input ends.
pub async fn serve(database: &str) -> Result<()> {
    let store = Store::connect(database, CONNECTIONS).await?.walled().await?;
    // Nothing is written: Kafka is never asked.
    let connection =
        Connection::new("127.0.0.1:9".to_owned(), BTreeMap::new(), "bench.".to_owned(), "bench".to_owned())?;
    let ledger = Ledger::open(connection, Arc::new(Codec::builtin()), Clock::system(), "api")?;
    let one =
        |name: String| Tenant { tenant_id: name.clone(), name, ecosystem: "confluent_cloud".to_owned(), reach: None };
    let settings = Settings {
        tenants: (0..SHAPE.tenants).map(tenant).map(one).collect(),
        request_timeout_seconds: 30,
        parallel_requests: CONNECTIONS as usize / 2,
        requests_per_second: 0,
        ..Settings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        ended.cancel();
    });
    let doors = Doors {
        store,
        ledger,
        gate: Arc::new(Gate::closed(true, None)),
        health: Health::default(),
        meter: None,
        moved: Arc::default(),
    };
    Ok(serve_api(listener, doors, Clock::system(), settings, stop).await?)
}

/// A running server.
pub struct Server {
    child: Child,
    base: String,
    client: Client,
    tokens: Vec<String>,
}

impl Server {
    pub async fn start(database: &str, tokens: &[Secret]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([CHILD, database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut address)?;
        let client = Client::builder().pool_max_idle_per_host(1000).timeout(Duration::from_secs(300)).build()?;
        let tokens = tokens.iter().map(|token| token.expose().to_owned()).collect();
        Ok(Self { child, base: format!("http://{}", address.trim()), client, tokens })
    }

    /// Asks below the tenant, as the reader of that number.
    pub async fn ask(&self, reader: usize, of: u32, question: &str, accept: &str) -> Result<Response> {
        let url = format!("{}/api/v1/tenants/{}/{question}", self.base, tenant(of));
        let asked = self.client.get(url).bearer_auth(&self.tokens[reader % self.tokens.len()]).header("accept", accept);
        let answer = asked.send().await?;
        let status = answer.status();
        if status != StatusCode::OK {
            anyhow::bail!("{status} to {question}: {}", answer.text().await.unwrap_or_default());
        }
        Ok(answer)
    }

    /// The whole answer.
    pub async fn text(&self, reader: usize, of: u32, question: &str) -> Result<String> {
        Ok(self.ask(reader, of, question, "application/json").await?.text().await?)
    }

    /// What the process holds now, MB of 2^20 bytes.
    pub fn resident_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it lives")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    }

    pub fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        ensure!(self.child.wait()?.success(), "the server failed");
        Ok(())
    }
}
