//! What a day was before: writes its revisions, and keeps the lines of those that are replaced.
//!
//! In: seals, and the rows of billing that a whole revision puts out. Out: rows that no later revision changes, whichever
//! order records come in. Lines are kept whole, so that they can be read as they were. Absent: what is visible now, questions ([`super::read`]).

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::days::reason;
use super::read::LINE_ID;
use super::text::storable;
use super::{ProjectionTx, StoreError};
use crate::domain::{Day, DaySealed};

/// Takes the lines of a tenant's day below a revision out of billing and keeps them as they were, but for those that were
/// forgotten. A line that is known stays as it is.
pub(super) fn replace_lines() -> String {
    format!(
        "WITH f AS (DELETE FROM billing_facts WHERE tenant_key = $1 AND day = $2 AND revision < $3 RETURNING *)
         INSERT INTO replaced_lines
             (tenant_key, day, revision, line, quantity, unit_price, amount, original_amount, currency, ecosystem, env_id,
              resource_id, resource_name, product_category, product_type, granularity, period_start, period_end, evidence)
         SELECT f.tenant_key, f.day, f.revision, decode(right({LINE_ID}, 32), 'hex'), f.quantity, f.unit_price, f.amount,
             f.original_amount, f.currency, f.ecosystem, f.env_id, f.resource_id, f.resource_name, f.product_category,
             f.product_type, f.granularity, f.period_start, f.period_end, f.evidence
         FROM f JOIN tenants t USING (tenant_key) WHERE f.revision > t.forgotten_revision ON CONFLICT DO NOTHING"
    )
}

impl ProjectionTx {
    /// Writes seals with their tenants' keys. A revision that is known stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_revisions(&mut self, seals: &[(i32, DaySealed)]) -> Result<(), StoreError> {
        if seals.is_empty() {
            return Ok(());
        }
        let int = |of: fn(&DaySealed) -> u32| seals.iter().map(|(_, s)| of(s) as i32).collect::<Vec<i32>>();
        let written = sqlx::query(
            "INSERT INTO day_revisions (tenant_key, day, revision, billing_lines, reason, digest, gathered_at)
             SELECT tenant_key, day, revision, billing_lines, reason, digest, gathered_at
             FROM unnest($1::int[], $2::date[], $3::int[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
                 AS given (tenant_key, day, revision, billing_lines, reason, digest, gathered_at)
             JOIN tenants USING (tenant_key) WHERE revision > forgotten_revision ON CONFLICT DO NOTHING",
        )
        .bind(seals.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(seals.iter().map(|(_, s)| s.day.date()).collect::<Vec<NaiveDate>>())
        .bind(int(|s| s.revision))
        .bind(int(|s| s.billing_lines))
        .bind(seals.iter().map(|(_, s)| reason(s)).collect::<Vec<&str>>())
        .bind(seals.iter().map(|(_, s)| storable(&s.digest).into_owned()).collect::<Vec<String>>())
        .bind(seals.iter().map(|(_, s)| s.gathered_at).collect::<Vec<DateTime<Utc>>>())
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }
}

/// Deletes the lines of a month, given by its first day.
pub(super) async fn delete_month(tx: &mut PgConnection, month: Day) -> Result<(), sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM replaced_lines WHERE day >= $1 AND day < ($1 + interval '1 month')::date");
    deleted.bind(month.date()).execute(tx).await.map(drop)
}
