//! Apache Kafka and PostgreSQL for a machine that has neither running.
//!
//! In: which of the two is wanted, a folder. Out: [`Services`], with the addresses to give to the ordinary clients; both
//! live as child processes of this one and end with it, however it ends. What they hold stays in the folder.
//! Absent: any knowledge of topics, tables or configuration files, and any restart of a child that died: that is seen
//! through [`Services::died`] and decided by the caller.

mod addresses;
mod data_dir;
mod kafka;
mod ports;
mod postgres;
mod process;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

pub use addresses::Addresses;
use data_dir::{DataDir, Environment};
use kafka::Kafka;
use postgres::Postgres;

/// Is told each step while the services start.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// What to start, and where its data lies.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The data folder. `None`: `TRIBUTARY_DATA_DIR`, else `/var/lib/tributary` for root, else
    /// `$XDG_DATA_HOME/tributary` or `~/.local/share/tributary`.
    pub data_dir: Option<PathBuf>,
    /// Whether a Kafka broker is wanted.
    pub kafka: bool,
    /// Whether a Postgres server is wanted.
    pub postgres: bool,
}

impl Settings {
    /// Both services on this folder, as integration tests want them.
    pub fn both_in(folder: &Path) -> Self {
        Self { data_dir: Some(folder.to_owned()), kafka: true, postgres: true }
    }
}

/// Why the embedded services could not be started, or stopped working.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Neither a home nor a setting says where data may lie.
    #[error("no place for data: HOME is not set; set TRIBUTARY_DATA_DIR")]
    NoFolder,
    /// The folder, or a file in it, cannot be used.
    #[error("cannot use {folder}; set TRIBUTARY_DATA_DIR to a folder this user may write")]
    DataDir {
        /// The folder or the file.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another Tributary runs on the folder.
    #[error(
        "the data folder {folder} is in use by process {pid}: stop that one, give this one another folder with \
         TRIBUTARY_DATA_DIR, or let both share services with KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Whoever holds it.
        pid: String,
    },
    /// As root, Postgres runs as `nobody`, who cannot get to the folder.
    #[error(
        "Postgres runs as the user nobody here and cannot reach {folder}: {closed} is closed to others; \
         set TRIBUTARY_DATA_DIR to a folder everybody may pass through, such as /var/lib/tributary"
    )]
    Unreachable {
        /// The data folder.
        folder: PathBuf,
        /// The folder on the way that is closed.
        closed: PathBuf,
    },
    /// No passwd entry for the user Postgres runs as when we are root.
    #[error("Postgres cannot run as root and there is no user nobody; start as an ordinary user or set DATABASE_URL")]
    NoNobody,
    /// No Java found.
    #[error(
        "no java in JAVA_HOME or PATH, and Kafka needs Java 17 or newer: run `make setup` (Debian package \
         openjdk-17-jre-headless), or set KAFKA_BOOTSTRAP_SERVERS to a Kafka that runs already"
    )]
    NoJava,
    /// Java found, too old.
    #[error(
        "this Java is older than 17, which Kafka needs: run `make setup` (Debian package openjdk-17-jre-headless), set \
         JAVA_HOME, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka that runs already; log in {log}"
    )]
    OldJava {
        /// Where the JVM's words are.
        log: PathBuf,
    },
    /// Kafka's jars are not there.
    #[error(
        "the jars of Kafka {version} are not in {searched}: run `make setup`, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka \
         that runs already"
    )]
    NoJars {
        /// The version wanted.
        version: &'static str,
        /// The folders searched.
        searched: String,
    },
    /// No Postgres found, or only too old ones.
    #[error(
        "no PostgreSQL {oldest} or newer in TRIBUTARY_POSTGRES_BIN, /usr/lib/postgresql or PATH: run `make setup` (Debian \
         package postgresql), or set DATABASE_URL to a server that runs already"
    )]
    NoPostgres {
        /// The oldest major version that will do.
        oldest: u32,
    },
    /// The data was written by a version that is not installed.
    #[error(
        "the data folder was written by PostgreSQL {data}, found is {found}: install postgresql-{data} or name its folder \
         in TRIBUTARY_POSTGRES_BIN, or set TRIBUTARY_DATA_DIR to a new folder"
    )]
    OtherPostgres {
        /// Major version of the data.
        data: u32,
        /// Newest major version found.
        found: u32,
    },
    /// Every port tried was taken.
    #[error("no free port between 20000 and 32000 on 127.0.0.1")]
    NoPort,
    /// A child of an earlier run does not end.
    #[error("{service} of an earlier run, process {pid}, does not end: end it with `kill -9 {pid}` and start again")]
    Orphan {
        /// Which one.
        service: &'static str,
        /// Its process.
        pid: String,
    },
    /// The system refused to start a child.
    #[error("{service} could not be started (log: {log})")]
    NotStarted {
        /// Which one.
        service: &'static str,
        /// Its log, or the file that could not be used.
        log: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A child ended that should run.
    #[error("{service} ended by itself ({status}); the last lines of its log {log}:{tail}")]
    Died {
        /// Which one.
        service: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of the log, a line feed before each line.
        tail: String,
    },
    /// A child runs and does not answer.
    #[error("{service} did not answer within {seconds} s; the last lines of its log {log}:{tail}")]
    Slow {
        /// Which one.
        service: &'static str,
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The end of the log, a line feed before each line.
        tail: String,
    },
    /// Our database could not be made.
    #[error("the embedded Postgres refused to prepare the database (log: {log})")]
    Database {
        /// The server's log.
        log: PathBuf,
        /// What it answered.
        source: sqlx::Error,
    },
}

/// The running services. [`Services::stop`] ends them cleanly; dropping ends them at once, and nothing is lost then either,
/// the next start only takes longer.
#[derive(Debug)]
pub struct Services {
    kafka: Option<Kafka>,
    postgres: Option<Postgres>,
    data: Option<DataDir>,
}

/// Starts what `settings` asks for, both at the same time, and returns when they answer.
///
/// # Errors
/// Says what is missing or wrong and what to do; what was started is ended again.
pub async fn start(settings: Settings, progress: Progress<'_>) -> Result<Services, EmbeddedError> {
    if !settings.kafka && !settings.postgres {
        return Ok(Services { kafka: None, postgres: None, data: None });
    }
    let environment = Environment::of_this_process();
    let folder = environment.data_folder(settings.data_dir.as_deref()).ok_or(EmbeddedError::NoFolder)?;
    let data = DataDir::open(&folder, environment.root)?;
    let kafka =
        async { if settings.kafka { Kafka::start(&data, &environment, progress).await.map(Some) } else { Ok(None) } };
    let postgres = async {
        if settings.postgres { Postgres::start(&data, &environment, progress).await.map(Some) } else { Ok(None) }
    };
    let begun = Instant::now();
    let (kafka, postgres) = tokio::try_join!(kafka, postgres)?;
    progress(&format!("services are up after {:.1} s", begun.elapsed().as_secs_f64()));
    let services = Services { kafka, postgres, data: Some(data) };
    let told = Addresses { kafka: services.kafka_bootstrap(), database_url: services.database_url() };
    told.write(&folder).map_err(|source| EmbeddedError::DataDir { folder, source })?;
    Ok(services)
}

/// The data folder that a wish leads to (`None`: the usual one); `None` where the environment names no place.
pub fn data_folder(wish: Option<&Path>) -> Option<PathBuf> {
    Environment::of_this_process().data_folder(wish)
}

/// Does a process hold this data folder?
pub fn in_use(folder: &Path) -> bool {
    data_dir::is_locked(folder)
}

/// Where the services are that another process runs on this data folder (`None`: the usual one), as it last told.
///
/// Worth asking only after [`EmbeddedError::InUse`].
pub fn running(data_dir: Option<&Path>) -> Option<Addresses> {
    Addresses::read(&data_folder(data_dir)?)
}

impl Services {
    /// What to give a Kafka client as `bootstrap.servers`. `None` when Kafka was not asked for.
    pub fn kafka_bootstrap(&self) -> Option<String> {
        self.kafka.as_ref().map(Kafka::bootstrap)
    }

    /// The URL of the database, password included: not for printing. `None` when Postgres was not asked for.
    pub fn database_url(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url)
    }

    /// The folder that keeps the data and the logs. `None` when nothing was asked for.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data.as_ref().map(DataDir::path)
    }

    /// The broker's process.
    pub fn kafka_pid(&self) -> Option<u32> {
        self.kafka.as_ref().map(|kafka| kafka.process().pid())
    }

    /// The process of the Postgres server.
    pub fn postgres_pid(&self) -> Option<u32> {
        self.postgres.as_ref().map(|postgres| postgres.process().pid())
    }

    /// Resolves when one of the services has ended, with the end of its log; never, when none does. Ask again after a restart.
    pub fn died(&self) -> impl Future<Output = EmbeddedError> + Send + 'static {
        let kafka = self.kafka.as_ref().map(|kafka| kafka.process().died());
        let postgres = self.postgres.as_ref().map(|postgres| postgres.process().died());
        async move {
            tokio::select! {
                Some(error) = either(kafka) => error,
                Some(error) = either(postgres) => error,
                else => std::future::pending().await,
            }
        }
    }

    /// Stops the broker if it still runs and starts it again on the same port.
    ///
    /// # Errors
    /// Those of [`start`]; the broker is gone then.
    pub async fn restart_kafka(&mut self) -> Result<(), EmbeddedError> {
        if let Some(kafka) = self.kafka.take() {
            self.kafka = Some(kafka.restart().await?);
        }
        Ok(())
    }

    /// Stops the Postgres server if it still runs and starts it again on the same port.
    ///
    /// # Errors
    /// Those of [`start`]; the server is gone then.
    pub async fn restart_postgres(&mut self) -> Result<(), EmbeddedError> {
        if let Some(postgres) = self.postgres.take() {
            self.postgres = Some(postgres.restart().await?);
        }
        Ok(())
    }

    /// Ends the services cleanly, by force if they take longer than some seconds, and releases the folder.
    pub async fn stop(self) {
        let Self { kafka, postgres, data } = self;
        let kafka = async {
            if let Some(kafka) = kafka {
                kafka.stop().await;
            }
        };
        let postgres = async {
            if let Some(postgres) = postgres {
                postgres.stop().await;
            }
        };
        tokio::join!(kafka, postgres);
        if let Some(data) = &data {
            Addresses::forget(data.path());
        }
        drop(data);
    }
}

async fn either<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// The programs of this name in `PATH`, first found first.
fn in_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(name)).filter(|program| program.is_file())
}

#[cfg(test)]
mod tests;
