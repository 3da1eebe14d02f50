//! The whole file: its top level, and what the sections have to do with each other.
//!
//! Each function here both reads a section and describes it, see `section`.

mod auth;
mod ccloud;
mod emitter;
mod external;
mod generic;
mod metered;
mod metrics;
mod preview;
mod rules;
mod self_managed;
mod services;
mod tenant;
mod topic_attribution;

pub use rules::{CONFLUENT_WORDS, EXTERNAL_WORDS, SELF_MANAGED_WORDS, Vocabulary, map_file};

use super::address::FilePath;
use super::kind::{Anything, List, Names, object};
use super::number::Int;
use super::scalar::{Choice, Flag};
use super::section::Section;
use super::text::{Text, Word};
use super::{Api, ApiExports, Config, Features, Health, Level, LogFormat, Logging};

/// The top level.
pub(super) fn config(s: &mut Section<'_>) -> Config {
    s.ignored(
        "plugins_path",
        Anything,
        "ecosystems are built in; another program can be a gatherer by writing the fact topics",
    );
    s.section("preview", preview::process, "Chitragupta's FOCUS export; not in this version");
    if s.has("preview") {
        s.warn("preview", "has no effect in this version; FOCUS exports are not built yet");
    }
    let config = Config {
        logging: s.section("logging", logging, "what is logged"),
        features: s.section("features", features, "how the process works through its tenants"),
        health: s.section("health", health, "the port of /healthz, /readyz and /metrics of `tributary run`"),
        api: api_section(s),
        auth: s.section("auth", auth::auth, "who may use the HTTP API"),
        kafka: s.section(
            "kafka",
            services::kafka,
            "the Kafka cluster of the log; without it an embedded one is started",
        ),
        database: s.section(
            "database",
            services::database,
            "the PostgreSQL of the tables; without it an embedded one is started",
        ),
        schema_registry: s.optional(
            "schema_registry",
            object(services::schema_registry),
            "a Confluent-compatible schema registry; without it schema ids come from the program",
        ),
        topics: s.section("topics", services::topics, "how the topics are named and created"),
        instance: instance(s),
        data_dir: s.optional_or_env(
            "data_dir",
            "TRIBUTARY_DATA_DIR",
            FilePath,
            "folder of the embedded Kafka and PostgreSQL; TRIBUTARY_DATA_DIR overrides it",
        ),
        tenants: tenant::tenants(s),
    };
    let tenants: Vec<&str> = config.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    auth::check_tenants(s, &config.auth, &tenants);
    auth::check_address(s, &config.auth, &config.api.host);
    config
}

fn instance(s: &mut Section<'_>) -> String {
    let doc = "name of this process, for transactional ids and static group membership; \
               different for each process of one cluster; TRIBUTARY_INSTANCE overrides it; default: the host's name";
    let host = s.variable("HOSTNAME").unwrap_or_default();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(200).collect();
    let default = if host.is_empty() { "tributary".to_owned() } else { host };
    s.optional_or_env("instance", "TRIBUTARY_INSTANCE", Word { min: 1, max: 200 }, doc).unwrap_or(default)
}

const LEVELS: Choice<Level> = Choice(&[
    ("INFO", Level::Info),
    ("CRITICAL", Level::Error),
    ("ERROR", Level::Error),
    ("WARNING", Level::Warning),
    ("DEBUG", Level::Debug),
    ("", Level::Info),
]);

fn logging(s: &mut Section<'_>) -> Logging {
    let format = s.optional("format", Text, "auto (text on a terminal, JSON otherwise), text, or json");
    let format = match format.as_deref().map(str::trim) {
        None | Some("" | "auto") => LogFormat::Auto,
        Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(_) => {
            s.warn("format", "is a format of Python's and has no effect; ours are auto, text and json");
            LogFormat::Auto
        }
    };
    let level =
        s.default("level", LEVELS, Level::Info, "least severe line that is logged; CRITICAL is the same as ERROR");
    let modules = s.default("per_module_levels", Names(LEVELS), vec![], "level by module, such as `tributary::gather`");
    let ours = |module: &str| module.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    for (module, _) in modules.iter().filter(|(module, _)| !ours(module)) {
        let message = format!("`{module}` is a Python module and left out; ours are `tributary::gather` and the like");
        s.warn("per_module_levels", message);
    }
    Logging { level, per_module_levels: modules.into_iter().filter(|(module, _)| ours(module)).collect(), format }
}

fn features(s: &mut Section<'_>) -> Features {
    Features {
        enable_periodic_refresh: s.default(
            "enable_periodic_refresh",
            Flag,
            true,
            "false: one cycle of each tenant, then only what is asked for",
        ),
        refresh_interval: s.default("refresh_interval", Int(1..=u64::MAX), 1800, "pause after a cycle, seconds"),
        max_parallel_tenants: s.default("max_parallel_tenants", Int(1..=64), 4, "tenants gathered at the same time"),
        shutdown_timeout_seconds: s.default(
            "shutdown_timeout_seconds",
            Int(1..=3600),
            30,
            "how long roles may take to end after a signal",
        ),
    }
}

fn health(s: &mut Section<'_>) -> Health {
    let doc = "port to listen on, 0 for any; different for each process of a host; TRIBUTARY_HEALTH_PORT overrides it";
    let port = s.optional_or_env("port", "TRIBUTARY_HEALTH_PORT", Int(0..=65535), doc);
    Health {
        enabled: s.default("enabled", Flag, true, "false: listen nowhere"),
        host: s.default("host", Text, "127.0.0.1".into(), "address to listen on; whoever reaches it needs no password"),
        port: port.unwrap_or(9464),
        asked: port.is_some(),
    }
}

fn api_section(s: &mut Section<'_>) -> Api {
    s.section("api", api, "the HTTP API, served by the role `api`")
}

fn api(s: &mut Section<'_>) -> Api {
    Api {
        host: s.default("host", Text, "127.0.0.1".into(), "address to listen on"),
        port: s.default("port", Int(1..=65535), 8080, "port to listen on"),
        enable_cors: s.default("enable_cors", Flag, false, "answer requests of pages from other origins"),
        cors_origins: s.default("cors_origins", List(Text), vec![], "origins that are answered"),
        requests_per_second: s.default(
            "requests_per_second",
            Int(0..=100_000),
            0,
            "what one client (a token, a user, else an address) may ask on average, ten seconds' worth at once; 0: no limit",
        ),
        request_timeout_seconds: s.default("request_timeout_seconds", Int(1..=300), 30, "limit of one request"),
        row_security: s.default(
            "row_security",
            Flag,
            true,
            "read as a role that sees one tenant's rows only; false: where Postgres lets the service make no such role",
        ),
        exports: s.section("exports", api_exports, "files that are made on request"),
    }
}

fn api_exports(s: &mut Section<'_>) -> ApiExports {
    let doc = "folder of the files; different for each process of a host; default: `exports` in the folder of the embedded services";
    ApiExports {
        directory: s.optional("directory", FilePath, doc),
        keep_hours: s.default("keep_hours", Int(1..=720), 24, "how long a file is kept once it is ready"),
    }
}
