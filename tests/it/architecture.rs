//! Who may name whom: the table of `ARCHITECTURE.md`, held against the sources.
//!
//! Only what is built into the program counts: unit tests may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Helpers without a part of their own, which every part but the domain may use.
const HELPERS: [&str; 8] =
    ["clock", "kafka_properties", "meter", "secret", "serving", "spreadsheet", "unfinished", "wording"];

/// Each part of the program with the parts it may name.
const MAY_NAME: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("ecosystem", &["domain"]),
    ("journal", &["domain"]),
    ("store", &["domain"]),
    ("config", &["domain"]),
    ("embedded", &[]),
    ("demo", &["domain"]),
    ("gather", &["domain", "ecosystem", "journal"]),
    ("allocate", &["domain", "journal"]),
    ("project", &["domain", "journal", "store"]),
    ("api", &["domain", "journal", "store", "health"]),
    ("emit", &["domain", "journal", "store"]),
    ("upkeep", &["domain", "journal", "store"]),
    ("health", &[]),
    (
        "service",
        &["domain", "ecosystem", "journal", "store", "gather", "allocate", "project", "upkeep", "health", "emit"],
    ),
];

/// The outside world's crates with the files that may use them, by the beginning of their path.
const HOMES: [(&str, &[&str]); 13] = [
    ("rdkafka", &["journal/", "embedded/kafka.rs", "ecosystem/self_managed_kafka/admin.rs"]),
    ("apache_avro", &["journal/"]),
    ("serde_avro_fast", &["journal/"]),
    ("sqlx", &["store/", "embedded/", "demo/report/query.rs"]),
    ("reqwest", &["ecosystem/", "journal/registry.rs", "api/auth/issuer.rs"]),
    ("ring", &["api/auth/jwt.rs"]),
    ("axum", &["api/", "demo/", "emit/", "health/", "serving.rs"]),
    ("hyper", &["serving.rs"]),
    ("hyper_util", &["serving.rs"]),
    ("parquet", &["api/table/"]),
    ("clap", &["cli/", "main.rs"]),
    ("metrics_exporter_prometheus", &["meter.rs"]),
    ("sd_notify", &["notify.rs"]),
];

/// Who may ask the process' environment; all others are told.
const ASKS_ENVIRONMENT: [&str; 2] = ["config/", "embedded/"];

#[test]
fn parts_name_only_what_the_map_allows() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let part = part_of(&path);
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == part) else { continue };
        for named in named_parts(&text) {
            let helper = HELPERS.contains(&named.as_str()) && part != "domain";
            if named != part && !helper && !allowed.contains(&named.as_str()) {
                faults.push(format!("src/{path} names crate::{named}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_part_is_on_the_map() {
    let known: BTreeSet<&str> = MAY_NAME.iter().map(|(part, _)| *part).chain(HELPERS).collect();
    // What holds the parts together may use all of them.
    let above = BTreeSet::from(["cli", "lib", "main", "notify", "shutdown", "telemetry"]);
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for part in sources().keys().map(|path| part_of(path)).collect::<BTreeSet<_>>() {
        assert!(known.contains(part) || above.contains(part), "src/{part} has no rule");
        let named = map.contains(&format!("`src/{part}/`")) || map.contains(&format!("`src/{part}.rs`"));
        assert!(named || part == "lib" || part == "main", "ARCHITECTURE.md does not name src/{part}");
    }
}

#[test]
fn the_outside_world_has_one_home_each() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        for (name, homes) in HOMES {
            if uses(&text, &format!("{name}::")) && !homes.iter().any(|home| path.starts_with(home)) {
                faults.push(format!("src/{path} uses {name}"));
            }
        }
        // Its server lets a client take for ever to say what it wants.
        if uses(&text, "axum::serve(") && !path.starts_with("demo/") {
            faults.push(format!("src/{path} uses axum::serve in place of crate::serving"));
        }
        if uses(&text, "std::env::") && !ASKS_ENVIRONMENT.iter().any(|home| path.starts_with(home)) {
            faults.push(format!("src/{path} asks the environment"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of every source by its path below `src/`, without comments and unit tests.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(&root().join("src"), "", &mut found);
    assert!(found.len() > 100, "the sources are there");
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if name != "tests" {
                collect(&entry.path(), &format!("{prefix}{name}/"), found);
            }
        } else if name.ends_with(".rs") && !is_test_module(folder, &name) {
            found.insert(format!("{prefix}{name}"), product(&fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// Does the module above build this file into tests only?
fn is_test_module(folder: &Path, name: &str) -> bool {
    let module = format!("mod {};", name.trim_end_matches(".rs"));
    let beside = folder.with_extension("rs");
    let above = [folder.join("mod.rs"), beside].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    above.into_iter().any(|text| {
        let mut lines = text.lines().zip(text.lines().skip(1));
        lines.any(|(before, line)| before == "#[cfg(test)]" && line.ends_with(&module))
    })
}

/// What is built into the program.
fn product(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let code = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn part_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

/// The parts that stand behind `crate::`, also inside braces.
fn named_parts(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split([' ', ';', ',', ')', '\n']).next().unwrap_or_default(),
        };
        let word = |name: &str| name.trim().split([':', ' ', '(', '<']).next().unwrap_or_default().to_owned();
        named.extend(names.split(',').map(word).filter(|name| !name.is_empty()));
    }
    named
}

/// Does `needle` stand there as a word of its own?
fn uses(text: &str, needle: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    text.match_indices(needle).any(|(at, _)| !text[..at].ends_with(inside))
}
