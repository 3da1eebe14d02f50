//! Takes the steps of `plan` on a cluster.
//!
//! In: a [`Connection`], the sizes an operator chose. Out: topics that are there, with every partition led.
//! Absent: decisions; deletion.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic,
    OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::error::JournalError;
use super::plan::{Existing, Step, plan};
use super::settings::Connection;
use super::topology::{Layout, Topology, Wanted};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long new partitions may take to get a leader.
const SETTLING: Duration = Duration::from_secs(60);
/// How long brokers that are away may take to come back before their number is believed.
const BROKERS_BACK: Duration = Duration::from_secs(15);
/// Between two looks at the metadata, which is the only way to learn of a leader.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why the topics could not be brought to what is declared.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The cluster does not answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The cluster refuses a step.
    #[error("Kafka refuses to {step}: {code}; {remedy}")]
    Refused { step: String, code: RDKafkaErrorCode, remedy: &'static str },
    /// A partition stays without a leader.
    #[error("topics {} have partitions without a leader after {} s; look at the brokers' logs", .0.join(", "), SETTLING.as_secs())]
    Leaderless(Vec<String>),
}

/// Brings the cluster to what is declared and waits until every topic can be used; tells the steps it saw.
///
/// Safe to repeat: with nothing to do it changes nothing.
///
/// # Errors
/// [`ProvisionError`] by what stands in the way.
pub async fn ensure(connection: &Connection, layout: Layout) -> Result<Vec<Step>, ProvisionError> {
    ensure_keeping(connection, layout, 0).await
}

/// As [`ensure`], and what is declared to go after some time stays at least as long as tables keep `retention_days`.
///
/// # Errors
/// [`ProvisionError`] by what stands in the way.
pub async fn ensure_keeping(
    connection: &Connection,
    layout: Layout,
    retention_days: u32,
) -> Result<Vec<Step>, ProvisionError> {
    let cluster = Cluster::new(connection)?;
    let wanted = Topology::embedded().keeping(connection.prefix(), layout, retention_days);
    let steps = plan(&wanted, &cluster.topics(&wanted).await?, connection.prefix());
    for step in &steps {
        cluster.take_patiently(step).await?;
    }
    cluster.wait_for(wanted).await?;
    Ok(steps)
}

/// The steps that [`ensure_keeping`] would take.
///
/// # Errors
/// [`ProvisionError`] if the cluster cannot be asked.
pub async fn compare(
    connection: &Connection,
    layout: Layout,
    retention_days: u32,
) -> Result<Vec<Step>, ProvisionError> {
    let cluster = Cluster::new(connection)?;
    let wanted = Topology::embedded().keeping(connection.prefix(), layout, retention_days);
    Ok(plan(&wanted, &cluster.topics(&wanted).await?, connection.prefix()))
}

struct Cluster {
    admin: Arc<AdminClient<DefaultClientContext>>,
    connection: Connection,
}

impl Cluster {
    fn new(connection: &Connection) -> Result<Self, ProvisionError> {
        let admin = connection.client_config().create();
        let admin = admin.map_err(|cause| JournalError::of(cause, connection.bootstrap(), connection.instance()))?;
        Ok(Self { admin: Arc::new(admin), connection: connection.clone() })
    }

    /// Everything that carries our prefix, with the settings of what is wanted.
    async fn topics(&self, wanted: &[Wanted]) -> Result<BTreeMap<String, Existing>, ProvisionError> {
        let mut topics = self.metadata().await?;
        let there = wanted.iter().filter(|topic| topics.contains_key(&topic.name));
        let asked: Vec<_> = there.map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
        if asked.is_empty() {
            return Ok(topics);
        }
        let answer = self.admin.describe_configs(&asked, &options()).await.map_err(|cause| self.failed(cause))?;
        for resource in answer {
            let resource = resource.map_err(|code| refused("read the settings of topics", code))?;
            let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
            if let Some(topic) = topics.get_mut(name) {
                (topic.config, topic.own) = settings(&resource);
            }
        }
        Ok(topics)
    }

    /// Every topic, without its settings.
    async fn metadata(&self) -> Result<BTreeMap<String, Existing>, ProvisionError> {
        let admin = Arc::clone(&self.admin);
        let asked = tokio::task::spawn_blocking(move || read_metadata(&admin)).await;
        let answer = asked.unwrap_or(Err(KafkaError::Canceled));
        answer.map_err(|cause| self.failed(cause))
    }

    /// A busy broker counts as away for a moment, and a cluster of one has none then: that many brokers are waited for.
    async fn take_patiently(&self, step: &Step) -> Result<(), ProvisionError> {
        let deadline = Instant::now() + BROKERS_BACK;
        loop {
            match self.take(step).await {
                Err(ProvisionError::Refused { code: RDKafkaErrorCode::InvalidReplicationFactor, .. })
                    if Instant::now() < deadline =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn take(&self, step: &Step) -> Result<(), ProvisionError> {
        let options = options();
        let answer = match step {
            Step::Create(wanted) => {
                let answer = self.admin.create_topics(&[new_topic(wanted)], &options).await;
                answer.map(|results| results.into_iter().find_map(Result::err).map(|(_, code)| code))
            }
            Step::Widen { topic, to, .. } => {
                let more = NewPartitions::new(topic, *to as usize);
                let answer = self.admin.create_partitions(&[more], &options).await;
                answer.map(|results| results.into_iter().find_map(Result::err).map(|(_, code)| code))
            }
            Step::Alter { topic, all, .. } => {
                let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
                let change = all.iter().fold(change, |change, (key, value)| change.set(key, value));
                let answer = self.admin.alter_configs([&change], &options).await;
                answer.map(|results| results.into_iter().find_map(Result::err).map(|(_, code)| code))
            }
            Step::Narrower { .. } | Step::OtherReplication { .. } | Step::Undeclared { .. } => return Ok(()),
        };
        match (answer.map_err(|cause| self.failed(cause))?, step) {
            (None, _) => Ok(()),
            // Another process was faster with the same step; `wait_for` sees whether it did enough.
            (Some(RDKafkaErrorCode::TopicAlreadyExists), Step::Create(_)) => Ok(()),
            (Some(RDKafkaErrorCode::InvalidPartitions), Step::Widen { .. }) => Ok(()),
            (Some(code), _) => Err(refused(step, code)),
        }
    }

    async fn wait_for(&self, wanted: Vec<Wanted>) -> Result<(), ProvisionError> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let there = self.metadata().await?;
            let led = |topic: &Wanted| {
                there.get(&topic.name).is_some_and(|t| t.partitions >= topic.partitions && t.leaderless == 0)
            };
            let missing: Vec<_> = wanted.iter().filter(|topic| !led(topic)).map(|topic| topic.name.clone()).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(ProvisionError::Leaderless(missing));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn failed(&self, cause: KafkaError) -> ProvisionError {
        JournalError::of(cause, self.connection.bootstrap(), self.connection.instance()).into()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn new_topic(wanted: &Wanted) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(i32::from(wanted.replication_factor));
    let partitions = i32::try_from(wanted.partitions).unwrap_or(i32::MAX);
    let topic = NewTopic::new(&wanted.name, partitions, replication);
    wanted.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn read_metadata(admin: &AdminClient<DefaultClientContext>) -> KafkaResult<BTreeMap<String, Existing>> {
    let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
    let existing = |topic: &rdkafka::metadata::MetadataTopic| {
        let partitions = topic.partitions();
        let leaderless = partitions.iter().filter(|partition| partition.leader() < 0).count();
        let replicas = partitions.first().map_or(0, |partition| partition.replicas().len());
        Existing {
            partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
            leaderless: u32::try_from(leaderless).unwrap_or(u32::MAX),
            replication_factor: u16::try_from(replicas).unwrap_or(u16::MAX),
            ..Existing::default()
        }
    };
    Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), existing(topic))).collect())
}

/// The settings that hold, and those of them that were set on the topic itself.
fn settings(resource: &ConfigResource) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let pair = |entry: &rdkafka::admin::ConfigEntry| Some((entry.name.clone(), entry.value.clone()?));
    let own = resource.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    (resource.entries.iter().filter_map(pair).collect(), own.filter_map(pair).collect())
}

fn refused(step: impl ToString, code: RDKafkaErrorCode) -> ProvisionError {
    let remedy = match code {
        RDKafkaErrorCode::InvalidReplicationFactor => "set topics.replication_factor to at most the number of brokers",
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "allow this user to create, describe and alter topics with the prefix, or let an administrator run \
             `tributary topology apply`"
        }
        RDKafkaErrorCode::PolicyViolation | RDKafkaErrorCode::InvalidConfig => {
            "the cluster's policy forbids a setting; let its administrator create the topics as \
             `tributary topology plan` lists them"
        }
        _ => "look at the brokers' logs",
    };
    ProvisionError::Refused { step: step.to_string(), code, remedy }
}

#[cfg(test)]
mod tests;
