//! The Avro schemas of the log, embedded in the program, with the ids they have where no registry gives any.
//!
//! In: `schemas/<record>/v<N>.avsc` and `schemas/released.toml`. Out: [`SchemaVersion`]s. The highest version
//! of a record is written, all are read. Absent: IO, compatibility (see `evolution`).

use serde::Deserialize;
use serde_json::Value;

use crate::domain::amount::SCALE;

/// The namespace of every record.
pub const NAMESPACE: &str = "io.tributary";

/// A schema file of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaFile<'a> {
    /// Folder name, for example `billing-line`.
    pub record: &'a str,
    /// From 1, without gaps.
    pub version: u32,
    /// The Avro schema as JSON.
    pub text: &'a str,
}

/// A schema file together with its entry in `schemas/released.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    pub file: SchemaFile<'static>,
    /// Its id on the wire where no registry gives one.
    pub id: u32,
}

/// An entry of `schemas/released.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub record: String,
    pub version: u32,
    pub id: u32,
    /// BLAKE3 of the file's bytes, hex.
    pub digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Releases {
    schema: Vec<Release>,
}

macro_rules! embedded {
    ($($record:literal v $version:literal),* $(,)?) => {
        &[$(SchemaFile {
            record: $record,
            version: $version,
            text: include_str!(concat!("../../schemas/", $record, "/v", $version, ".avsc")),
        }),*]
    };
}

/// Every schema file, records in the data's order, versions ascending.
pub const FILES: &[SchemaFile<'static>] = embedded![
    "billing-line" v 1,
    "resource" v 1,
    "identity" v 1,
    "metric-value" v 1,
    "day-sealed" v 1,
    "day-sealed" v 2,
    "chargeback-row" v 1,
    "topic-attribution-row" v 1,
    "day-allocated" v 1,
    "day-allocated" v 2,
    "gather-state" v 1,
    "gather-state" v 2,
    "quarantined" v 1,
    "command" v 1,
    "command" v 2,
    "run" v 1,
    "run" v 2,
    "run" v 3,
    "tenant-event" v 1,
    "emission" v 1,
    "audit-event" v 1,
    "api-token" v 1,
    "tag" v 1,
];

const RELEASED: &str = include_str!("../../schemas/released.toml");

impl SchemaFile<'_> {
    /// BLAKE3 of its bytes, hex.
    pub fn digest(&self) -> String {
        blake3::hash(self.text.as_bytes()).to_hex().to_string()
    }
}

/// The entries of `schemas/released.toml`.
///
/// # Errors
/// If the file is not of its form, which `tributary schema check` reports.
pub fn releases() -> Result<Vec<Release>, toml::de::Error> {
    toml::from_str::<Releases>(RELEASED).map(|releases| releases.schema)
}

/// Every released schema, records in the data's order, versions ascending.
///
/// # Panics
/// Never in a program whose tests passed: they read `schemas/released.toml`.
pub fn versions() -> Vec<SchemaVersion> {
    let releases = releases().expect("schemas/released.toml is read by a test");
    let id_of = |file: &SchemaFile| {
        releases.iter().find(|r| r.record == file.record && r.version == file.version).map(|r| r.id)
    };
    FILES.iter().filter_map(|file| Some(SchemaVersion { file: *file, id: id_of(file)? })).collect()
}

/// Every record's folder name, in the data's order.
pub fn records() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter(|file| file.version == 1).map(|file| file.record)
}

/// The version that is written of a record.
pub fn newest(record: &str) -> Option<SchemaFile<'static>> {
    FILES.iter().filter(|file| file.record == record).max_by_key(|file| file.version).copied()
}

/// The unqualified name of the record that a schema describes; `None` if it describes no record.
pub fn record_name(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let named: Named = serde_json::from_str(text).ok()?;
    named.name.rsplit('.').next().map(str::to_owned)
}

/// The schema with every `decimal` of our scale as the plain bytes it is on the wire.
///
/// The Avro library hands decimals on as texts, which took a tenth of a projector's time; [`Amount`] reads the bytes.
///
/// [`Amount`]: crate::domain::Amount
pub fn as_read(text: &str) -> String {
    let Ok(mut schema) = serde_json::from_str(text) else { return text.to_owned() };
    decimals_as_bytes(&mut schema);
    schema.to_string()
}

fn decimals_as_bytes(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(decimals_as_bytes),
        Value::Object(parts) => {
            let is = |name: &str, value: &str| parts.get(name).and_then(Value::as_str) == Some(value);
            let of_our_scale = parts.get("scale").and_then(Value::as_u64) == Some(u64::from(SCALE));
            if is("type", "bytes") && is("logicalType", "decimal") && of_our_scale {
                parts.retain(|name, _| !["logicalType", "precision", "scale"].contains(&name.as_str()));
            }
            parts.values_mut().for_each(decimals_as_bytes);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimals_of_our_scale_are_read_as_bytes() {
        let decimal =
            |scale: u32| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":28,"scale":{scale}}}"#);
        let record = |a: &str, b: &str| {
            let text = format!(
                r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":["null",{a}]}},{{"name":"b","type":{b}}}]}}"#
            );
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let read = as_read(&record(&decimal(14), &decimal(2)).to_string());
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), record(r#"{"type":"bytes"}"#, &decimal(2)));
        assert_eq!(as_read("no schema"), "no schema");
    }

    #[test]
    fn every_file_in_schemas_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
        let mut there = Vec::new();
        for record in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
        {
            there.extend(std::fs::read_dir(&record).unwrap().map(|entry| entry.unwrap().path()));
        }
        there.sort();
        let name = |file: &SchemaFile| format!("{folder}/{}/v{}.avsc", file.record, file.version).into();
        let mut embedded: Vec<std::path::PathBuf> = FILES.iter().map(name).collect();
        embedded.sort();
        assert_eq!(there, embedded, "add the file to schema::FILES");
        assert_eq!(versions().len(), FILES.len());
    }
}
