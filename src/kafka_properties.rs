//! The properties of the Kafka client that an operator may not change, because money depends on them.
//!
//! In: nothing. Out: one list, for whoever reads a configuration and for whoever makes a client.

/// A property that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    pub property: &'static str,
    /// The one value that is accepted, being ours anyway.
    pub value: Option<&'static str>,
    pub why: &'static str,
    pub remedy: &'static str,
}

impl Fixed {
    const fn at(property: &'static str, value: &'static str, why: &'static str) -> Self {
        Self { property, value: Some(value), why, remedy: "remove the property" }
    }

    const fn elsewhere(property: &'static str, why: &'static str, remedy: &'static str) -> Self {
        Self { property, value: None, why, remedy }
    }

    /// Would this value break the promise?
    pub fn refuses(&self, value: &str) -> bool {
        self.value.is_none_or(|ours| !ours.eq_ignore_ascii_case(value.trim()))
    }
}

/// All of them.
pub const FIXED: [Fixed; 13] = [
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

/// The property of that name, if it is ours.
pub fn fixed(property: &str) -> Option<&'static Fixed> {
    FIXED.iter().find(|fixed| fixed.property == property)
}
