//! The one way to write a projection: rows and positions in one transaction, or neither.

use ahash::AHashMap;
use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row, Transaction};

use super::copy::CopyRows;
use super::news::CHANNEL;
use super::positions::{Step, steps};
use super::{DayKey, DaySlices, Ordinals, Position, Projection, Slice, Store, StoreError, history};
use crate::domain::Day;

/// Kafka holds the truth: a batch that a crash of Postgres takes back is read again, position and all. So no batch waits for
/// the disk. A later commit that does, such as that of dimensions, makes durable what was committed before it.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";

/// An open transaction whose positions have moved already.
#[derive(Debug)]
pub struct ProjectionTx {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) store: Store,
    pub(super) projection: Projection,
}

/// Tenant key, day, revision, expected, received, complete.
type StoredSlice = (i32, NaiveDate, i32, i32, String, bool);

/// A tenant by the narrow key that stands for it in the tables.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TenantKey {
    pub tenant_id: String,
    pub tenant_key: i32,
    /// Revisions up to this one were forgotten; 0: none.
    pub forgotten_revision: i32,
}

/// What becomes of a revision of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceChange {
    /// More of it is here; readers do not see it yet.
    Grown { at: DayKey, revision: u32, slice: Slice },
    /// It is whole: readers see it from the commit on, and every lower one is gone.
    Completed { at: DayKey, revision: u32, count: u32, replaces: bool },
    /// Rows of lower revisions came after this one was whole.
    Late { at: DayKey, revision: u32 },
}

impl Store {
    /// The generation of a projection and what it reads next in these partitions, zero where it never read.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn take_over(
        &self,
        projection: Projection,
        partitions: &[(String, i32)],
    ) -> Result<(i32, Vec<Position>), StoreError> {
        let topics: Vec<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
        let numbers: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
        let taken = async {
            let mut tx = self.pool.begin().await?;
            // Against a rebuild that is under way.
            let generation = lock_generation(&mut tx, projection).await?;
            sqlx::query(
                "INSERT INTO positions (projection, topic, partition)
                 SELECT $1, topic, partition FROM unnest($2::text[], $3::int[]) AS given (topic, partition)
                 ORDER BY topic, partition ON CONFLICT DO NOTHING",
            )
            .bind(projection.name())
            .bind(&topics)
            .bind(&numbers)
            .execute(&mut *tx)
            .await?;
            let rows = sqlx::query(
                "SELECT p.topic, p.partition, p.next_offset FROM positions p
                 JOIN unnest($2::text[], $3::int[]) AS given (topic, partition) USING (topic, partition)
                 WHERE p.projection = $1",
            )
            .bind(projection.name())
            .bind(&topics)
            .bind(&numbers)
            .fetch_all(&mut *tx)
            .await?;
            tx.commit().await?;
            let positions = rows.iter().map(position).collect::<Result<_, _>>()?;
            Ok((generation, positions))
        };
        taken.await.map_err(|error| self.sort(error))
    }

    /// All positions of all projections.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn positions(&self) -> Result<Vec<(Projection, Position)>, StoreError> {
        let rows = sqlx::query("SELECT topic, partition, next_offset, projection FROM positions ORDER BY 4, 1, 2")
            .fetch_all(&self.pool)
            .await;
        let read = |row: &sqlx::postgres::PgRow| {
            let name: String = row.try_get(3)?;
            Ok(Projection::by_name(&name).zip(Some(position(row)?)))
        };
        let read = rows.and_then(|rows| rows.iter().filter_map(|row| read(row).transpose()).collect());
        read.map_err(|error| self.sort(error))
    }

    /// Is any table behind these positions? One whose topic nobody has read yet is.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn behind(&self, records: &[Position]) -> Result<bool, StoreError> {
        let behind = sqlx::query_scalar(
            "SELECT coalesce(bool_or(p.next_offset IS NULL OR p.next_offset < given.next), false)
             FROM unnest($1::text[], $2::int[], $3::bigint[]) AS given (topic, partition, next)
             LEFT JOIN positions p USING (topic, partition)",
        );
        let behind = behind
            .bind(records.iter().map(|at| at.topic.as_str()).collect::<Vec<_>>())
            .bind(records.iter().map(|at| at.partition).collect::<Vec<_>>())
            .bind(records.iter().map(|at| at.next).collect::<Vec<_>>());
        behind.fetch_one(&self.pool).await.map_err(|error| self.sort(error))
    }

    /// Opens a transaction and moves the positions from `believed` to `ends`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the projection has been rebuilt since `generation` was read, or does not stand where
    /// the caller believes.
    pub async fn advance(
        &self,
        projection: Projection,
        generation: i32,
        believed: &[Position],
        ends: &[Position],
    ) -> Result<ProjectionTx, StoreError> {
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(|error| self.sort(error))?;
        let locked = lock(&mut tx, projection, ends).await.map_err(|error| self.sort(error))?;
        if locked.0 != generation {
            return Err(StoreError::Fenced(projection.name()));
        }
        let steps = steps(projection, believed, ends, &locked.1)?;
        take(&mut tx, projection, &steps).await.map_err(|error| self.sort(error))?;
        Ok(ProjectionTx { tx, store: self.clone(), projection })
    }

    /// Empties projections and sends them back to the beginning of their topics.
    ///
    /// Whoever works on them meanwhile is refused at the next batch and starts over, too.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn reset(&self, projections: &[Projection]) -> Result<(), StoreError> {
        let mut projections = projections.to_vec();
        // Always in the same order: two rebuilds at once must not wait for each other.
        projections.sort_by_key(|projection| projection.name());
        let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
        let tables: Vec<&str> = projections.iter().flat_map(|p| p.tables()).copied().collect();
        let emptied = async {
            let mut tx = self.pool.begin().await?;
            for name in &names {
                sqlx::query("UPDATE projections SET generation = generation + 1 WHERE projection = $1")
                    .bind(name)
                    .execute(&mut *tx)
                    .await?;
            }
            for table in &tables {
                sqlx::query(AssertSqlSafe(format!("TRUNCATE {table}"))).execute(&mut *tx).await?;
            }
            for table in ["slices", "positions"] {
                sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE projection = ANY($1)")))
                    .bind(&names)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await
        };
        emptied.await.map_err(|error| self.sort(error))
    }

    /// The narrow keys of tenants, made where they are missing.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn tenant_keys(&self, tenants: &[&str]) -> Result<Vec<TenantKey>, StoreError> {
        let found = async {
            sqlx::query(
                "INSERT INTO tenants (tenant_id) SELECT DISTINCT id FROM unnest($1::text[]) AS id ORDER BY 1
                 ON CONFLICT DO NOTHING",
            )
            .bind(tenants)
            .execute(&self.pool)
            .await?;
            sqlx::query_as("SELECT tenant_id, tenant_key, forgotten_revision FROM tenants WHERE tenant_id = ANY($1)")
                .bind(tenants)
                .fetch_all(&self.pool)
                .await
        };
        found.await.map_err(|error| self.sort(error))
    }

    /// Makes the partition of a sliced projection that holds the month of `day`, if it is missing.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn ensure_month(&self, projection: Projection, day: Day) -> Result<(), StoreError> {
        let Some(table) = projection.slice_table() else { return Ok(()) };
        let made = sqlx::query("SELECT ensure_month($1, $2)").bind(table).bind(day.date()).execute(&self.pool).await;
        made.map(drop).map_err(|error| self.sort(error))
    }
}

impl ProjectionTx {
    /// What the projection has of these days.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn slices(&mut self, days: &[DayKey]) -> Result<AHashMap<DayKey, DaySlices>, StoreError> {
        let tenants: Vec<i32> = days.iter().map(|at| at.tenant).collect();
        let dates: Vec<NaiveDate> = days.iter().map(|at| at.day.date()).collect();
        let rows: Result<Vec<StoredSlice>, _> = sqlx::query_as(
            "SELECT s.tenant_key, s.day, s.revision, s.expected, s.received::text, s.complete
             FROM unnest($2::int[], $3::date[]) AS given (tenant_key, day)
             JOIN slices s ON s.projection = $1 AND s.tenant_key = given.tenant_key AND s.day = given.day
             UNION ALL
             -- As if the last revision that was forgotten were whole: what is up to it does not come back.
             SELECT given.tenant_key, given.day, t.forgotten_revision, 0, '{}', true
             FROM unnest($2::int[], $3::date[]) AS given (tenant_key, day)
             JOIN tenants t USING (tenant_key) WHERE t.forgotten_revision > 0",
        )
        .bind(self.projection.name())
        .bind(&tenants)
        .bind(&dates)
        .fetch_all(&mut *self.tx)
        .await;
        let mut known: AHashMap<DayKey, DaySlices> = days.iter().map(|at| (*at, DaySlices::default())).collect();
        for (tenant, date, revision, expected, received, complete) in rows.map_err(|error| self.store.sort(error))? {
            let day = known.entry(DayKey { tenant, day: date.into() }).or_default();
            // Written from `u32`s that were checked to fit.
            let (revision, expected) = (revision as u32, expected as u32);
            if complete {
                day.complete = day.complete.max(Some(revision));
                continue;
            }
            let parsed = Ordinals::parse(&received);
            let received = parsed.ok_or(StoreError::Corrupt { table: "slices", what: "received", value: received })?;
            day.open.insert(revision, Slice { expected, received });
        }
        Ok(known)
    }

    /// Copies rows into the projection's table.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn copy(&mut self, rows: &CopyRows) -> Result<(), StoreError> {
        let Some(table) = self.projection.slice_table().filter(|_| rows.rows() > 0) else { return Ok(()) };
        let statement = format!("COPY {table} FROM STDIN (FORMAT binary)");
        rows.send(&mut self.tx, &statement).await.map_err(|error| self.store.sort(error))
    }

    /// Writes what became of the slices; what a completed one replaces is deleted.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save(&mut self, changes: &[SliceChange]) -> Result<(), StoreError> {
        let written = async {
            for change in changes {
                if let SliceChange::Completed { at, revision, replaces: true, .. }
                | SliceChange::Late { at, revision } = change
                {
                    delete_below(&mut self.tx, self.projection, *at, *revision).await?;
                }
            }
            if self.projection == Projection::Resources {
                add_places(&mut self.tx, changes).await?;
            }
            upsert(&mut self.tx, self.projection, changes).await
        };
        written.await.map_err(|error| self.store.sort(error))
    }

    /// Makes it so.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] leaves open whether it is so: read the positions again.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(|error| StoreError::of(error, &self.store.address))
    }
}

fn position(row: &sqlx::postgres::PgRow) -> Result<Position, sqlx::Error> {
    Ok(Position { topic: row.try_get(0)?, partition: row.try_get(1)?, next: row.try_get(2)? })
}

pub(super) async fn lock_generation(tx: &mut PgConnection, projection: Projection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT generation FROM projections WHERE projection = $1 FOR SHARE")
        .bind(projection.name())
        .fetch_one(tx)
        .await
}

/// Locks the partitions in all topics of the projection, because a day's records and the record that closes it lie in
/// equal partitions of different topics and may be in the hands of two processes during a rebalance.
async fn lock(
    tx: &mut PgConnection,
    projection: Projection,
    ends: &[Position],
) -> Result<(i32, Vec<Position>), sqlx::Error> {
    let generation = lock_generation(&mut *tx, projection).await?;
    let partitions: Vec<i32> = ends.iter().map(|end| end.partition).collect();
    let rows = sqlx::query(
        "SELECT topic, partition, next_offset FROM positions WHERE projection = $1 AND partition = ANY($2)
         ORDER BY topic, partition FOR UPDATE",
    )
    .bind(projection.name())
    .bind(&partitions)
    .fetch_all(&mut *tx)
    .await?;
    Ok((generation, rows.iter().map(position).collect::<Result<_, _>>()?))
}

async fn take(tx: &mut PgConnection, projection: Projection, steps: &[Step<'_>]) -> Result<(), sqlx::Error> {
    let topics: Vec<&str> = steps.iter().map(|step| step.topic).collect();
    let partitions: Vec<i32> = steps.iter().map(|step| step.partition).collect();
    let (from, to): (Vec<i64>, Vec<i64>) = steps.iter().map(|step| (step.from, step.to)).unzip();
    let moved = sqlx::query(
        "WITH told AS (SELECT pg_notify($6, ''))
         UPDATE positions p SET next_offset = step.next
         FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) AS step (topic, partition, here, next), told
         WHERE p.projection = $1 AND p.topic = step.topic AND p.partition = step.partition
           AND p.next_offset = step.here",
    )
    .bind(projection.name())
    .bind(&topics)
    .bind(&partitions)
    .bind(&from)
    .bind(&to)
    .bind(CHANNEL)
    .execute(tx)
    .await?;
    debug_assert_eq!(moved.rows_affected() as usize, steps.len(), "the rows were locked and compared");
    Ok(())
}

async fn delete_below(
    tx: &mut PgConnection,
    projection: Projection,
    at: DayKey,
    revision: u32,
) -> Result<(), sqlx::Error> {
    let Some(table) = projection.slice_table() else { return Ok(()) };
    let facts = match projection {
        Projection::Billing => history::replace_lines(),
        _ => format!("DELETE FROM {table} WHERE tenant_key = $1 AND day = $2 AND revision < $3"),
    };
    sqlx::query(AssertSqlSafe(facts))
        .bind(at.tenant)
        .bind(at.day.date())
        .bind(revision as i32)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM slices WHERE tenant_key = $1 AND day = $2 AND revision < $3 AND projection = $4")
        .bind(at.tenant)
        .bind(at.day.date())
        .bind(revision as i32)
        .bind(projection.name())
        .execute(tx)
        .await
        .map(drop)
}

/// Remembers where the resources of completed slices are.
async fn add_places(tx: &mut PgConnection, changes: &[SliceChange]) -> Result<(), sqlx::Error> {
    let (mut tenants, mut days, mut revisions) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        if let SliceChange::Completed { at, revision, .. } = change {
            tenants.push(at.tenant);
            days.push(at.day.date());
            revisions.push(*revision as i32);
        }
    }
    if tenants.is_empty() {
        return Ok(());
    }
    let added = sqlx::query("SELECT add_places($1, $2, $3)").bind(tenants).bind(days).bind(revisions);
    added.execute(tx).await.map(drop)
}

async fn upsert(tx: &mut PgConnection, projection: Projection, changes: &[SliceChange]) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut tenants = Vec::with_capacity(changes.len());
    let (mut days, mut revisions, mut expected, mut received, mut complete) = (vec![], vec![], vec![], vec![], vec![]);
    for change in changes {
        let (at, revision, count, have, whole) = match change {
            SliceChange::Grown { at, revision, slice } => {
                (at, *revision, slice.expected, slice.received.to_string(), false)
            }
            SliceChange::Completed { at, revision, count, .. } => {
                // A range of no numbers is written `empty` by Postgres; the set of none is `{}`.
                let all = if *count == 0 { "{}".to_owned() } else { format!("{{[0,{count})}}") };
                (at, *revision, *count, all, true)
            }
            SliceChange::Late { .. } => continue,
        };
        tenants.push(at.tenant);
        days.push(at.day.date());
        revisions.push(revision as i32);
        expected.push(count as i32);
        received.push(have);
        complete.push(whole);
    }
    sqlx::query(
        "INSERT INTO slices (projection, tenant_key, day, revision, expected, received, complete)
         SELECT $1, tenant_key, day, revision, expected, received::int4multirange, complete
         FROM unnest($2::int[], $3::date[], $4::int[], $5::int[], $6::text[], $7::boolean[])
              AS given (tenant_key, day, revision, expected, received, complete)
         ON CONFLICT (tenant_key, day, projection, revision)
         DO UPDATE SET expected = excluded.expected, received = excluded.received, complete = excluded.complete",
    )
    .bind(projection.name())
    .bind(&tenants)
    .bind(&days)
    .bind(&revisions)
    .bind(&expected)
    .bind(&received)
    .bind(&complete)
    .execute(tx)
    .await
    .map(drop)
}
