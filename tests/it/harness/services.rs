//! Kafka and Postgres for all tests of the process, and what each test has of its own in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tributary::embedded;

use super::{succeed, until};

/// Addresses of the services.
#[derive(Debug)]
pub struct Addresses {
    pub kafka: String,
    pub postgres: String,
}

/// Starts both services the first time it is called; they end with the test process.
pub fn services() -> &'static Addresses {
    static SERVICES: OnceLock<Addresses> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        // The children die with the thread that started them: this one stays.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                let dir = TempDir::with_prefix("tributary-it-").expect("a folder");
                let settings =
                    embedded::Settings { data_dir: Some(dir.path().to_owned()), kafka: true, postgres: true };
                let started = embedded::start(settings, &|line| eprintln!("{line}")).await.expect("services start");
                let (kafka, postgres) =
                    (started.kafka_bootstrap().expect("asked for"), started.database_url().expect("asked for"));
                sender.send(Addresses { kafka, postgres }).expect("somebody waits");
                std::future::pending::<()>().await;
                drop((started, dir));
            });
        });
        receiver.recv().expect("the services start")
    })
}

/// A test's own topics and database, and the program that works on them.
#[derive(Debug)]
pub struct Installation {
    pub dir: TempDir,
    pub prefix: String,
    pub database_url: String,
    pub kafka: String,
}

impl Installation {
    /// A fresh one.
    pub fn new(name: &str) -> Self {
        Self::on(services(), name)
    }

    /// A fresh one on other services than those that all tests share.
    pub fn on(services: &Addresses, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}_{}", COUNT.fetch_add(1, Ordering::Relaxed)).replace('-', "_");
        let (server, _) = services.postgres.rsplit_once('/').expect("a database in the address");
        let database_url = format!("{server}/{unique}");
        sql(&services.postgres, &format!("CREATE DATABASE \"{unique}\""));
        Self {
            dir: TempDir::with_prefix("tributary-test-").expect("a folder"),
            prefix: format!("{unique}."),
            database_url,
            kafka: services.kafka.clone(),
        }
    }

    /// Writes a configuration for this installation: `text` plus the topics' prefix.
    pub fn write_config(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("tributary.yaml");
        let topics = format!("topics:\n  prefix: \"{}\"\n  partitions: 2\ninstance: test\n", self.prefix);
        std::fs::write(&path, format!("{text}{topics}")).expect("the configuration can be written");
        path
    }

    /// The program, pointed at this installation. `TRIBUTARY_PROGRAM` names another build of it, which a long run keeps
    /// while this one is built anew.
    pub fn tributary(&self) -> Command {
        let program = std::env::var_os("TRIBUTARY_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_tributary").into());
        let mut command = Command::new(program);
        command
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka)
            .env("DATABASE_URL", &self.database_url)
            // Not the machine's own, of which one process at a time may have the folder for exports.
            .env("TRIBUTARY_DATA_DIR", self.dir.path().join("data"))
            .env_remove("RUST_LOG")
            .current_dir(self.dir.path());
        command
    }

    /// One cycle at a moment.
    pub fn once(&self, config: &Path, now: &str) -> Command {
        let mut command = self.tributary();
        command.arg("run").arg("--config").arg(config).args(["--once", "--now", now]);
        command
    }

    /// The service with these roles, as one process of several: `instance` is its name among them.
    pub fn service(&self, config: &Path, roles: &str, instance: &str) -> Command {
        let text = std::fs::read_to_string(config).expect("the configuration");
        let own = self.dir.path().join(format!("{instance}.yaml"));
        std::fs::write(&own, text.replace("instance: test", &format!("instance: {instance}"))).expect("written");
        let mut command = self.tributary();
        command.arg("run").arg("--config").arg(own).args(["--roles", roles]);
        command
    }

    /// Exports all tables of a tenant into a folder and returns it.
    pub fn export(&self, config: &Path, tenant: &str, into: &str) -> PathBuf {
        let dir = self.dir.path().join(into);
        std::fs::create_dir_all(&dir).expect("a folder");
        for table in ["billing", "chargebacks", "resources", "identities", "days", "topic-attributions"] {
            let file = dir.join(format!("{}.csv", table.replace('-', "_")));
            let mut command = self.tributary();
            command.args(["export", table, "--tenant", tenant, "--config"]).arg(config).arg("--output").arg(file);
            succeed(&mut command);
        }
        dir
    }

    /// The records of a topic that a `read_committed` reader can see.
    pub fn records(&self, topic: &str) -> usize {
        self.partitions(topic).len()
    }

    /// The key of each record of a topic, with the partition it lies in.
    pub fn partitions(&self, topic: &str) -> Vec<(Vec<u8>, i32)> {
        use tributary::journal::{Connection, Topic, scan};
        let connection =
            Connection::new(self.kafka.clone(), Default::default(), self.prefix.clone(), "reader".to_owned());
        let connection = connection.expect("plain settings");
        let topic = Topic::by_name(topic).expect("a topic of ours");
        let mut found = Vec::new();
        // A broker that has just come back may not lead its partitions yet.
        until("the topic can be read", || {
            found.clear();
            let note = |record: tributary::journal::ScanRecord<'_>| {
                found.push((record.key.unwrap_or_default().to_vec(), record.partition));
            };
            match scan(&connection, topic, None, note) {
                Ok(()) => true,
                Err(error) if error.is_transient() => false,
                Err(error) => panic!("{error}"),
            }
        });
        found
    }

    /// Is there a table of this name?
    pub fn has(&self, table: &str) -> bool {
        self.sql(&format!("SELECT to_regclass('{table}') IS NOT NULL")) == "t"
    }

    /// Runs a statement and returns what psql prints, unaligned.
    pub fn sql(&self, statement: &str) -> String {
        sql(&self.database_url, statement)
    }
}

/// Runs a statement in a database and returns what psql prints, unaligned.
pub fn sql(url: &str, statement: &str) -> String {
    let output = succeed(Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url]));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
