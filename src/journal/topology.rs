//! The topics as data: `topology/topics.toml`, read, checked, and spelled out for one installation.
//!
//! In: the file's text, the installation's prefix and sizes. Out: the topics it wants, or every fault of the
//! declaration. What to do about a cluster that differs is in `plan`. Absent: IO.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::schema;
use super::topic::Topic;

const DECLARED: &str = include_str!("../../topology/topics.toml");
/// Who may read and write.
const STAGES: [&str; 6] = ["gather", "allocate", "project", "emit", "api", "cli"];
const DAY_MS: u64 = 86_400_000;
/// The setting that says how long a topic keeps records, milliseconds; -1: for ever.
pub(super) const RETENTION: &str = "retention.ms";
/// For how much longer than the tables topics keep what they are made from.
const SPARE_DAYS: u64 = 30;

/// What `topology/topics.toml` declares.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    pub defaults: Defaults,
    #[serde(rename = "topic")]
    pub topics: Vec<Declared>,
}

/// What holds for every topic.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub max_message_bytes: u32,
}

/// One topic as declared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    pub name: String,
    pub says: String,
    pub key: String,
    /// The group of topics that share keys and partition count.
    pub aligned: Option<String>,
    /// Where it is not the installation's.
    pub partitions: Option<u32>,
    pub cleanup: Cleanup,
    pub retention_days: Option<u64>,
    pub schema: String,
    pub writers: Vec<String>,
    pub readers: Vec<String>,
}

/// How old records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    Delete,
    Compact,
}

/// The sizes an operator chooses (`topics.partitions`, `topics.replication_factor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub partitions: u32,
    pub replication_factor: u16,
}

/// A topic as this installation wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Prefix included.
    pub name: String,
    pub partitions: u32,
    pub replication_factor: u16,
    /// Broker settings that are ours; all others are the operator's.
    pub config: BTreeMap<String, String>,
}

/// What is wrong with the declaration, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("topic `{0}` is declared twice; remove one of the two")]
    Twice(String),
    #[error("topic `{0}` is declared but is no `journal::Topic`; add the variant or remove the topic")]
    NoVariant(String),
    #[error("`journal::Topic` has `{0}`, which is not declared; add it to topology/topics.toml")]
    NotDeclared(&'static str),
    #[error("topic `{topic}` is declared with schema `{declared}` but carries `{carries}`; let the two agree")]
    OtherSchema { topic: String, declared: String, carries: &'static str },
    #[error("topic `{topic}` names schema `{schema}`, which is not in schemas/; add schemas/{schema}/v1.avsc")]
    NoSchema { topic: String, schema: String },
    #[error("schema `{0}` is in no topic; declare its topic or remove it")]
    UnusedSchema(&'static str),
    #[error("topics `{0}` and `{1}` are aligned but differ in {2}; give them the same")]
    NotAligned(String, String, &'static str),
    #[error("topic `{0}` has no key; aligned and compacted topics live by it, so say what it is")]
    NoKey(String),
    #[error("topic `{0}` deletes old records but does not say after how many days; set retention_days")]
    NoRetention(String),
    #[error("topic `{0}` is compacted, which keeps the last record of each key for ever; remove retention_days")]
    NeedlessRetention(String),
    #[error("topic `{topic}` is to have 0 partitions; set `partitions` to 1 or more")]
    NoPartition { topic: String },
    #[error("topic `{topic}` names the stage `{stage}`; known are {}", STAGES.join(", "))]
    NoStage { topic: String, stage: String },
    #[error("topic `{0}` has no {1}; name the stage or remove the topic")]
    Idle(String, &'static str),
}

impl Topology {
    /// The declaration of this program.
    ///
    /// # Panics
    /// Never in a program whose tests passed: they read the file.
    pub fn embedded() -> Self {
        Self::parse(DECLARED).expect("topology/topics.toml is read by a test")
    }

    /// Reads a declaration.
    ///
    /// # Errors
    /// If it is not TOML of this form.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Every topic as an installation wants it.
    pub fn wanted(&self, prefix: &str, layout: Layout) -> Vec<Wanted> {
        let wanted = |declared: &Declared| Wanted {
            name: format!("{prefix}{}", declared.name),
            partitions: declared.partitions.unwrap_or(layout.partitions),
            replication_factor: layout.replication_factor,
            config: self.config(declared, layout),
        };
        self.topics.iter().map(wanted).collect()
    }

    /// As [`Self::wanted`], and what tables are made from stays at least `retention_days` and a month more, so that the
    /// tables of all that time can be built anew.
    pub fn keeping(&self, prefix: &str, layout: Layout, retention_days: u32) -> Vec<Wanted> {
        let least = (u64::from(retention_days) + SPARE_DAYS) * DAY_MS;
        let mut wanted = self.wanted(prefix, layout);
        let becomes_tables = |of: &Declared| of.readers.iter().any(|stage| stage == "allocate" || stage == "project");
        for (topic, _) in wanted.iter_mut().zip(&self.topics).filter(|(_, declared)| becomes_tables(declared)) {
            if let Some(retention) = topic.config.get_mut(RETENTION) {
                let declared = retention.parse().unwrap_or(0);
                *retention = least.max(declared).to_string();
            }
        }
        wanted
    }

    fn config(&self, declared: &Declared, layout: Layout) -> BTreeMap<String, String> {
        let in_sync = if layout.replication_factor >= 3 { 2 } else { 1 };
        let mut config = BTreeMap::from([
            ("max.message.bytes".to_owned(), self.defaults.max_message_bytes.to_string()),
            ("min.insync.replicas".to_owned(), in_sync.to_string()),
        ]);
        match declared.cleanup {
            Cleanup::Compact => config.insert("cleanup.policy".to_owned(), "compact".to_owned()),
            Cleanup::Delete => config.insert("cleanup.policy".to_owned(), "delete".to_owned()),
        };
        if let Some(days) = declared.retention_days {
            config.insert(RETENTION.to_owned(), (days * DAY_MS).to_string());
        }
        config
    }

    /// Every fault of the declaration; none if it is sound.
    pub fn faults(&self) -> Vec<Fault> {
        let each = self.topics.iter().enumerate().flat_map(|(at, topic)| {
            let mut faults = topic.faults();
            if self.topics[..at].iter().any(|earlier| earlier.name == topic.name) {
                faults.push(Fault::Twice(topic.name.clone()));
            }
            faults.extend(self.topics[..at].iter().filter_map(|earlier| earlier.misaligned(topic)));
            faults
        });
        let declared = |topic: &&Topic| self.topics.iter().any(|t| t.name == topic.name());
        let missing = Topic::all().iter().filter(|topic| !declared(topic)).map(|t| Fault::NotDeclared(t.name()));
        let used = |record: &&str| self.topics.iter().any(|t| t.schema == **record);
        let unused = schema::records().filter(|record| !used(record)).map(Fault::UnusedSchema);
        each.chain(missing).chain(unused).collect()
    }
}

impl Declared {
    fn faults(&self) -> Vec<Fault> {
        let name = || self.name.clone();
        let mut faults = Vec::new();
        match Topic::by_name(&self.name) {
            None => faults.push(Fault::NoVariant(name())),
            Some(topic) if topic.schema() != self.schema => faults.push(Fault::OtherSchema {
                topic: name(),
                declared: self.schema.clone(),
                carries: topic.schema(),
            }),
            Some(_) => {}
        }
        if !schema::records().any(|record| record == self.schema) {
            faults.push(Fault::NoSchema { topic: name(), schema: self.schema.clone() });
        }
        if self.key.trim().is_empty() {
            faults.push(Fault::NoKey(name()));
        }
        match (self.cleanup, self.retention_days) {
            (Cleanup::Delete, None | Some(0)) => faults.push(Fault::NoRetention(name())),
            (Cleanup::Compact, Some(_)) => faults.push(Fault::NeedlessRetention(name())),
            _ => {}
        }
        if self.partitions == Some(0) {
            faults.push(Fault::NoPartition { topic: name() });
        }
        for (stages, what) in [(&self.writers, "writers"), (&self.readers, "readers")] {
            if stages.is_empty() {
                faults.push(Fault::Idle(name(), what));
            }
            let unknown = stages.iter().filter(|stage| !STAGES.contains(&stage.as_str()));
            faults.extend(unknown.map(|stage| Fault::NoStage { topic: name(), stage: stage.clone() }));
        }
        faults
    }

    fn misaligned(&self, other: &Self) -> Option<Fault> {
        let together = self.aligned.is_some() && self.aligned == other.aligned;
        let differ = [("partitions", self.partitions != other.partitions), ("key", self.key != other.key)];
        let (what, _) = differ.into_iter().find(|(_, differ)| together && *differ)?;
        Some(Fault::NotAligned(self.name.clone(), other.name.clone(), what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Vec<Declared>)) -> Vec<String> {
        let mut topology = Topology::embedded();
        change(&mut topology.topics);
        topology.faults().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn one(faults: &[String], words: &str) {
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(words), "{faults:?}");
    }

    #[test]
    fn what_is_declared_is_sound() {
        assert_eq!(with(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn every_topic_has_a_variant_and_every_variant_a_topic() {
        let renamed = with(|topics| topics[0].name = "bills".into());
        assert!(renamed[0].contains("`bills` is declared but is no"), "{renamed:?}");
        assert!(renamed[1].contains("has `billing`, which is not declared"), "{renamed:?}");
        one(&with(|topics| topics.push(topics[0].clone())), "declared twice");
    }

    #[test]
    fn every_topic_has_its_schema_and_every_schema_a_topic() {
        let other = with(|topics| topics[0].schema = "resource".into());
        assert!(other[0].contains("carries `billing-line`"), "{other:?}");
        assert!(other[1].contains("schema `billing-line` is in no topic"), "{other:?}");
        let none = with(|topics| topics[0].schema = "bill".into());
        assert!(none.iter().any(|fault| fault.contains("not in schemas/")), "{none:?}");
    }

    #[test]
    fn aligned_topics_agree() {
        let faults = with(|topics| topics[4].partitions = Some(3));
        assert!(faults[0].contains("`billing` and `days` are aligned but differ in partitions"), "{faults:?}");
        let faults = with(|topics| topics[7].key = "<tenant>".into());
        assert!(faults[0].contains("differ in key"), "{faults:?}");
    }

    #[test]
    fn cleanup_key_and_stages_are_said() {
        one(&with(|topics| topics[0].retention_days = None), "set retention_days");
        one(&with(|topics| topics[9].retention_days = Some(1)), "remove retention_days");
        one(&with(|topics| topics[9].key = " ".into()), "has no key");
        one(&with(|topics| topics[9].partitions = Some(0)), "0 partitions");
        one(&with(|topics| topics[0].readers.push("alocate".into())), "stage `alocate`");
        one(&with(|topics| topics[0].writers.clear()), "has no writers");
    }

    #[test]
    fn an_installation_adds_prefix_and_sizes() {
        let wanted = Topology::embedded().wanted("tributary.", Layout { partitions: 12, replication_factor: 3 });
        let of = |name: &str| wanted.iter().find(|w| w.name == format!("tributary.{name}")).unwrap();
        assert_eq!((of("billing").partitions, of("quarantine").partitions), (12, 1));
        assert_eq!(of("billing").config["retention.ms"], "34560000000");
        assert_eq!(of("billing").config["min.insync.replicas"], "2");
        assert_eq!(of("allocations").config["cleanup.policy"], "compact");
        assert!(!of("allocations").config.contains_key("retention.ms"));
    }

    #[test]
    fn topics_keep_at_least_what_the_tables_keep() {
        let layout = Layout { partitions: 12, replication_factor: 3 };
        let mut orders = Topology::embedded();
        orders.topics[0].readers = vec!["gather".to_owned()];
        let declared = orders.keeping("", layout, 730)[0].config[RETENTION].clone();
        assert_eq!(declared, (400 * DAY_MS).to_string(), "no table is made from it");
        let retention = |days: u32| {
            let wanted = Topology::embedded().keeping("", layout, days);
            wanted.into_iter().find(|topic| topic.name == "billing").unwrap().config.remove(RETENTION).unwrap()
        };
        assert_eq!(retention(730), (760 * DAY_MS).to_string());
        assert_eq!(retention(1), (400 * DAY_MS).to_string());
    }
}
