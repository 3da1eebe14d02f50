//! Apache Kafka, one KRaft node, as a child process.
//!
//! In: the jars that `scripts/setup.sh` fetched, a folder. Out: a broker on loopback that answers, on ports that stay.
//! Absent: security, a second broker, topics (`journal::provision` makes them). What operators want of Kafka beyond one
//! machine they get from their own, named by `KAFKA_BOOTSTRAP_SERVERS`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::Rng;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::data_dir::{DataDir, Environment};
use super::process::{Launch, Process, Signals};
use super::{EmbeddedError, Progress, ports};

const NAME: &str = "Kafka";
const POM: &str = include_str!("../../packaging/kafka/pom.xml");
const START_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long one metadata request may take before the child is looked at again.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// Polite even when we die: a broker that was killed keeps its next incarnation waiting for its session to expire.
const SIGNALS: Signals = Signals { polite: Signal::SIGTERM, firm: Signal::SIGKILL };

/// A broker that answers.
#[derive(Debug)]
pub(super) struct Kafka {
    process: Process,
    node: Node,
}

/// What stays the same when the broker is started again.
#[derive(Debug, Clone)]
struct Node {
    java: PathBuf,
    jars: PathBuf,
    heap: String,
    folder: PathBuf,
    port: u16,
    controller_port: u16,
}

impl Kafka {
    /// Starts the broker on this folder, formatting its storage the first time.
    pub(super) async fn start(
        data: &DataDir,
        environment: &Environment,
        progress: Progress<'_>,
    ) -> Result<Self, EmbeddedError> {
        let (java, jars) = (find_java()?, find_jars(environment)?);
        let folder = data.folder("kafka")?;
        let [port, controller_port] = ports::choose(&folder.join("ports"))?;
        let heap = std::env::var("TRIBUTARY_KAFKA_HEAP").unwrap_or_else(|_| "384m".to_owned());
        let node = Node { java, jars, heap, folder, port, controller_port };
        if !node.storage().exists() {
            progress("preparing Kafka's storage (first start)");
            node.format().await?;
        }
        progress(&format!("starting Kafka {} on {}, log in {}", version(), node.address(), node.log().display()));
        Ok(Self { process: node.run().await?, node })
    }

    pub(super) fn bootstrap(&self) -> String {
        self.node.address()
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Stops what still runs and starts it again on the same ports.
    pub(super) async fn restart(self) -> Result<Self, EmbeddedError> {
        let Self { process, node } = self;
        process.stop(STOP_LIMIT).await;
        Ok(Self { process: node.run().await?, node })
    }

    pub(super) async fn stop(self) {
        self.process.stop(STOP_LIMIT).await;
    }
}

impl Node {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    fn storage(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Formats beside the final place and renames, so that a format cut short is simply done again.
    async fn format(&self) -> Result<(), EmbeddedError> {
        let unfinished = self.folder.join("data.new");
        let failed = |source| EmbeddedError::DataDir { folder: unfinished.clone(), source };
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        let properties = self.write("format.properties", &self.properties(&unfinished))?;
        let mut command = self.java()?;
        command.args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "--cluster-id", &cluster_id()]);
        command.arg("--config").arg(properties);
        let process = self.launch(command).start().await?;
        if process.ended().await.success() {
            std::fs::rename(&unfinished, self.storage()).map_err(failed)
        } else {
            Err(explained(process.died().await))
        }
    }

    async fn run(&self) -> Result<Process, EmbeddedError> {
        let properties = self.write("server.properties", &self.properties(&self.storage()))?;
        let mut command = self.java()?;
        command.arg("kafka.Kafka").arg(properties);
        let process = self.launch(command).start().await?;
        tokio::select! {
            () = answers(self.address()) => Ok(process),
            error = process.died() => Err(explained(error)),
            () = tokio::time::sleep(START_LIMIT) => Err(process.slow(START_LIMIT)),
        }
    }

    fn launch(&self, command: Command) -> Launch {
        Launch { name: NAME, command, running: self.folder.join("running"), log: self.log(), signals: SIGNALS }
    }

    fn java(&self) -> Result<Command, EmbeddedError> {
        let logging = self.write("log4j2.properties", LOGGING)?;
        let mut command = Command::new(&self.java);
        // Measured on two cores: as fast as with G1 or the parallel collector, for half of G1's processor time.
        command.arg(format!("-Xmx{}", self.heap)).arg("-XX:+UseSerialGC");
        command.args(["-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"]);
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.arg(format!("-Dtributary.log={}", self.log().display()));
        command.arg("-cp").arg(self.jars.join("*"));
        Ok(command)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, EmbeddedError> {
        let path = self.folder.join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(EmbeddedError::DataDir { folder: path, source }),
        }
    }

    fn properties(&self, storage: &Path) -> String {
        let Self { port, controller_port, .. } = self;
        let storage = storage.display();
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             log.dirs={storage}\n\
             {FIXED}"
        )
    }
}

/// The part of the broker's settings that is the same everywhere.
const FIXED: &str = "\
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
# One node: every internal topic has one replica, and few partitions, because each costs start-up time.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Topics are declared in topology/; a misspelt one is to fail.
auto.create.topics.enable=false
# Nobody else is expected to join: no waiting for them.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After a kill -9 the old incarnation must time out before the new one may register: 9 s by default. Much shorter, and
# a machine under load takes a living broker for dead.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# A broker that hands its partitions over before it ends has nobody to hand them to here. It would leave them without a
# leader, and Kafka takes a partition without one for deleted: a transaction that is being committed at that moment would
# stay open in it for ever, and readers behind it would wait as long.
controlled.shutdown.enable=false
# How long a broker may take to get to that point at its start before it gives up; a minute by default.
initial.broker.registration.timeout.ms=180000
# What a client that is gone left open holds up every reader behind it. Overdue ones are looked for this often; the
# default is 10 s.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# The default of 128 MiB is a third of the heap.
log.cleaner.dedupe.buffer.size=16777216
# Enough for a 1 GiB segment; the default of 10 MiB is reserved twice per partition.
log.index.size.max.bytes=2097152
num.network.threads=2
num.io.threads=4
";

const LOGGING: &str = "\
status = warn
# The broker's own shutdown hook writes the most telling lines; log4j2's would close the file before.
shutdownHook = disable
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:tributary.log}
appender.file.filePattern = ${sys:tributary.log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
# Prints all settings several times over.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.server-config.name = kafka.server.KafkaConfig
logger.server-config.level = warn
";

/// The version whose jars `scripts/setup.sh` fetches.
fn version() -> &'static str {
    let after = POM.split_once("<kafka.version>").map_or("", |(_, rest)| rest);
    after.split_once('<').map_or("", |(version, _)| version)
}

/// A UUID the way Kafka writes it: 128 bits in 22 characters of base64url, of which the last carries two.
fn cluster_id() -> String {
    let mut random = rand::rng();
    let letters = (0..21).map(|_| char::from(random.sample(rand::distr::Alphanumeric)));
    letters.chain(['A']).collect()
}

fn find_java() -> Result<PathBuf, EmbeddedError> {
    let home =
        std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join("bin/java"));
    home.into_iter().chain(super::in_path("java")).find(|java| java.is_file()).ok_or(EmbeddedError::NoJava)
}

fn find_jars(environment: &Environment) -> Result<PathBuf, EmbeddedError> {
    let name = format!("kafka-{}", version());
    let asked = std::env::var_os("TRIBUTARY_KAFKA_JARS").map(PathBuf::from);
    let usual = environment.cache_folders().into_iter().map(|cache| cache.join(&name));
    let searched: Vec<PathBuf> = asked.map_or_else(|| usual.collect(), |asked| vec![asked]);
    let server = format!("kafka_2.13-{}.jar", version());
    searched.iter().find(|folder| folder.join(&server).is_file()).cloned().ok_or_else(|| {
        let searched = searched.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        EmbeddedError::NoJars { version: version(), searched }
    })
}

/// Puts the usual cause of a JVM that does not come up in front.
fn explained(error: EmbeddedError) -> EmbeddedError {
    match error {
        EmbeddedError::Died { ref tail, ref log, .. } if tail.contains("UnsupportedClassVersionError") => {
            EmbeddedError::OldJava { log: log.clone() }
        }
        error => error,
    }
}

/// Resolves when the broker at `address` answers a metadata request and counts itself among the living.
async fn answers(address: String) {
    let alive = std::sync::Arc::new(());
    let watched = std::sync::Arc::downgrade(&alive);
    let asked = tokio::task::spawn_blocking(move || {
        let Ok(client) = quick_client(&address) else { return false };
        // Nobody waits for the answer any more when `alive` is gone.
        while watched.strong_count() > 0 {
            if client.fetch_metadata(None, ASK_LIMIT).is_ok_and(|metadata| !metadata.brokers().is_empty()) {
                return true;
            }
        }
        false
    });
    if !matches!(asked.await, Ok(true)) {
        std::future::pending::<()>().await;
    }
    drop(alive);
}

fn quick_client(address: &str) -> Result<BaseConsumer<Quiet>, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "50")
        .create_with_context(Quiet)
}

/// Refused connections are what waiting for a start looks like, nothing to report.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_pom() {
        assert!(version().starts_with("4."), "{:?}", version());
    }

    #[test]
    fn missing_jars_are_reported_with_the_places_searched_and_the_way_out() {
        let environment = Environment { xdg_cache_home: Some("/nowhere".into()), ..Environment::default() };
        if let Err(error) = find_jars(&environment) {
            let text = error.to_string();
            for part in ["/nowhere/tributary/kafka-4", "make setup", "KAFKA_BOOTSTRAP_SERVERS"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}
