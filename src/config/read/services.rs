//! The services we stand on: Kafka, PostgreSQL, the schema registry, our topics.

use super::super::address::{HttpUrl, PostgresUrl, Servers};
use super::super::kind::Names;
use super::super::number::Int;
use super::super::scalar::AsText;
use super::super::section::{Inner, Section};
use super::super::text::{Name, SecretText, Word};
use super::super::{Database, Kafka, SchemaRegistry, Topics};

pub(super) fn kafka(s: &mut Section<'_>) -> Kafka {
    let servers = s.optional_or_env(
        "bootstrap_servers",
        "KAFKA_BOOTSTRAP_SERVERS",
        Servers,
        "`host:port,host:port`; without it an embedded Kafka is started; KAFKA_BOOTSTRAP_SERVERS overrides it",
    );
    let properties = s.default(
        "properties",
        Names(AsText),
        vec![],
        "librdkafka's properties, such as security.protocol, sasl.mechanism, sasl.username, sasl.password",
    );
    let is_fixed = |property: &str| FIXED.iter().find(|fixed| fixed.property == property);
    for (property, value) in &properties {
        if let Some(fixed) = is_fixed(property).filter(|fixed| fixed.refuses(value)) {
            let problem = format!("`{property}` is not free: {}", fixed.why);
            s.fault_inside("properties", Inner::Key(property), problem, fixed.remedy);
        }
    }
    let free = properties.into_iter().filter(|(property, _)| is_fixed(property).is_none());
    Kafka { bootstrap_servers: servers, properties: free.collect() }
}

/// A property that is ours.
struct Fixed {
    property: &'static str,
    /// The one value that is accepted, being ours anyway.
    value: Option<&'static str>,
    why: &'static str,
    remedy: &'static str,
}

impl Fixed {
    const fn at(property: &'static str, value: &'static str, why: &'static str) -> Self {
        Self { property, value: Some(value), why, remedy: "remove the property" }
    }

    const fn elsewhere(property: &'static str, why: &'static str, remedy: &'static str) -> Self {
        Self { property, value: None, why, remedy }
    }

    fn refuses(&self, value: &str) -> bool {
        self.value.is_none_or(|ours| !ours.eq_ignore_ascii_case(value.trim()))
    }
}

const FIXED: [Fixed; 13] = [
    Fixed::at("isolation.level", "read_committed", "aborted batches must stay unseen, so it is read_committed"),
    Fixed::at("enable.auto.commit", "false", "positions move inside our transactions, so it is false"),
    Fixed::at("enable.auto.offset.store", "false", "positions move inside our transactions, so it is false"),
    Fixed::at(
        "partition.assignment.strategy",
        "range",
        "one worker must own a partition number across all fact topics, so it is range",
    ),
    Fixed::at("enable.idempotence", "true", "nothing may be written twice, so it is true"),
    Fixed::at("acks", "all", "nothing may be lost, so it is all"),
    Fixed::at("request.required.acks", "all", "nothing may be lost, so it is all"),
    Fixed::at("partitioner", "murmur2_random", "keys must lie where Java producers put them, so it is murmur2_random"),
    Fixed::elsewhere("transactional.id", "each role has its own, made from `instance`", "remove it and set `instance`"),
    Fixed::elsewhere(
        "group.id",
        "each role has its own, made from `topics.prefix`",
        "remove it and set `topics.prefix`",
    ),
    Fixed::elsewhere("group.instance.id", "it is made from `instance`", "remove it and set `instance`"),
    Fixed::elsewhere("bootstrap.servers", "it has a key of its own", "write it as `kafka.bootstrap_servers`"),
    Fixed::elsewhere("metadata.broker.list", "it has a key of its own", "write it as `kafka.bootstrap_servers`"),
];

pub(super) fn database(s: &mut Section<'_>) -> Database {
    Database {
        url: s.optional_or_env(
            "url",
            "DATABASE_URL",
            PostgresUrl,
            "`postgres://user:password@host:port/database`; without it an embedded PostgreSQL is started; DATABASE_URL overrides it",
        ),
        max_connections: s.default("max_connections", Int(2..=1000), 10, "connections held at most"),
    }
}

pub(super) fn schema_registry(s: &mut Section<'_>) -> SchemaRegistry {
    let registry = SchemaRegistry {
        url: s.required("url", HttpUrl, "base address of the registry"),
        username: s.optional("username", Name, "user name or API key"),
        password: s.optional("password", SecretText, "password or API secret"),
    };
    let complete = registry.username.is_some() == registry.password.is_some();
    if !complete && s.sound(&["username", "password"]) {
        let (there, missing) = match registry.username {
            Some(_) => ("username", "password"),
            None => ("password", "username"),
        };
        s.fault(missing, format!("is missing although `{there}` is there"), format!("add `{missing}`, or remove both"));
    }
    registry
}

pub(super) fn topics(s: &mut Section<'_>) -> Topics {
    Topics {
        prefix: s.default("prefix", Word { min: 0, max: 150 }, "tributary.".into(), "put before each topic's name"),
        partitions: s.default(
            "partitions",
            Int(1..=1000),
            4,
            "partitions of the fact and result topics; cannot shrink later",
        ),
        replication_factor: s.default(
            "replication_factor",
            Int(1..=16),
            1,
            "copies of each partition; 3 on a real cluster",
        ),
    }
}
