//! May a schema change? Every version must be readable from all earlier ones, and a released file never changes.
//!
//! In: schema files and the entries of `schemas/released.toml`. Out: every fault, with what to do. apache-avro's
//! check is asked too, but knows neither decimals nor logical types, so the rules are spelled out here.
//! Absent: IO.

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::Value;

use super::schema::{NAMESPACE, Release, SchemaFile};

/// Below it are the ids that registries give.
pub const FIRST_ID: u32 = 1_000_000_001;
/// Changes of a type that every reader follows without loss.
const PROMOTIONS: [(&str, &str); 2] = [("int", "long"), ("float", "double")];

/// What is wrong with the schemas, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("schemas/{0} is no Avro schema: {1}")]
    NoSchema(String, String),
    #[error("schemas/{0}: {1} has no doc; say what it is, with unit and bounds")]
    NoDoc(String, String),
    #[error("schemas/{0}: the record must be `{NAMESPACE}.{1}`, as in version 1; readers know it by that name")]
    OtherName(String, String),
    #[error("schemas/{record}: versions must be v1 to v{count}.avsc without gaps")]
    Gap { record: String, count: usize },
    #[error("schemas/{0} is not in schemas/released.toml; if it is final, add\n{1}")]
    NotReleased(String, String),
    #[error("schemas/{0} was released and is edited; undo that and add a new version instead")]
    Edited(String),
    #[error("schemas/released.toml names schemas/{0}, which is missing; released files stay for ever")]
    Missing(String),
    #[error("schemas/released.toml gives id {0} twice; give the newer one the next free id")]
    IdTwice(u32),
    #[error("schemas/released.toml gives id {0}, which a registry may give too; ids begin at {FIRST_ID}")]
    IdTooLow(u32),
    #[error("schemas/{new} cannot read what schemas/{old} wrote: {why}")]
    Incompatible { new: String, old: String, why: String },
}

/// Every fault of the schemas; none if all is well.
pub fn faults(files: &[SchemaFile<'_>], releases: &[Release]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = files.iter().flat_map(|file| file_faults(file, files)).collect();
    for (at, new) in files.iter().enumerate() {
        let earlier = files[..at].iter().filter(|old| old.record == new.record && old.version < new.version);
        faults.extend(earlier.flat_map(|old| incompatibilities(old, new)));
    }
    faults.extend(gaps(files));
    faults.extend(release_faults(files, releases));
    faults
}

fn path(file: &SchemaFile<'_>) -> String {
    format!("{}/v{}.avsc", file.record, file.version)
}

fn file_faults(file: &SchemaFile<'_>, files: &[SchemaFile<'_>]) -> Vec<Fault> {
    let json = match parse(file) {
        Ok(json) => json,
        Err(fault) => return vec![fault],
    };
    let mut undocumented = Vec::new();
    require_docs(&json, "", &mut undocumented);
    let mut faults: Vec<_> = undocumented.into_iter().map(|what| Fault::NoDoc(path(file), what)).collect();
    let first = files.iter().find(|first| first.record == file.record).and_then(|first| parse(first).ok());
    let name = |json: &Value| json["name"].as_str().unwrap_or_default().to_owned();
    let named = first.as_ref().map_or_else(|| name(&json), name);
    if json["namespace"] != NAMESPACE || name(&json) != named {
        faults.push(Fault::OtherName(path(file), named));
    }
    faults
}

fn parse(file: &SchemaFile<'_>) -> Result<Value, Fault> {
    let fault = |why: String| Fault::NoSchema(path(file), why);
    Schema::parse_str(file.text).map_err(|error| fault(error.to_string()))?;
    file.text.parse::<serde_avro_fast::Schema>().map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(file.text).map_err(|error| fault(error.to_string()))
}

/// Records, enums and fields have a doc; collects the places of those without.
fn require_docs(schema: &Value, at: &str, missing: &mut Vec<String>) {
    let has_doc = |value: &Value| value["doc"].as_str().is_some_and(|doc| !doc.trim().is_empty());
    let kind = schema["type"].as_str();
    if matches!(kind, Some("record" | "enum" | "fixed")) && !has_doc(schema) {
        missing.push(format!("type {}", schema["name"].as_str().unwrap_or_default()));
    }
    for field in schema["fields"].as_array().into_iter().flatten() {
        let place = format!("{at}{}", field["name"].as_str().unwrap_or_default());
        if !has_doc(field) {
            missing.push(format!("field {place}"));
        }
        require_docs(&field["type"], &format!("{place}."), missing);
    }
    for part in schema.as_array().into_iter().flatten().chain([&schema["items"], &schema["values"]]) {
        if part.is_object() {
            require_docs(part, at, missing);
        }
    }
}

fn incompatibilities(old: &SchemaFile<'_>, new: &SchemaFile<'_>) -> Vec<Fault> {
    let (Ok(old_json), Ok(new_json)) = (parse(old), parse(new)) else { return Vec::new() };
    let mut why = Vec::new();
    compare(&old_json, &new_json, "", &mut why);
    if why.is_empty() {
        why.extend(ask_apache_avro(&old_json, &new_json));
    }
    why.into_iter().map(|why| Fault::Incompatible { new: path(new), old: path(old), why }).collect()
}

/// apache-avro's own check, which gives up at logical types: they are compared by [`compare`], so it gets none.
fn ask_apache_avro(old: &Value, new: &Value) -> Option<String> {
    let plain = |json: &Value| Schema::parse(&without_logical_types(json)).ok();
    SchemaCompatibility::can_read(&plain(old)?, &plain(new)?).err().map(|error| error.to_string())
}

fn without_logical_types(json: &Value) -> Value {
    match json {
        Value::Array(parts) => Value::Array(parts.iter().map(without_logical_types).collect()),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !matches!(key.as_str(), "logicalType" | "precision" | "scale"));
            Value::Object(kept.map(|(key, value)| (key.clone(), without_logical_types(value))).collect())
        }
        other => other.clone(),
    }
}

/// Collects why a reader with `new` would not understand a writer with `old`.
fn compare(old: &Value, new: &Value, at: &str, why: &mut Vec<String>) {
    let place = if at.is_empty() { "the record" } else { at };
    if let (Value::Array(old), Value::Array(new)) = (old, new) {
        return compare_unions(old, new, place, why);
    }
    if let (false, Value::Array(new)) = (old.is_array(), new) {
        // A field that became optional: what was written is one of its kinds.
        return compare_unions(std::slice::from_ref(old), new, place, why);
    }
    let (was, is) = (kind(old), kind(new));
    if was != is && !PROMOTIONS.contains(&(was, is)) {
        return why.push(format!("{place} was {was} and is {is}; keep its type, or add a field of another name"));
    }
    for property in ["logicalType", "precision", "scale", "size"] {
        if old.get(property) != new.get(property) {
            let shown = |json: &Value| json.get(property).map_or("absent".to_owned(), Value::to_string);
            why.push(format!("{property} of {place} was {} and is {}; keep it", shown(old), shown(new)));
        }
    }
    match was {
        "record" => compare_fields(old, new, at, why),
        "enum" => compare_symbols(old, new, place, why),
        "array" => compare(&old["items"], &new["items"], at, why),
        "map" => compare(&old["values"], &new["values"], at, why),
        _ => {}
    }
    if matches!(was, "record" | "enum" | "fixed") && old["name"] != new["name"] {
        why.push(format!("type {} of {place} is renamed to {}; keep its name", old["name"], new["name"]));
    }
}

/// `record`, `enum`, `array`, `long`, …; a union is `union`.
fn kind(schema: &Value) -> &str {
    match schema {
        Value::String(name) => name,
        Value::Array(_) => "union",
        object => object["type"].as_str().unwrap_or("union"),
    }
}

fn compare_fields(old: &Value, new: &Value, at: &str, why: &mut Vec<String>) {
    let fields = |json: &Value| json["fields"].as_array().cloned().unwrap_or_default();
    let was = fields(old);
    for field in fields(new) {
        let name = field["name"].as_str().unwrap_or_default();
        let place = format!("{at}{}{name}", if at.is_empty() { "" } else { "." });
        match was.iter().find(|old| old["name"] == field["name"]) {
            Some(old) => compare(&old["type"], &field["type"], &place, why),
            None if field.get("default").is_none() => {
                why.push(format!("{place} is new and has no default; give it one (null for an optional field)"));
            }
            None => {}
        }
    }
}

fn compare_symbols(old: &Value, new: &Value, place: &str, why: &mut Vec<String>) {
    let symbols = |json: &Value| json["symbols"].as_array().cloned().unwrap_or_default();
    let is = symbols(new);
    let gone = symbols(old).into_iter().filter(|symbol| !is.contains(symbol));
    why.extend(gone.map(|symbol| format!("symbol {symbol} of {place} is gone; keep it")));
}

fn compare_unions(old: &[Value], new: &[Value], place: &str, why: &mut Vec<String>) {
    for was in old {
        let fits = |is: &&Value| {
            let mut reasons = Vec::new();
            compare(was, is, place, &mut reasons);
            reasons.is_empty()
        };
        if new.iter().any(|is| fits(&is)) {
            continue;
        }
        match new.iter().find(|is| kind(is) == kind(was)) {
            Some(is) => compare(was, is, place, why),
            None => why.push(format!("{place} could be {} and no longer can; keep it", kind(was))),
        }
    }
}

fn gaps(files: &[SchemaFile<'_>]) -> Vec<Fault> {
    let mut records: Vec<&str> = files.iter().map(|file| file.record).collect();
    records.dedup();
    let versions = |record: &str| -> Vec<u32> {
        files.iter().filter(|file| file.record == record).map(|file| file.version).collect()
    };
    let gap = |record: &&str| {
        let versions = versions(record);
        let dense = versions.iter().zip(1..).all(|(version, expected)| *version == expected);
        (!dense).then(|| Fault::Gap { record: (*record).to_owned(), count: versions.len() })
    };
    records.iter().filter_map(gap).collect()
}

fn release_faults(files: &[SchemaFile<'_>], releases: &[Release]) -> Vec<Fault> {
    let is =
        |release: &Release, file: &SchemaFile<'_>| release.record == file.record && release.version == file.version;
    let next = releases.iter().map(|release| release.id + 1).max().unwrap_or(FIRST_ID);
    let of_file = |file: &SchemaFile<'_>| match releases.iter().find(|release| is(release, file)) {
        None => Some(Fault::NotReleased(path(file), entry(file, next))),
        Some(release) => (release.digest != file.digest()).then(|| Fault::Edited(path(file))),
    };
    let of_entry = |(at, release): (usize, &Release)| {
        let missing = !files.iter().any(|file| is(release, file));
        let twice = releases[..at].iter().any(|earlier| earlier.id == release.id);
        let faults = [
            missing.then(|| Fault::Missing(format!("{}/v{}.avsc", release.record, release.version))),
            twice.then_some(Fault::IdTwice(release.id)),
            (release.id < FIRST_ID).then_some(Fault::IdTooLow(release.id)),
        ];
        faults.into_iter().flatten()
    };
    files.iter().filter_map(of_file).chain(releases.iter().enumerate().flat_map(of_entry)).collect()
}

fn entry(file: &SchemaFile<'_>, id: u32) -> String {
    format!(
        "[[schema]]\nrecord = \"{}\"\nversion = {}\nid = {id}\ndigest = \"{}\"",
        file.record,
        file.version,
        file.digest()
    )
}

#[cfg(test)]
mod tests;
