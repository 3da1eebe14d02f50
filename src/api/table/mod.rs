//! Rows as the bytes of a file, in the formats there are.
//!
//! In: rows as texts under known columns. Out: bytes, as they come; nothing is held but what was not taken yet. Absent: where
//! rows come from, and where bytes go.

mod csv;
mod ndjson;
mod parquet;

use std::io;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::read::Column;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// RFC 4180 with a header line; a missing value is nothing, an empty text is `""`.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Columns with types, in groups of rows.
    Parquet,
}

impl Format {
    /// As HTTP names it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Csv(Vec<u8>),
    Ndjson { heads: Vec<Vec<u8>>, bytes: Vec<u8> },
    Parquet(Box<parquet::Parquet>),
}

impl Table {
    /// A file under `columns`, with what stands before the first row.
    ///
    /// # Errors
    /// If the columns make no file, which those of a dataset do.
    pub fn begin(format: Format, columns: &[Column]) -> io::Result<Self> {
        let body = match format {
            Format::Csv => Body::Csv(csv::head(columns)),
            Format::Ndjson => Body::Ndjson { heads: ndjson::heads(columns), bytes: Vec::new() },
            Format::Parquet => Body::Parquet(Box::new(parquet::Parquet::begin(columns)?)),
        };
        Ok(Self { columns: columns.to_vec(), body })
    }

    /// Adds a row: a text for each column, `None` where there is no value.
    ///
    /// # Errors
    /// A text that is not of its column's kind, where the format tells kinds apart.
    pub fn row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a str>>) -> io::Result<()> {
        match &mut self.body {
            Body::Csv(bytes) => csv::row(&self.columns, cells, bytes),
            Body::Ndjson { heads, bytes } => ndjson::row(&self.columns, heads, cells, bytes),
            Body::Parquet(file) => return file.row(cells),
        }
        Ok(())
    }

    /// Writes what stands after the last row.
    ///
    /// # Errors
    /// What the format says.
    pub fn end(&mut self) -> io::Result<()> {
        match &mut self.body {
            Body::Csv(_) | Body::Ndjson { .. } => Ok(()),
            Body::Parquet(file) => file.end(),
        }
    }

    /// Takes the bytes that nobody has taken yet, if there are at least so many.
    pub fn take(&mut self, least: usize) -> Option<Vec<u8>> {
        let bytes = match &mut self.body {
            Body::Csv(bytes) | Body::Ndjson { bytes, .. } => bytes,
            Body::Parquet(file) => file.bytes(),
        };
        let room = bytes.capacity();
        (bytes.len() >= least).then(|| std::mem::replace(bytes, Vec::with_capacity(room)))
    }
}
