//! Errors of the tables, named after what the reader does next.

use sqlx::migrate::MigrateError;

/// Why Postgres did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be read. It is not repeated here, because it may hold the password.
    #[error("database.url is not a Postgres address; write it as postgres://user:password@host:5432/database")]
    BadUrl,
    /// The server may come back: pause, then the same again.
    #[error("Postgres at {address} does not answer ({cause}); check database.url and that the server runs")]
    Unreachable { address: String, cause: sqlx::Error },
    /// The server does not know this user or password.
    #[error("Postgres at {address} refuses user {user:?}; check user and password in database.url")]
    Refused { address: String, user: String },
    /// The server has no such database.
    #[error("Postgres at {address} has no such database; make it with `createdb` or correct database.url")]
    NoDatabase { address: String },
    /// The migrations need a newer server.
    #[error("Postgres at {address} is version {found}; version {oldest} or newer is needed")]
    TooOld { address: String, found: i32, oldest: i32 },
    /// The tables could not be brought up to date.
    #[error(
        "the tables could not be brought up to date; the database user needs the right to create tables, and a \
             database of a newer version of this program cannot be used"
    )]
    Migrate(#[source] MigrateError),
    /// Somebody else moved the projection's positions: forget what is in hand and read them again.
    #[error("projection {0} was moved on by another process or by a rebuild")]
    Fenced(&'static str),
    /// A stored value is not what this program writes.
    #[error("table {table} holds {value:?} as {what}; run `tributary rebuild`")]
    Corrupt { table: &'static str, what: &'static str, value: String },
    /// A statement failed in a way that trying again does not change.
    #[error("a statement failed in Postgres")]
    Statement(#[source] sqlx::Error),
}

impl StoreError {
    /// Sorts a client error by what to do about it.
    pub fn of(error: sqlx::Error, address: &str) -> Self {
        if is_transient(&error) {
            Self::Unreachable { address: address.to_owned(), cause: error }
        } else {
            Self::Statement(error)
        }
    }

    /// As [`Self::of`], for a first attempt to connect.
    pub(super) fn connecting(error: sqlx::Error, user: &str, address: &str) -> Self {
        let address = address.to_owned();
        match code(&error).as_deref() {
            Some("28P01" | "28000") => Self::Refused { address, user: user.to_owned() },
            Some("3D000") => Self::NoDatabase { address },
            _ => Self::of(error, &address),
        }
    }

    /// Sorts what kept the tables from being brought up to date.
    pub(super) fn migrating(error: MigrateError, address: &str) -> Self {
        match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) if is_transient(&cause) => {
                Self::Unreachable { address: address.to_owned(), cause }
            }
            error => Self::Migrate(error),
        }
    }

    /// Did Postgres end a statement because its time was up?
    pub fn took_too_long(&self) -> bool {
        matches!(self, Self::Statement(error) if code(error).as_deref() == Some("57014"))
    }

    /// May the same call succeed later?
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned())
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => true,
        // A server that is killed in the middle of a message.
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(_) => code(error).is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// Connection lost, shutting or starting up, too many connections, out of resources, read-only after a
/// failover, serialization, deadlock, lock timeout.
fn is_transient_code(code: &str) -> bool {
    let passing = ["25006", "25P03", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05"];
    code.starts_with("08") || code.starts_with("53") || passing.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_lost_while_tables_are_brought_up_to_date_is_no_fault_of_the_tables() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for error in [MigrateError::Execute(lost()), MigrateError::ExecuteMigration(lost(), 1)] {
            assert!(StoreError::migrating(error, "host:5432/costs").is_transient());
        }
        let other = StoreError::migrating(MigrateError::VersionMissing(7), "host:5432/costs");
        assert!(matches!(other, StoreError::Migrate(_)), "{other}");
    }
}
