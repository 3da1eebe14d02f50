//! A Kafka cluster to bill: one broker with users and a JMX exporter, and a Prometheus that scrapes it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rdkafka::ClientConfig;
use serde_json::Value;
use tempfile::TempDir;

use super::prometheus::{Prometheus, found};
use super::{succeed, until};

const USERS: [&str; 4] = ["admin", "alice", "bob", "carol"];

/// The broker and its Prometheus, until dropped.
#[derive(Debug)]
pub struct BilledCluster {
    dir: TempDir,
    pub bootstrap: String,
    pub prometheus: String,
    broker: Child,
    scraper: Prometheus,
}

impl BilledCluster {
    /// Starts both and waits until the broker is scraped.
    pub fn start() -> Self {
        let dir = TempDir::with_prefix("tributary-billed-").expect("a folder");
        let [kafka, controller, exporter, prometheus] = free_ports();
        let broker = broker(dir.path(), kafka, controller, exporter);
        let scraper = scraper(dir.path(), exporter, prometheus);
        let cluster = Self {
            bootstrap: format!("127.0.0.1:{kafka}"),
            prometheus: format!("http://127.0.0.1:{prometheus}"),
            dir,
            broker,
            scraper,
        };
        until("the broker is scraped", || !cluster.ask("kafka_log_log_size").is_empty());
        cluster
    }

    /// A client that is this user.
    pub fn client(&self, user: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("security.protocol", "SASL_PLAINTEXT");
        config.set("sasl.mechanism", "PLAIN").set("sasl.username", user).set("sasl.password", password(user));
        config
    }

    /// Gives every user a quota so high that it limits nobody: only then does Kafka count bytes by user.
    pub fn set_quotas(&self) {
        let path = self.dir.path().join("admin.properties");
        let login = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={} required username=\"admin\" \
             password=\"{}\";\n",
            LOGIN,
            password("admin")
        );
        std::fs::write(&path, login).expect("written");
        let mut command = java();
        command.args([
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &format!("{}/*", jars().display()),
            "kafka.admin.ConfigCommand",
        ]);
        command.args(["--bootstrap-server", &self.bootstrap, "--command-config"]).arg(path);
        command.args(["--alter", "--entity-type", "users", "--entity-default", "--add-config"]);
        command.arg("producer_byte_rate=10000000000,consumer_byte_rate=10000000000");
        succeed(&mut command);
    }

    /// Bytes of all logs on disk, as the file system counts them.
    pub fn bytes_on_disk(&self) -> u64 {
        let logs = std::fs::read_dir(self.dir.path().join("data")).expect("the data folder");
        let folders = logs.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        let sizes =
            files.filter(|file| file.path().extension().is_some_and(|e| e == "log")).filter_map(|f| f.metadata().ok());
        sizes.map(|metadata| metadata.len()).sum()
    }

    /// The values of an instant query, with their labels.
    pub fn ask(&self, query: &str) -> Vec<(Value, f64)> {
        self.scraper.ask(query, None)
    }
}

impl Drop for BilledCluster {
    fn drop(&mut self) {
        let _ = self.broker.kill();
        let _ = self.broker.wait();
    }
}

const LOGIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

fn password(user: &str) -> String {
    format!("{user}-password")
}

/// Rates by user are over 31 windows of a second: over the usual 11 each may be off by a tenth, as the oldest comes and goes.
fn broker(dir: &Path, port: u16, controller: u16, exporter: u16) -> Child {
    let users: String = USERS.iter().map(|user| format!(" user_{user}=\"{}\"", password(user))).collect();
    let admin = password("admin");
    let properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=SASL_PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=SASL_PLAINTEXT\n\
         listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         sasl.enabled.mechanisms=PLAIN\n\
         sasl.mechanism.inter.broker.protocol=PLAIN\n\
         listener.name.sasl_plaintext.plain.sasl.jaas.config={LOGIN} required username=\"admin\" password=\"{admin}\"{users};\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         quota.window.num=31\n\
         log.cleaner.dedupe.buffer.size=16777216\n\
         log.index.size.max.bytes=2097152\n",
        dir.join("data").display()
    );
    let path = dir.join("server.properties");
    std::fs::write(&path, properties).expect("written");
    let jars = format!("{}/*", jars().display());
    let mut format = java();
    format.args(["-XX:TieredStopAtLevel=1", "-cp", &jars, "kafka.tools.StorageTool", "format"]);
    succeed(format.args(["--cluster-id", "MkU3OEVBNTcwNTJENDM2Qk", "--config"]).arg(&path));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/self-managed-kafka/jmx-exporter.yaml");
    let agent = found("jmx-exporter-1.0.1/jmx_prometheus_javaagent-1.0.1.jar");
    let agent = format!("-javaagent:{}=127.0.0.1:{exporter}:{}", agent.display(), rules.display());
    let mut command = java();
    command.args(["-Xmx384m", "-XX:+UseSerialGC", &agent, "-cp", &jars, "kafka.Kafka"]).arg(&path);
    logged(&mut command, dir, "broker.log")
}

fn scraper(dir: &Path, exporter: u16, port: u16) -> Prometheus {
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: kafka\n  static_configs:\n  - targets: \
         [\"127.0.0.1:{exporter}\"]\n    labels: {{broker: \"1\"}}\n"
    );
    Prometheus::start_at(port, dir, &text, &dir.join("tsdb"), &[])
}

fn logged(command: &mut Command, dir: &Path, name: &str) -> Child {
    let log = std::fs::File::create(dir.join(name)).expect("a log");
    let both = log.try_clone().expect("a second handle");
    command.current_dir(dir).stdin(Stdio::null()).stdout(log).stderr(both).spawn().expect("it starts")
}

fn java() -> Command {
    let own =
        std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")).filter(|java| java.is_file());
    Command::new(own.unwrap_or_else(|| "java".into()))
}

fn jars() -> PathBuf {
    let pom = include_str!("../../../packaging/kafka/pom.xml");
    let version = pom.split_once("<kafka.version>").and_then(|(_, rest)| rest.split('<').next()).expect("a version");
    found(&format!("kafka-{version}"))
}

fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
