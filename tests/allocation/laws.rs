//! What holds for any day.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use proptest::prelude::*;
use tributary::allocate::{OpenDay, RuleBooks, allocate};
use tributary::domain::attribution::WithoutUsage;
use tributary::domain::rule::change::{Changes, OTHERWISE, Override, complete};
use tributary::domain::rule::identity::{EvenSplit, Step};
use tributary::domain::rule::{ANY, IdentityRules, Part, Resolver, Rule, Share, Split, Tier, Usage};
use tributary::domain::{Amount, BillingLine, Identity, MetricValue, Resource, RuleBook, TopicRules};
use tributary::ecosystem::confluent_cloud::rules::rule_book;
use tributary::ecosystem::confluent_cloud::topics::topic_rules;
use tributary::ecosystem::topics::{Choices, Method};

use crate::case::{Facts, borrowed, key, line, person, table, topic_table, value};

const PRODUCTS: [&str; 13] = [
    "KAFKA_NUM_CKU",
    "KAFKA_NETWORK_READ",
    "KAFKA_NETWORK_WRITE",
    "KAFKA_PARTITION",
    "KAFKA_BASE",
    "KAFKA_STORAGE",
    "SCHEMA_REGISTRY",
    "CONNECT_NUM_TASKS",
    "KSQL_NUM_CSU",
    "FLINK_NUM_CFU",
    "SUPPORT",
    "CLUSTER_LINKING_READ",
    "PROMO_CREDIT",
];
const RESOURCES: [&str; 4] = ["lkc-1", "lkc-2", "r-3", "r-4"];
const PEOPLE: [&str; 8] = ["sa-1", "sa-2", "sa-3", "u-1", "u-2", "pool-1", "K1", "K2"];
const METRICS: [&str; 7] = [
    "bytes_in",
    "bytes_out",
    "flink_cfu_primary",
    "flink_cfu_fallback",
    "topic_bytes_in",
    "topic_bytes_out",
    "topic_retained_bytes",
];
const TOPICS: [&str; 5] = ["orders", "payments", "tmp-1", "tmp-2", "__consumer_offsets"];
const STATEMENTS: [&str; 3] = ["s-1", "s-2", "s-3"];

fn amounts() -> impl Strategy<Value = Amount> {
    let units = -(10_i128.pow(19))..10_i128.pow(19);
    (units, 0_u32..18).prop_map(|(units, shrink)| Amount::from_units(units / 10_i128.pow(shrink)))
}

fn lines() -> impl Strategy<Value = Vec<BillingLine>> {
    let charged = prop::option::weighted(0.3, amounts());
    prop::collection::vec(charged, PRODUCTS.len() * RESOURCES.len()).prop_map(|amounts| {
        let keys = PRODUCTS.iter().flat_map(|product| RESOURCES.map(|resource| (product, resource)));
        keys.zip(amounts).filter_map(|((product, resource), amount)| Some(line(product, resource, amount?))).collect()
    })
}

fn people() -> impl Strategy<Value = Vec<Identity>> {
    let facts =
        (any::<bool>(), prop::option::of(prop::sample::select(&PEOPLE[..])), prop::sample::select(&RESOURCES[..]));
    prop::collection::vec(facts, PEOPLE.len()).prop_map(|facts| {
        let listed = PEOPLE.iter().zip(facts).filter(|(_, (listed, _, _))| *listed);
        let identity = |(id, (_, owner, opens)): (&&str, (bool, Option<&str>, &str))| match id.starts_with('K') {
            true => Identity {
                owner_id: owner.map(str::to_owned),
                resource_id: Some(opens.into()),
                ..person(id, "api_key")
            },
            false => person(id, if id.starts_with('u') { "user" } else { "service_account" }),
        };
        listed.map(identity).collect()
    })
}

fn resources() -> impl Strategy<Value = Vec<Resource>> {
    let facts = (prop::option::of(prop::sample::select(&PEOPLE[..])), prop::sample::select(&RESOURCES[..]));
    prop::collection::vec(prop::option::of(facts), STATEMENTS.len()).prop_map(|facts| {
        let statements = STATEMENTS.iter().zip(facts);
        let resource = |(id, fact): (&&str, Option<(Option<&str>, &str)>)| {
            let (owner, pool) = fact?;
            Some(Resource {
                tenant: key().tenant,
                day: key().day,
                revision: 1,
                ordinal: 0,
                count: 0,
                ecosystem: "confluent_cloud".into(),
                resource_id: (*id).into(),
                resource_type: "flink_statement".into(),
                display_name: Some((*id).into()),
                parent_id: None,
                owner_id: owner.map(str::to_owned),
                created_at: None,
                deleted_at: None,
                attributes: BTreeMap::from([("compute_pool_id".into(), pool.into())]),
            })
        };
        statements.filter_map(resource).collect()
    })
}

/// Billed resources with an owner and a lifetime that begins or ends in the day, before or after it.
fn billed() -> impl Strategy<Value = Vec<Resource>> {
    let hour = || prop::option::of(-30_i64..50);
    let facts = (prop::option::of(prop::sample::select(&PEOPLE[..])), hour(), hour());
    prop::collection::vec(prop::option::of(facts), RESOURCES.len()).prop_map(|facts| {
        let at = |hours: i64| key().day.start() + TimeDelta::minutes(hours * 60 + 17);
        // Owner, first and last hour.
        type Known<'a> = (Option<&'a str>, Option<i64>, Option<i64>);
        let resource = |(id, fact): (&&str, Option<Known<'_>>)| {
            let (owner, from, until) = fact?;
            Some(Resource {
                tenant: key().tenant,
                day: key().day,
                revision: 1,
                ordinal: 0,
                count: 0,
                ecosystem: "confluent_cloud".into(),
                resource_id: (*id).into(),
                resource_type: "kafka_cluster".into(),
                display_name: None,
                parent_id: None,
                owner_id: owner.map(str::to_owned),
                created_at: from.map(at),
                deleted_at: until.map(at),
                attributes: BTreeMap::new(),
            })
        };
        RESOURCES.iter().zip(facts).filter_map(resource).collect()
    })
}

fn metrics() -> impl Strategy<Value = Vec<MetricValue>> {
    let used = prop_oneof![Just(0.0), (1_u32..10).prop_map(f64::from), 0.0..1e12, Just(-1.0)];
    prop::collection::vec(prop::option::weighted(0.4, used), RESOURCES.len() * METRICS.len() * PEOPLE.len()).prop_map(
        |values| {
            let groups = RESOURCES.iter().flat_map(|resource| METRICS.map(|metric| (resource, metric)));
            let keys = groups.flat_map(|(resource, metric)| {
                let subjects = match metric.split('_').next() {
                    Some("flink") => &STATEMENTS[..],
                    Some("topic") => &TOPICS[..],
                    _ => &PEOPLE[..],
                };
                subjects.iter().map(move |subject| (resource, metric, subject))
            });
            keys.zip(values).filter_map(|((r, m, s), used)| Some(value(r, m, s, used?))).collect()
        },
    )
}

fn splits() -> impl Strategy<Value = Tier> {
    let metrics = prop::sample::subsequence(&["bytes_in", "bytes_out", "new_metric"][..], 1..=2);
    let usage = |metrics: Vec<&str>| Usage::Metrics(metrics.into_iter().map(str::to_owned).collect());
    let types = prop::sample::subsequence(&["user", "service_account"][..], 1..=2);
    // Hundredths that add up to 1.
    let shares = (0_u32..=100, 0_u32..=100).prop_map(|(a, b)| {
        let (a, b) = (a.min(b), a.max(b));
        let share = |id: &str, part: u32| Share { id: id.into(), share: format!("{}.{:02}", part / 100, part % 100) };
        Split::ByShares(vec![share("UNALLOCATED", a), share("sa-1", b - a), share("r-1", 100 - b)])
    });
    let split = prop_oneof![
        Just(Split::EvenActive),
        types.prop_map(|types| Split::EvenTenant { types: types.into_iter().map(str::to_owned).collect() }),
        metrics.prop_map(move |metrics| Split::ByUsage(usage(metrics))),
        shares,
        Just(Split::ToOwner),
        prop::sample::select(&["sa-1", "nobody-knows", "UNALLOCATED"][..])
            .prop_map(|id| Split::ToIdentity { id: id.into() }),
        Just(Split::ToResource),
        Just(Split::Unallocated),
    ];
    // Few details, so that rows of different parts often say the same.
    let detail = prop::option::of(prop::sample::select(&["resource_inactive", "unresolved_principal"][..]));
    (split, detail).prop_map(|(split, detail)| Tier { detail: detail.map(str::to_owned), ..split.tier() })
}

fn rules() -> impl Strategy<Value = Rule> {
    let tiers = || prop::collection::vec(splits(), 1..4).prop_map(complete);
    let ratios = prop_oneof![Just(["0.3", "0.3", "0.4"]), Just(["0", "0.99999", "0.00001"])];
    let mix = (ratios, tiers(), tiers(), tiers()).prop_map(|(ratios, a, b, c)| {
        let parts = ratios.into_iter().zip([a, b, c]);
        Rule::Mix(parts.map(|(ratio, tiers)| Part { ratio: ratio.into(), tiers }).collect())
    });
    prop_oneof![tiers().prop_map(Rule::FirstThatFits), mix]
}

fn identities() -> impl Strategy<Value = IdentityRules> {
    let target = prop::sample::select(&["team-a", "team-b", "sa-2", "UNALLOCATED", "r-2"][..]);
    let map = prop::collection::btree_map(prop::sample::select(&PEOPLE[..]), target.clone(), 0..5);
    let step = map.prop_map(|map| Step::Map(map.into_iter().map(|(id, to)| (id.to_owned(), to.to_owned())).collect()));
    let pattern = Just(Step::Pattern { pattern: "^(sa|r)-(.)$".into(), identity: "team-{2}".into() });
    let steps = || prop::collection::vec(prop_oneof![step.clone(), pattern.clone()], 0..3);
    let counts = prop::sample::select(&[EvenSplit::Found, EvenSplit::Charged][..]);
    (steps(), steps(), prop::option::of(target), counts).prop_map(|(principals, resources, otherwise, even_split)| {
        IdentityRules { principals, resources, otherwise: otherwise.map(str::to_owned), even_split }
    })
}

/// An operator's rules, often none.
fn changes() -> impl Strategy<Value = Changes> {
    let products = prop::sample::select([&PRODUCTS[..], &[OTHERWISE]].concat());
    let resolver = prop::option::weighted(0.2, Just(Resolver::ResourceOwner));
    let change = (rules(), resolver).prop_map(|(rule, resolver)| Override { rule, resolver });
    let products = prop::collection::btree_map(products.prop_map(str::to_owned), change, 0..8);
    let keys =
        || prop::sample::select(&["KAFKA_BASE", "kafka", "connector", "PROMO_CREDIT", ANY][..]).prop_map(str::to_owned);
    let identities = prop::collection::btree_map(keys(), identities(), 0..3);
    (products, identities, prop::collection::vec(keys(), 0..2))
        .prop_map(|(products, identities, interval_rule)| Changes { products, identities, interval_rule })
}

/// Topics are broken down to or not, the methods of some product types chosen.
fn topics() -> impl Strategy<Value = Option<TopicRules>> {
    let methods = [Method::BytesRatio, Method::RetainedBytesRatio, Method::EvenSplit, Method::Disabled];
    let chosen = (prop::sample::select(&PRODUCTS[..]), prop::sample::select(methods.to_vec()));
    let topics = (prop::collection::btree_map(chosen.0.prop_map(str::to_owned), chosen.1, 0..4), any::<bool>());
    let rules = topics.prop_map(|(methods, skip)| {
        let without_usage = if skip { WithoutUsage::Skip } else { WithoutUsage::EvenSplit };
        topic_rules(&Choices { methods, excluded: vec!["tmp-*".into(), "__*".into()], without_usage })
    });
    prop::option::weighted(0.8, rules)
}

fn days() -> impl Strategy<Value = Facts> {
    const FAILING: [&str; 5] = ["lkc-1", "lkc-2", "r-3", "r-4", "lkc-2:topic:*"];
    let failed = prop::sample::subsequence(&FAILING[..], 0..3);
    let facts = (lines(), people(), resources(), billed(), metrics(), failed, changes(), topics());
    facts.prop_map(|(lines, identities, statements, billed, metrics, failed, changes, topics)| {
        let resources = [statements, billed].concat();
        let book = rule_book("0.7", "0.3").changed(&changes).with_topics(topics);
        assert_eq!(book.validate(), Ok(()));
        let mut facts = Facts::new(&serde_json::to_string(&book).unwrap());
        facts.seal.metrics_failed = failed.into_iter().map(str::to_owned).collect();
        facts = Facts { lines, identities, resources, metrics, ..facts };
        facts.number();
        facts
    })
}

#[derive(Debug, Clone, Copy)]
enum Arrival {
    Line(usize),
    Resource(usize),
    Identity(usize),
    Metric(usize),
    Seal,
}

fn arrivals(facts: &Facts) -> Vec<Arrival> {
    let mut all: Vec<Arrival> = (0..facts.lines.len()).map(Arrival::Line).collect();
    all.extend((0..facts.resources.len()).map(Arrival::Resource));
    all.extend((0..facts.identities.len()).map(Arrival::Identity));
    all.extend((0..facts.metrics.len()).map(Arrival::Metric));
    all.push(Arrival::Seal);
    all
}

fn take(day: &mut OpenDay, facts: &Facts, arrival: Arrival) {
    match arrival {
        Arrival::Line(i) => day.add_line(&facts.lines[i]),
        Arrival::Resource(i) => day.add_resource(&facts.resources[i]),
        Arrival::Identity(i) => day.add_identity(&facts.identities[i]),
        Arrival::Metric(i) => day.add_metric(borrowed(&facts.metrics[i])),
        Arrival::Seal => day.seal(facts.seal.clone()),
    }
}

/// A day, an order of its records' arrival, and which of them arrive again.
fn shuffled() -> impl Strategy<Value = (Facts, Vec<Arrival>)> {
    days().prop_flat_map(|facts| {
        let once = arrivals(&facts);
        let again = prop::sample::subsequence(once.clone(), 0..=once.len());
        let order = again.prop_flat_map(move |again| Just([once.clone(), again].concat()).prop_shuffle());
        (Just(facts), order)
    })
}

proptest! {
    #[test]
    fn the_rows_of_a_line_add_up_to_it(facts in days()) {
        let allocation = facts.allocate().unwrap();
        let mut sums: BTreeMap<(String, String), Amount> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for (ordinal, row) in (0..).zip(allocation.iter()) {
            prop_assert_eq!((row.ordinal, row.count), (ordinal, allocation.rows()));
            prop_assert!(!row.amount.is_zero() && row.share > 0.0 && row.share <= 1.0 + 1e-9);
            let line = facts.lines.iter().find(|l| (l.resource_id.as_str(), l.product_type.as_str()) == (row.resource_id, row.product_type));
            prop_assert!(line.is_some_and(|l| (l.amount.units() < 0) == (row.amount.units() < 0)), "a sign changed");
            *sums.entry((row.resource_id.into(), row.product_type.into())).or_default() += row.amount;
            let key = format!("{:?}", (row.resource_id, row.product_type, row.identity_id, row.cost_type,
                row.allocation_method, row.allocation_detail));
            prop_assert!(keys.insert(key), "a row twice");
        }
        for line in &facts.lines {
            let sum = sums.remove(&(line.resource_id.clone(), line.product_type.clone())).unwrap_or_default();
            prop_assert_eq!(sum, line.amount);
        }
        prop_assert!(sums.is_empty());
        prop_assert_eq!(allocation.amount(), allocation.iter().map(|row| row.amount).sum::<Amount>());
        prop_assert_eq!(allocation.amount(), allocation.totals().into_values().sum::<Amount>());
    }

    #[test]
    fn the_rows_by_topic_of_a_line_add_up_to_it_or_there_are_none(facts in days()) {
        let allocation = facts.allocate().unwrap();
        let rules: RuleBook = serde_json::from_str(&facts.seal.rules).unwrap();
        let mut sums: BTreeMap<(String, String), Amount> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for (ordinal, row) in (0..).zip(allocation.topics()) {
            prop_assert_eq!((row.ordinal, row.count), (ordinal, allocation.topic_rows()));
            prop_assert!(!row.amount.is_zero() && row.share > 0.0 && row.share <= 1.0);
            prop_assert!(!row.topic_name.starts_with("tmp-"), "an excluded topic");
            let line = (row.cluster_resource_id.to_owned(), row.product_type.to_owned());
            let billed = facts.lines.iter().find(|l| (&l.resource_id, &l.product_type) == (&line.0, &line.1)).unwrap();
            prop_assert_eq!(row.amount < Amount::ZERO, billed.amount < Amount::ZERO, "a part of another sign");
            prop_assert!(keys.insert((line.clone(), row.topic_name.to_owned())), "a row twice");
            *sums.entry(line).or_default() += row.amount;
        }
        let topics = rules.topics.as_ref();
        for line in &facts.lines {
            let covered = topics.is_some_and(|topics| topics.covers(&line.resource_id, &line.product_type));
            match sums.remove(&(line.resource_id.clone(), line.product_type.clone())) {
                Some(sum) => prop_assert!(covered && sum == line.amount),
                None if covered && !line.amount.is_zero() => {
                    // Every topic that is known took no part, or nobody used it and the rules leave it out.
                    let skips = topics.is_some_and(|topics| topics.without_usage == WithoutUsage::Skip);
                    let named = |value: &&MetricValue| {
                        value.resource_id == line.resource_id && ["orders", "payments"].contains(&value.subject.as_str())
                    };
                    prop_assert!(skips || facts.metrics.iter().find(named).is_none(), "a line got lost");
                }
                None => {}
            }
        }
        prop_assert!(sums.is_empty());
    }

    #[test]
    fn order_and_repetition_of_arrival_change_nothing((facts, order) in shuffled()) {
        let mut day = OpenDay::new(key(), 1);
        let (mut missing, mut complete) = (arrivals(&facts).len(), BTreeSet::new());
        for arrival in order {
            take(&mut day, &facts, arrival);
            missing -= usize::from(complete.insert(format!("{arrival:?}")));
            prop_assert_eq!(day.is_complete(), missing == 0);
        }
        let shuffled = allocate(day, &mut RuleBooks::default()).unwrap();
        let plain = facts.allocate().unwrap();
        prop_assert_eq!(table(&shuffled), table(&plain));
        prop_assert_eq!(topic_table(&shuffled), topic_table(&plain));
        prop_assert_eq!(shuffled.digest(), plain.digest());
    }
}

#[test]
fn the_digest_leaves_revision_and_time_out_and_nothing_else() {
    let mut facts = Facts::new(&serde_json::to_string(&rule_book("0.7", "0.3")).unwrap());
    facts.lines = vec![line("KAFKA_BASE", "r-1", Amount::whole(2))];
    facts.metrics = vec![value("r-1", "bytes_in", "sa-1", 1.0)];
    facts.number();
    let digest = |facts: &Facts| facts.allocate().unwrap().digest().to_owned();
    let mut later = facts.clone();
    later.seal.gathered_at = key().day.plus(9).end();
    assert_eq!(digest(&facts), digest(&later));
    let mut dearer = facts.clone();
    dearer.lines[0].amount = Amount::whole(3);
    let mut other = facts.clone();
    other.metrics[0].subject = "sa-2".into();
    assert_ne!(digest(&facts), digest(&dearer));
    assert_ne!(digest(&facts), digest(&other));
}
