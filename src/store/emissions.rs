//! What emitters did, as a table, and whose turn it is to emit.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::facts::{check_moment, check_place, whole};
use super::text::storable;
use super::{FactCheck, ProjectionTx, Store, StoreError};
use crate::domain::Emission;

/// Any number that nobody else uses: the advisory lock of whoever emits. Locks are per database.
const TURN: i64 = 0x7472_6962_656d_6974;

/// Does a record fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_emission(emission: &Emission) -> Result<(), FactCheck> {
    check_place(&emission.tenant, emission.day, emission.revision)?;
    check_moment("at", Some(emission.at))?;
    whole("attempts", emission.attempts)?;
    whole("rows", emission.rows)
}

impl ProjectionTx {
    /// Deletes the records of these keys ([`Emission::key`]).
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn delete_emissions(&mut self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let deleted = sqlx::query(
            "DELETE FROM emission_facts e USING tenants t WHERE t.tenant_key = e.tenant_key AND
                concat_ws('/', t.tenant_id, to_char(e.day, 'YYYY-MM-DD'), e.aggregation, e.dataset, e.emitter) = ANY($1)",
        );
        let deleted = deleted.bind(keys).execute(&mut *self.tx).await;
        deleted.map(drop).map_err(|error| self.store.sort(error))
    }

    /// Writes records with their tenants' keys, at most one of a key; the log's order is right, so the later one holds.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_emissions(&mut self, emissions: &[(i32, &Emission)]) -> Result<(), StoreError> {
        if emissions.is_empty() {
            return Ok(());
        }
        let int = |of: fn(&Emission) -> u32| emissions.iter().map(|(_, e)| of(e) as i32).collect::<Vec<i32>>();
        let text = |of: fn(&Emission) -> Option<&str>| {
            emissions.iter().map(|(_, e)| of(e).map(|text| storable(text).into_owned())).collect::<Vec<_>>()
        };
        let written = sqlx::query(
            "INSERT INTO emission_facts
                (tenant_key, dataset, emitter, aggregation, day, emitted_revision, outcome, attempts, error, rows,
                 target, at)
             SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::date[], $6::int[], $7::text[],
                $8::int[], $9::text[], $10::int[], $11::text[], $12::timestamptz[])
             ON CONFLICT (tenant_key, day, dataset, emitter, aggregation) DO UPDATE SET
                emitted_revision = excluded.emitted_revision, outcome = excluded.outcome, attempts = excluded.attempts,
                error = excluded.error, rows = excluded.rows, target = excluded.target, at = excluded.at",
        )
        .bind(emissions.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(text(|e| Some(e.dataset.as_str())))
        .bind(text(|e| Some(&e.emitter)))
        .bind(text(|e| Some(e.aggregation.as_str())))
        .bind(emissions.iter().map(|(_, e)| e.day.date()).collect::<Vec<_>>())
        .bind(int(|e| e.revision))
        .bind(text(|e| Some(e.outcome.as_str())))
        .bind(int(|e| e.attempts))
        .bind(text(|e| e.error.as_deref()))
        .bind(int(|e| e.rows))
        .bind(text(|e| e.target.as_deref()))
        .bind(emissions.iter().map(|(_, e)| e.at).collect::<Vec<_>>())
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| self.store.sort(error))
    }
}

/// The turn to emit, held by at most one process; it ends with its connection, so with the process at the latest.
#[derive(Debug)]
pub struct EmitTurn {
    connection: PgConnection,
    store: Store,
}

impl Store {
    /// Takes the turn if nobody has it.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn emit_turn(&self) -> Result<Option<EmitTurn>, StoreError> {
        let taken = async {
            // A connection of its own: one of the pool would go on with others' statements.
            let mut connection = PgConnection::connect_with(&self.pool().connect_options()).await?;
            let taken: bool =
                sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(TURN).fetch_one(&mut connection).await?;
            Ok(taken.then_some(connection))
        };
        let connection = taken.await.map_err(|error| self.sort(error))?;
        Ok(connection.map(|connection| EmitTurn { connection, store: self.clone() }))
    }
}

impl EmitTurn {
    /// Says whether the turn is still ours: the connection lives.
    ///
    /// # Errors
    /// [`StoreError`] if it is lost.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        let alive = sqlx::query("SELECT 1").execute(&mut self.connection).await;
        alive.map(drop).map_err(|error| self.store.sort(error))
    }
}
