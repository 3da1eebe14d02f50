//! What a revision of a day looks like, record by record.
//!
//! In: drafts of lines and usage, facts, the revision's number and reason. Out: numbered records in an order that
//! depends on content only, and the seal that closes them. Absent: topics, decisions.

use chrono::{DateTime, Utc};

use crate::domain::{BillingLine, DaySealed, Identity, MetricValue, Reason, Resource};

use super::facts::{self, Fact, Stamp};

/// All records of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    pub billing: Vec<BillingLine>,
    pub resources: Vec<Resource>,
    pub identities: Vec<Identity>,
    pub metrics: Vec<MetricValue>,
    pub seal: DaySealed,
}

/// What the seal says beyond counts.
#[derive(Debug, Clone)]
pub struct Closing {
    pub reason: Reason,
    pub requested: Option<String>,
    /// Of bill, inventory, rules and usage together.
    pub digest: String,
    /// The rule book's JSON.
    pub rules: String,
    pub metrics_failed: Vec<String>,
    pub quarantined: u32,
    pub gathered_at: DateTime<Utc>,
}

/// Builds a revision. Drafts are numbered and get tenant, day and revision; their content is not touched.
pub fn revision(
    stamp: Stamp<'_>,
    mut billing: Vec<BillingLine>,
    facts: &[Fact<'_>],
    mut metrics: Vec<MetricValue>,
    closing: Closing,
) -> Revision {
    number_lines(&mut billing, stamp);
    number_values(&mut metrics, stamp);
    let (resources, identities) = (facts::resources(facts, stamp), facts::identities(facts, stamp));
    let seal = DaySealed {
        tenant: stamp.tenant.to_owned(),
        day: stamp.day,
        revision: stamp.revision,
        ecosystem: stamp.ecosystem.to_owned(),
        billing_lines: billing.len() as u32,
        resources: resources.len() as u32,
        identities: identities.len() as u32,
        metrics: metrics.len() as u32,
        digest: closing.digest,
        rules: closing.rules,
        metrics_failed: closing.metrics_failed,
        quarantined: closing.quarantined,
        reason: closing.reason,
        requested: closing.requested,
        gathered_at: closing.gathered_at,
    };
    Revision { billing, resources, identities, metrics, seal }
}

fn number_lines(lines: &mut [BillingLine], stamp: Stamp<'_>) {
    lines.sort_unstable_by(|a, b| line_key(a).cmp(&line_key(b)));
    let count = lines.len() as u32;
    for (line, ordinal) in lines.iter_mut().zip(0..) {
        stamp.tenant.clone_into(&mut line.tenant);
        stamp.ecosystem.clone_into(&mut line.ecosystem);
        (line.day, line.revision) = (stamp.day, stamp.revision);
        (line.ordinal, line.count) = (ordinal, count);
    }
}

fn number_values(values: &mut [MetricValue], stamp: Stamp<'_>) {
    values.sort_unstable_by(|a, b| value_key(a).cmp(&value_key(b)));
    let count = values.len() as u32;
    for (value, ordinal) in values.iter_mut().zip(0..) {
        stamp.tenant.clone_into(&mut value.tenant);
        stamp.ecosystem.clone_into(&mut value.ecosystem);
        (value.day, value.revision) = (stamp.day, stamp.revision);
        (value.ordinal, value.count) = (ordinal, count);
    }
}

/// By which a line is unique in its revision.
fn line_key(line: &BillingLine) -> [&str; 5] {
    [&line.env_id, &line.resource_id, &line.product_category, &line.product_type, &line.currency]
}

/// By which a value is unique in its revision.
fn value_key(value: &MetricValue) -> [&str; 3] {
    [&value.resource_id, &value.metric, &value.subject]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, day, entities, key, lifetime, line, resource, usage};
    use super::*;

    fn sealed(billing: Vec<BillingLine>, metrics: Vec<MetricValue>) -> Revision {
        let all = entities([resource("a", [lifetime(None, None)]), key("K", "sa-1", "a", [lifetime(None, None)])]);
        let stamp = Stamp { tenant: "t", ecosystem: "e", day: day("2026-02-10"), revision: 7 };
        let closing = Closing {
            reason: Reason::Bill,
            requested: None,
            digest: "d".into(),
            rules: "{}".into(),
            metrics_failed: vec![],
            quarantined: 2,
            gathered_at: at("2026-03-01T00:00:00Z"),
        };
        revision(stamp, billing, &facts::of_day(&all, stamp.day, &[]), metrics, closing)
    }

    #[test]
    fn the_order_of_records_depends_on_content_only() {
        let lines = vec![line("b", "T", "1"), line("a", "U", "2"), line("a", "T", "3")];
        let values = vec![usage("a", "m", "y", 1.0), usage("a", "m", "x", 2.0)];
        let turned = (lines.iter().rev().cloned().collect(), values.iter().rev().cloned().collect());
        assert_eq!(sealed(lines, values), sealed(turned.0, turned.1));
    }

    #[test]
    fn the_seal_counts_what_the_records_number() {
        let revision = sealed(vec![line("b", "T", "1"), line("a", "T", "2")], vec![usage("a", "m", "x", 1.0)]);
        let seal = &revision.seal;
        assert_eq!((seal.billing_lines, seal.resources, seal.identities, seal.metrics), (2, 1, 1, 1));
        let numbers: Vec<_> = revision.billing.iter().map(|l| (l.resource_id.as_str(), l.ordinal, l.count)).collect();
        assert_eq!(numbers, [("a", 0, 2), ("b", 1, 2)]);
        assert!(revision.billing.iter().all(|l| l.tenant == "t" && l.revision == 7 && l.ecosystem == "e"));
        assert_eq!((revision.metrics[0].revision, seal.revision, seal.quarantined), (7, 7, 2));
    }
}
