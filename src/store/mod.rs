//! The door to Postgres: the read model and how far each projection has read.
//!
//! In: decoded facts, positions, questions. Out: rows, sums, progress. Every write goes through a [`ProjectionTx`],
//! in which rows and positions move together. Absent: Kafka, Avro, vendors, decisions about what to write.

mod answers;
mod audit;
mod copy;
mod days;
mod dimensions;
mod emissions;
mod error;
mod export;
mod facts;
mod gathering;
mod history;
mod holdings;
mod months;
mod news;
mod ordinals;
mod overview;
mod positions;
mod quarantine;
pub mod read;
mod roles;
mod scram;
mod slices;
mod tags;
mod text;
mod tokens;
mod transaction;
mod turn;
mod wall;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, Row};

pub use answers::{Claimed, KeptAnswer, OnceKey};
pub use audit::check_audit_event;
pub use copy::CopyRows;
pub use days::{check_allocation, check_seal};
pub use dimensions::{DimensionCache, DimensionOf, Fingerprint, Fingerprints};
pub use emissions::{EmitTurn, check_emission};
pub use error::StoreError;
pub use export::{ExportRange, Exported, ExportedRow};
pub use facts::{Fact, FactCheck};
pub use gathering::{Held, check_held, check_run};
pub use holdings::Holding;
pub use months::MonthBehind;
pub use ordinals::Ordinals;
pub use overview::{DayProgress, DayState, Overview, Summary};
pub use positions::{Position, Projection};
pub use quarantine::{stage_name, status_name};
pub use roles::{Granted, KnownTenant, RoleError, TenantRole};
pub use slices::{DayKey, DaySlices, Slice};
pub use tags::check_tag;
pub use tokens::{TokenRow, check_token};
pub use transaction::{ProjectionTx, SliceChange, TenantKey};
pub use turn::Turn;
pub use wall::WallError;

/// Oldest Postgres that has what the migrations use.
const OLDEST: i32 = 15;
/// How long one attempt to connect, or to get a connection of the pool, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tables, behind a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    /// `host:port/database`, for messages.
    address: String,
    /// The role that readers of one tenant act as; none: they see what the service sees.
    wall: Option<Arc<str>>,
}

impl Store {
    /// Connects once and brings the tables up to date; two processes may do so together.
    ///
    /// # Errors
    /// [`StoreError`] that says what to change; it never contains the password.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        Self::connect_within(url, max_connections, Duration::ZERO).await
    }

    /// As [`Self::connect`], but waits up to `patience` for a Postgres that does not answer yet.
    ///
    /// # Errors
    /// [`StoreError`]; a wrong password or a missing database is told at once.
    pub async fn connect_within(url: &str, max_connections: u32, patience: Duration) -> Result<Self, StoreError> {
        let options = options(url)?;
        let address = address(&options);
        let since = Instant::now();
        let mut pause = Pause::default();
        let version = loop {
            match version(&options).await {
                Ok(version) => break version,
                Err(error) if error.is_transient() && since.elapsed() < patience => {
                    pause.after(&error, &address).await;
                }
                Err(error) => return Err(error),
            }
        };
        if version / 10_000 < OLDEST {
            return Err(StoreError::TooOld { address, found: version / 10_000, oldest: OLDEST });
        }
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(2))
            .acquire_timeout(PATIENCE)
            .idle_timeout(Duration::from_secs(600))
            .after_connect(|connection, _| Box::pin(configure(connection)))
            .connect_lazy_with(options);
        let store = Self { pool, address, wall: None };
        let brought = sqlx::migrate!().run(&store.pool).await;
        brought.map_err(|error| StoreError::migrating(error, &store.address))?;
        Ok(store)
    }

    /// The pool, for readers with queries of their own.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// `host:port/database`, without the password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until Postgres answers again; says so once when it is away and once when it is back.
    pub async fn wait_until_back(&self, error: &StoreError) {
        let mut pause = Pause::default();
        pause.after(error, &self.address).await;
        while let Err(error) = sqlx::query("SELECT 1").execute(&self.pool).await {
            pause.after(&StoreError::of(error, &self.address), &self.address).await;
        }
        tracing::info!(address = self.address, "Postgres answers");
    }

    /// Does it answer?
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(|error| self.sort(error))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn sort(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(error, &self.address)
    }
}

/// Pauses that grow to five seconds, told once.
#[derive(Debug, Default)]
struct Pause(u32);

impl Pause {
    async fn after(&mut self, error: &StoreError, address: &str) {
        if self.0 == 0 {
            tracing::warn!(address, %error, "Postgres does not answer; waiting for it, nothing is lost");
        } else {
            tracing::debug!(address, %error, "still waiting for Postgres");
        }
        let pause = Duration::from_millis(200) * 2_u32.pow(self.0.min(5));
        self.0 += 1;
        tokio::time::sleep(pause.min(Duration::from_secs(5))).await;
    }
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
    // The parser's own message may repeat parts of the address, and with it the password.
    let options = PgConnectOptions::from_str(url).ok().filter(|_| known).ok_or(StoreError::BadUrl)?;
    Ok(options.application_name("tributary").disable_statement_logging())
}

fn address(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    format!("{}:{}/{database}", options.get_host(), options.get_port())
}

/// The server's version number, for example 150008.
async fn version(options: &PgConnectOptions) -> Result<i32, StoreError> {
    let address = address(options);
    let asked = async {
        let mut connection = PgConnection::connect_with(options).await?;
        let row = sqlx::query("SELECT current_setting('server_version_num')::int").fetch_one(&mut connection).await?;
        let version = row.try_get::<i32, _>(0);
        connection.close().await?;
        version
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| StoreError::connecting(error, options.get_username(), &address)),
        Err(_) => Err(StoreError::Unreachable { address, cause: sqlx::Error::PoolTimedOut }),
    }
}

async fn configure(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A process that freezes in the middle of a batch must not hold up the one that takes over.
    // Compiling a question costs more than it saves: the slowest of ours takes a second.
    sqlx::raw_sql("SET idle_in_transaction_session_timeout = '5min'; SET jit = off").execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
