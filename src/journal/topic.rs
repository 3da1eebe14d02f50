//! The topics of the log by name.
//!
//! In: nothing. Out: [`Topic`] and what it carries. What a topic is for, its key and its cleanup are data in
//! `topology/topics.toml`. Absent: IO.

use std::fmt;

/// A topic of the log, in the data's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Billing,
    Resources,
    Identities,
    Metrics,
    Days,
    Chargebacks,
    TopicAttributions,
    Allocations,
    GatherState,
    Quarantine,
    Commands,
    Runs,
    Tenants,
    Emissions,
    Audit,
    Tokens,
}

impl Topic {
    const ALL: [Self; 16] = [
        Self::Billing,
        Self::Resources,
        Self::Identities,
        Self::Metrics,
        Self::Days,
        Self::Chargebacks,
        Self::TopicAttributions,
        Self::Allocations,
        Self::GatherState,
        Self::Quarantine,
        Self::Commands,
        Self::Runs,
        Self::Tenants,
        Self::Emissions,
        Self::Audit,
        Self::Tokens,
    ];

    /// Every topic, in the data's order.
    pub const fn all() -> &'static [Self] {
        &Self::ALL
    }

    /// Its name in `topology/topics.toml`, without the prefix of the installation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Resources => "resources",
            Self::Identities => "identities",
            Self::Metrics => "metrics",
            Self::Days => "days",
            Self::Chargebacks => "chargebacks",
            Self::TopicAttributions => "topic-attributions",
            Self::Allocations => "allocations",
            Self::GatherState => "gather-state",
            Self::Quarantine => "quarantine",
            Self::Commands => "commands",
            Self::Runs => "runs",
            Self::Tenants => "tenants",
            Self::Emissions => "emissions",
            Self::Audit => "audit",
            Self::Tokens => "tokens",
        }
    }

    /// The record it carries: a folder of `schemas/`.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Billing => "billing-line",
            Self::Resources => "resource",
            Self::Identities => "identity",
            Self::Metrics => "metric-value",
            Self::Days => "day-sealed",
            Self::Chargebacks => "chargeback-row",
            Self::TopicAttributions => "topic-attribution-row",
            Self::Allocations => "day-allocated",
            Self::GatherState => "gather-state",
            Self::Quarantine => "quarantined",
            Self::Commands => "command",
            Self::Runs => "run",
            Self::Tenants => "tenant-event",
            Self::Emissions => "emission",
            Self::Audit => "audit-event",
            Self::Tokens => "api-token",
        }
    }

    /// The topic of that name, without prefix.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_topic() {
        for topic in Topic::all() {
            assert_eq!(Topic::by_name(topic.name()), Some(*topic));
        }
        assert_eq!(Topic::by_name("tributary.billing"), None);
    }
}
