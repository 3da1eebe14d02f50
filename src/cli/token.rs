//! `tributary token`: makes, lists and takes back tokens of the API; and the first one of all.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};

use super::args::CreateToken;
use crate::api::auth::token::{NewToken, token_name};
use crate::api::auth::{issue, revoke as take_back};
use crate::api::write::{By, Ledger};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{ApiToken, Scope};
use crate::journal::{Codec, Connection, blocking, tokens};
use crate::store::Store;
use crate::wording::printable;

/// So long another process that starts at the same time may take for the first token, Kafka's slowness among it.
const TURN_OF_OTHERS: Duration = Duration::from_secs(60);

/// Makes a token and prints it, once.
///
/// # Errors
/// If there is no such tenant, or Kafka does not take it.
pub async fn create(
    connection: &Connection,
    codec: &Arc<Codec>,
    config: &Config,
    args: &CreateToken,
    out: &mut impl Write,
) -> Result<()> {
    let ids = args.tenant.iter().map(|name| Ok(super::ask::tenant(config, name)?.tenant_id.clone()));
    let ids = ids.collect::<Result<BTreeSet<String>>>()?;
    let now = Clock::system().now();
    let new = NewToken {
        name: token_name(&args.name).map_err(|error| anyhow!("--name: {error}"))?,
        scopes: args.scope.iter().copied().collect(),
        tenants: (!ids.is_empty()).then_some(ids),
        expires_at: args.expires_in.map(|days| now + TimeDelta::days(i64::from(days))),
    };
    let (secret, token, _) = issue(&ledger(connection, codec, "token")?, &by(), new).await?;
    writeln!(out, "token {} for {:?}; this is the only time it is shown:\n{}", token.id, token.name, secret.expose())?;
    Ok(())
}

/// Prints every token without its secret.
///
/// # Errors
/// If Kafka does not answer.
pub async fn list(connection: &Connection, codec: &Arc<Codec>, config: &Config, out: &mut impl Write) -> Result<()> {
    let mut found: Vec<ApiToken> = in_the_log(connection, codec).await?;
    found.sort_by_key(|token| token.created_at);
    let mut table = super::status::table(&["id", "name", "scopes", "tenants", "made", "by", "ends"]);
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let name = |id: &String| {
        let tenant = config.tenants.iter().find(|tenant| tenant.tenant_id == *id);
        tenant.map_or_else(|| id.clone(), |tenant| tenant.name.clone())
    };
    for token in found {
        let tenants =
            token.tenants.map_or_else(|| "(all)".to_owned(), |ids| ids.iter().map(name).collect::<Vec<_>>().join(", "));
        let ends = token.expires_at.map(day).unwrap_or_default();
        let made = day(token.created_at);
        let cells = [token.id, token.name, token.scopes.join(" "), tenants, made, token.created_by, ends];
        table.add_row(cells.map(|cell| printable(&cell)));
    }
    writeln!(out, "{table}")?;
    Ok(())
}

/// Takes a token back.
///
/// # Errors
/// If there is no such token, or Kafka does not take it.
pub async fn revoke(connection: &Connection, codec: &Arc<Codec>, id: &str, out: &mut impl Write) -> Result<()> {
    let Some(token) = in_the_log(connection, codec).await?.into_iter().find(|token| token.id == id) else {
        bail!("there is no token {id:?}; `tributary token list` shows which there are");
    };
    take_back(&ledger(connection, codec, "token")?, &by(), &token).await?;
    writeln!(out, "token {id} ({}) is taken back; services notice within seconds", printable(&token.name))?;
    Ok(())
}

/// Makes the first token that may do everything, where none is left that does. Gives back the line that shows it. Of processes
/// that start together one makes it.
///
/// # Errors
/// If Kafka or Postgres does not answer.
pub async fn first(
    store: &Store,
    connection: &Connection,
    codec: &Arc<Codec>,
    ledger: &Ledger,
) -> Result<Option<String>> {
    let turn = store.turn("the first token", TURN_OF_OTHERS).await?;
    let line = first_in_turn(connection, codec, ledger).await;
    turn.end().await;
    line
}

async fn first_in_turn(connection: &Connection, codec: &Arc<Codec>, ledger: &Ledger) -> Result<Option<String>> {
    let now = ledger.now();
    let administers = |token: &ApiToken| {
        let may = token.scopes.iter().any(|scope| scope == Scope::Admin.as_str());
        may && token.tenants.is_none() && token.expires_at.is_none_or(|ends| now < ends)
    };
    if in_the_log(connection, codec).await?.iter().any(administers) {
        return Ok(None);
    }
    let new = NewToken {
        name: "the first token".to_owned(),
        scopes: BTreeSet::from([Scope::Admin]),
        tenants: None,
        expires_at: None,
    };
    let by = By { actor: "service".to_owned(), request_id: format!("{:032x}", rand::random::<u128>()) };
    let (secret, ..) = issue(ledger, &by, new).await?;
    let secret = secret.expose();
    Ok(Some(format!(
        "nobody could administer the API, so here is a token that may do everything, shown once: {secret}"
    )))
}

async fn in_the_log(connection: &Connection, codec: &Arc<Codec>) -> Result<Vec<ApiToken>> {
    let (connection, codec) = (connection.clone(), Arc::clone(codec));
    Ok(blocking(move || tokens(&connection, &codec)).await?.into_values().collect())
}

/// Two people may ask at the same time: each call is a producer of its own.
pub(super) fn ledger(connection: &Connection, codec: &Arc<Codec>, what: &str) -> Result<Ledger> {
    let role = format!("{what}-{:08x}", rand::random::<u32>());
    Ok(Ledger::open(connection.clone(), Arc::clone(codec), Clock::system(), &role)?)
}

/// Whoever runs this program.
pub(super) fn by() -> By {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let login = user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name);
    By { actor: format!("cli:{login}"), request_id: format!("{:032x}", rand::random::<u128>()) }
}
