//! Chargebacks for files: rows by narrow keys, and what their dimensions say looked up once for many rows.
//!
//! Rows come in batches; the texts of dimensions that were seen are kept between batches, up to a bound. So a file costs as
//! much memory for one day as for ten years.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use sqlx::postgres::PgRow;
use sqlx::{QueryBuilder, Row};

use super::columns::Column;
use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};

/// Bytes of dimensions' texts that are kept from batch to batch.
const KEPT: usize = 32 << 20;

/// Columns before those of the file: a row's place, a dimension's fingerprint.
const BEFORE: usize = 2;
const BEFORE_DIMENSION: usize = 1;

/// Where a column's text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The day and the dimension's fingerprint.
    Id,
    /// The row, the so many-th of its columns.
    Row(usize),
    /// The row's dimension, the so many-th of its columns.
    Dimension(usize),
}

/// The rows of a file, and how far they were read.
#[derive(Debug)]
pub struct Chargebacks {
    sources: Vec<Source>,
    /// What is asked of rows behind their place, and of dimensions behind their key.
    of_rows: Vec<&'static str>,
    of_dimensions: Vec<&'static str>,
    batch: Vec<Found>,
    dimensions: HashMap<i64, Texts>,
    /// Bytes of their texts.
    kept: usize,
}

/// A row that was read.
struct Found {
    day: NaiveDate,
    dimension: i64,
    row: PgRow,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.day, self.dimension)
    }
}

/// Some texts, one behind the other.
#[derive(Debug, Default)]
struct Texts {
    all: String,
    /// Where each ends, and whether there is one.
    ends: Vec<(u32, bool)>,
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        self.all.push_str(text.unwrap_or_default());
        self.ends.push((self.all.len() as u32, text.is_some()));
    }

    fn get(&self, at: usize) -> Option<&str> {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        let (end, there) = self.ends[at];
        there.then(|| &self.all[begin as usize..end as usize])
    }
}

/// A row's texts, in the order of the file's columns.
#[derive(Debug)]
pub struct Cells<'a> {
    sources: &'a [Source],
    id: Option<String>,
    found: &'a Found,
    dimension: &'a Texts,
}

impl Cells<'_> {
    /// `None` where there is no value.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        self.sources.iter().map(|source| match source {
            Source::Id => self.id.as_deref(),
            // A column that is asked for is there.
            Source::Row(at) => self.found.row.try_get(BEFORE + at).ok().flatten(),
            Source::Dimension(at) => self.dimension.get(BEFORE_DIMENSION + at),
        })
    }
}

impl Chargebacks {
    /// Rows that are read, sorted and held at once.
    pub const BATCH: u32 = 20_000;

    /// A file with these columns of chargebacks.
    pub fn under(columns: &[Column]) -> Self {
        let (mut of_rows, mut of_dimensions) = (Vec::new(), Vec::new());
        let place = |column: &Column| match column.name {
            "id" => Source::Id,
            "day" | "revision" | "amount" | "share" | "usage" => {
                of_rows.push(column.sql());
                Source::Row(of_rows.len() - 1)
            }
            _ => {
                of_dimensions.push(column.sql());
                Source::Dimension(of_dimensions.len() - 1)
            }
        };
        let sources = columns.iter().map(place).collect();
        let (batch, dimensions, kept) = Default::default();
        Self { sources, of_rows, of_dimensions, batch, dimensions, kept }
    }

    /// Is the batch as large as one gets, so that there may be more?
    pub fn is_full(&self) -> bool {
        self.batch.len() == Self::BATCH as usize
    }

    /// The rows of the batch, in the order in which pages list them.
    pub fn rows(&self) -> impl Iterator<Item = Cells<'_>> {
        let with_id = self.sources.contains(&Source::Id);
        self.batch.iter().map(move |found| {
            let dimension = &self.dimensions[&found.dimension];
            let id = || format!("{}-{}", found.day, dimension.get(0).unwrap_or_default());
            Cells { sources: &self.sources, id: with_id.then(id), found, dimension }
        })
    }

    fn keep(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        let mut texts = Texts::default();
        for at in 0..row.len() - 1 {
            texts.push(row.try_get(1 + at)?);
        }
        self.kept += texts.all.len();
        self.dimensions.insert(row.try_get(0)?, texts);
        Ok(())
    }
}

impl Reader {
    /// Reads the chosen rows that come after the batch in hand, as the next one. Choose days in ascending order, some at a
    /// time: Postgres may sort all that is chosen.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn next_batch(&mut self, file: &mut Chargebacks, of: &Selection) -> Result<(), StoreError> {
        let mut query = QueryBuilder::new("SELECT f.day, f.dimension_key");
        for sql in &file.of_rows {
            query.push(format_args!(", {sql}"));
        }
        let dataset = Dataset::Chargebacks;
        dataset.push_from(&mut query, of);
        if let Some(last) = file.batch.last() {
            query.push(format_args!(" AND ({}) > (", dataset.order())).push_bind(last.day);
            query.push(", ").push_bind(last.dimension).push(")");
        }
        query.push(format_args!(" ORDER BY {} LIMIT ", dataset.order())).push_bind(i64::from(Chargebacks::BATCH));
        let Self { tx, store } = self;
        let rows = query.build().fetch_all(&mut **tx).await.map_err(|error| store.sort(error))?;
        let found = |row: PgRow| Ok(Found { day: row.try_get(0)?, dimension: row.try_get(1)?, row });
        file.batch = rows.into_iter().map(found).collect::<Result<_, _>>().map_err(StoreError::Statement)?;
        self.look_up(file).await
    }

    /// Looks up the dimensions of the batch that are not known yet.
    async fn look_up(&mut self, file: &mut Chargebacks) -> Result<(), StoreError> {
        if file.kept > KEPT {
            file.dimensions = HashMap::new();
            file.kept = 0;
        }
        let missing: BTreeSet<i64> =
            file.batch.iter().map(|found| found.dimension).filter(|key| !file.dimensions.contains_key(key)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::new("SELECT d.dimension_key, encode(d.fingerprint, 'hex')");
        for sql in &file.of_dimensions {
            query.push(format_args!(", {sql}"));
        }
        query.push(" FROM chargeback_dimensions d WHERE d.dimension_key = ANY(");
        query.push_bind(missing.into_iter().collect::<Vec<_>>()).push(")");
        let Self { tx, store } = self;
        let rows = query.build().fetch_all(&mut **tx).await.map_err(|error| store.sort(error))?;
        rows.iter().try_for_each(|row| file.keep(row)).map_err(StoreError::Statement)?;
        match file.batch.iter().find(|found| !file.dimensions.contains_key(&found.dimension)) {
            None => Ok(()),
            Some(found) => Err(StoreError::Corrupt {
                table: "chargeback_facts",
                what: "a dimension's key",
                value: found.dimension.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_read_where_it_is() {
        let columns = Dataset::Chargebacks.columns();
        let file = Chargebacks::under(columns);
        assert_eq!((file.sources.len(), file.sources[0]), (columns.len(), Source::Id));
        assert!(file.of_rows.iter().all(|sql| sql.contains("f.") && !sql.contains("d.")), "{:?}", file.of_rows);
        let of_dimensions = |sql: &&str| sql.contains("d.") && !sql.contains("(f.") && !sql.starts_with("f.");
        assert!(file.of_dimensions.iter().all(of_dimensions), "{:?}", file.of_dimensions);
        assert_eq!(1 + file.of_rows.len() + file.of_dimensions.len(), columns.len());
    }

    #[test]
    fn an_empty_text_is_not_a_missing_one() {
        let mut texts = Texts::default();
        [Some("a"), None, Some(""), Some("bc")].into_iter().for_each(|text| texts.push(text));
        assert_eq!([0, 1, 2, 3].map(|at| texts.get(at)), [Some("a"), None, Some(""), Some("bc")]);
    }
}
