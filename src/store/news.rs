//! Word of what was projected, from every process that projects.
//!
//! Each transaction that moves positions says so on a channel of the database; Postgres passes it on with the commit, to
//! whoever listens. The message carries nothing: those who are told look for themselves, and may be told in vain.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{Store, StoreError};

/// The name of the channel; each database has its own.
pub(super) const CHANNEL: &str = "tributary_projected";

impl Store {
    /// Listens, on a connection of its own, and calls `told` after each commit that moved positions; also once it listens and
    /// whenever the connection was lost and is there again, since something may have been missed.
    ///
    /// Not over a pooler that hands a connection to somebody else after each transaction.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres is away; it does not end otherwise.
    pub async fn listen(&self, told: impl Fn()) -> Result<std::convert::Infallible, StoreError> {
        let options = self.pool.connect_options().as_ref().clone();
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let listening: Result<_, sqlx::Error> = async {
            let mut listener = PgListener::connect_with(&one.connect_with(options).await?).await?;
            listener.listen(CHANNEL).await?;
            loop {
                told();
                listener.try_recv().await?;
                // Those that came together are one.
                while listener.next_buffered().is_some() {}
            }
        }
        .await;
        listening.map_err(|error| self.sort(error))
    }
}
