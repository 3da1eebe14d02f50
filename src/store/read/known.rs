//! Billing lines as they were known at a moment.
//!
//! A revision holds from when it was sealed, included, until the next one was, excluded. What a later revision put out is kept
//! ([`super::super::history`]), so both are read as one. What is not kept is told: a day of which it is not known what it was must
//! not look like a day without a bill.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, Postgres, QueryBuilder};

use super::{Reader, Selection, StoreError};

/// What the tables tell of one day at a moment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct KnownDay {
    pub day: NaiveDate,
    /// The revision that held then; `None`: none.
    pub revision: Option<i32>,
    /// A revision of which not everything is kept may have held then.
    pub lost: bool,
    /// The seal of the day's newest revision is not in the tables yet.
    pub behind: bool,
}

/// The columns of a line, in the order in which both tables are read.
const LINE: &str = "f.tenant_key, f.day, f.revision, f.ecosystem, f.env_id, f.resource_id, f.resource_name, f.product_category,
    f.product_type, f.quantity, f.unit_price, f.amount, f.original_amount, f.currency, f.granularity, f.period_start, f.period_end,
    f.evidence";

/// `seen`: the chosen days with the revision that readers see now; `held`: with the newest whole one that was sealed by
/// `moment`.
fn push_held(query: &mut QueryBuilder<Postgres>, of: &Selection, moment: DateTime<Utc>) {
    query.push(
        "WITH seen AS MATERIALIZED (
             SELECT s.tenant_key, s.day, s.revision, t.forgotten_revision FROM slices s JOIN tenants t USING (tenant_key)
             WHERE s.projection = 'billing' AND s.complete AND t.tenant_id = ",
    );
    query.push_bind(of.tenant.clone()).push(" AND s.day >= ").push_bind(of.from.date());
    query.push(" AND s.day < ").push_bind(of.to.date());
    query.push(
        "), held AS MATERIALIZED (
             SELECT seen.tenant_key, seen.day, (
                 SELECT r.revision FROM day_revisions r
                 WHERE r.tenant_key = seen.tenant_key AND r.day = seen.day AND r.revision <= seen.revision
                   AND r.revision > seen.forgotten_revision AND r.gathered_at <= ",
    );
    query.push_bind(moment).push(
        "          AND (r.revision = seen.revision OR r.billing_lines = (
                       SELECT count(*) FROM replaced_lines p
                       WHERE p.tenant_key = r.tenant_key AND p.day = r.day AND p.revision = r.revision))
                 ORDER BY r.revision DESC LIMIT 1) AS revision
             FROM seen)",
    );
}

/// `FROM …`: the lines of the chosen days as they were known at `moment`, as `f`.
pub(super) fn push_lines(query: &mut QueryBuilder<Postgres>, of: &Selection, moment: DateTime<Utc>) {
    query.push(" FROM (");
    push_held(query, of, moment);
    // The days again, so that partitions of other months are not looked at.
    query.push(format_args!(
        " SELECT {LINE} FROM held JOIN billing_facts f USING (tenant_key, day, revision) WHERE f.day >= "
    ));
    query.push_bind(of.from.date()).push(" AND f.day < ").push_bind(of.to.date());
    query.push(format_args!(
        " UNION ALL SELECT {LINE} FROM held JOIN replaced_lines f USING (tenant_key, day, revision)) f"
    ));
}

impl Reader {
    /// What is known of the chosen days at their moment, in order; of days that readers see none of, nothing. None where no
    /// moment is chosen.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn known_days(&mut self, of: &Selection) -> Result<Vec<KnownDay>, StoreError> {
        let Some(moment) = of.as_of else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new("");
        push_held(&mut query, of, moment);
        // Revisions are counted without gaps, and the log loses its oldest records first: so if a revision is kept whole, those
        // after it that are not never were whole. Where none is, one may have been.
        query.push(
            " SELECT day, held.revision, NOT EXISTS (
                 SELECT FROM day_revisions r WHERE r.tenant_key = seen.tenant_key AND r.day = seen.day
                     AND r.revision = seen.revision) AS behind,
                 coalesce(held.revision < seen.revision, true) AND (
                     coalesce(next.revision <> greatest(held.revision, forgotten_revision) + 1, true)
                     OR held.revision IS NULL AND next.gathered_at <= ",
        );
        query.push_bind(moment).push(
            ") AS lost
             FROM seen JOIN held USING (tenant_key, day) LEFT JOIN LATERAL (
                 SELECT r.revision, r.gathered_at FROM day_revisions r
                 WHERE r.tenant_key = seen.tenant_key AND r.day = seen.day
                   AND r.revision > greatest(held.revision, forgotten_revision)
                 ORDER BY r.revision LIMIT 1) next ON true
             ORDER BY day",
        );
        self.all(query).await
    }
}
