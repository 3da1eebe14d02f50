//! What holds for any cluster of one's own, from its rate card and its measurements to the rows.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;
use tributary::domain::attribution::WithoutUsage;
use tributary::domain::promql::{Fold, Sampling};
use tributary::domain::{Amount, BillingLine};
use tributary::ecosystem::metered::measure::{GIB, Measure, Points};
use tributary::ecosystem::metered::people::{Origin, People};
use tributary::ecosystem::metered::tariff::{Cost, Quantity, Tariff, bill};
use tributary::ecosystem::prometheus::{Matrix, Series};
use tributary::ecosystem::self_managed_kafka::rules::{COMPUTE, EGRESS, INGRESS, STORAGE, rule_book};
use tributary::ecosystem::self_managed_kafka::topics::topic_rules;
use tributary::ecosystem::topics::Choices;

use crate::case::{Facts, day, line, value};

const CLUSTER: &str = "dc-1";
const PEOPLE: [&str; 3] = ["User:a", "User:b", "User:c"];
const TOPICS: [&str; 4] = ["orders", "clicks", "audit", "__consumer_offsets"];

/// The lines of the day at these rates, from a value for each hour.
fn lines(rates: [u64; 4], hours: &[f64]) -> Vec<BillingLine> {
    let hourly = |at_ends| Sampling { step: TimeDelta::hours(1), at_ends };
    let measure = |fold, at_ends| {
        let (expressions, sampling) = (vec!["x".to_owned()], hourly(at_ends));
        Quantity::Measured(Measure { expressions, sampling, fold, unit: GIB, hourly: !at_ends })
    };
    let quantities = [
        Quantity::Fixed { per_hour: Amount::whole(3) },
        measure(Fold::Mean, false),
        measure(Fold::Sum, true),
        measure(Fold::Sum, true),
    ];
    let cost = |((product_type, rate), quantity): ((&str, u64), Quantity)| Cost {
        product_type: product_type.to_owned(),
        category: "kafka".to_owned(),
        unit_price: Amount::from_units(rate.into()),
        quantity,
    };
    let tariff = Tariff {
        ecosystem: "self_managed_kafka",
        resource_id: CLUSTER.to_owned(),
        resource_name: CLUSTER.to_owned(),
        currency: "USD".to_owned(),
        costs: [COMPUTE, STORAGE, INGRESS, EGRESS].into_iter().zip(rates).zip(quantities).map(cost).collect(),
        minimum_coverage: 0.0,
        wait_days: 0,
        presence: None,
        once: None,
    };
    let points = |at_ends| {
        let at = |hour: usize| day().start() + TimeDelta::hours(hour as i64 + i64::from(at_ends));
        let points = hours.iter().enumerate().map(|(hour, value)| (at(hour), *value)).collect();
        Points::read(Matrix { series: vec![Series { labels: BTreeMap::new(), points }], dropped: 0 }, hourly(at_ends))
    };
    let (none, measured) = (Points::default(), [Points::default(), points(false), points(true), points(true)]);
    let mut bill = bill(&tariff, (day(), day().plus(1)), day().plus(9).start(), &measured, &none, &none);
    bill.days.remove(&day()).expect("the day").lines
}

proptest! {
    /// Any rates, any values, any usage by principal and by topic: no line is negative, its rows add up to it, and so do
    /// its rows by topic, of which there are some whenever a topic is known.
    #[test]
    fn lines_are_not_negative_and_add_up_by_principal_and_by_topic(
        rates in prop::array::uniform4(0_u64..10_u64.pow(17)),
        hours in prop::collection::vec(-1e9..1e13, 24),
        used in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1e15], 2 * PEOPLE.len()),
        moved in prop::collection::vec(prop::option::of(prop_oneof![Just(0.0), 0.0..1e15]), 3 * TOPICS.len()),
    ) {
        let choices = Choices {
            methods: BTreeMap::new(),
            excluded: vec!["__consumer_offsets".to_owned()],
            without_usage: WithoutUsage::EvenSplit,
        };
        let people =
            People { origin: Origin::Prometheus, teams: BTreeMap::new(), default_team: "-".to_owned(), fixed: vec![] };
        let book = rule_book(&people).with_topics(Some(topic_rules(CLUSTER, &choices)));
        let mut facts = Facts::new(&serde_json::to_string(&book).unwrap());
        let billed = lines(rates, &hours);
        prop_assert_eq!(billed.len(), 4);
        prop_assert!(billed.iter().all(|line| line.amount >= Amount::ZERO));
        facts.lines = billed.iter().map(|l| line(&l.product_type, CLUSTER, l.amount)).collect();
        let by = |metrics: &[&'static str], subjects: &[&'static str]| -> Vec<(&str, &str)> {
            metrics.iter().flat_map(|metric| subjects.iter().map(|subject| (*metric, *subject))).collect()
        };
        let principals = by(&["bytes_in", "bytes_out"], &PEOPLE).into_iter().zip(used.into_iter().map(Some));
        let topics = by(&["topic_bytes_in", "topic_bytes_out", "topic_retained_bytes"], &TOPICS).into_iter().zip(moved);
        let values = principals.chain(topics).filter_map(|((metric, subject), used)| Some((metric, subject, used?)));
        facts.metrics = values.map(|(metric, subject, used)| value(CLUSTER, metric, subject, used)).collect();
        facts.number();

        let allocation = facts.allocate().unwrap();
        let (mut paid, mut by_topic) = (BTreeMap::new(), BTreeMap::new());
        for row in allocation.iter() {
            *paid.entry(row.product_type.to_owned()).or_insert(Amount::ZERO) += row.amount;
        }
        for row in allocation.topics() {
            prop_assert!(row.amount > Amount::ZERO && row.topic_name != "__consumer_offsets");
            *by_topic.entry(row.product_type.to_owned()).or_insert(Amount::ZERO) += row.amount;
        }
        let known = facts.metrics.iter().any(|value| TOPICS[..3].contains(&value.subject.as_str()));
        for line in facts.lines.iter().filter(|line| !line.amount.is_zero()) {
            prop_assert_eq!(paid.get(&line.product_type), Some(&line.amount));
            prop_assert_eq!(by_topic.get(&line.product_type), Some(&line.amount).filter(|_| known));
        }
    }
}
