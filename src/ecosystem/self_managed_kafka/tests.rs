//! Questions, rules and the look at what exists.

use std::collections::BTreeMap;

use super::inventory::read;
use super::*;
use crate::domain::attribution::WithoutUsage;
use crate::domain::rule::{Rule, Split};
use crate::ecosystem::metered::people::{Fixed, Origin};
use crate::ecosystem::prometheus::Sample;
use crate::ecosystem::topics::Choices;

fn names() -> Names {
    Names {
        bytes_in: "in_total".into(),
        bytes_out: "out_total".into(),
        log_size: "log_size".into(),
        by_principal: None,
        broker: "broker".into(),
        topic: "topic".into(),
        partition: "partition".into(),
        principal: "principal".into(),
        selector: BTreeMap::new(),
    }
}

#[test]
fn traffic_is_asked_for_over_exactly_a_day_and_the_sum_of_all_topics_only_where_there_is_no_other() {
    let network = questions::network(&names(), true);
    assert_eq!(network.expressions, ["sum(increase(in_total{topic!=\"\"}[1d]))", "sum(increase(in_total{}[1d]))"]);
    let bytes = questions::bytes(&names(), false);
    assert_eq!(bytes.expressions[0], "sum by (principal) (increase(out_total{topic!=\"\"}[1d]))");
    assert_eq!((bytes.name.as_str(), bytes.sampling), ("bytes_out", crate::domain::promql::Sampling::DAY));
}

#[test]
fn a_selector_is_in_every_question_and_cannot_break_out() {
    let selector = BTreeMap::from([("cluster".to_owned(), "a\"} or vector(1) #".to_owned())]);
    let own = PrincipalMetrics { bytes_in: "q_in".into(), bytes_out: "q_out".into(), rates: true };
    let names = Names { selector, by_principal: Some(own), ..names() };
    let mut all = [questions::storage(&names).expressions, questions::network(&names, false).expressions].concat();
    all.extend([questions::presence(&names, 3).expression, questions::once(&names).expression]);
    all.extend(questions::bytes(&names, true).expressions);
    all.extend(questions::discovery(&names, 2));
    all.extend(questions::by_topic(&names).into_iter().flat_map(|question| question.expressions));
    assert_eq!(all.len(), 14);
    for expression in &all {
        assert!(expression.contains("cluster=\"a\\\"} or vector(1) #\""), "{expression}");
    }
    assert_eq!(
        all[5],
        format!("sum by (principal) (sum_over_time(q_in{{{}}}[1d]))", "cluster=\"a\\\"} or vector(1) #\"")
    );
}

#[test]
fn bytes_by_topic_leave_out_the_sum_of_all_topics() {
    let [written, _, kept] = questions::by_topic(&names());
    assert_eq!(written.expressions, ["sum by (topic) (increase(in_total{topic!=\"\"}[1d]))"]);
    assert_eq!(kept.expressions, ["sum by (topic) (sum_over_time(log_size{topic!=\"\"}[1d]))"]);
}

#[test]
fn labels_that_are_there_are_found() {
    let sample = |labels: &[(&str, &str)]| Sample {
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        value: 1.0,
    };
    let samples = [
        sample(&[("broker", "1"), ("topic", "orders")]),
        sample(&[("principal", "User:a"), ("topic", "")]),
        sample(&[]),
    ];
    let labels = ["broker", "topic", "principal"].map(str::to_owned);
    let seen = read(samples.into_iter(), [&labels[0], &labels[1], &labels[2]]);
    let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!((list(&seen.brokers), list(&seen.topics)), (vec!["1".to_owned()], vec!["orders".to_owned()]));
    assert_eq!((list(&seen.principals), seen.any), (vec!["User:a".to_owned()], true));
    assert!(!read(std::iter::empty(), [&labels[0], &labels[1], &labels[2]]).any);
}

#[test]
fn the_rules_are_sound_for_every_kind_of_identities() {
    let fixed = vec![Fixed { id: "team-a".into(), kind: "team".into(), name: None, team: None }];
    for origin in [Origin::Prometheus, Origin::Static, Origin::Both] {
        for fixed in [vec![], fixed.clone()] {
            let people = People { origin, teams: BTreeMap::new(), default_team: String::new(), fixed };
            let book = rules::rule_book(&people);
            assert_eq!(book.validate(), Ok(()), "{origin:?}");
            let choices = Choices { methods: BTreeMap::new(), excluded: vec![], without_usage: WithoutUsage::Skip };
            let with_topics = book.clone().with_topics(Some(topics::topic_rules("kafka-1", &choices)));
            assert_eq!(with_topics.validate(), Ok(()));
            assert_eq!(with_topics.topics.map(|topics| topics.products.len()), Some(book.products.len()));
            assert_eq!(book.product(rules::EGRESS).metrics.is_empty(), origin == Origin::Static);
            let Rule::FirstThatFits(tiers) = &book.product(rules::INGRESS).rule else { panic!("no tiers") };
            let by_usage = matches!(tiers[0].split, Split::ByUsage(_));
            assert_eq!(by_usage, origin != Origin::Static, "nobody's usage is known without metrics");
        }
    }
}
