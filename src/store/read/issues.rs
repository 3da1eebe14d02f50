//! Rows that were not split as their rule wished: fallbacks, failures, guesses.

use sqlx::{FromRow, QueryBuilder};

use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};

/// What fell back, added up.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Issue {
    pub ecosystem: String,
    pub env_id: String,
    pub resource_id: String,
    pub product_type: String,
    pub identity_id: String,
    pub allocation_detail: String,
    pub currency: String,
    pub row_count: i64,
    /// Plain decimal texts.
    pub usage_amount: String,
    pub shared_amount: String,
    pub amount: String,
}

/// Details of rows that went as intended.
const INTENDED: [&str; 2] = ["usage_ratio_allocation", "even_split_allocation"];
/// What rows say that were split without usage. In the first tier that is their rule, and nothing fell back.
const WITHOUT_USAGE: &str = "no_metrics_located";

impl Reader {
    /// The issues from `skip` on, dearest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn issues(&mut self, of: &Selection, skip: u32, limit: u32) -> Result<Vec<Issue>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT d.ecosystem, d.env_id, d.resource_id, d.product_type, d.identity_id, d.allocation_detail, d.currency,
                    count(*) AS row_count,
                    trim_scale(coalesce(sum(f.amount) FILTER (WHERE d.cost_type = 'usage'), 0))::text AS usage_amount,
                    trim_scale(coalesce(sum(f.amount) FILTER (WHERE d.cost_type <> 'usage'), 0))::text AS shared_amount,
                    trim_scale(sum(f.amount))::text AS amount",
        );
        Dataset::Chargebacks.push_from(&mut query, of);
        query.push(" AND d.allocation_detail IS NOT NULL AND d.allocation_detail <> ALL(");
        query.push_bind(INTENDED.map(str::to_owned).to_vec());
        query.push(") AND NOT (d.tier = 0 AND d.allocation_detail = ").push_bind(WITHOUT_USAGE);
        query.push(
            ") GROUP BY 1, 2, 3, 4, 5, 6, 7
             ORDER BY sum(f.amount) DESC, 1, d.env_id COLLATE \"C\", d.resource_id COLLATE \"C\",
                      d.product_type COLLATE \"C\", d.identity_id COLLATE \"C\", d.allocation_detail COLLATE \"C\", 7 LIMIT ",
        );
        query.push_bind(i64::from(limit)).push(" OFFSET ").push_bind(i64::from(skip));
        self.all(query).await
    }
}
