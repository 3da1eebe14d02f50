//! Brokers and topics from the cluster itself.
//!
//! In: bootstrap servers and how to get in. Out: its metadata. Absent: records, topics of ours, writes of any kind.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::ecosystem::{Secret, SourceError};

/// How long the cluster may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// How to ask the cluster.
#[derive(Debug, Clone)]
pub struct AdminApi {
    /// `host:port,…`
    pub bootstrap_servers: String,
    /// Security settings by the names of librdkafka, credentials aside.
    pub properties: BTreeMap<String, String>,
    pub password: Option<Secret>,
}

/// A broker as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    /// `host:port`
    pub address: String,
}

impl AdminApi {
    /// The brokers by id, and the names of all topics, internal ones included.
    ///
    /// # Errors
    /// [`SourceError`] if no broker answers within half a minute, or the credentials are refused.
    pub async fn look(&self) -> Result<(Vec<Broker>, Vec<String>), SourceError> {
        let api = self.clone();
        let looked = tokio::task::spawn_blocking(move || api.look_now()).await;
        looked.map_err(|_| SourceError::Unavailable("the look at the Kafka cluster was cut off".into()))?
    }

    fn look_now(&self) -> Result<(Vec<Broker>, Vec<String>), SourceError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers).set("client.id", "tributary");
        self.properties.iter().for_each(|(name, value)| {
            config.set(name, value);
        });
        if let Some(password) = &self.password {
            config.set("sasl.password", password.expose());
        }
        let said = Said::default();
        let client: BaseConsumer<Said> = config.create_with_context(said.clone()).map_err(|error| {
            SourceError::Unusable(format!("`resource_source` cannot be used for a Kafka client: {error}"))
        })?;
        let metadata = client.fetch_metadata(None, LIMIT).map_err(|error| self.failed(&error, &said))?;
        let broker = |broker: &rdkafka::metadata::MetadataBroker| Broker {
            id: broker.id(),
            address: format!("{}:{}", broker.host(), broker.port()),
        };
        let mut brokers: Vec<Broker> = metadata.brokers().iter().map(broker).collect();
        brokers.sort_by_key(|broker| broker.id);
        let mut topics: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
        topics.sort_unstable();
        Ok((brokers, topics))
    }

    fn failed(&self, error: &KafkaError, said: &Said) -> SourceError {
        let servers = &self.bootstrap_servers;
        match said.last() {
            Some(why) if why.to_lowercase().contains("authentication") => SourceError::Denied(format!(
                "the Kafka cluster at {servers} refused the credentials ({why}); check `resource_source.sasl_mechanism`, \
                 `sasl_username` and `sasl_password`"
            )),
            why => {
                let why = why.unwrap_or_else(|| error.to_string());
                SourceError::Unavailable(format!(
                    "the Kafka cluster at {servers} did not answer ({why}); check `resource_source.bootstrap_servers` and \
                     `security_protocol`"
                ))
            }
        }
    }
}

/// Keeps the last thing that went wrong: the answer itself only says that time ran out.
#[derive(Clone, Default)]
struct Said(std::sync::Arc<std::sync::Mutex<Option<String>>>);

impl Said {
    fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka cluster");
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // That all brokers are down follows from what was said before.
        if last.is_none() || !reason.contains("brokers are down") {
            *last = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Said {}
