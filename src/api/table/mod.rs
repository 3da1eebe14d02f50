//! Rows as the bytes of a file, in the formats there are.
//!
//! In: rows as texts under known columns. Out: bytes, as they come; nothing is held but what was not taken yet. Absent: where
//! rows come from, and where bytes go.

mod csv;
mod ndjson;

use crate::store::read::Column;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180 with a header line; a missing value is nothing, an empty text is `""`.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl Format {
    /// As HTTP names it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Table {
    format: Format,
    columns: Vec<Column>,
    bytes: Vec<u8>,
}

impl Table {
    /// A file under `columns`, with what stands before the first row.
    pub fn begin(format: Format, columns: &[Column]) -> Self {
        let mut table = Self { format, columns: columns.to_vec(), bytes: Vec::new() };
        if format == Format::Csv {
            csv::head(columns, &mut table.bytes);
        }
        table
    }

    /// Adds a row: a text for each column, `None` where there is no value.
    pub fn row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a str>>) {
        match self.format {
            Format::Csv => csv::row(&self.columns, cells, &mut self.bytes),
            Format::Ndjson => ndjson::row(&self.columns, cells, &mut self.bytes),
        }
    }

    /// Bytes that nobody has taken yet.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes them.
    pub fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.bytes.capacity());
        std::mem::replace(&mut self.bytes, room)
    }
}
