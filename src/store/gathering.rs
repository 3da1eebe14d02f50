//! What the gather stage did, as tables: runs and held days, written from their topics, read by people.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value as Json, json};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::facts::{check_moment, check_place, check_tenant, whole};
use super::text::storable;
use super::{FactCheck, ProjectionTx, Store, StoreError};
use crate::domain::run::Trigger;
use crate::domain::{Day, GatheredDay, Run, RunStatus};

const TRIGGERS: [Trigger; 3] = [Trigger::Periodic, Trigger::Command, Trigger::Once];
const STATUSES: [RunStatus; 7] = [
    RunStatus::Running,
    RunStatus::Completed,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Interrupted,
    RunStatus::Skipped,
    RunStatus::Cancelled,
];
/// The columns of view `runs`, as [`Store::run`] reads them.
const COLUMNS: &str = "tenant_id, run_id, instance, trigger, commands, started_at, ended_at, status, from_day, to_day, sealed, \
     unchanged, held, quarantined, errors, failures_in_a_row, suspended, next_due_at, wanted";

/// A day that gather holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub tenant: String,
    pub day: Day,
    /// Cycles in a row that failed to fetch its usage.
    pub attempts: u32,
    pub why: String,
}

/// Does a run fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_run(run: &Run) -> Result<(), FactCheck> {
    check_tenant(&run.tenant)?;
    let counts = [
        ("sealed", run.sealed),
        ("unchanged", run.unchanged),
        ("held", run.held),
        ("quarantined", run.quarantined),
        ("failures_in_a_row", run.failures_in_a_row),
        ("wanted", run.wanted.unwrap_or_default()),
    ];
    counts.iter().try_for_each(|(name, count)| whole(name, *count))?;
    for (name, moment) in
        [("started_at", Some(run.started_at)), ("ended_at", run.ended_at), ("next_due_at", run.next_due_at)]
    {
        check_moment(name, moment)?;
    }
    Ok(())
}

/// Does a remembered day fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_held(tenant: &str, day: &GatheredDay) -> Result<(), FactCheck> {
    check_place(tenant, day.day, day.revision)?;
    whole("usage_attempts", day.usage_attempts)
}

impl ProjectionTx {
    /// Writes runs with their tenants' keys, each run once. What has ended stays so, whatever arrives later, and what was done
    /// stays done ([`Run::after`]); what was forgotten with its tenant does not come back.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_runs(&mut self, runs: &[(i32, Run)]) -> Result<(), StoreError> {
        if runs.is_empty() {
            return Ok(());
        }
        let row = |(tenant, run): &(i32, Run)| {
            json!({
                "tenant_key": tenant, "run_id": storable(&run.id), "instance": storable(&run.instance), "trigger": run.trigger.as_str(),
                "commands": run.commands.iter().map(|id| storable(id)).collect::<Vec<_>>(), "started_at": run.started_at, "ended_at": run.ended_at,
                "status": run.status.as_str(), "from_day": run.from.map(|day| day.date()),
                "to_day": run.to.map(|day| day.date()), "sealed": run.sealed, "unchanged": run.unchanged,
                "held": run.held, "quarantined": run.quarantined,
                "errors": run.errors.iter().map(|error| storable(error)).collect::<Vec<_>>(),
                "failures_in_a_row": run.failures_in_a_row, "suspended": run.suspended.as_deref().map(storable),
                "next_due_at": run.next_due_at, "wanted": run.wanted,
            })
        };
        let written = sqlx::query(
            "INSERT INTO run_facts AS r
                (tenant_key, run_id, instance, trigger, commands, started_at, ended_at, status, from_day, to_day, sealed,
                 unchanged, held, quarantined, errors, failures_in_a_row, suspended, next_due_at, wanted)
             SELECT tenant_key, run_id, instance, trigger, ARRAY(SELECT jsonb_array_elements_text(commands)), started_at,
                 ended_at, status, from_day, to_day, sealed, unchanged, held, quarantined,
                 ARRAY(SELECT jsonb_array_elements_text(errors)), failures_in_a_row, suspended, next_due_at, wanted
             FROM jsonb_to_recordset($1::jsonb) AS given
                (tenant_key int, run_id text, instance text, trigger text, commands jsonb, started_at timestamptz,
                 ended_at timestamptz, status text, from_day date, to_day date, sealed int, unchanged int, held int,
                 quarantined int, errors jsonb, failures_in_a_row int, suspended text, next_due_at timestamptz, wanted int)
             JOIN tenants USING (tenant_key) WHERE forgotten_at IS NULL OR started_at > forgotten_at
             ON CONFLICT (tenant_key, run_id) DO UPDATE SET
                 instance = excluded.instance, trigger = excluded.trigger, commands = excluded.commands,
                 started_at = excluded.started_at, ended_at = excluded.ended_at, status = excluded.status,
                 from_day = coalesce(excluded.from_day, r.from_day), to_day = coalesce(excluded.to_day, r.to_day),
                 wanted = coalesce(excluded.wanted, r.wanted), sealed = greatest(excluded.sealed, r.sealed),
                 unchanged = greatest(excluded.unchanged, r.unchanged), held = greatest(excluded.held, r.held),
                 quarantined = greatest(excluded.quarantined, r.quarantined),
                 errors = excluded.errors, failures_in_a_row = excluded.failures_in_a_row,
                 suspended = excluded.suspended, next_due_at = excluded.next_due_at
             WHERE r.ended_at IS NULL",
        )
        .bind(Json::Array(runs.iter().map(row).collect()).to_string())
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }

    /// Writes what is remembered of days, each day once, with the tenant's key and when it was written (milliseconds). An
    /// older record changes nothing, nor one of before the tenant was forgotten. Days of which nothing is remembered are not
    /// kept.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_held(&mut self, days: &[(i32, i64, &GatheredDay)]) -> Result<(), StoreError> {
        if days.is_empty() {
            return Ok(());
        }
        let written = sqlx::query(
            "INSERT INTO held_days AS h (tenant_key, day, revision, attempts, why, written_ms)
             SELECT tenant_key, day, revision, attempts, why, written_ms
             FROM unnest($1::int[], $2::date[], $3::int[], $4::int[], $5::text[], $6::bigint[])
                 AS given (tenant_key, day, revision, attempts, why, written_ms)
             JOIN tenants USING (tenant_key)
             WHERE forgotten_at IS NULL OR written_ms > extract(epoch FROM forgotten_at) * 1000
             ON CONFLICT (tenant_key, day) DO UPDATE SET
                 revision = excluded.revision, attempts = excluded.attempts, why = excluded.why,
                 written_ms = excluded.written_ms
             WHERE h.written_ms <= excluded.written_ms",
        )
        .bind(days.iter().map(|(tenant, ..)| *tenant).collect::<Vec<i32>>())
        .bind(days.iter().map(|(.., day)| day.day.date()).collect::<Vec<NaiveDate>>())
        .bind(days.iter().map(|(.., day)| day.revision as i32).collect::<Vec<i32>>())
        .bind(days.iter().map(|(.., day)| day.usage_attempts as i32).collect::<Vec<i32>>())
        .bind(
            days.iter().map(|(.., day)| day.held.as_deref().map(|why| storable(why).into_owned())).collect::<Vec<_>>(),
        )
        .bind(days.iter().map(|(_, written, _)| *written).collect::<Vec<i64>>())
        .execute(&mut *self.tx)
        .await;
        written.map_err(|error| StoreError::of(error, self.store.address()))?;
        let emptied = sqlx::query(
            "DELETE FROM held_days h USING unnest($1::int[], $2::date[]) AS given (tenant_key, day)
             WHERE h.tenant_key = given.tenant_key AND h.day = given.day AND h.revision = 0 AND h.why IS NULL",
        )
        .bind(days.iter().map(|(tenant, ..)| *tenant).collect::<Vec<i32>>())
        .bind(days.iter().map(|(.., day)| day.day.date()).collect::<Vec<NaiveDate>>())
        .execute(&mut *self.tx)
        .await;
        emptied.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }
}

impl Store {
    /// Runs, newest first, of one tenant (by its id) or of all.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn runs(&self, tenant: Option<&str>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM runs WHERE tenant_id = $1 OR $1 IS NULL
             ORDER BY started_at DESC, tenant_id, run_id DESC LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).bind(tenant).bind(i64::from(limit)).fetch_all(self.pool());
        self.read_runs(rows.await)
    }

    /// The newest run of each tenant that was not skipped, by tenant.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn last_runs(&self) -> Result<Vec<Run>, StoreError> {
        let text = format!(
            "SELECT DISTINCT ON (tenant_id COLLATE \"C\") {COLUMNS} FROM runs WHERE status <> 'skipped'
             ORDER BY tenant_id COLLATE \"C\", started_at DESC, run_id DESC"
        );
        self.read_runs(sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(self.pool()).await)
    }

    /// The newest run that answers a command, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn run_of(&self, command: &str) -> Result<Option<Run>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM runs WHERE commands @> ARRAY[$1] ORDER BY started_at DESC LIMIT 1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).bind(command).fetch_all(self.pool()).await;
        Ok(self.read_runs(rows)?.pop())
    }

    /// The days that are held back, by tenant and day.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn held(&self) -> Result<Vec<Held>, StoreError> {
        let rows: Result<Vec<(String, NaiveDate, i32, String)>, _> = sqlx::query_as(
            "SELECT t.tenant_id, h.day, h.attempts, h.why FROM held_days h JOIN tenants t USING (tenant_key)
             WHERE h.why IS NOT NULL ORDER BY t.tenant_id COLLATE \"C\", h.day",
        )
        .fetch_all(self.pool())
        .await;
        let held = |(tenant, day, attempts, why): (String, NaiveDate, i32, String)| Held {
            tenant,
            day: day.into(),
            attempts: attempts as u32,
            why,
        };
        Ok(rows.map_err(|error| self.sort(error))?.into_iter().map(held).collect())
    }

    fn read_runs(&self, rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Run>, StoreError> {
        let rows = rows.map_err(|error| self.sort(error))?;
        rows.iter().map(|row| run(row).map_err(|error| self.sort(error))).collect()
    }
}

fn run(row: &PgRow) -> Result<Run, sqlx::Error> {
    let (trigger, status): (String, String) = (row.try_get("trigger")?, row.try_get("status")?);
    let day = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<NaiveDate>, _>(column)?.map(Day::from));
    let count = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<i32, _>(column)? as u32);
    let moment = |column: &str| row.try_get::<Option<DateTime<Utc>>, _>(column);
    Ok(Run {
        tenant: row.try_get("tenant_id")?,
        id: row.try_get("run_id")?,
        instance: row.try_get("instance")?,
        trigger: TRIGGERS.into_iter().find(|known| known.as_str() == trigger).unwrap_or(Trigger::Periodic),
        commands: row.try_get("commands")?,
        started_at: row.try_get("started_at")?,
        ended_at: moment("ended_at")?,
        status: STATUSES.into_iter().find(|known| known.as_str() == status).unwrap_or(RunStatus::Running),
        from: day("from_day")?,
        to: day("to_day")?,
        wanted: row.try_get::<Option<i32>, _>("wanted")?.map(|count| count as u32),
        sealed: count("sealed")?,
        unchanged: count("unchanged")?,
        held: count("held")?,
        quarantined: count("quarantined")?,
        errors: row.try_get("errors")?,
        failures_in_a_row: count("failures_in_a_row")?,
        suspended: row.try_get("suspended")?,
        next_due_at: moment("next_due_at")?,
    })
}
