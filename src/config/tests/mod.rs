//! The configuration as an operator meets it: text in, values, faults and warnings out.

mod auth;
mod book;
mod ccloud;
mod faults;
mod metered;
mod reading;
mod rules;
mod schema;
mod tree;

use std::fmt::Write;

use super::*;

const KEY: &str = "\n      ccloud_api: {key: K, secret: hush-1}";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "FAKE_URL" => "http://127.0.0.1:9090",
        "PORT" => "9000",
        "HOSTNAME" => "host-1",
        "SECRET" => "hush-9",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

#[track_caller]
fn good(text: &str) -> Loaded {
    parse(text, &env).unwrap_or_else(|faults| panic!("{faults}\n--\n{text}"))
}

/// The faults and their lines, without the rest of the world.
#[track_caller]
fn faults(text: &str) -> String {
    match parse(text, &env) {
        Ok(_) => panic!("no fault in\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

/// A tenant `a` with these lines, and these in its `plugin_settings` (each begins with a line break).
fn tenant(lines: &str, settings: &str) -> String {
    format!(
        "tenants:\n  a:\n    ecosystem: confluent_cloud\n    tenant_id: t-a{lines}\n    plugin_settings:{KEY}{settings}\n"
    )
}

/// Lines of a tenant.
fn with(lines: &[&str]) -> String {
    tenant(&indented(lines, 4), "")
}

/// Lines of `plugin_settings`.
fn settings(lines: &[&str]) -> String {
    tenant("", &indented(lines, 6))
}

fn indented(lines: &[&str], by: usize) -> String {
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = write!(out, "\n{}{line}", " ".repeat(by));
        out
    })
}

#[track_caller]
fn ccloud(text: &str) -> ConfluentCloud {
    match good(text).config.tenants.remove(0).ecosystem {
        Ecosystem::ConfluentCloud(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(faults(text), expected, "\n{text}");
}

#[track_caller]
fn refused_with(text: &str, words: &[&str]) {
    let faults = faults(text);
    assert_eq!(faults.lines().count(), 1, "{faults}\n--\n{text}");
    for word in words {
        assert!(faults.contains(word), "`{word}` is not in: {faults}");
    }
}
