//! One process at a time, for what the log alone cannot order: look first, then write.

use std::time::Duration;

use sqlx::{Postgres, Transaction};

use super::{Store, StoreError};

/// A turn, held by at most one process; it ends with its connection, so with the process at the latest.
#[derive(Debug)]
pub struct Turn(Transaction<'static, Postgres>);

impl Store {
    /// Waits for the turn of that name, at most `patience`. It keeps a connection of the pool.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer, or others keep the turn ([`StoreError::took_too_long`]).
    pub async fn turn(&self, name: &str, patience: Duration) -> Result<Turn, StoreError> {
        let taken = async {
            let mut tx = self.pool().begin().await?;
            sqlx::query("SELECT set_config('statement_timeout', $1, true)")
                .bind(format!("{}ms", patience.as_millis().max(1)))
                .execute(&mut *tx)
                .await?;
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('tributary ' || $1, 0))")
                .bind(name)
                .execute(&mut *tx)
                .await?;
            Ok(Turn(tx))
        };
        taken.await.map_err(|error| self.sort(error))
    }
}

impl Turn {
    /// Lets the next one in. Dropped, it does so, too, a little later.
    pub async fn end(self) {
        // A connection that is lost has ended it already.
        let _ = self.0.rollback().await;
    }
}
