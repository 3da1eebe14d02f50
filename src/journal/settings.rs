//! How we speak to Kafka: our defaults, the operator's wishes, and what is fixed because money depends on it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::topic::Topic;
use crate::kafka_properties::{FIXED, Fixed};

/// An operator's property that would break a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka.properties: {} is not free: {}; {}", .0.property, .0.why, .0.remedy)]
pub struct FixedSetting(pub &'static Fixed);

/// Where the log is and as whom we speak to it. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    bootstrap: String,
    properties: BTreeMap<String, String>,
    prefix: String,
    instance: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The properties may hold passwords.
        write!(f, "Connection({}, prefix {:?}, instance {:?})", self.bootstrap, self.prefix, self.instance)
    }
}

impl Connection {
    /// A connection to `bootstrap` (`host:port,…`) with librdkafka `properties`.
    ///
    /// # Errors
    /// [`FixedSetting`] for a property with which our promises do not hold.
    pub fn new(
        bootstrap: String,
        properties: BTreeMap<String, String>,
        prefix: String,
        instance: String,
    ) -> Result<Self, FixedSetting> {
        for fixed in &FIXED {
            if properties.get(fixed.property).is_some_and(|asked| fixed.refuses(asked)) {
                return Err(FixedSetting(fixed));
            }
        }
        Ok(Self { bootstrap, properties, prefix, instance })
    }

    /// The name of a topic in this installation.
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// What every topic, group and transactional id of this installation begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of this process among those that share the work.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The same under another name, for work beside a service that runs: equal names put each other out.
    pub fn as_instance(&self, instance: impl Into<String>) -> Self {
        Self { instance: instance.into(), ..self.clone() }
    }

    /// The brokers, as configured.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What every client has in common.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("client.id", format!("tributary-{}", self.instance));
        // A broker that restarts is back within seconds; ten minutes of backoff would outlast it.
        config.set("reconnect.backoff.max.ms", "2000");
        config.set("topic.metadata.refresh.interval.ms", "30000");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    /// A member of `group`. The member keeps its partitions over a restart (static membership), if it is back before the
    /// group misses it: after six seconds, the least that a broker allows by default.
    pub fn consumer_config(&self, group: &str) -> ClientConfig {
        let mut config = self.reader_config();
        config.set("group.id", format!("{}{group}", self.prefix));
        config.set("group.instance.id", format!("{}{group}-{}", self.prefix, self.instance));
        config.set("session.timeout.ms", self.asked("session.timeout.ms", "6000"));
        config.set("heartbeat.interval.ms", self.asked("heartbeat.interval.ms", "1500"));
        config
    }

    /// A reader without a group's partitions: it assigns itself.
    pub fn reader_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("partition.assignment.strategy", "range");
        config.set("auto.offset.reset", "earliest");
        config.set("allow.auto.create.topics", "false");
        config.set("enable.partition.eof", "true");
        // Bounded memory: what is fetched ahead, per consumer; asked again soon when it was full. The client counts
        // neither its 400 bytes for each record nor that a fetch unpacks to ten times its size: keep both small.
        config.set("queued.min.messages", self.asked("queued.min.messages", "20000"));
        config.set("queued.max.messages.kbytes", self.asked("queued.max.messages.kbytes", "8192"));
        config.set("fetch.message.max.bytes", self.asked("fetch.message.max.bytes", "262144"));
        config.set("fetch.queue.backoff.ms", self.asked("fetch.queue.backoff.ms", "5"));
        // An answer without records comes this late: it is what the end of a topic is recognised by.
        config.set("fetch.wait.max.ms", self.asked("fetch.wait.max.ms", "50"));
        config
    }

    /// A transactional producer; `role` tells the producers of this instance apart. A transaction that stands open for
    /// longer than `timeout` is aborted by the broker, unless the operator chose another limit.
    pub fn producer_config(&self, role: &str, timeout: Duration) -> ClientConfig {
        let mut config = self.client_config();
        config.set("transactional.id", format!("{}{}-{role}", self.prefix, self.instance));
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("partitioner", "murmur2_random");
        config.set("compression.type", self.asked("compression.type", "lz4"));
        config.set("linger.ms", self.asked("linger.ms", "5"));
        config.set("batch.size", self.asked("batch.size", "1000000"));
        config.set("batch.num.messages", self.asked("batch.num.messages", "20000"));
        config.set("message.max.bytes", self.asked("message.max.bytes", "8388608"));
        config.set("queue.buffering.max.kbytes", self.asked("queue.buffering.max.kbytes", "32768"));
        config.set("queue.buffering.max.messages", self.asked("queue.buffering.max.messages", "100000"));
        config.set("transaction.timeout.ms", self.asked("transaction.timeout.ms", &timeout.as_millis().to_string()));
        // Success is told by the commit.
        config.set("delivery.report.only.error", "true");
        config
    }

    fn asked(&self, key: &str, default: &str) -> String {
        self.properties.get(key).cloned().unwrap_or_else(|| default.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Result<Connection, FixedSetting> {
        let properties = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Connection::new("localhost:9092".into(), properties, "tributary.".into(), "one".into())
    }

    #[test]
    fn a_wish_that_breaks_a_promise_is_refused_with_the_reason() {
        let refused = with("isolation.level", "read_uncommitted").unwrap_err();
        assert!(refused.to_string().contains("isolation.level is not free: aborted batches"), "{refused}");
        assert!(with("isolation.level", "read_committed").is_ok());
    }

    #[test]
    fn what_is_fixed_is_what_the_clients_are_given() {
        let connection = with("client.rack", "a").unwrap();
        let (reader, producer) = (connection.reader_config(), connection.producer_config("x", Duration::from_secs(15)));
        for fixed in FIXED.iter().filter(|fixed| fixed.property != "request.required.acks") {
            if let Some(value) = fixed.value {
                let set = reader.get(fixed.property).or(producer.get(fixed.property));
                assert_eq!(set, Some(value), "{}", fixed.property);
            }
        }
    }

    #[test]
    fn other_wishes_pass_through() {
        let producer = |connection: Connection| connection.producer_config("x", Duration::from_secs(15));
        let config = producer(with("compression.type", "zstd").unwrap());
        assert_eq!(config.get("compression.type"), Some("zstd"));
        assert_eq!(config.get("transactional.id"), Some("tributary.one-x"));
        assert_eq!(config.get("transaction.timeout.ms"), Some("15000"));
        let config = producer(with("transaction.timeout.ms", "40000").unwrap());
        assert_eq!(config.get("transaction.timeout.ms"), Some("40000"));
    }

    #[test]
    fn passwords_do_not_print() {
        let connection = with("sasl.password", "hunter2").unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
    }
}
