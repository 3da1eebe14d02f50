//! How far each projection has read, and who may move that on.

use super::StoreError;

/// A table that is kept up to date from topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    Billing,
    Resources,
    Identities,
    Chargebacks,
    TopicAttributions,
    Days,
    Quarantine,
    Gathering,
    Tenants,
    Emissions,
    Audit,
    Tokens,
    Tags,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Billing,
        Self::Resources,
        Self::Identities,
        Self::Chargebacks,
        Self::TopicAttributions,
        Self::Days,
        Self::Quarantine,
        Self::Gathering,
        Self::Tenants,
        Self::Emissions,
        Self::Audit,
        Self::Tokens,
        Self::Tags,
    ];

    /// Its name on the command line, in consumer groups and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Resources => "resources",
            Self::Identities => "identities",
            Self::Chargebacks => "chargebacks",
            Self::TopicAttributions => "topic-attributions",
            Self::Days => "days",
            Self::Quarantine => "quarantine",
            Self::Gathering => "gathering",
            Self::Tenants => "tenants",
            Self::Emissions => "emissions",
            Self::Audit => "audit",
            Self::Tokens => "tokens",
            Self::Tags => "tags",
        }
    }

    /// The projection of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// The table of facts that is written in slices, if it is.
    pub(super) const fn slice_table(self) -> Option<&'static str> {
        match self {
            Self::Billing => Some("billing_facts"),
            Self::Resources => Some("resource_facts"),
            Self::Identities => Some("identity_facts"),
            Self::Chargebacks => Some("chargeback_facts"),
            Self::TopicAttributions => Some("topic_attribution_facts"),
            Self::Days
            | Self::Quarantine
            | Self::Gathering
            | Self::Tenants
            | Self::Emissions
            | Self::Audit
            | Self::Tokens
            | Self::Tags => None,
        }
    }

    /// Everything a rebuild empties.
    pub(super) const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Billing => &["billing_facts", "replaced_lines"],
            Self::Resources => &["resource_facts", "resource_places"],
            Self::Identities => &["identity_facts"],
            Self::Chargebacks => &["chargeback_facts", "chargeback_dimensions", "chargeback_months", "chargeback_sums"],
            Self::TopicAttributions => &["topic_attribution_facts"],
            Self::Days => &["day_facts", "day_revisions", "rule_books"],
            Self::Quarantine => &["quarantine"],
            Self::Gathering => &["run_facts", "held_days"],
            // What was forgotten stays so, whatever is read again and in whichever order.
            Self::Tenants => &[],
            Self::Emissions => &["emission_facts"],
            Self::Audit => &["audit_facts"],
            Self::Tokens => &["api_tokens"],
            Self::Tags => &["tag_facts"],
        }
    }
}

/// What a projection reads next in a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic as Kafka knows it, prefix included.
    pub topic: String,
    pub partition: i32,
    /// The offset to read next.
    pub next: i64,
}

/// The step a batch takes in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// Pairs what a batch ends at with where its reader believed to stand, and compares that with the table.
///
/// Offsets have holes (transaction markers, compaction), so `to` may be any distance beyond `from`; but `from` must
/// be exactly what is stored, or somebody else has been here.
pub(super) fn steps<'a>(
    projection: Projection,
    believed: &[Position],
    ends: &'a [Position],
    stored: &[Position],
) -> Result<Vec<Step<'a>>, StoreError> {
    let find = |list: &[Position], end: &Position| {
        list.iter().find(|p| p.topic == end.topic && p.partition == end.partition).map(|p| p.next)
    };
    ends.iter()
        .map(|end| match (find(believed, end), find(stored, end)) {
            (Some(from), Some(here)) if from == here && from <= end.next => {
                Ok(Step { topic: &end.topic, partition: end.partition, from, to: end.next })
            }
            _ => Err(StoreError::Fenced(projection.name())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64) -> Position {
        Position { topic: "t".into(), partition: 0, next }
    }

    fn step(believed: i64, end: i64, stored: i64) -> Result<(i64, i64), ()> {
        let steps = steps(Projection::Days, &[at(believed)], &[at(end)], &[at(stored)]).map(|s| (s[0].from, s[0].to));
        steps.map_err(|error| assert!(matches!(error, StoreError::Fenced("days"))))
    }

    #[test]
    fn a_position_moves_only_forward_and_only_from_where_it_is() {
        assert_eq!(step(5, 9, 5), Ok((5, 9)));
        assert_eq!(step(5, 5, 5), Ok((5, 5)));
        assert_eq!(step(5, 9, 7), Err(()), "a zombie that missed what another wrote");
        assert_eq!(step(5, 9, 0), Err(()), "a rebuild in between");
        assert_eq!(step(5, 4, 5), Err(()), "backwards");
    }
}
