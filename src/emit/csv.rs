//! A period's rows as a CSV file: Chitragupta's columns and form, behind them our own.

use std::io;
use std::path::PathBuf;

use futures_util::TryStreamExt;

use super::plan::{self, Task};
use super::{EmitError, Emitter, file_name};
use crate::domain::EmittedRows;
use crate::journal::blocking;
use crate::spreadsheet::guarded;
use crate::store::Store;
use crate::store::read::emitted_columns;
use crate::unfinished::Unfinished;

/// Our last column: which revision of the period a row is of.
const REVISION: &str = "revision";
/// How long Postgres may take for the rows of a period.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(900);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Of the rows, as they were read; maybe later than what was planned.
    pub revision: u32,
    /// `None`: nothing is there and nothing was to be replaced, so no file was written.
    pub file: Option<PathBuf>,
    pub rows: u32,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file system's fault: the emission has failed.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The role's.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// Writes the file of a period. Rows and revision are of one moment.
///
/// # Errors
/// [`CsvError`]; the file before is as it was.
pub async fn write(
    store: &Store,
    emitter: &Emitter,
    (folder, template): (&std::path::Path, &str),
    task: &Task,
) -> Result<Written, CsvError> {
    let mut reader = store.reader(LIMIT).await.map_err(EmitError::from)?;
    let (tenant, dataset) = (emitter.tenant.as_str(), emitter.dataset);
    let days = reader.visible(dataset, tenant, task.from, task.to).await.map_err(EmitError::from)?;
    let revision = plan::revision(&days);
    if days.iter().all(|day| day.rows == 0) && !task.replaces {
        return Ok(Written { revision, file: None, rows: 0 });
    }
    let path = folder.join(file_name(template, tenant, task.from));
    let mut file = Unfinished::begin(path.clone())?;
    let mut rows = 0;
    {
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut file);
        let columns = emitted_columns(dataset);
        csv.write_record(columns.iter().chain([&REVISION])).map_err(io::Error::other)?;
        let number = revision.to_string();
        let plain = amount_column(dataset);
        let mut found = reader.emitted(dataset, emitter.aggregation, tenant, task.from, task.to);
        while let Some(row) = found.try_next().await.map_err(EmitError::from)? {
            for column in 0..columns.len() {
                let text = row.text(column).map_err(EmitError::from)?.unwrap_or_default();
                let cell = if column == plain { text.into() } else { guarded(text) };
                csv.write_field(cell.as_ref()).map_err(io_error)?;
            }
            csv.write_field(&number).and_then(|()| csv.write_record(None::<&[u8]>)).map_err(io_error)?;
            rows += 1;
        }
        csv.flush()?;
    }
    blocking(move || file.finish()).await?;
    Ok(Written { revision, file: Some(path), rows })
}

fn amount_column(dataset: EmittedRows) -> usize {
    emitted_columns(dataset).iter().position(|name| *name == "amount").unwrap_or(usize::MAX)
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_in_both_tables() {
        assert_eq!(amount_column(EmittedRows::Chargebacks), 8);
        assert_eq!(amount_column(EmittedRows::TopicAttributions), 9);
    }
}
