//! `tributary demo`: the whole road on a made-up organisation, through the ordinary clients.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;

use super::args::Demo;
use super::run;
use super::stack::{Need, Stack};
use crate::clock::Clock;
use crate::config::Config;
use crate::demo::{self, Organisation, TENANT, TENANTS, report};
use crate::service::{self, Role, Say};
use crate::{embedded, shutdown, telemetry};

/// Runs the demo in a data folder of its own, which it empties first.
///
/// # Errors
/// What is missing, with what to do about it.
pub async fn demo(args: &Demo) -> Result<ExitCode> {
    telemetry::init("warn", &Default::default(), true, None);
    let stop = shutdown::on_signal()?;
    let say = Say::new();
    let clock = Clock::system();
    let organisation = Organisation::generate(args.seed, demo::first_day(clock.now(), args.days), args.days);
    let (from, to) = (organisation.first_day, organisation.end());
    say.line("serving a made-up organisation: Confluent Cloud, and a Prometheus");
    let upstream = demo::serve(organisation).await.context("no port is free on 127.0.0.1")?;
    let place = Place::fresh()?;
    let text = format!("data_dir: {}\n{}", place.data.display(), demo::config_yaml(&upstream, clock.now()));
    std::fs::write(&place.config, &text).with_context(|| format!("cannot write {}", place.config.display()))?;
    let config = read(&text)?;
    let stack = Stack::start(&config, Need::BOTH, &say).await?;
    let shown = async {
        let parts = run::build(&config, &stack, clock, stop.child_token(), say.clone()).await?;
        let mut roles = service::start(&[Role::Allocate, Role::Project], &parts);
        let summary = tokio::select! {
            done = run::once(&config, &parts, true) => done?,
            Some(ended) = roles.join_next() => {
                ended??;
                bail!("a role ended although nobody asked it to");
            }
        };
        let pool = parts.store.pool();
        let bills = try_join_all(TENANTS.iter().map(|tenant| report::read(pool, tenant, from, to))).await?;
        say.done();
        for facts in &bills {
            write!(io::stdout(), "{}", report::render(facts, io::stdout().is_terminal()))?;
        }
        if summary.failed {
            writeln!(io::stdout(), "\n{}", summary.text)?;
        }
        let bootstrap = parts.connection.bootstrap().to_owned();
        let further = report::Further {
            config: &place.config.display().to_string(),
            tenant: TENANT,
            database_url: args.stay.then_some(stack.database_url()?),
            bootstrap_servers: args.stay.then_some(bootstrap.as_str()),
            topic_prefix: parts.connection.prefix(),
        };
        writeln!(io::stdout(), "\n{}", report::further(&further))?;
        if args.stay {
            eprintln!("Everything stays up until Ctrl-C.");
            stop.cancelled().await;
        }
        parts.stop.cancel();
        while roles.join_next().await.is_some() {}
        anyhow::Ok(summary.failed)
    }
    .await;
    stack.stop().await;
    upstream.stop().await.context("the made-up organisation did not end")?;
    say.done();
    Ok(if shown? { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where the demo keeps its data, so that other commands can look at it afterwards.
struct Place {
    config: PathBuf,
    data: PathBuf,
}

impl Place {
    /// A folder in the usual data folder, without what an earlier demo left in it.
    fn fresh() -> Result<Self> {
        let usual = embedded::data_folder(None).context("no place for data: set TRIBUTARY_DATA_DIR")?;
        let folder = std::path::absolute(usual)?.join("demo");
        let data = folder.join("data");
        if embedded::in_use(&data) {
            bail!("another demo runs in {}; stop it first", folder.display());
        }
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { config: folder.join("tributary.yaml"), data })
    }
}

fn read(text: &str) -> Result<Config> {
    // The demo has its own Kafka and Postgres, whatever the environment names.
    let loaded = crate::config::parse(text, &|_| None);
    Ok(loaded.map_err(|faults| anyhow::anyhow!("{faults}")).context("the demo's own configuration is wrong")?.config)
}
