//! Tags of the rows of a file, looked up once for all rows of some days: asking for each row took longer than the row.
//!
//! Chargebacks have theirs with their dimensions (`files`).

use std::collections::HashMap;

use sqlx::QueryBuilder;

use super::super::ExportedRow;
use super::columns::Column;
use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};

/// What rows without tags have.
const NONE: &str = "{}";

/// The tags of what some rows are about, by its id: JSON objects.
#[derive(Debug, Default)]
pub struct Tagged {
    /// The column of tags, if it is asked for.
    column: Option<usize>,
    by_id: HashMap<String, String>,
}

impl Tagged {
    /// A column's text of a row of [`Rows`](super::Rows), which has an id where tags belong; `None` where there is no value.
    pub fn text<'r>(&'r self, row: &'r ExportedRow, column: usize) -> Option<&'r str> {
        // A column that is asked for is there.
        let text = row.text(column).ok().flatten();
        if self.column != Some(column) {
            return text;
        }
        Some(text.and_then(|id| self.by_id.get(id)).map_or(NONE, String::as_str))
    }
}

impl Reader {
    /// The tags of what the chosen rows of billing or topic costs are about, where `columns` ask for them. Holds those of all
    /// resources of the chosen days: ask for a few days at a time.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tagged(&mut self, dataset: Dataset, columns: &[Column], of: &Selection) -> Result<Tagged, StoreError> {
        let Some(column) = columns.iter().position(Column::is_tags) else { return Ok(Tagged::default()) };
        let mut query = QueryBuilder::new(
            "SELECT t.entity_id, jsonb_object_agg(t.key, t.value)::text FROM tag_facts t JOIN (SELECT DISTINCT f.tenant_key, ",
        );
        query.push(dataset.resource_id()).push(" AS entity_id");
        dataset.push_from(&mut query, of);
        query.push(
            ") given ON t.tenant_key = given.tenant_key AND t.entity_id = given.entity_id
             WHERE t.entity_type = 'resource' GROUP BY t.entity_id",
        );
        let found: Vec<(String, String)> = self.all(query).await?;
        Ok(Tagged { column: Some(column), by_id: found.into_iter().collect() })
    }
}
