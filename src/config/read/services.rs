//! The services we stand on: Kafka, PostgreSQL, the schema registry, our topics.

use super::super::address::{HttpUrl, PostgresUrl, Servers};
use super::super::kind::Names;
use super::super::number::Int;
use super::super::scalar::AsText;
use super::super::section::{Inner, Section};
use super::super::text::{Name, SecretText, Word};
use super::super::{Database, Kafka, SchemaRegistry, Topics};
use crate::kafka_properties::fixed;

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
    for (property, value) in &properties {
        if let Some(fixed) = fixed(property).filter(|fixed| fixed.refuses(value)) {
            let problem = format!("`{property}` is not free: {}", fixed.why);
            s.fault_inside("properties", Inner::Key(property), problem, fixed.remedy);
        }
    }
    let free = properties.into_iter().filter(|(property, _)| fixed(property).is_none());
    Kafka { bootstrap_servers: servers, properties: free.collect() }
}

pub(super) fn database(s: &mut Section<'_>) -> Database {
    Database {
        url: s.optional_or_env(
            "url",
            "DATABASE_URL",
            PostgresUrl,
            "`postgres://user:password@host:port/database`; without it an embedded PostgreSQL is started; DATABASE_URL overrides it",
        ),
        max_connections: s.default("max_connections", Int(2..=1000), 10, "connections held at most; roles `api` and `emit` listen on one more"),
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
