//! `tributary demo`: the whole road on a made-up organisation, through the ordinary clients.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::{Demo, Role};
use super::progress::Say;
use super::run::{self, Parts};
use super::stack::{Need, Stack};
use crate::clock::Clock;
use crate::config::Config;
use crate::demo::{self, Organisation, TENANT, report};
use crate::{shutdown, telemetry};

/// Runs the demo in a data folder of its own, which it empties first.
///
/// # Errors
/// What is missing, with what to do about it.
pub async fn demo(args: &Demo) -> Result<ExitCode> {
    telemetry::init("warn", &Default::default(), true);
    let stop = shutdown::on_signal()?;
    let say = Say::new();
    let clock = Clock::system();
    let organisation = Organisation::generate(args.seed, demo::first_day(clock.now(), args.days), args.days);
    let (from, to) = (organisation.first_day, organisation.end());
    say.line("serving a made-up Confluent Cloud organisation");
    let upstream = demo::serve(organisation).await.context("no port is free on 127.0.0.1")?;
    let text = demo::config_yaml(&upstream, clock.now());
    let folder = tempfile::Builder::new().prefix("tributary-demo-").tempdir().context("no place for a demo")?;
    let file = folder.path().join("tributary.yaml");
    std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    let mut config = read(&text)?;
    config.data_dir = Some(folder.path().join("data"));
    let stack = Stack::start(&config, Need::BOTH, &say).await?;
    let shown = async {
        let parts = Parts::build(&config, &stack, clock, stop.child_token(), say.clone()).await?;
        let mut roles = run::start(&[Role::Allocate, Role::Project], &parts);
        let summary = tokio::select! {
            done = run::once(&config, &parts, true) => done?,
            Some(ended) = roles.join_next() => {
                ended??;
                anyhow::bail!("a role ended although nobody asked it to");
            }
        };
        let facts = report::read(parts.store.pool(), TENANT, from, to).await?;
        say.done();
        print!("{}", report::render(&facts, std::io::stdout().is_terminal()));
        if summary.failed {
            println!("\n{}", summary.text);
        }
        let bootstrap = parts.connection.bootstrap().to_owned();
        let further = report::Further {
            config: &file.display().to_string(),
            tenant: TENANT,
            database_url: args.stay.then_some(stack.database_url()?),
            bootstrap_servers: args.stay.then_some(bootstrap.as_str()),
            topic_prefix: parts.connection.prefix(),
        };
        println!("\n{}", report::further(&further));
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

fn read(text: &str) -> Result<Config> {
    // The demo has its own Kafka and Postgres, whatever the environment names.
    let loaded = crate::config::parse(text, &|_| None);
    Ok(loaded.map_err(|faults| anyhow::anyhow!("{faults}")).context("the demo's own configuration is wrong")?.config)
}
