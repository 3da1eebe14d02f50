//! `tributary schema check | list | show`.
//!
//! In: the embedded schemas. Out: lines to read. Absent: decisions, registries.

use std::io::Write;

use anyhow::{Context, bail};
use comfy_table::{Table, presets};

use crate::journal::schema::{self, FILES};
use crate::journal::{Topic, evolution};

/// Is every version readable from all earlier ones, and no released file edited?
///
/// # Errors
/// If a schema has a fault; all are written to `out`.
pub fn check(out: &mut impl Write) -> anyhow::Result<()> {
    let releases = schema::releases().context("schemas/released.toml is not of its form")?;
    let faults = evolution::faults(FILES, &releases);
    for fault in &faults {
        writeln!(out, "{fault}")?;
    }
    match faults.len() {
        0 => writeln!(out, "{} schemas, all compatible", FILES.len()).context("writing the answer"),
        1 => bail!("the schemas have a fault"),
        n => bail!("the schemas have {n} faults"),
    }
}

/// Lists records, versions, ids and the topics that carry them.
///
/// # Errors
/// If `out` cannot be written.
pub fn list(out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["record", "version", "id without a registry", "topic"]);
    for version in schema::versions() {
        let record = version.file.record;
        let topics = Topic::all().iter().filter(|topic| topic.schema() == record).map(|topic| topic.name());
        let topics = topics.collect::<Vec<_>>().join(", ");
        table.add_row([record.to_owned(), version.file.version.to_string(), version.id.to_string(), topics]);
    }
    writeln!(out, "{}", table.trim_fmt()).context("writing the list")
}

/// Writes a schema as it is registered; the newest version unless another is asked for.
///
/// # Errors
/// If there is no such schema.
pub fn show(record: &str, version: Option<u32>, out: &mut impl Write) -> anyhow::Result<()> {
    let known = || schema::records().collect::<Vec<_>>().join(", ");
    let newest = schema::newest(record).with_context(|| format!("no record `{record}`; there are {}", known()))?;
    let version = version.unwrap_or(newest.version);
    let file = FILES.iter().find(|file| file.record == record && file.version == version);
    let file = file.with_context(|| format!("`{record}` has the versions 1 to {}", newest.version))?;
    write!(out, "{}", file.text).context("writing the schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn schemas_are_checked_listed_and_shown() {
        assert_eq!(text(check), "23 schemas, all compatible\n");
        let listed = text(list);
        let row = listed.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(row, ["billing-line", "1", "1000000001", "billing"]);
        assert!(text(|out| show("day-sealed", None, out)).contains("\"DaySealed\""));
        assert!(show("bill", None, &mut Vec::new()).unwrap_err().to_string().contains("there are billing-line,"));
        assert!(show("resource", Some(9), &mut Vec::new()).unwrap_err().to_string().contains("versions 1 to 1"));
    }
}
