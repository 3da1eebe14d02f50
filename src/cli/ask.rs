//! `tributary gather`, `resume` and `cancel`: ask for cycles, and for their end, through topic `commands`.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};

use super::args::{Cancel, Gather};
use super::runs::{name, progress, said};
use super::token;
use crate::api::wish;
use crate::api::write::By;
use crate::config::{Config, Tenant};
use crate::domain::{Command, CommandKind, Reach, Run, RunStatus};
use crate::journal::{Codec, Connection, Topic, blocking, scan};
use crate::service::Say;
use crate::store::Store;

/// How often the answer is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Runs among which one is that is under way.
const NEWEST: u32 = 50;

/// How long one question to Postgres may take.
const QUESTION: Duration = Duration::from_secs(30);

/// After how long without any run somebody may wonder.
const PATIENCE: Duration = Duration::from_secs(10);
const UNANSWERED: &str = "still waiting: nobody has taken this up yet. Other cycles may come first; otherwise see that \
                          `tributary run` is up with the roles gather and project (`tributary status`). What was asked \
                          for stays in Kafka, so Ctrl-C loses nothing";

/// The commands for a wish: one for each tenant.
///
/// # Errors
/// A tenant that is not in the configuration, or days that make no period.
pub fn gather(config: &Config, args: &Gather, now: DateTime<Utc>) -> Result<Vec<Command>> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to <= from
    {
        bail!(
            "--to {to} is not after --from {from}; the last day is excluded, for one day write --to {}",
            from.plus(1)
        );
    }
    let tenants: Vec<&Tenant> = match &args.tenant {
        Some(name) => vec![gathered(config, name)?],
        None => config.tenants.iter().filter(|tenant| tenant.ecosystem.is_gathered()).collect(),
    };
    for tenant in &tenants {
        if let Some(why) = reach(tenant).misses(now, args.from, args.to) {
            // Whoever gathers may go by another clock.
            eprintln!("{}: this may look at no day: {why}", tenant.name);
        }
    }
    let ask = |tenant: &Tenant| Command {
        from: args.from,
        to: args.to,
        force: args.force,
        ..command(tenant, CommandKind::Gather, now)
    };
    Ok(tenants.into_iter().map(ask).collect())
}

/// The command that lifts a tenant's suspension.
///
/// # Errors
/// A tenant that is not in the configuration.
pub fn resume(config: &Config, name: &str, now: DateTime<Utc>) -> Result<Vec<Command>> {
    Ok(vec![command(gathered(config, name)?, CommandKind::Resume, now)])
}

/// The command that ends a run, or a wish for one; and what is said of it.
///
/// # Errors
/// A tenant that is not in the configuration, a run that has ended or that there is not, and when Postgres or Kafka does
/// not answer.
pub async fn cancel(
    store: &Store,
    (connection, codec): (&Connection, &Arc<Codec>),
    config: &Config,
    args: &Cancel,
    now: DateTime<Utc>,
) -> Result<(Command, String)> {
    let tenant = gathered(config, &args.tenant)?;
    let (cancels, told) = match &args.run {
        None => {
            // A wish that was taken back is a run, too, and may be newer than the one under way.
            let newest = store.runs(Some(&tenant.tenant_id), NEWEST).await?;
            let told = match newest.iter().find(|run| run.ended_at.is_none()) {
                Some(run) => format!("run {} ends at its next safe point", run.id),
                None => format!("no run of {} is known to be under way; one that has just begun ends", tenant.name),
            };
            (Vec::new(), told)
        }
        Some(id) => match store.reader(QUESTION).await?.run(&tenant.tenant_id, id).await? {
            Some(run) if run.ended_at.is_some() => bail!("run {} has ended already: {}", run.run_id, run.status),
            Some(run) => {
                let told = format!("run {} ends at its next safe point", run.run_id);
                ([vec![run.run_id], run.commands].concat(), told)
            }
            // A wish that nobody has taken up is in no table.
            None if is_asked(connection, codec, &tenant.tenant_id, id).await? => {
                (vec![id.clone()], format!("the wish {id} is taken back"))
            }
            None => bail!(
                "{} has no run and no wish {id:?}; `tributary runs --tenant {}` shows its runs",
                tenant.name,
                tenant.name
            ),
        },
    };
    Ok((Command { cancels, ..command(tenant, CommandKind::Cancel, now) }, told))
}

/// Does the log have a wish of this id?
async fn is_asked(connection: &Connection, codec: &Arc<Codec>, tenant: &str, id: &str) -> Result<bool> {
    let (connection, codec) = (connection.clone(), Arc::clone(codec));
    let (tenant, id) = (tenant.to_owned(), id.to_owned());
    let looked = move || {
        let mut found = false;
        let look = |record: crate::journal::ScanRecord<'_>| {
            if record.key == Some(tenant.as_bytes()) && !found {
                let command = record.payload.and_then(|payload| codec.decode::<Command>(payload).ok());
                found = command.is_some_and(|command| command.id == id && command.kind != CommandKind::Cancel);
            }
        };
        scan(&connection, Topic::Commands, None, look).map(|()| found)
    };
    Ok(blocking(looked).await?)
}

/// Which days of a tenant can be gathered.
pub fn reach(tenant: &Tenant) -> Reach {
    let Tenant { lookback_days, cutoff_days, retention_days, .. } = *tenant;
    Reach { lookback_days, cutoff_days, retention_days }
}

/// The tenant of that name.
///
/// # Errors
/// A name that is none, with those that are.
pub fn tenant<'a>(config: &'a Config, name: &str) -> Result<&'a Tenant> {
    config.tenants.iter().find(|tenant| tenant.name == name).with_context(|| {
        let names: Vec<&str> = config.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        format!("there is no tenant {name:?} in the configuration; it has {}", names.join(", "))
    })
}

/// The same, if we gather it.
fn gathered<'a>(config: &'a Config, name: &str) -> Result<&'a Tenant> {
    let tenant = tenant(config, name)?;
    if !tenant.ecosystem.is_gathered() {
        bail!("{name} is not gathered here: another program writes its days; ask that one");
    }
    Ok(tenant)
}

fn command(tenant: &Tenant, kind: CommandKind, now: DateTime<Utc>) -> Command {
    Command {
        id: format!("{:032x}", rand::random::<u128>()),
        tenant: tenant.tenant_id.clone(),
        kind,
        from: None,
        to: None,
        force: false,
        requested_at: now,
        requested_by: token::by().actor,
        cancels: Vec::new(),
    }
}

/// Writes commands, and to the audit who asked for what; both are durable when it returns.
///
/// # Errors
/// When Kafka does not answer. Commands before the one that failed are written.
pub async fn send(connection: &Connection, codec: &Arc<Codec>, commands: &[Command]) -> Result<()> {
    // Two people may ask at the same time: each call is a producer of its own.
    let ledger = token::ledger(connection, codec, "ask")?;
    for command in commands {
        let By { request_id, .. } = token::by();
        let by = By { actor: command.requested_by.clone(), request_id };
        let run = match command.kind {
            CommandKind::Cancel => command.cancels.first().map_or("", String::as_str),
            CommandKind::Gather | CommandKind::Resume => &command.id,
        };
        let change = wish::change(&ledger, command, None, run)?;
        ledger.write(&by, Some(&command.tenant), vec![change]).await.context("nothing more was asked for")?;
    }
    Ok(())
}

/// Waits for the run that answers each command and prints it; on a terminal it shows how far the run is, on standard error it says
/// when nobody seems to take a command up. Returns whether all of them completed.
///
/// # Errors
/// When Postgres does not answer.
pub async fn wait(store: &Store, config: &Config, commands: &[Command], mut out: impl Write) -> Result<bool> {
    let mut completed = true;
    let asked = tokio::time::Instant::now();
    let mut told = false;
    let say = Say::new();
    for command in commands {
        let run = loop {
            match store.run_of(&command.id).await? {
                // A process that ended does not answer: whoever gathers the tenant now does.
                Some(run) if run.ended_at.is_some() && run.status != RunStatus::Interrupted => break run,
                None if !told && asked.elapsed() >= PATIENCE => {
                    told = true;
                    eprintln!("{UNANSWERED}");
                }
                Some(run) => say.count(&format!("{}: {}", name(config, &run.tenant), going_on(&run))),
                None => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        completed &= run.status == RunStatus::Completed;
        say.count("");
        writeln!(out, "{}: {}", name(config, &run.tenant), said(&run))?;
    }
    say.done();
    Ok(completed)
}

/// What a run is at.
fn going_on(run: &Run) -> String {
    progress(run).unwrap_or_else(|| "bill and inventory are read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let tenant = |name: &str| {
            format!(
                "  {name}:\n    ecosystem: confluent_cloud\n    tenant_id: t-{name}\n    plugin_settings:\n      \
                 ccloud_api: {{key: k, secret: s}}\n"
            )
        };
        let external = "  x:\n    ecosystem: external\n    tenant_id: t-x\n";
        let text = format!("tenants:\n{}{}{external}", tenant("a"), tenant("b"));
        crate::config::parse(&text, &|_| None).unwrap().config
    }

    fn wish(tenant: Option<&str>, from: &str, to: &str) -> Gather {
        let day = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let file = super::super::args::ConfigFile { config: "c.yaml".into(), env_file: None };
        Gather { file, tenant: tenant.map(str::to_owned), from: day(from), to: day(to), force: true, wait: false }
    }

    #[test]
    fn a_wish_without_a_tenant_is_for_all_and_names_their_ids() {
        let now = "2026-03-06T06:30:00Z".parse().unwrap();
        let asked = |wish: &Gather| gather(&config(), wish, now).map_err(|error| error.to_string());
        let all = asked(&wish(None, "", "2026-02-03")).unwrap();
        assert_eq!(all.iter().map(|c| c.tenant.as_str()).collect::<Vec<_>>(), ["t-a", "t-b"]);
        assert!(all[0].id != all[1].id && all[0].force && all[0].to.is_some(), "{all:?}");
        let unknown = asked(&wish(Some("c"), "", "")).unwrap_err();
        assert_eq!(unknown, "there is no tenant \"c\" in the configuration; it has a, b, x");
        let external = asked(&wish(Some("x"), "", "")).unwrap_err();
        assert!(external.contains("another program writes its days"), "{external}");
        let empty = asked(&wish(Some("a"), "2026-02-03", "2026-02-03")).unwrap_err();
        assert!(empty.contains("--to 2026-02-04"), "{empty}");
        assert_eq!(resume(&config(), "b", now).unwrap()[0].kind, CommandKind::Resume);
    }
}
