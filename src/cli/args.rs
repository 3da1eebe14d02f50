//! The words of the command line.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::{Day, Scope};

/// What every command takes from its environment.
const FOR_ALL: &str = "\
Start with `tributary demo`: it needs no account and no configuration.

Environment:
  TRIBUTARY_CONFIG         the configuration file, in place of --config
  TRIBUTARY_DATA_DIR       folder of the embedded Kafka and PostgreSQL
  TRIBUTARY_KAFKA_JARS     folder of Apache Kafka's jars, for the embedded Kafka
  TRIBUTARY_KAFKA_HEAP     memory of the embedded Kafka, such as 512m
  TRIBUTARY_POSTGRES_BIN   folder of PostgreSQL's programs, for the embedded PostgreSQL
  KAFKA_BOOTSTRAP_SERVERS  where Kafka is, in place of what the configuration says
  DATABASE_URL             where Postgres is, in place of what the configuration says
  RUST_LOG                 levels of the log, such as info,tributary::gather=debug";

/// Says which team caused which part of the bill: gathers bills, inventory and usage into Kafka, allocates
/// each day exactly once, and projects the chargeback rows into Postgres.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, arg_required_else_help = true)]
#[command(after_help = "Start with `tributary demo`: it needs no account and no configuration.")]
#[command(after_long_help = FOR_ALL)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service, or one cycle of it with --once; a changed configuration is read by starting again
    Run(Run),
    /// Show it all on a made-up organisation, with nothing configured
    Demo(Demo),
    /// Write a table as CSV or NDJSON
    Export(Export),
    /// Write past days as blocks of a Prometheus
    BackfillTsdb(BackfillTsdb),
    /// Ask the service for a cycle of one tenant or of all
    Gather(Gather),
    /// Lift a tenant's suspension and gather it
    Resume(Resume),
    /// End the run of a tenant that is under way, or a wish for one that nobody has taken up; what it had sealed stays
    Cancel(Cancel),
    /// Show what the cycles of tenants did
    Runs(Runs),
    /// Say why rows of a day are what they are, a sentence each
    Explain(Explain),
    /// Show tenants, days, lag and quarantine
    Status(Status),
    /// Look at what was set aside, and send it again
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Drop projections and build them anew from Kafka
    Rebuild(Rebuild),
    /// Remove days that are older than their tenant's retention_days; the service does so once a day
    Retention(Retention),
    /// Give a tenant a login of its own to read with, take it back, forget a tenant
    #[command(subcommand)]
    Tenant(Tenant),
    /// Make tokens of the API, list them, take them back
    #[command(subcommand)]
    Token(Token),
    /// Check, compare and create the topics
    #[command(subcommand)]
    Topology(Topology),
    /// Look at the Avro schemas and check that changes are compatible
    #[command(subcommand)]
    Schema(Schema),
    /// Look at the rules that a tenant's days are allocated by
    #[command(subcommand)]
    Rules(Rules),
    /// Check a configuration, or print its JSON Schema
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// Configuration file (YAML; a Chitragupta 2.2 file works as it is)
    #[arg(long = "config", short, value_name = "FILE", env = "TRIBUTARY_CONFIG")]
    pub config: PathBuf,
    /// Variables for ${NAME}; default: `.env` beside the configuration
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// What a process takes from its environment; the configuration's own `${NAME}` come from there, too.
const ENVIRONMENT: &str = "\
Environment, instead of what the configuration says, for several processes from one file:
  TRIBUTARY_INSTANCE       name of this process; each needs its own
  TRIBUTARY_HEALTH_PORT    port of /healthz, /readyz and /metrics; 0: any
  KAFKA_BOOTSTRAP_SERVERS  where Kafka is
  DATABASE_URL             where Postgres is
  RUST_LOG                 levels of the log";

#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub struct Run {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Which stages this process does; more processes of a stage share its work
    #[arg(long, value_delimiter = ',', value_name = "ROLES", default_values = ["gather", "allocate", "project", "emit"])]
    pub roles: Vec<Role>,
    /// Gather every tenant once, wait until all of it is allocated and projected, print a summary, exit
    #[arg(long)]
    pub once: bool,
    /// Take this moment as now (RFC 3339), for tests and for catching up
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    pub now: Option<DateTime<Utc>>,
    /// Take the moment in this file as now, and follow it (for tests)
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "now")]
    pub clock_file: Option<PathBuf>,
}

/// A stage of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Gather,
    Allocate,
    Project,
    /// Files and gauges, as `emitters` of the tenants say
    Emit,
    /// The REST API, at `api.host` and `api.port`
    Api,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Days of made-up costs
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=180))]
    pub days: u32,
    /// Another seed makes another organisation
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Keep Kafka, Postgres and the made-up organisation running until Ctrl-C
    #[arg(long)]
    pub stay: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    /// Which table
    pub table: Table,
    #[command(flatten)]
    pub file: ConfigFile,
    /// Tenant, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// First day, included
    #[arg(long, value_name = "DATE")]
    pub from: Option<Day>,
    /// Last day, excluded
    #[arg(long, value_name = "DATE")]
    pub to: Option<Day>,
    #[arg(long, default_value = "csv")]
    pub format: Format,
    /// File to write; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct Explain {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Tenant, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// The day
    #[arg(long, value_name = "DATE")]
    pub day: Day,
    /// Only rows that are charged to this identity
    #[arg(long, value_name = "ID")]
    pub identity: Option<String>,
    /// Only rows of this resource
    #[arg(long, value_name = "ID")]
    pub resource: Option<String>,
    /// Only rows of this product type
    #[arg(long, value_name = "TYPE")]
    pub product: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    Billing,
    Resources,
    Identities,
    Chargebacks,
    TopicAttributions,
    Days,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Ndjson,
}

#[derive(Debug, Args)]
pub struct BackfillTsdb {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Tenant, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// First day, included
    #[arg(long, value_name = "DATE")]
    pub from: Day,
    /// Last day, excluded
    #[arg(long, value_name = "DATE")]
    pub to: Day,
    /// Folder of the blocks
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// The promtool that makes blocks
    #[arg(long, value_name = "FILE", default_value = "promtool")]
    pub promtool: PathBuf,
}

#[derive(Debug, Args)]
pub struct Gather {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Tenant, by its name in the configuration; default: all
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// First day to look at, included; default: where the tenant's window begins
    #[arg(long, value_name = "DATE")]
    pub from: Option<Day>,
    /// Last day to look at, excluded; default: where the tenant's window ends
    #[arg(long, value_name = "DATE")]
    pub to: Option<Day>,
    /// Although it was gathered a moment ago, or is suspended
    #[arg(long)]
    pub force: bool,
    /// Wait for the answer; exit code 1 unless the run completed
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// Tenant, by its name in the configuration
    pub tenant: String,
    #[command(flatten)]
    pub file: ConfigFile,
    /// Wait for the run; exit code 1 unless it completed
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// Tenant, by its name in the configuration
    pub tenant: String,
    /// The run, by its id or by that of the wish that it answers; default: the one that is under way
    pub run: Option<String>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Runs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Tenant, by its name in the configuration; default: all
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// How many, the newest first
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Show it again every two seconds until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// As one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// What is set aside, newest first
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// Also what was sent again already
        #[arg(long)]
        all: bool,
    },
    /// One entry: where it came from, what is wrong, its bytes
    Show {
        /// Its id, or the beginning of it
        id: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Put records back into their topics after a fix
    Resend {
        /// Ids, or beginnings of them
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub struct Rebuild {
    /// billing, resources, identities, chargebacks, topic-attributions, days, quarantine, gathering, emissions, audit,
    /// tokens; default: all of them
    pub projections: Vec<String>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Make a Postgres login that reads the rows of one tenant; its password is printed once
    Grant {
        /// Its name in the configuration, or its tenant_id
        tenant: String,
        /// A role of another name, or one that is there already
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take the rights of a tenant's logins away and drop those that `grant` made
    Revoke {
        /// Its name in the configuration, or its tenant_id
        tenant: String,
        /// Only this role
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Remove a tenant everywhere: tables, logins, compacted topics; facts go with their topics' retention
    Forget {
        /// Its tenant_id; it must not be in the configuration any more
        tenant: String,
        /// Do it; without this only what would be done is said
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Tenants, whether they are configured, and their logins
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token of the API; it is printed once
    Create(CreateToken),
    /// Tokens, what they may, and when they end
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take a token back; services notice within seconds
    Revoke {
        /// Its id, which is the beginning of the token
        id: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub struct CreateToken {
    /// What people call it
    #[arg(long)]
    pub name: String,
    /// What it may: costs:read, tags:write, runs:write, exports:write, admin; may be repeated
    #[arg(long, required = true, value_delimiter = ',')]
    pub scope: Vec<Scope>,
    /// Only this tenant, by its name in the configuration; may be repeated
    #[arg(long, value_delimiter = ',')]
    pub tenant: Vec<String>,
    /// Days until it ends; without this it does not
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expires_in: Option<u32>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Retention {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Take this moment as now (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    pub now: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub enum Topology {
    /// Is the declaration sound? Needs no broker
    Check,
    /// What would be created or changed
    Plan {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Create and widen topics; never deletes
    Apply {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub enum Schema {
    /// Can every version be read from the ones before it?
    Check,
    /// Records, versions and ids
    List,
    /// Print a schema
    Show {
        /// The record, as `list` names it
        record: String,
        /// Default: the newest
        #[arg(long)]
        version: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Print a tenant's rule book as JSON, as it travels in each seal
    Show {
        #[command(flatten)]
        file: ConfigFile,
        /// Tenant, by its name in the configuration
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// On many lines, for people
        #[arg(long)]
        pretty: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration and name every fault in it; contacts nothing
    Check {
        #[arg(value_name = "FILE")]
        config: PathBuf,
        /// Variables for ${NAME}; default: `.env` beside the configuration
        #[arg(long, value_name = "FILE")]
        env_file: Option<PathBuf>,
        /// Also print the settings that hold, secrets masked
        #[arg(long)]
        show: bool,
    },
    /// Print the JSON Schema of the configuration
    Schema {
        /// As a page for people, with every setting, its default and its meaning
        #[arg(long)]
        markdown: bool,
    },
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let parsed = DateTime::parse_from_rfc3339(text);
    parsed.map(|t| t.to_utc()).map_err(|error| format!("{error}; write it as 2026-03-06T06:30:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_day_without_a_day_is_refused() {
        let words = ["tributary", "export", "billing", "--config", "a.yaml", "--tenant", "t", "--from", "2026-02"];
        assert!(Cli::try_parse_from(words).is_err());
    }
}
