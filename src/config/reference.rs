//! The JSON Schema of configuration files as a page for people.
//!
//! In: the schema. Out: Markdown, a table for each section. Absent: what settings mean beyond one line; that is on the
//! pages of the book.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

const HEAD: &str = "# Settings

Every setting there is, as `tributary config schema` has it: this page is made from it (`tributary config schema --markdown`).
An editor that knows JSON Schema checks and completes a file whose first line is `# yaml-language-server: $schema=FILE`,
with what `tributary config schema > FILE` wrote.

`${NAME}` and `${NAME:-default}` stand for variables of the process and of the file `.env` beside the configuration, in any
value. `tributary config check FILE` names every fault at once.
";
const TABLE: &str = "\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n";

/// The page.
pub fn reference(schema: &Json) -> String {
    let mut page = HEAD.to_owned();
    let top = properties(schema);
    let (sections, single): (Vec<_>, Vec<_>) = top
        .iter()
        .filter(|(key, _)| *key != "tenants")
        .partition(|(_, of)| of.get("properties").is_some() && !deprecated(of));
    page.push_str("\n## At the top\n");
    page.push_str(TABLE);
    single.iter().for_each(|(key, of)| row(&mut page, key, of, false));
    for (key, of) in sections {
        section(&mut page, &format!("`{key}`: {}", text(of, "description")), of);
    }
    let tenant = &schema["properties"]["tenants"]["additionalProperties"];
    let title = format!("`tenants.<name>`: {}", text(&schema["properties"]["tenants"], "description"));
    section(&mut page, &title, tenant);
    for shape in shapes(&tenant["properties"]["plugin_settings"]).filter(|of| of.get("title").is_some()) {
        section(&mut page, &format!("`plugin_settings` of `{}`", text(shape, "title")), shape);
    }
    page
}

fn section(page: &mut String, title: &str, of: &Json) {
    let _ = write!(page, "\n## {title}\n{TABLE}");
    rows(page, "", of);
}

/// The keys of a section, and below each that is a section, too, its keys.
fn rows(page: &mut String, prefix: &str, of: &Json) {
    let required = of["required"].as_array().cloned().unwrap_or_default();
    for (key, property) in &properties(of) {
        let path = format!("{prefix}{key}");
        row(page, &path, property, required.iter().any(|name| name == key));
        if deprecated(property) || titled(property) {
            continue;
        }
        match shapes(property).find(|shape| shape.get("properties").is_some() || shape.get("items").is_some()) {
            Some(shape) if shape.get("properties").is_some() => rows(page, &format!("{path}."), shape),
            Some(list) => rows(page, &format!("{path}[]."), &list["items"]),
            None => {}
        }
    }
}

fn row(page: &mut String, path: &str, of: &Json, required: bool) {
    let default = match of.get("default") {
        _ if required => "required".to_owned(),
        Some(Json::Array(of)) if of.is_empty() => String::new(),
        Some(Json::Object(of)) if of.is_empty() => String::new(),
        Some(Json::String(text)) if text.is_empty() => String::new(),
        Some(Json::String(text)) => format!("`{text}`"),
        Some(other) => format!("`{other}`"),
        None => String::new(),
    };
    let meaning = text(of, "description").replace('|', "\\|");
    let meaning = if deprecated(of) { format!("no effect: {meaning}") } else { meaning };
    let _ = writeln!(page, "| `{path}` | {} | {default} | {meaning} |", value(of));
}

/// What may stand behind a key, in a few words.
fn value(of: &Json) -> String {
    if deprecated(of) {
        return "anything".to_owned();
    }
    if titled(of) {
        return "section, see below".to_owned();
    }
    let told: Vec<String> = shapes(of).filter_map(shape).collect();
    match told.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == "text") => first.clone(),
        _ => told.join(", or "),
    }
}

fn shape(of: &Json) -> Option<String> {
    if let Some(words) = of["enum"].as_array() {
        let words = words.iter().filter_map(Json::as_str).filter(|word| !word.is_empty());
        return Some(words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "));
    }
    let types: Vec<&str> = match &of["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => vec![],
    };
    let bounded = |what: &str| match (of["minimum"].as_i64(), of["maximum"].as_i64()) {
        (Some(from), Some(to)) => format!("{what}, {from} to {to}"),
        (Some(from), None) => format!("{what}, {from} or more"),
        _ => what.to_owned(),
    };
    Some(match *types.iter().find(|of| **of != "null")? {
        "integer" => bounded("whole number"),
        "number" => bounded("number"),
        "boolean" => "`true`, `false`".to_owned(),
        "array" => format!("list of {}", nested(&of["items"])),
        "object" if of.get("properties").is_some() => "section".to_owned(),
        "object" => format!("name to {}", nested(&of["additionalProperties"])),
        _ if of["format"] == "date" => "date".to_owned(),
        _ => "text".to_owned(),
    })
}

fn nested(of: &Json) -> String {
    match value(of) {
        told if told.is_empty() => "anything".to_owned(),
        told => told,
    }
}

/// Ways in which a value may be written; texts that a variable can stand for come last.
fn shapes(of: &Json) -> impl Iterator<Item = &Json> {
    let several = of["anyOf"].as_array().map(Vec::as_slice);
    several.unwrap_or(std::slice::from_ref(of)).iter()
}

/// Do its shapes have sections of their own on the page?
fn titled(of: &Json) -> bool {
    shapes(of).any(|shape| shape.get("title").is_some())
}

fn deprecated(of: &Json) -> bool {
    of["deprecated"] == true
}

fn properties(of: &Json) -> Map<String, Json> {
    of["properties"].as_object().cloned().unwrap_or_default()
}

fn text(of: &Json, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_says_what_may_stand_behind_it() {
        let told = |of: Json| value(&of);
        assert_eq!(told(json!({"type": ["string", "null"]})), "text");
        assert_eq!(
            told(json!({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]})),
            "whole number, 1 or more"
        );
        assert_eq!(told(json!({"anyOf": [{"enum": ["a", "b"]}, {"type": "string"}, {"type": "null"}]})), "`a`, `b`");
        assert_eq!(told(json!({"type": "array", "items": {"type": "string"}})), "list of text");
        assert_eq!(told(json!({"type": "object", "additionalProperties": {"type": "string"}})), "name to text");
    }

    #[test]
    fn sections_come_with_their_keys_and_lists_with_those_of_their_items() {
        let item =
            json!({"type": "object", "required": ["c"], "properties": {"c": {"type": "string", "description": "x|y"}}});
        let schema =
            json!({"properties": {"b": {"type": "array", "items": item, "default": [], "description": "many"}}});
        let mut page = String::new();
        rows(&mut page, "", &schema);
        assert_eq!(page, "| `b` | list of section |  | many |\n| `b[].c` | text | required | x\\|y |\n");
    }

    /// `TRIBUTARY_BLESS=1 cargo test --lib the_page_of_settings` writes it anew.
    #[test]
    fn the_page_of_settings_is_what_the_program_reads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/settings.md");
        let page = reference(&crate::config::schema());
        if std::env::var_os("TRIBUTARY_BLESS").is_some() {
            std::fs::write(path, &page).expect("written");
        }
        let there = std::fs::read_to_string(path).expect("the page is there");
        assert!(
            there == page,
            "docs/src/settings.md is behind; run: TRIBUTARY_BLESS=1 cargo test --lib the_page_of_settings"
        );
    }
}
