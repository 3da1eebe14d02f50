//! The topics, in the order in which data flows.

/// A topic of ours, without the installation's prefix.
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
}

impl Topic {
    /// The name without the prefix.
    pub fn name(self) -> &'static str {
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
        }
    }

    /// All of them.
    pub fn all() -> &'static [Self] {
        &[
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
        ]
    }
}
