//! The command line: builds the parts, starts the roles, ends them.
//!
//! In: words. Out: what the command prints, and an exit code: 0 done, 1 something failed, 2 the words were wrong.
//! Absent: decisions; each command is a plain function that tests can call.

mod api;
pub mod args;
pub mod ask;
mod backfill;
pub mod config;
pub mod demo;
mod emitters;
mod explain;
pub mod export;
mod measured;
pub mod quarantine;
pub mod rebuild;
pub mod retention;
pub mod rules;
pub mod run;
pub mod runs;
pub mod schema;
pub mod sources;
pub mod stack;
pub mod status;
pub mod summary;
pub mod tenant;
pub mod token;
pub mod topology;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};

use self::args::{
    Cli, Command, ConfigCommand, ConfigFile, Export, Gather, Quarantine, Rebuild, Retention, Rules, Schema, Topology,
};
use self::stack::{Need, Stack};
use crate::clock::Clock;
use crate::config::{Config, Level, LogFormat, SchemaRegistry, Tenant};
use crate::journal::registry::Registry;
use crate::journal::topology::Layout;
use crate::journal::{Codec, Connection};
use crate::service::{self, Say};
use crate::store::{ExportRange, Store};
use crate::{shutdown, telemetry};

/// Does what the words say.
///
/// # Errors
/// What went wrong and what to do about it.
pub fn run(cli: Cli) -> Result<ExitCode> {
    // A second call keeps the first one's choice.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(dispatch(cli.command));
    // Threads that wait inside a client must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn dispatch(command: Command) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    match command {
        Command::Config(ConfigCommand::Check { config, env_file, show }) => {
            Ok(config::check(&config, env_file.as_deref(), show, &mut out, &mut io::stderr())?)
        }
        Command::Config(ConfigCommand::Schema { markdown }) => done(config::schema(markdown, &mut out)),
        Command::Topology(Topology::Check) => done(topology::check(&mut out)),
        Command::Topology(Topology::Plan { file }) => on_topics(&file, false).await,
        Command::Topology(Topology::Apply { file }) => on_topics(&file, true).await,
        Command::Schema(Schema::Check) => done(schema::check(&mut out)),
        Command::Schema(Schema::List) => done(schema::list(&mut out)),
        Command::Schema(Schema::Show { record, version }) => done(schema::show(&record, version, &mut out)),
        Command::Rules(Rules::Show { file, tenant, pretty }) => match load(&file)? {
            Some(config) => done(rules::show(named(&config, &file, &tenant)?, pretty, &mut out)),
            None => Ok(ExitCode::FAILURE),
        },
        Command::Run(args) => match load(&args.file)? {
            Some(config) => {
                log(&config, args.once);
                run::run(&config, &args).await
            }
            None => Ok(ExitCode::FAILURE),
        },
        Command::Demo(args) => demo::demo(&args).await,
        Command::Export(args) => export(&args).await,
        Command::BackfillTsdb(args) => backfill(&args).await,
        Command::Explain(args) => attached(&args.file.clone(), Need::POSTGRES, Task::Explain(args)).await,
        Command::Gather(args) => {
            let (file, wait) = (args.file.clone(), args.wait);
            attached(&file, Need::BOTH, Task::Ask(Wish::Gather(args), wait)).await
        }
        Command::Resume(args) => {
            attached(&args.file, Need::BOTH, Task::Ask(Wish::Resume(args.tenant), args.wait)).await
        }
        Command::Cancel(args) => attached(&args.file.clone(), Need::BOTH, Task::Ask(Wish::Cancel(args), false)).await,
        Command::Runs(args) => attached(&args.file, Need::POSTGRES, Task::Runs(args.tenant, args.limit)).await,
        Command::Status(args) => attached(&args.file, Need::BOTH, Task::Status(args.watch, args.json)).await,
        Command::Quarantine(Quarantine::List { file, all }) => {
            attached(&file, Need::POSTGRES, Task::ListQuarantine(all)).await
        }
        Command::Quarantine(Quarantine::Show { file, id }) => {
            attached(&file, Need::POSTGRES, Task::ShowQuarantined(id)).await
        }
        Command::Quarantine(Quarantine::Resend { file, ids }) => attached(&file, Need::BOTH, Task::Resend(ids)).await,
        Command::Tenant(args::Tenant::Grant { tenant, role, file }) => {
            attached(&file, Need::POSTGRES, Task::Grant(tenant, role)).await
        }
        Command::Tenant(args::Tenant::Revoke { tenant, role, file }) => {
            attached(&file, Need::POSTGRES, Task::Revoke(tenant, role)).await
        }
        Command::Tenant(args::Tenant::Forget { tenant, yes, file }) => {
            attached(&file, Need::BOTH, Task::Forget(tenant, yes)).await
        }
        Command::Token(args::Token::Create(args)) => {
            attached(&args.file.clone(), Need::BOTH, Task::CreateToken(args)).await
        }
        Command::Token(args::Token::List { file }) => attached(&file, Need::BOTH, Task::ListTokens).await,
        Command::Token(args::Token::Revoke { id, file }) => attached(&file, Need::BOTH, Task::RevokeToken(id)).await,
        Command::Retention(Retention { dry_run, now, file }) => {
            let now = now.unwrap_or_else(|| Clock::system().now());
            attached(&file, Need::BOTH, Task::Retention(now, dry_run)).await
        }
        Command::Tenant(args::Tenant::List { file }) => attached(&file, Need::POSTGRES, Task::ListTenants).await,
        Command::Rebuild(Rebuild { file, projections }) => {
            rebuild::projections(&projections)?;
            attached(&file, Need::BOTH, Task::Rebuild(projections)).await
        }
    }
}

/// A command on data that is there, whether a service runs or not.
enum Task {
    Explain(args::Explain),
    Status(bool, bool),
    Runs(Option<String>, u32),
    /// And whether to wait for the answer.
    Ask(Wish, bool),
    ListQuarantine(bool),
    ShowQuarantined(String),
    Resend(Vec<String>),
    Rebuild(Vec<String>),
    Grant(String, Option<String>),
    Revoke(String, Option<String>),
    ListTenants,
    Forget(String, bool),
    Retention(DateTime<Utc>, bool),
    CreateToken(args::CreateToken),
    ListTokens,
    RevokeToken(String),
}

/// What the service is asked for.
enum Wish {
    Gather(Gather),
    Resume(String),
    Cancel(args::Cancel),
}

async fn attached(file: &ConfigFile, need: Need, task: Task) -> Result<ExitCode> {
    let Some(config) = load(file)? else { return Ok(ExitCode::FAILURE) };
    log(&config, true);
    let say = Say::new();
    let stack = Stack::attach(&config, need, &say).await?;
    let mut code = ExitCode::SUCCESS;
    let worked = async {
        let store = store(&config, &stack).await?;
        say.done();
        let mut out = io::stdout().lock();
        match task {
            Task::Explain(args) => explain::explain(&store, &config, &args, &mut out).await,
            Task::ListQuarantine(all) => quarantine::list(&store, all, &mut out).await,
            Task::ShowQuarantined(id) => quarantine::show(&store, &id, &mut out).await,
            Task::Grant(tenant, role) => tenant::grant(&store, &config, &tenant, role.as_deref(), &mut out).await,
            Task::Revoke(tenant, role) => tenant::revoke(&store, &config, &tenant, role.as_deref(), &mut out).await,
            Task::ListTenants => tenant::list(&store, &config, &mut out).await,
            Task::Forget(tenant, yes) => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                tenant::forget(&store, &connection, &codec, &config, &tenant, yes, &mut out).await
            }
            Task::Retention(now, dry_run) => {
                let keep = retention::keep(&config, now);
                if dry_run {
                    return retention::show(&store, &keep, &mut out).await;
                }
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                retention::clean(&store, &connection, &codec, &keep, &mut out).await
            }
            Task::CreateToken(args) => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                token::create(&connection, &codec, &config, &args, &mut out).await
            }
            Task::ListTokens => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                token::list(&connection, &codec, &config, &mut out).await
            }
            Task::RevokeToken(id) => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                token::revoke(&connection, &codec, &id, &mut out).await
            }
            Task::Status(watch, json) => {
                let connection = stack.connection(&config)?;
                status::status(&store, &connection, &config, (watch, json), &mut out).await
            }
            Task::Runs(tenant, limit) => {
                let tenant = tenant.map(|name| ask::tenant(&config, &name)).transpose()?;
                runs::runs(&store, &config, tenant.map(|tenant| tenant.tenant_id.as_str()), limit, &mut out).await
            }
            Task::Ask(wish, wait) => {
                let now = Clock::system().now();
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                let (commands, told) = match &wish {
                    Wish::Gather(args) => (ask::gather(&config, args, now)?, None),
                    Wish::Resume(name) => (ask::resume(&config, name, now)?, None),
                    Wish::Cancel(args) => {
                        let log = (&connection, &codec);
                        let (command, told) = ask::cancel(&store, log, &config, args, now).await?;
                        (vec![command], Some(told))
                    }
                };
                ask::send(&connection, &codec, &commands).await?;
                if let Some(told) = told {
                    writeln!(out, "{told}")?;
                }
                if wait && !ask::wait(&store, &config, &commands, &mut out).await? {
                    code = ExitCode::FAILURE;
                }
                Ok(())
            }
            Task::Resend(ids) => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                quarantine::resend(&store, &connection, codec, &ids, &mut out).await
            }
            Task::Rebuild(names) => {
                let connection = stack.connection(&config)?;
                let codec = codec(&config, &connection).await?;
                let parts = service::projecting_parts(connection, codec, store);
                rebuild::rebuild(&names, &parts, shutdown::on_signal()?).await
            }
        }
    }
    .await;
    say.done();
    stack.stop().await;
    done(worked).map(|done| if done == ExitCode::SUCCESS { code } else { done })
}

async fn on_topics(file: &ConfigFile, apply: bool) -> Result<ExitCode> {
    let Some(config) = load(file)? else { return Ok(ExitCode::FAILURE) };
    log(&config, true);
    let say = Say::new();
    let stack = Stack::attach(&config, Need::KAFKA, &say).await?;
    say.done();
    let mut out = io::stdout().lock();
    let worked = async {
        let connection = stack.connection(&config)?;
        match apply {
            true => topology::apply(&connection, layout(&config), retention::longest(&config), &mut out).await,
            false => topology::plan(&connection, layout(&config), retention::longest(&config), &mut out).await,
        }
    }
    .await;
    stack.stop().await;
    done(worked)
}

/// The tenant of that name.
fn named<'a>(config: &'a Config, file: &ConfigFile, name: &str) -> Result<&'a Tenant> {
    let Some(tenant) = config.tenants.iter().find(|tenant| tenant.name == name) else {
        let names: Vec<&str> = config.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        bail!("there is no tenant {name:?} in {}; it has {}", file.config.display(), names.join(", "));
    };
    Ok(tenant)
}

async fn export(args: &Export) -> Result<ExitCode> {
    let Some(config) = load(&args.file)? else { return Ok(ExitCode::FAILURE) };
    log(&config, true);
    let tenant = named(&config, &args.file, &args.tenant)?;
    let say = Say::new();
    let stack = Stack::attach(&config, Need::POSTGRES, &say).await?;
    say.done();
    let worked = async {
        let store = store(&config, &stack).await?;
        let range = ExportRange { tenant: tenant.tenant_id.clone(), from: args.from, to: args.to };
        match &args.output {
            None => export::export(&store, args.table.into(), &range, args.format, io::stdout().lock()).await,
            Some(path) => {
                // Written beside it and then renamed: a reader sees the old file or the whole new one.
                let unfinished = path.with_extension("unfinished");
                let file = File::create(&unfinished).with_context(|| format!("cannot write {}", path.display()))?;
                let mut out = BufWriter::new(file);
                let count = export::export(&store, args.table.into(), &range, args.format, &mut out).await?;
                out.flush()?;
                std::fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
                if io::stderr().is_terminal() {
                    eprintln!("{count} rows in {}", path.display());
                }
                Ok(count)
            }
        }
    }
    .await;
    stack.stop().await;
    match worked {
        // The reader of a pipe had enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        worked => done(worked.map(drop)),
    }
}

async fn backfill(args: &args::BackfillTsdb) -> Result<ExitCode> {
    let Some(config) = load(&args.file)? else { return Ok(ExitCode::FAILURE) };
    log(&config, true);
    let tenant = named(&config, &args.file, &args.tenant)?;
    let say = Say::new();
    let stack = Stack::attach(&config, Need::POSTGRES, &say).await?;
    say.done();
    let worked = async {
        let store = store(&config, &stack).await?;
        backfill::backfill(&store, tenant, args, &mut io::stdout().lock()).await
    }
    .await;
    stack.stop().await;
    done(worked)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let csv = cause.downcast_ref::<csv::Error>().map(csv::Error::kind);
        cause.downcast_ref::<io::Error>().is_some_and(broken) || matches!(csv, Some(csv::ErrorKind::Io(e)) if broken(e))
    })
}

/// Reads the configuration; its warnings and faults go to standard error.
fn load(file: &ConfigFile) -> Result<Option<Config>> {
    match crate::config::load(&file.config, file.env_file.as_deref()) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            Ok(Some(loaded.config))
        }
        Err(faults) => {
            eprintln!("{faults}");
            Ok(None)
        }
    }
}

fn log(config: &Config, own_progress: bool) {
    let quiet = own_progress && io::stderr().is_terminal();
    let modules = config.logging.per_module_levels.iter();
    let modules = modules.map(|(module, level)| (module.clone(), word(*level).to_owned())).collect();
    let json = match config.logging.format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(false),
        LogFormat::Json => Some(true),
    };
    telemetry::init(word(config.logging.level), &modules, quiet, json);
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

async fn store(config: &Config, stack: &Stack) -> Result<Store> {
    Ok(Store::connect(stack.database_url()?, config.database.max_connections).await?)
}

/// The codec, with ids from the registry if there is one.
async fn codec(config: &Config, connection: &Connection) -> Result<Arc<Codec>> {
    let Some(SchemaRegistry { url, username, password }) = &config.schema_registry else {
        return Ok(Arc::new(Codec::builtin()));
    };
    let password = password.as_ref().map(|password| password.expose().to_owned());
    let registry = Registry::new(url, username.clone().zip(password))?;
    Ok(Arc::new(Codec::from_registry(registry, |topic| connection.topic(topic)).await?))
}

fn layout(config: &Config) -> Layout {
    Layout { partitions: config.topics.partitions, replication_factor: config.topics.replication_factor }
}

fn done<E: Into<anyhow::Error>>(worked: Result<(), E>) -> Result<ExitCode> {
    worked.map(|()| ExitCode::SUCCESS).map_err(Into::into)
}
