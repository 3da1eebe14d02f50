//! Questions about how far things are: what `run --once` waits for, sums for people.

use chrono::NaiveDate;

use super::{Projection, Store, StoreError};
use crate::domain::{Amount, Day};

/// Where one revision of a tenant's day is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayProgress {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    pub state: DayState,
}

/// How far a revision has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayState {
    /// Not in every table yet; what is missing, by name (`allocation` or a projection).
    Waiting(Vec<&'static str>),
    /// Allocation refused it; its facts are in the tables, the rows of the revision before it stay.
    Refused(String),
    /// It, or a higher revision, is in every table.
    Done,
}

/// What a tenant's tables hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    pub tenant: String,
    /// Sealed days.
    pub days: u64,
    /// Billing lines that readers see.
    pub lines: u64,
    /// Chargeback rows that readers see.
    pub rows: u64,
    /// Topic rows that readers see.
    pub topic_rows: u64,
    /// Sum of the chargeback rows per currency, by currency.
    pub amounts: Vec<(String, Amount)>,
    /// Entries of the tenant in quarantine that are open.
    pub quarantined: u64,
}

/// How many of a tenant's days are where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    pub tenant: String,
    pub sealed: u64,
    /// Days whose newest seal is allocated.
    pub allocated: u64,
    /// Days whose newest seal is in every table.
    pub projected: u64,
    /// Days whose newest seal allocation refused.
    pub refused: u64,
    pub last_day: Option<Day>,
}

/// What the tables say about a revision.
#[derive(Debug, sqlx::FromRow)]
struct Evidence {
    tenant_id: String,
    day: NaiveDate,
    revision: i32,
    sealed_revision: Option<i32>,
    allocated_revision: Option<i32>,
    refused_revision: Option<i32>,
    refused_reason: Option<String>,
    whole: Vec<String>,
}

/// A row of [`Store::overview`].
#[derive(Debug, sqlx::FromRow)]
struct TenantDays {
    tenant_id: String,
    sealed: i64,
    allocated: i64,
    projected: i64,
    refused: i64,
    last_day: Option<NaiveDate>,
}

/// The decision: is it there, and if not, what is missing?
fn state(evidence: &Evidence) -> DayState {
    let reached = |revision: Option<i32>| revision.is_some_and(|r| r >= evidence.revision);
    let allocated = reached(evidence.allocated_revision);
    let refused = reached(evidence.refused_revision);
    let is_whole = |projection: Projection| evidence.whole.iter().any(|name| name == projection.name());
    let mut missing = Vec::new();
    if !reached(evidence.sealed_revision) {
        missing.push(Projection::Days.name());
    }
    if !allocated && !refused {
        missing.push("allocation");
    }
    for projection in [Projection::Billing, Projection::Resources, Projection::Identities] {
        if !is_whole(projection) {
            missing.push(projection.name());
        }
    }
    for projection in [Projection::Chargebacks, Projection::TopicAttributions] {
        if allocated && !is_whole(projection) {
            missing.push(projection.name());
        }
    }
    match (missing.is_empty(), allocated) {
        (false, _) => DayState::Waiting(missing),
        (true, true) => DayState::Done,
        (true, false) => DayState::Refused(evidence.refused_reason.clone().unwrap_or_default()),
    }
}

impl Store {
    /// How far these revisions are. One query, in the order asked.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn progress(&self, revisions: &[(String, Day, u32)]) -> Result<Vec<DayProgress>, StoreError> {
        let tenants: Vec<&str> = revisions.iter().map(|(tenant, ..)| tenant.as_str()).collect();
        let days: Vec<NaiveDate> = revisions.iter().map(|(_, day, _)| day.date()).collect();
        let numbers: Vec<i32> = revisions.iter().map(|(.., revision)| *revision as i32).collect();
        let rows: Result<Vec<Evidence>, _> = sqlx::query_as(
            "SELECT w.tenant_id, w.day, w.revision, d.sealed_revision, d.allocated_revision, d.refused_revision,
                    d.refused_reason,
                    ARRAY(SELECT s.projection FROM slices s WHERE s.tenant_key = t.tenant_key AND s.day = w.day
                          AND s.complete AND s.revision >= w.revision) AS whole
             FROM unnest($1::text[], $2::date[], $3::int[]) WITH ORDINALITY AS w (tenant_id, day, revision, place)
             LEFT JOIN tenants t ON t.tenant_id = w.tenant_id
             LEFT JOIN day_facts d ON d.tenant_key = t.tenant_key AND d.day = w.day
             ORDER BY w.place",
        )
        .bind(&tenants)
        .bind(&days)
        .bind(&numbers)
        .fetch_all(self.pool())
        .await;
        let rows = rows.map_err(|error| self.sort(error))?;
        let told = |e: Evidence| DayProgress {
            state: state(&e),
            tenant: e.tenant_id,
            day: e.day.into(),
            revision: e.revision as u32,
        };
        Ok(rows.into_iter().map(told).collect())
    }

    /// What the tables hold of a tenant; all zero for one that was never seen.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn summary(&self, tenant: &str) -> Result<Summary, StoreError> {
        let counts: Result<(i64, i64, i64, i64, i64), _> = sqlx::query_as(
            "SELECT (SELECT count(*) FROM day_facts d JOIN tenants t USING (tenant_key)
                     WHERE t.tenant_id = $1 AND d.sealed_revision IS NOT NULL),
                    coalesce(sum(s.expected) FILTER (WHERE s.projection = 'billing'), 0)::bigint,
                    coalesce(sum(s.expected) FILTER (WHERE s.projection = 'chargebacks'), 0)::bigint,
                    coalesce(sum(s.expected) FILTER (WHERE s.projection = 'topic-attributions'), 0)::bigint,
                    (SELECT count(*) FROM quarantine WHERE tenant_id = $1 AND status = 'open')
             FROM slices s JOIN tenants t USING (tenant_key) WHERE t.tenant_id = $1 AND s.complete",
        )
        .bind(tenant)
        .fetch_one(self.pool())
        .await;
        let (days, lines, rows, topic_rows, quarantined) = counts.map_err(|error| self.sort(error))?;
        let sums: Result<Vec<(String, String)>, _> = sqlx::query_as(
            "SELECT currency, sum(amount)::text FROM chargebacks WHERE tenant_id = $1 GROUP BY currency ORDER BY currency COLLATE \"C\"",
        )
        .bind(tenant)
        .fetch_all(self.pool())
        .await;
        let amounts = sums.map_err(|error| self.sort(error))?.into_iter().map(|(currency, sum)| match sum.parse() {
            Ok(sum) => Ok((currency, sum)),
            Err(_) => Err(StoreError::Corrupt { table: "chargebacks", what: "sum(amount)", value: sum }),
        });
        Ok(Summary {
            tenant: tenant.to_owned(),
            days: days as u64,
            lines: lines as u64,
            rows: rows as u64,
            topic_rows: topic_rows as u64,
            amounts: amounts.collect::<Result<_, _>>()?,
            quarantined: quarantined as u64,
        })
    }

    /// Every tenant and how many of its days are where, by name.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn overview(&self) -> Result<Vec<Overview>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT tenant_id, count(*) FILTER (WHERE sealed_revision IS NOT NULL) AS sealed,
                    count(*) FILTER (WHERE allocated_revision >= sealed_revision) AS allocated,
                    count(*) FILTER (WHERE allocated_revision >= sealed_revision
                                     AND chargebacks_revision >= sealed_revision AND billing_revision >= sealed_revision
                                     AND resources_revision >= sealed_revision
                                     AND identities_revision >= sealed_revision
                                     AND topic_attributions_revision >= sealed_revision) AS projected,
                    count(*) FILTER (WHERE refused_revision >= sealed_revision AND outcome = 'refused') AS refused,
                    max(day) FILTER (WHERE sealed_revision IS NOT NULL) AS last_day
             FROM days LEFT JOIN day_topic_attributions USING (tenant_id, day)
             GROUP BY tenant_id ORDER BY tenant_id COLLATE \"C\"",
        );
        let rows: Vec<TenantDays> = rows.fetch_all(self.pool()).await.map_err(|error| self.sort(error))?;
        let told = |row: TenantDays| Overview {
            tenant: row.tenant_id,
            sealed: row.sealed as u64,
            allocated: row.allocated as u64,
            projected: row.projected as u64,
            refused: row.refused as u64,
            last_day: row.last_day.map(Into::into),
        };
        Ok(rows.into_iter().map(told).collect())
    }

    /// How many entries of the quarantine are open.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn open_quarantine(&self) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM quarantine WHERE status = 'open'");
        count.fetch_one(self.pool()).await.map(|count| count as u64).map_err(|error| self.sort(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sealed: i32, allocated: Option<i32>, refused: Option<i32>, whole: &[&str]) -> DayState {
        state(&Evidence {
            tenant_id: "t".into(),
            day: NaiveDate::MIN,
            revision: 2,
            sealed_revision: Some(sealed),
            allocated_revision: allocated,
            refused_revision: refused,
            refused_reason: refused.map(|_| "why".into()),
            whole: whole.iter().map(|name| (*name).into()).collect(),
        })
    }

    #[test]
    fn a_revision_is_done_when_it_or_a_higher_one_is_everywhere() {
        let facts = ["billing", "resources", "identities"];
        let all = ["billing", "resources", "identities", "chargebacks", "topic-attributions"];
        let most = ["billing", "resources", "identities", "topic-attributions"];
        assert_eq!(told(2, Some(2), None, &all), DayState::Done);
        assert_eq!(told(3, Some(3), Some(2), &all), DayState::Done);
        assert_eq!(told(2, Some(2), None, &most), DayState::Waiting(vec!["chargebacks"]));
        assert_eq!(told(2, Some(2), None, &all[..4]), DayState::Waiting(vec!["topic-attributions"]));
        assert_eq!(told(2, Some(1), None, &facts), DayState::Waiting(vec!["allocation"]));
        assert_eq!(told(1, Some(2), None, &all), DayState::Waiting(vec!["days"]));
        assert_eq!(told(2, Some(1), Some(2), &facts), DayState::Refused("why".into()));
        assert_eq!(told(2, Some(1), Some(2), &facts[1..]), DayState::Waiting(vec!["billing"]));
    }
}
