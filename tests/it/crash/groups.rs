//! Who is a member of which consumer group, by what the broker says.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::faults::CREW;

/// What the broker knows of consumer groups.
pub struct Groups(BaseConsumer);

impl Groups {
    /// Asks this broker.
    pub fn of(kafka: &str) -> Self {
        Self(ClientConfig::new().set("bootstrap.servers", kafka).create().expect("a client"))
    }

    /// The groups whose name begins like this.
    pub fn named(&self, prefix: &str) -> Vec<String> {
        let list = self.0.client().fetch_group_list(None, Duration::from_secs(20)).expect("the broker answers");
        list.groups().iter().map(|group| group.name().to_owned()).filter(|name| name.starts_with(prefix)).collect()
    }

    /// Do all groups of a process' role count it as a member (`Some(true)`), or none (`Some(false)`)? `None` also while
    /// one of them is handing out partitions.
    pub fn have(&self, prefix: &str, member: usize) -> Option<bool> {
        let (name, role) = CREW[member];
        let (begins, client) = (format!("{prefix}{role}"), format!("tributary-{name}"));
        let list = self.0.client().fetch_group_list(None, Duration::from_secs(5)).ok()?;
        let groups: Vec<_> = list.groups().iter().filter(|group| group.name().starts_with(&begins)).collect();
        let settled = !groups.is_empty() && groups.iter().all(|group| group.state() == "Stable");
        let has = |group: &&rdkafka::groups::GroupInfo| group.members().iter().any(|it| it.client_id() == client);
        let with = groups.iter().filter(|group| has(group)).count();
        match settled {
            true if with == groups.len() => Some(true),
            true if with == 0 => Some(false),
            _ => None,
        }
    }
}
