//! What a billing line was in each revision of its day.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::rows::LINE_ID;
use super::{Reader, StoreError};
use crate::domain::Day;

/// A revision of a day that readers could see, with what a line was in it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LineRevisionRow {
    pub revision: i32,
    /// Do readers see it now?
    pub current: bool,
    /// Why the day was gathered.
    pub reason: String,
    pub gathered_at: DateTime<Utc>,
    /// Plain decimal texts, absent where the revision has no such line.
    pub quantity: Option<String>,
    pub unit_price: Option<String>,
    pub amount: Option<String>,
    pub original_amount: Option<String>,
    pub currency: Option<String>,
}

impl Reader {
    /// The revisions of a day up to the one that readers see, the newest first, at most `limit`, with what the line
    /// (the digest in its id) was in each. Those that never were whole are left out.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn line_revisions(
        &mut self,
        tenant: &str,
        day: Day,
        line: &[u8],
        limit: u32,
    ) -> Result<Vec<LineRevisionRow>, StoreError> {
        let mut query = QueryBuilder::new(
            "WITH seen AS (
                 SELECT s.tenant_key, s.day, s.revision FROM slices s JOIN tenants t USING (tenant_key)
                 WHERE s.projection = 'billing' AND s.complete AND t.tenant_id = ",
        );
        query.push_bind(tenant.to_owned()).push(" AND s.day = ").push_bind(day.date());
        query.push(format_args!(
            "), line AS (
                 SELECT f.revision, f.quantity, f.unit_price, f.amount, f.original_amount, f.currency
                 FROM seen JOIN billing_facts f USING (tenant_key, day, revision) WHERE decode(right({LINE_ID}, 32), 'hex') = "
        ));
        query.push_bind(line.to_vec()).push(
            " UNION ALL SELECT p.revision, p.quantity, p.unit_price, p.amount, p.original_amount, p.currency
                 FROM seen JOIN replaced_lines p USING (tenant_key, day) WHERE p.revision < seen.revision
                     AND p.line = ",
        );
        query.push_bind(line.to_vec()).push(
            ")
             SELECT r.revision, r.revision = seen.revision AS current, r.reason, r.gathered_at,
                 trim_scale(l.quantity)::text AS quantity, trim_scale(l.unit_price)::text AS unit_price,
                 trim_scale(l.amount)::text AS amount, trim_scale(l.original_amount)::text AS original_amount, l.currency
             FROM seen JOIN day_revisions r USING (tenant_key, day) LEFT JOIN line l ON l.revision = r.revision
             WHERE r.revision = seen.revision OR r.revision < seen.revision AND r.billing_lines = (
                 SELECT count(*) FROM replaced_lines p
                 WHERE p.tenant_key = r.tenant_key AND p.day = r.day AND p.revision = r.revision)
             ORDER BY r.revision DESC LIMIT ",
        );
        query.push_bind(i64::from(limit));
        self.all(query).await
    }
}
