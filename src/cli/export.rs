//! `tributary export`: a table as CSV or NDJSON, row by row.

use std::io::Write;

use anyhow::Context;
use futures_util::TryStreamExt;
use serde_json::Value;

use super::args::{Format, Table};
use crate::store::{ExportRange, Exported, ExportedRow, Store, StoreError};

impl From<Table> for Exported {
    fn from(table: Table) -> Self {
        match table {
            Table::Billing => Self::Billing,
            Table::Resources => Self::Resources,
            Table::Identities => Self::Identities,
            Table::Chargebacks => Self::Chargebacks,
            Table::TopicAttributions => Self::TopicAttributions,
            Table::Days => Self::Days,
        }
    }
}

/// Writes the rows in their stable order and returns how many they were.
///
/// # Errors
/// When Postgres does not answer or `out` takes no more.
pub async fn export(
    store: &Store,
    what: Exported,
    range: &ExportRange,
    format: Format,
    out: impl Write,
) -> anyhow::Result<u64> {
    let mut rows = store.export(what, range);
    let mut sink = Sink::new(what, format, out).context("cannot write the export")?;
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        sink.write(&row)?;
        count += 1;
    }
    sink.finish().context("cannot write the export")?;
    Ok(count)
}

enum Sink<W: Write> {
    Csv(Exported, Box<csv::Writer<W>>),
    Ndjson(Exported, std::io::BufWriter<W>),
}

impl<W: Write> Sink<W> {
    fn new(what: Exported, format: Format, out: W) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(what.columns())?;
                Self::Csv(what, Box::new(writer))
            }
            Format::Ndjson => Self::Ndjson(what, std::io::BufWriter::new(out)),
        })
    }

    fn write(&mut self, row: &ExportedRow) -> anyhow::Result<()> {
        match self {
            Self::Csv(what, writer) => {
                for (i, _) in what.columns().iter().enumerate() {
                    let text = value(*what, row, i)?;
                    writer.write_field(text.as_deref().unwrap_or_default())?;
                }
                writer.write_record(None::<&[u8]>)?;
            }
            Self::Ndjson(what, out) => {
                let mut separator = '{';
                for (i, name) in what.columns().iter().enumerate() {
                    let text = value(*what, row, i)?;
                    let json = match text {
                        Some(text) if what.json_column() == Some(i) => text,
                        // Amounts stay texts: a JSON number would be read as a float.
                        text => serde_json::to_string(&text)?,
                    };
                    write!(out, "{separator}\"{name}\":{json}")?;
                    separator = ',';
                }
                out.write_all(b"}\n")?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Csv(_, mut writer) => writer.flush()?,
            Self::Ndjson(_, mut out) => out.flush()?,
        }
        Ok(())
    }
}

/// A column's text; JSON without spaces and with its names in order, whatever Postgres made of it.
fn value(what: Exported, row: &ExportedRow, column: usize) -> Result<Option<String>, StoreError> {
    let text = row.text(column)?;
    if what.json_column() != Some(column) {
        return Ok(text.map(str::to_owned));
    }
    let ordered = text.and_then(|text| {
        let object: std::collections::BTreeMap<String, Value> = serde_json::from_str(text).ok()?;
        serde_json::to_string(&object).ok()
    });
    Ok(ordered)
}
