//! Declared topics and a cluster's topics in, steps out.
//!
//! In: [`Wanted`] topics, what [`Existing`] says. Out: [`Step`]s that create, widen and set what is ours.
//! Nothing is ever deleted or narrowed; what would need it is reported. Absent: IO.

use std::collections::BTreeMap;
use std::fmt;

use super::topology::{RETENTION, Wanted};

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Existing {
    pub partitions: u32,
    /// How many of them cannot be used now.
    pub leaderless: u32,
    pub replication_factor: u16,
    /// Every setting that holds for it, wherever it comes from.
    pub config: BTreeMap<String, String>,
    /// Those of them that were set on the topic itself.
    pub own: BTreeMap<String, String>,
}

/// What to do, or to know, about one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Create(Wanted),
    /// More partitions: keys may move, records already there stay where they are.
    Widen {
        topic: String,
        from: u32,
        to: u32,
    },
    /// `changes` by (setting, now, wanted); `all` is everything set on the topic afterwards, others' wishes kept.
    Alter {
        topic: String,
        changes: Vec<(String, Option<String>, String)>,
        all: BTreeMap<String, String>,
    },
    /// Fewer partitions are declared than there are: Kafka cannot take partitions away.
    Narrower {
        topic: String,
        declared: u32,
        actual: u32,
    },
    /// Other replication than declared; moving replicas is the operator's work.
    OtherReplication {
        topic: String,
        declared: u16,
        actual: u16,
    },
    /// Carries our prefix but is not declared; left alone.
    Undeclared {
        topic: String,
    },
}

impl Step {
    /// Does `apply` do something about it?
    pub fn changes_something(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Widen { .. } | Self::Alter { .. })
    }
}

/// The steps from what is there to what is wanted, in the data's order. Empty if all is well.
pub fn plan(wanted: &[Wanted], actual: &BTreeMap<String, Existing>, prefix: &str) -> Vec<Step> {
    let declared = wanted.iter().flat_map(|topic| match actual.get(&topic.name) {
        None => vec![Step::Create(topic.clone())],
        Some(existing) => compare(topic, existing),
    });
    let ours = |name: &str| !prefix.is_empty() && name.starts_with(prefix);
    let unknown = |name: &str| !wanted.iter().any(|topic| topic.name == name);
    let undeclared = actual.keys().filter(|name| ours(name) && unknown(name));
    declared.chain(undeclared.map(|name| Step::Undeclared { topic: name.clone() })).collect()
}

fn compare(wanted: &Wanted, existing: &Existing) -> Vec<Step> {
    let topic = || wanted.name.clone();
    let partitions = match (existing.partitions, wanted.partitions) {
        (from, to) if from < to => Some(Step::Widen { topic: topic(), from, to }),
        (actual, declared) if actual > declared => Some(Step::Narrower { topic: topic(), declared, actual }),
        _ => None,
    };
    let (declared, actual) = (wanted.replication_factor, existing.replication_factor);
    let replication = (declared != actual).then(|| Step::OtherReplication { topic: topic(), declared, actual });
    partitions.into_iter().chain(alter(wanted, existing)).chain(replication).collect()
}

fn alter(wanted: &Wanted, existing: &Existing) -> Option<Step> {
    let differs = |(key, value): &(&String, &String)| match existing.config.get(*key) {
        Some(now) if key.as_str() == RETENTION => !keeps_enough(now, value),
        now => now != Some(*value),
    };
    let change = |(key, value): (&String, &String)| (key.clone(), existing.config.get(key).cloned(), value.clone());
    let changes: Vec<_> = wanted.config.iter().filter(differs).map(change).collect();
    // Kafka replaces all of a topic's settings at once: what others set on it is repeated.
    let mut all = existing.own.clone();
    for (key, value) in wanted.config.iter().filter(|pair| pair.0 != RETENTION || differs(pair)) {
        all.insert(key.clone(), value.clone());
    }
    (!changes.is_empty()).then(|| Step::Alter { topic: wanted.name.clone(), changes, all })
}

/// Records that are kept for longer than is needed are not thrown away: another process may know why.
fn keeps_enough(now: &str, wanted: &str) -> bool {
    match (now.parse::<i64>(), wanted.parse::<i64>()) {
        (Ok(now), Ok(wanted)) => now < 0 || now >= wanted,
        _ => now == wanted,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(wanted) => {
                let Wanted { name, partitions, replication_factor, config } = wanted;
                write!(f, "create {name}: {partitions} partitions, {replication_factor} replicas")?;
                config.iter().try_for_each(|(key, value)| write!(f, ", {key}={value}"))
            }
            Self::Widen { topic, from, to } => {
                write!(f, "widen {topic}: {from} to {to} partitions (records already there stay where they are)")
            }
            Self::Alter { topic, changes, .. } => {
                write!(f, "alter {topic}:")?;
                changes.iter().try_for_each(|(key, now, to)| {
                    write!(f, " {key}={to} (now {})", now.as_deref().unwrap_or("not set"))
                })
            }
            Self::Narrower { topic, declared, actual } => write!(
                f,
                "problem {topic}: {declared} partitions are declared, it has {actual}, and Kafka cannot take any away; \
                 set topics.partitions to {actual} or more"
            ),
            Self::OtherReplication { topic, declared, actual } => write!(
                f,
                "note {topic}: {declared} replicas are declared, it has {actual}; move replicas with Kafka's own \
                 tools, or set topics.replication_factor to {actual}"
            ),
            Self::Undeclared { topic } => write!(f, "note {topic}: not declared, left alone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::topology::{Layout, Topology};

    const PREFIX: &str = "t.";

    fn wanted() -> Vec<Wanted> {
        Topology::embedded().wanted(PREFIX, Layout { partitions: 6, replication_factor: 1 })
    }

    fn after(wanted: &[Wanted]) -> BTreeMap<String, Existing> {
        let existing = |w: &Wanted| Existing {
            partitions: w.partitions,
            leaderless: 0,
            replication_factor: w.replication_factor,
            config: w.config.clone(),
            own: w.config.clone(),
        };
        wanted.iter().map(|w| (w.name.clone(), existing(w))).collect()
    }

    fn steps(change: impl FnOnce(&mut BTreeMap<String, Existing>)) -> Vec<Step> {
        let mut actual = after(&wanted());
        change(&mut actual);
        plan(&wanted(), &actual, PREFIX)
    }

    #[test]
    fn an_empty_cluster_gets_every_topic_and_then_nothing_is_left_to_do() {
        let first = plan(&wanted(), &BTreeMap::new(), PREFIX);
        assert_eq!(first.len(), Topology::embedded().topics.len());
        assert!(first.iter().all(|step| matches!(step, Step::Create(_))));
        assert_eq!(steps(|_| {}), []);
    }

    #[test]
    fn fewer_partitions_are_widened_and_more_are_a_problem() {
        let widened = steps(|actual| actual.get_mut("t.billing").unwrap().partitions = 2);
        assert_eq!(widened, [Step::Widen { topic: "t.billing".into(), from: 2, to: 6 }]);
        let narrower = steps(|actual| actual.get_mut("t.billing").unwrap().partitions = 8);
        assert_eq!(narrower, [Step::Narrower { topic: "t.billing".into(), declared: 6, actual: 8 }]);
        assert!(!narrower[0].changes_something());
    }

    #[test]
    fn settings_of_ours_are_set_and_those_of_others_are_kept() {
        let altered = steps(|actual| {
            let billing = actual.get_mut("t.billing").unwrap();
            billing.config.insert("retention.ms".into(), "1000".into());
            billing.own.insert("segment.bytes".into(), "1048576".into());
        });
        let [Step::Alter { changes, all, .. }] = &altered[..] else { panic!("{altered:?}") };
        assert_eq!(changes, &[("retention.ms".to_owned(), Some("1000".to_owned()), "34560000000".to_owned())]);
        assert_eq!(all["segment.bytes"], "1048576");
        assert_eq!(all["retention.ms"], "34560000000");
    }

    #[test]
    fn records_that_are_kept_for_longer_stay() {
        let set = |value: &str| {
            steps(|actual| {
                drop(actual.get_mut("t.billing").unwrap().config.insert("retention.ms".into(), value.into()))
            })
        };
        assert_eq!(set("34560000001"), []);
        assert_eq!(set("-1"), [], "for ever");
        assert_eq!(set("34559999999").len(), 1);
        let beside = steps(|actual| {
            let billing = actual.get_mut("t.billing").unwrap();
            billing.config.extend([("retention.ms".into(), "-1".into()), ("cleanup.policy".into(), "compact".into())]);
            billing.own.insert("retention.ms".into(), "-1".into());
        });
        let [Step::Alter { all, .. }] = &beside[..] else { panic!("{beside:?}") };
        assert_eq!((&all["cleanup.policy"][..], &all["retention.ms"][..]), ("delete", "-1"));
    }

    #[test]
    fn what_is_not_declared_is_left_alone() {
        let named = |name: &str| steps(|actual| drop(actual.insert(name.into(), Existing::default())));
        assert_eq!(named("t.old"), [Step::Undeclared { topic: "t.old".into() }]);
        assert_eq!(named("orders"), []);
        let unprefixed = plan(&[], &BTreeMap::from([("orders".to_owned(), Existing::default())]), "");
        assert_eq!(unprefixed, []);
    }
}
