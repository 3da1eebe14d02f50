//! The cluster, its brokers and topics, and the principals that were seen on it.
//!
//! In: labels of metrics, or the cluster's own metadata. Out: an [`Inventory`]; a look that failed is a failed listing,
//! never an empty one.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use futures_util::future::try_join_all;

use super::admin::Broker;
use super::{ECOSYSTEM, Resources, SelfManagedKafka, questions};
use crate::domain::{Day, Resource};
use crate::ecosystem::metered::people::PRINCIPAL;
use crate::ecosystem::prometheus::Sample;
use crate::ecosystem::{Inventory, Listing, SourceError};

pub const CLUSTER: &str = "cluster";
const BROKER: &str = "broker";
const TOPIC: &str = "topic";

/// What labels say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub brokers: BTreeSet<String>,
    pub topics: BTreeSet<String>,
    pub principals: BTreeSet<String>,
    /// Were there any series at all?
    pub any: bool,
}

/// Looks at what exists now.
pub async fn gather(kafka: &SelfManagedKafka) -> Inventory {
    let settings = &kafka.settings;
    let asks_labels = matches!(settings.resources, Resources::Prometheus) || settings.people.origin.asks();
    let seen = if asks_labels { look(kafka).await } else { Ok(Seen::default()) };
    let (found, resources) = match &settings.resources {
        Resources::Prometheus => match &seen {
            Ok(seen) => (of_labels(seen), Ok(())),
            Err(error) => (Vec::new(), Err(error.clone())),
        },
        Resources::Admin(api) => match api.look().await {
            Ok((brokers, topics)) => (of_metadata(&brokers, &topics), Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        },
    };
    let cluster = cluster(kafka);
    // Those that costs are broken down to are known by their usage, day by day; two accounts of them would disagree.
    let by_usage = settings.topic_names.is_some();
    let found = found.into_iter().filter(|(kind, ..)| !by_usage || *kind != TOPIC);
    let children = found.map(|found| child(kafka, found));
    let types = if by_usage { vec![BROKER.to_owned()] } else { vec![BROKER.to_owned(), TOPIC.to_owned()] };
    let principals = match &seen {
        _ if !settings.people.origin.asks() => Ok(BTreeSet::new()),
        Ok(seen) if seen.any && seen.principals.is_empty() => Err(nobody(kafka)),
        Ok(seen) => Ok(seen.principals.clone()),
        Err(error) => Err(error.clone()),
    };
    let identities = settings.people.identities(ECOSYSTEM, principals.as_ref().unwrap_or(&BTreeSet::new()));
    let listing = |name: &str, types: Vec<String>, outcome| Listing { name: name.to_owned(), types, outcome };
    Inventory {
        resources: std::iter::once(cluster).chain(children).collect(),
        identities,
        listings: vec![
            listing("configuration", [vec![CLUSTER.to_owned()], settings.people.fixed_types()].concat(), Ok(())),
            listing("brokers and topics", types, resources),
            listing("principals", vec![PRINCIPAL.to_owned()], principals.map(drop)),
        ],
    }
}

async fn look(kafka: &SelfManagedKafka) -> Result<Seen, SourceError> {
    let names = &kafka.settings.names;
    let expressions = questions::discovery(names, kafka.settings.discovery_window_hours);
    let now = kafka.now();
    let answers = try_join_all(expressions.iter().map(|expression| kafka.prometheus.instant(expression, now))).await?;
    Ok(read(answers.into_iter().flatten(), [&names.broker, &names.topic, &names.principal]))
}

/// The distinct values of the three labels.
pub fn read(samples: impl Iterator<Item = Sample>, [broker, topic, principal]: [&String; 3]) -> Seen {
    let mut seen = Seen::default();
    for Sample { mut labels, .. } in samples {
        seen.any = true;
        let mut take = |label: &String| labels.remove(label).filter(|value| !value.is_empty());
        seen.brokers.extend(take(broker));
        seen.topics.extend(take(topic));
        seen.principals.extend(take(principal));
    }
    seen
}

fn nobody(kafka: &SelfManagedKafka) -> SourceError {
    let label = &kafka.settings.names.principal;
    SourceError::Unusable(format!(
        "no series has the label `{label}`: Kafka counts bytes by principal only in its quota metrics, for users that \
         have a quota; name them under `metric_names.principal_bytes_in` and `principal_bytes_out`, correct \
         `principal_label`, or set `identity_source.source: static`"
    ))
}

/// A broker or topic: type, the last part of its id, its name, further attributes.
type Found = (&'static str, String, String, BTreeMap<String, String>);

fn of_labels(seen: &Seen) -> Vec<Found> {
    let found = |kind, names: &BTreeSet<String>| -> Vec<Found> {
        names.iter().map(|name| (kind, name.clone(), name.clone(), BTreeMap::new())).collect()
    };
    [found(BROKER, &seen.brokers), found(TOPIC, &seen.topics)].concat()
}

fn of_metadata(brokers: &[Broker], topics: &[String]) -> Vec<Found> {
    let broker = |broker: &Broker| {
        let id = broker.id.to_string();
        (BROKER, id.clone(), broker.address.clone(), BTreeMap::from([("broker_id".to_owned(), id)]))
    };
    let topic = |topic: &String| (TOPIC, topic.clone(), topic.clone(), BTreeMap::new());
    brokers.iter().map(broker).chain(topics.iter().map(topic)).collect()
}

fn cluster(kafka: &SelfManagedKafka) -> Resource {
    let settings = &kafka.settings;
    let mut attributes = BTreeMap::from([("broker_count".to_owned(), settings.broker_count.to_string())]);
    attributes.extend(settings.region.iter().map(|region| ("region".to_owned(), region.clone())));
    draft(&settings.cluster_id, CLUSTER, &settings.cluster_id, None, attributes)
}

fn child(kafka: &SelfManagedKafka, (kind, id, name, mut attributes): Found) -> Resource {
    let cluster = &kafka.settings.cluster_id;
    attributes.insert("cluster_id".to_owned(), cluster.clone());
    draft(&format!("{cluster}:{kind}:{id}"), kind, &name, Some(cluster), attributes)
}

fn draft(id: &str, kind: &str, name: &str, parent: Option<&String>, attributes: BTreeMap<String, String>) -> Resource {
    Resource {
        tenant: String::new(),
        day: Day::from(NaiveDate::default()),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: ECOSYSTEM.to_owned(),
        resource_id: id.to_owned(),
        resource_type: kind.to_owned(),
        display_name: Some(name.to_owned()),
        parent_id: parent.cloned(),
        owner_id: None,
        created_at: None,
        deleted_at: None,
        attributes,
    }
}
