//! Logs on standard error: sentences on a terminal, JSON otherwise, or what is asked for.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged, as one filter: `RUST_LOG` if it is set, else the configuration.
///
/// `quiet` lowers the default to warnings, for commands that show their progress themselves. `json`: lines as JSON
/// objects; `None` decides by whether a person watches.
pub fn init(level: &str, per_module: &BTreeMap<String, String>, quiet: bool, json: Option<bool>) {
    let base = if quiet { "warn" } else { level };
    // What the Kafka client finds out on its own (reconnects, ends of partitions) is told in our own words where
    // it matters.
    let mut directives = format!("{base},sqlx=warn,librdkafka=off,rdkafka=off");
    for (module, level) in per_module {
        directives.push_str(&format!(",{module}={level}"));
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    // A second call (tests) keeps the first one's choice.
    let _ = if !json.unwrap_or(!terminal) {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
}
