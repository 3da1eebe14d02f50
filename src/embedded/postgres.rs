//! PostgreSQL as a child process.
//!
//! In: binaries found on the machine, a folder. Out: a server on loopback with a database, a user and a password of its
//! own, on a port that stays. Absent: sockets, TLS, any touch of the system's own cluster. Data is durable (`fsync` and
//! `synchronous_commit` on), because this is also a small installation's database.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, chown};
use rand::Rng;
use rand::distr::Alphanumeric;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::data_dir::{DataDir, Environment};
use super::process::{LOOK_AGAIN, Launch, Process, Signals};
use super::{EmbeddedError, Progress, ports};

const NAME: &str = "Postgres";
/// User and database carry the same name.
const OWNER: &str = "tributary";
const OLDEST: u32 = 15;
const START_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Fast shutdown ends open transactions and leaves nothing to recover; immediate leaves the log to replay.
const SIGNALS: Signals = Signals { polite: Signal::SIGINT, firm: Signal::SIGQUIT };
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "wal_compression=on",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] ",
];

/// A server that answers and has our database.
#[derive(Debug)]
pub(super) struct Postgres {
    process: Process,
    server: Server,
}

/// What stays the same when the server is started again.
#[derive(Debug, Clone)]
struct Server {
    binaries: PathBuf,
    folder: PathBuf,
    /// Whom the child runs as; ourselves when `None`.
    user: Option<User>,
    port: u16,
    password: Password,
}

#[derive(Clone)]
struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Postgres {
    /// Starts the server on this folder, making its storage and its database the first time.
    pub(super) async fn start(
        data: &DataDir,
        environment: &Environment,
        progress: Progress<'_>,
    ) -> Result<Self, EmbeddedError> {
        let folder = data.folder("postgres")?;
        let binaries = find_binaries(std::fs::read_to_string(folder.join("data/PG_VERSION")).ok().as_deref())?;
        let user = if environment.root { Some(nobody()?) } else { None };
        let [port] = ports::choose(&folder.join("port"))?;
        let password = password(&folder.join("password"), user.as_ref())?;
        let server = Server { binaries, folder, user, port, password };
        if !server.storage().exists() {
            progress("preparing Postgres' storage (first start)");
            server.make_storage().await?;
        }
        progress(&format!("starting Postgres on 127.0.0.1:{port}, log in {}", server.log().display()));
        let process = server.run().await?;
        server.make_database().await?;
        Ok(Self { process, server })
    }

    /// The address of our database, password included.
    pub(super) fn url(&self) -> String {
        let Server { port, password, .. } = &self.server;
        format!("postgres://{OWNER}:{}@127.0.0.1:{port}/{OWNER}", password.0)
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Stops what still runs and starts it again on the same port.
    pub(super) async fn restart(self) -> Result<Self, EmbeddedError> {
        let Self { process, server } = self;
        process.stop(STOP_LIMIT).await;
        Ok(Self { process: server.run().await?, server })
    }

    pub(super) async fn stop(self) {
        self.process.stop(STOP_LIMIT).await;
    }
}

impl Server {
    fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    fn storage(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Builds it beside the final place and renames, so that one cut short is simply done again.
    async fn make_storage(&self) -> Result<(), EmbeddedError> {
        let unfinished = self.folder.join("data.new");
        let failed = |source| EmbeddedError::DataDir { folder: unfinished.clone(), source };
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(failed)?;
        give(&unfinished, self.user.as_ref()).map_err(failed)?;
        let mut command = self.command("initdb");
        command.arg("-D").arg(&unfinished).arg("--pwfile").arg(self.folder.join("password"));
        // Losing a half-made folder to a power cut costs nothing: it is made again.
        command.args(["-U", OWNER, "-A", "scram-sha-256", "--locale=C", "-E", "UTF8", "--no-sync"]);
        let process = self.launch(command).start().await?;
        if process.ended().await.success() {
            std::fs::rename(&unfinished, self.storage()).map_err(failed)
        } else {
            Err(process.died().await)
        }
    }

    async fn run(&self) -> Result<Process, EmbeddedError> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.storage()).arg("-p").arg(self.port.to_string());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let process = self.launch(command).start().await?;
        tokio::select! {
            () = self.answers() => Ok(process),
            error = process.died() => Err(error),
            () = tokio::time::sleep(START_LIMIT) => Err(process.slow(START_LIMIT)),
        }
    }

    fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(self.binaries.join(binary));
        // Messages in the log are read by us and by whoever we show them to.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn launch(&self, command: Command) -> Launch {
        Launch { name: NAME, command, running: self.folder.join("running"), log: self.log(), signals: SIGNALS }
    }

    /// Resolves when a query to the always present `postgres` database can be asked.
    async fn answers(&self) {
        while self.connect("postgres").await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn make_database(&self) -> Result<(), EmbeddedError> {
        let wrong = |source| EmbeddedError::Database { log: self.log(), source };
        let mut connection = self.connect("postgres").await.map_err(wrong)?;
        let known = sqlx::query("select 1 from pg_database where datname = $1").bind(OWNER);
        if known.fetch_optional(&mut connection).await.map_err(wrong)?.is_none() {
            sqlx::raw_sql("create database tributary").execute(&mut connection).await.map_err(wrong)?;
        }
        connection.close().await.map_err(wrong)
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        let options = options.username(OWNER).password(&self.password.0).database(database);
        options.ssl_mode(PgSslMode::Disable).connect().await
    }
}

/// The user Postgres runs as when we are root, whom it refuses.
fn nobody() -> Result<User, EmbeddedError> {
    User::from_name("nobody").ok().flatten().ok_or(EmbeddedError::NoNobody)
}

fn give(path: &Path, user: Option<&User>) -> io::Result<()> {
    user.map_or(Ok(()), |user| Ok(chown(path, Some(user.uid), Some(user.gid))?))
}

/// The password in `file`, made up and written there the first time, for its owner's eyes only.
fn password(file: &Path, user: Option<&User>) -> Result<Password, EmbeddedError> {
    let failed = |source| EmbeddedError::DataDir { folder: file.to_owned(), source };
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(Password(text.trim().to_owned())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut random = rand::rng();
    let password: String = (0..32).map(|_| char::from(random.sample(Alphanumeric))).collect();
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    open.and_then(|mut file| file.write_all(password.as_bytes())).map_err(failed)?;
    // initdb reads it as the user it runs as.
    give(file, user).map_err(failed)?;
    Ok(Password(password))
}

/// The folder with `postgres` and `initdb`: of the version that wrote the data, else the newest.
fn find_binaries(written_by: Option<&str>) -> Result<PathBuf, EmbeddedError> {
    let asked = std::env::var_os("TRIBUTARY_POSTGRES_BIN");
    let candidates: Vec<(u32, PathBuf)> =
        places(asked).into_iter().filter_map(|folder| Some((major_version(&folder)?, folder))).collect();
    choose_binaries(candidates, written_by.and_then(|text| text.trim().parse().ok()))
}

fn choose_binaries(mut found: Vec<(u32, PathBuf)>, written_by: Option<u32>) -> Result<PathBuf, EmbeddedError> {
    found.retain(|(major, _)| *major >= OLDEST);
    // Stable: among equals the first place searched wins.
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    let newest = found.first().ok_or(EmbeddedError::NoPostgres { oldest: OLDEST })?;
    let Some(written_by) = written_by else { return Ok(newest.1.clone()) };
    let same = found.iter().find(|(major, _)| *major == written_by);
    same.map(|(_, folder)| folder.clone()).ok_or(EmbeddedError::OtherPostgres { data: written_by, found: newest.0 })
}

fn places(asked: Option<OsString>) -> Vec<PathBuf> {
    if let Some(asked) = asked {
        return vec![asked.into()];
    }
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = packaged.map(|version| version.path().join("bin"));
    let in_path =
        super::in_path("postgres").filter_map(|binary| Some(binary.canonicalize().ok()?.parent()?.to_owned()));
    packaged.chain(in_path).collect()
}

/// `None` when there is no complete server in `folder`.
fn major_version(folder: &Path) -> Option<u32> {
    folder.join("initdb").is_file().then_some(())?;
    let answer = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&answer.stdout))
}

/// From `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(versions: &[u32]) -> Vec<(u32, PathBuf)> {
        versions.iter().map(|version| (*version, PathBuf::from(format!("/pg/{version}")))).collect()
    }

    #[test]
    fn versions_are_read_from_releases_and_betas() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn the_newest_is_taken_unless_the_data_is_of_another() {
        assert_eq!(choose_binaries(machine(&[15, 17, 16]), None).unwrap(), Path::new("/pg/17"));
        assert_eq!(choose_binaries(machine(&[15, 17, 16]), Some(15)).unwrap(), Path::new("/pg/15"));
    }

    #[test]
    fn no_usable_version_is_reported_with_what_to_do() {
        let none = choose_binaries(machine(&[13]), None).unwrap_err().to_string();
        assert!(none.contains("make setup") && none.contains("DATABASE_URL"), "{none}");
        let other = choose_binaries(machine(&[17]), Some(15)).unwrap_err().to_string();
        assert!(other.contains("15") && other.contains("17") && other.contains("TRIBUTARY_POSTGRES_BIN"), "{other}");
    }

    #[test]
    fn the_password_is_kept_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let first = password(&file, None).unwrap();
        assert_eq!(first.0.len(), 32);
        assert_eq!(password(&file, None).unwrap().0, first.0);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "***");
    }
}
