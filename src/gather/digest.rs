//! When two gathered days are equal: digests over what allocation can see.
//!
//! In: billing lines, facts, rules, usage. Out: hex digests. Absent: display names, evidence, and every moment
//! outside the day: a deletion next week does not change last week.
//!
//! Each record becomes bytes in which no two different records look alike (texts carry their length); the
//! sorted records are hashed with BLAKE3, so arrival order has no say.

use chrono::{DateTime, Utc};

use crate::domain::{Amount, BillingLine, Day, EntityKind, Lifetime, MetricValue, Subject};

use super::facts::Fact;

/// Attributes that a resolver reads; all others are for readers.
const SEEN_ATTRIBUTES: [&str; 7] = [
    "compute_pool_id",
    "is_stopped",
    "kafka_api_key",
    "kafka_auth_mode",
    "kafka_service_account_id",
    "owner_id",
    "statement_name",
];

/// Digest of a day's bill.
pub fn of_bill(lines: &[BillingLine]) -> String {
    of_records(lines.iter().map(line_bytes))
}

/// Digest of a day's inventory and of the rules (the rule book's JSON) it is allocated by.
pub fn of_inventory(facts: &[Fact<'_>], day: Day, rules: &str) -> String {
    let mut book = Bytes::default();
    book.text("rules").text(rules);
    of_records(facts.iter().map(|fact| fact_bytes(fact, day)).chain([book.0]))
}

/// Digest of a day's usage and of the resources whose usage could not be had: "unknown" is not "none".
pub fn of_usage<'a>(values: &[MetricValue], failed: impl IntoIterator<Item = &'a String>) -> String {
    let missing = failed.into_iter().map(|resource_id| {
        let mut bytes = Bytes::default();
        bytes.text("failed").text(resource_id);
        bytes.0
    });
    of_records(values.iter().map(value_bytes).chain(missing))
}

/// One digest of several, in this order.
pub fn combined(digests: &[&str]) -> String {
    let mut all = Bytes::default();
    digests.iter().for_each(|digest| {
        all.text(digest);
    });
    blake3::hash(&all.0).to_hex().to_string()
}

/// What is charged, not how it was worded: names and the provider's raw rows are left out.
fn line_bytes(line: &BillingLine) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.text(&line.env_id).text(&line.resource_id);
    bytes.text(&line.product_category).text(&line.product_type);
    bytes.text(&line.currency).text(&line.granularity);
    bytes.amount(line.amount).amount(line.quantity).amount(line.unit_price);
    bytes.option(line.original_amount, |bytes, amount| bytes.amount(amount));
    bytes.moment(line.period_start).moment(line.period_end);
    bytes.0
}

fn fact_bytes(fact: &Fact<'_>, day: Day) -> Vec<u8> {
    let entity = fact.entity;
    let mut bytes = Bytes::default();
    bytes.text(match entity.kind {
        EntityKind::Resource => "resource",
        EntityKind::Identity => "identity",
    });
    bytes.text(&entity.id).text(&entity.entity_type);
    for reference in [&entity.parent_id, &entity.owner_id, &entity.resource_id] {
        bytes.option(reference.as_deref(), |bytes, id| bytes.text(id));
    }
    bytes.lifetime(fact.lifetime, day);
    for name in SEEN_ATTRIBUTES {
        bytes.option(entity.attributes.get(name), |bytes, value| bytes.text(value));
    }
    bytes.0
}

fn value_bytes(value: &MetricValue) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.text("value").text(&value.resource_id).text(&value.metric);
    bytes.text(match value.subject_type {
        Subject::Principal => "principal",
        Subject::Topic => "topic",
        Subject::Statement => "statement",
    });
    // A metrics store may add the same samples in another order the next time; its last digits are no news.
    bytes.text(&value.subject).text(&format!("{:.11e}", value.value + 0.0));
    bytes.0
}

fn of_records(records: impl Iterator<Item = Vec<u8>>) -> String {
    let mut records: Vec<Vec<u8>> = records.collect();
    records.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for record in &records {
        hasher.update(&(record.len() as u64).to_le_bytes()).update(record);
    }
    hasher.finalize().to_hex().to_string()
}

/// Bytes that read back in one way only.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn amount(&mut self, amount: Amount) -> &mut Self {
        self.0.extend_from_slice(&amount.units().to_le_bytes());
        self
    }

    fn moment(&mut self, moment: DateTime<Utc>) -> &mut Self {
        self.0.extend_from_slice(&moment.timestamp_micros().to_le_bytes());
        self
    }

    fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        self.0.push(u8::from(value.is_some()));
        match value {
            Some(value) => put(self, value),
            None => self,
        }
    }

    /// A lifetime only as far as it cuts the day.
    fn lifetime(&mut self, lifetime: Lifetime, day: Day) -> &mut Self {
        self.0.push(u8::from(lifetime.overlaps(day)));
        let inside = |moment: &DateTime<Utc>| *moment >= day.start() && *moment < day.end();
        self.option(lifetime.created_at.filter(inside), Self::moment);
        self.option(lifetime.deleted_at.filter(inside), Self::moment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::facts::of_day;
    use super::super::testing::{day, entities, lifetime, line, resource, usage};
    use super::*;

    fn inventory(of: crate::domain::GatheredEntity) -> String {
        let all = entities([of]);
        of_inventory(&of_day(&all, day("2026-02-10"), &[]), day("2026-02-10"), "{}")
    }

    #[test]
    fn a_deletion_after_the_day_does_not_change_it() {
        let alive = inventory(resource("a", [lifetime(None, None)]));
        assert_eq!(inventory(resource("a", [lifetime(None, Some("2026-02-11T00:00:00Z"))])), alive);
        assert_ne!(inventory(resource("a", [lifetime(None, Some("2026-02-10T12:00:00Z"))])), alive);
    }

    #[test]
    fn a_creation_before_the_day_does_not_change_it() {
        let alive = inventory(resource("a", [lifetime(None, None)]));
        assert_eq!(inventory(resource("a", [lifetime(Some("2026-02-09T23:00:00Z"), None)])), alive);
        assert_ne!(inventory(resource("a", [lifetime(Some("2026-02-10T01:00:00Z"), None)])), alive);
    }

    #[test]
    fn names_and_evidence_say_nothing() {
        let plain = resource("a", [lifetime(None, None)]);
        let mut named = plain.clone();
        named.display_name = Some("orders".into());
        named.attributes.insert("bootstrap_url".into(), "somewhere".into());
        assert_eq!(inventory(plain), inventory(named));
        let plain = line("lkc-1", "KAFKA_STORAGE", "1.5");
        let mut worded = plain.clone();
        worded.resource_name = Some("orders".into());
        worded.evidence.push("{}".into());
        assert_eq!(of_bill(&[plain]), of_bill(&[worded]));
    }

    #[test]
    fn what_a_resolver_reads_counts() {
        let plain = resource("a", [lifetime(None, None)]);
        let (mut owned, mut stopped) = (plain.clone(), plain.clone());
        owned.owner_id = Some("sa-1".into());
        stopped.attributes.insert("is_stopped".into(), "true".into());
        let digests = [plain, owned, stopped].map(inventory);
        assert_ne!(digests[0], digests[1]);
        assert_ne!(digests[0], digests[2]);
    }

    #[test]
    fn other_rules_are_another_inventory() {
        assert_ne!(of_inventory(&[], day("2026-02-10"), "{}"), of_inventory(&[], day("2026-02-10"), "{ }"));
    }

    #[test]
    fn unknown_usage_is_not_no_usage() {
        assert_ne!(of_usage(&[], &["lkc-1".into()]), of_usage(&[], &[]));
    }

    #[test]
    fn the_last_digits_of_a_sum_are_no_news() {
        let digest = |value| of_usage(&[usage("lkc-1", "bytes_in", "sa-1", value)], &[]);
        assert_eq!(digest(0.1 + 0.2), digest(0.3));
        assert_eq!(digest(-0.0), digest(0.0));
        assert_ne!(digest(0.3), digest(0.300_000_001));
    }

    #[test]
    fn neighbouring_texts_do_not_run_together() {
        assert_ne!(of_bill(&[line("ab", "c", "1")]), of_bill(&[line("a", "bc", "1")]));
        assert_ne!(combined(&["ab", "c"]), combined(&["a", "bc"]));
    }

    proptest! {
        #[test]
        fn order_has_no_say(amounts in proptest::collection::vec(-1000i64..1000, 0..8), seed in any::<u64>()) {
            let lines: Vec<_> =
                amounts.iter().enumerate().map(|(i, n)| line(&format!("lkc-{}", i % 3), "T", &n.to_string())).collect();
            let mut turned = lines.clone();
            if !turned.is_empty() {
                let by = seed as usize % turned.len();
                turned.rotate_left(by);
                turned.swap(0, by);
            }
            prop_assert_eq!(of_bill(&lines), of_bill(&turned));
        }

        #[test]
        fn any_other_amount_is_another_bill(a in -1_000_000i128..1_000_000, b in -1_000_000i128..1_000_000) {
            let digest = |units| {
                let mut line = line("lkc-1", "T", "0");
                line.amount = Amount::from_units(units);
                of_bill(&[line])
            };
            prop_assert_eq!(digest(a) == digest(b), a == b);
        }
    }
}
