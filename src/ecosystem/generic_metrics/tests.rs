//! Rules and questions of cost types.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Amount;
use crate::ecosystem::http::{Auth, Tls};
use crate::ecosystem::metered::people::{Fixed, Origin};
use crate::ecosystem::metered::tariff::Quantity;

fn cost_type(name: &str, split: Split) -> CostType {
    let quantity = Quantity::Fixed { per_hour: Amount::whole(1) };
    let cost = Cost { product_type: name.into(), category: "c".into(), unit_price: Amount::whole(1), quantity };
    CostType { cost, split }
}

fn by(query: &str, label: &str) -> Split {
    Split::ByUsage { query: query.into(), label: label.into() }
}

fn settings(origin: Origin, fixed: &[&str]) -> Settings {
    let fixed = fixed.iter().map(|id| Fixed { id: (*id).into(), kind: "team".into(), name: None, team: None });
    Settings {
        cluster_id: "c".into(),
        display_name: "C".into(),
        currency: "USD".into(),
        people: People { origin, teams: BTreeMap::new(), default_team: String::new(), fixed: fixed.collect() },
        label: "principal".into(),
        discovery_query: "up".into(),
        metrics: prometheus::Settings {
            url: "http://h".into(),
            auth: Auth::None,
            headers: vec![],
            tls: Tls::default(),
        },
        cost_types: vec![
            cost_type("EVEN", Split::Even),
            cost_type("NET", by("sum by (principal) (increase(x[1h]))", "principal")),
            cost_type("Q", by("sum by (usename) (y)", "usename")),
        ],
        minimum_coverage: 0.9,
        wait_days: 3,
    }
}

#[test]
fn even_splits_see_everybody_under_the_identities_own_label() {
    let book = rules::rule_book(&settings(Origin::Prometheus, &[]));
    assert_eq!(book.validate(), Ok(()));
    assert_eq!(book.product("EVEN").metrics, ["discovery", "alloc_NET"]);
    assert_eq!(book.product("NET").metrics, ["discovery", "alloc_NET"]);
    assert_eq!(book.product("Q").metrics, ["discovery", "alloc_NET", "alloc_Q"]);
}

#[test]
fn the_rules_are_sound_for_every_kind_of_identities() {
    for origin in [Origin::Prometheus, Origin::Static, Origin::Both] {
        for fixed in [&[][..], &["team-a"]] {
            let book = rules::rule_book(&settings(origin, fixed));
            assert_eq!(book.validate(), Ok(()), "{origin:?} {fixed:?}");
        }
    }
    assert!(rules::rule_book(&settings(Origin::Static, &["a"])).product("EVEN").metrics.is_empty());
}

#[test]
fn queries_are_asked_as_often_as_they_look_back() {
    let questions = questions(&settings(Origin::Both, &[]));
    let told: Vec<_> =
        questions.iter().map(|q| (q.name.as_str(), q.sampling.step.num_minutes(), q.label.as_str())).collect();
    assert_eq!(told, [("discovery", 5, "principal"), ("alloc_NET", 60, "principal"), ("alloc_Q", 5, "usename")]);
}
