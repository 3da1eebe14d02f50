use std::collections::BTreeMap;

use super::super::CostType;
use super::super::rule::{Part as Mixed, Product, Resolver};
use super::*;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn part(id: &str, money: &str, share: f64, usage: Option<f64>) -> Part {
    Part {
        identity_id: id.into(),
        identity_name: None,
        cost_type: if usage.is_some() { "usage" } else { "shared" }.into(),
        allocation_method: if usage.is_some() { "usage_ratio" } else { "even_split" }.into(),
        allocation_detail: None,
        tier: 0,
        amount: amount(money),
        share,
        usage,
    }
}

fn billed() -> Billed {
    Billed {
        day: "2026-02-01".parse().unwrap(),
        resource_id: "lkc-1".into(),
        resource_name: None,
        product_type: "KAFKA_NUM_CKU".into(),
        amount: amount("10"),
        currency: "USD".into(),
    }
}

fn tier(split: Split, method: &str, cost_type: CostType) -> Tier {
    Tier { split, method: method.into(), detail: None, cost_type }
}

fn book(rule: Rule) -> RuleBook {
    let product = |rule| Product { service: "kafka".into(), resolver: Resolver::None, metrics: vec![], rule };
    RuleBook {
        version: 1,
        products: BTreeMap::from([("KAFKA_NUM_CKU".into(), product(rule))]),
        otherwise: product(Rule::FirstThatFits(vec![tier(Split::ToResource, "to_resource", CostType::Shared)])),
        owner_types: vec![],
        identities: BTreeMap::new(),
        interval_rule: vec![],
        topics: None,
    }
}

fn cku() -> RuleBook {
    let usage = Split::ByUsage(Usage::Metrics(vec!["bytes_in".into(), "bytes_out".into()]));
    book(Rule::Mix(vec![
        Mixed { ratio: "0.7".into(), tiers: vec![tier(usage, "usage_ratio", CostType::Usage)] },
        Mixed { ratio: "0.3".into(), tiers: vec![tier(Split::EvenActive, "even_split", CostType::Shared)] },
    ]))
}

#[test]
fn a_mix_is_told_by_its_parts() {
    let parts = [
        part("sa-1", "5.25", 0.75, Some(30.0)),
        part("sa-2", "1.75", 0.25, Some(10.0)),
        part("sa-1", "1.5", 0.5, None),
        part("sa-2", "1.5", 0.5, None),
    ];
    let told = explain(&billed(), &parts, &parts[0], Some(&cku()));
    assert_eq!(
        told.sentence,
        "sa-1 is charged 5.25 USD of the 10 USD that lkc-1 cost on 2026-02-01 for KAFKA_NUM_CKU: 7 USD of it is split by \
         usage (bytes_in and bytes_out) among 2, 30 of 40, a share of 75 %."
    );
    assert_eq!((told.split_amount, told.targets, told.rounded), (amount("7"), 2, Rounded::NotAtAll));
    let rule = told.rule.unwrap();
    assert_eq!((rule.ratio.as_deref(), rule.tier, rule.own_rule), (Some("0.7"), 0, true));
    let told = explain(&billed(), &parts, &parts[3], Some(&cku()));
    assert_eq!(told.rule.unwrap().ratio.as_deref(), Some("0.3"));
}

#[test]
fn rounding_and_reasons_are_told() {
    let mut parts = [
        part("a", "3.3334", 1.0 / 3.0, None),
        part("b", "3.3333", 1.0 / 3.0, None),
        part("c", "3.3333", 1.0 / 3.0, None),
    ];
    parts.iter_mut().for_each(|part| part.allocation_detail = Some("no_metrics_located".into()));
    parts.iter_mut().for_each(|part| part.tier = 1);
    let usage = Split::ByUsage(Usage::Metrics(vec!["bytes_in".into()]));
    let rules = book(Rule::FirstThatFits(vec![
        tier(usage, "usage_ratio", CostType::Usage),
        tier(Split::EvenActive, "even_split", CostType::Shared),
    ]));
    let told = explain(&billed(), &parts, &parts[0], Some(&rules));
    assert_eq!(told.rounded, Rounded::Up);
    let end = "the line is split evenly among the 3 who hold its keys or used it, a share of 33.3333 %; no usage was measured; rounded up, so \
               that the rows add up to the line.";
    assert!(told.sentence.ends_with(end), "{}", told.sentence);
    assert_eq!(explain(&billed(), &parts, &parts[1], Some(&rules)).rounded, Rounded::Down);
}

#[test]
fn an_even_split_by_rule_is_no_stand_in_for_usage_and_names_stand_beside_ids() {
    let mut parts = [part("sa-1", "5", 0.5, None), part("sa-2", "5", 0.5, None)];
    parts.iter_mut().for_each(|part| part.allocation_detail = Some("no_metrics_located".into()));
    parts[0].identity_name = Some("orders".into());
    let rules = book(Rule::FirstThatFits(vec![tier(Split::EvenActive, "even_split", CostType::Shared)]));
    let billed = Billed { resource_name: Some("shop".into()), ..billed() };
    assert_eq!(
        explain(&billed, &parts, &parts[0], Some(&rules)).sentence,
        "orders (sa-1) is charged 5 USD of the 10 USD that shop (lkc-1) cost on 2026-02-01 for KAFKA_NUM_CKU: the line is \
         split evenly among the 2 who hold its keys or used it, a share of 50 %; that is the rule of this product, whatever was used."
    );
}

#[test]
fn what_goes_whole_and_what_has_no_rules_at_hand_is_told_too() {
    let whole = [part("lkc-1", "10", 1.0, None)];
    let told = explain(&billed(), &whole, &whole[0], None);
    assert!(told.rule.is_none() && told.sentence.ends_with("the rules of its revision are not at hand."), "{told:?}");
    let mut to_resource = whole.clone();
    to_resource[0].allocation_method = "to_resource".into();
    let other = Billed { product_type: "NEW".into(), ..billed() };
    let told = explain(&other, &to_resource, &to_resource[0], Some(&cku()));
    assert_eq!(
        told.sentence,
        "lkc-1 itself is charged all 10 USD that it cost on 2026-02-01 for NEW: the line goes to the resource itself; no rule is \
         named after this product, so that of all others holds."
    );
    assert!(!told.rule.unwrap().own_rule);
}

/// The sentence behind its colon, of one row that is the whole line.
fn told(split: Split, detail: Option<&str>, mut row: Part, change: impl Fn(&mut RuleBook)) -> String {
    row.allocation_detail = detail.map(str::to_owned);
    let cost_type = if row.cost_type == "usage" { CostType::Usage } else { CostType::Shared };
    let mut rules = book(Rule::FirstThatFits(vec![tier(split, &row.allocation_method, cost_type)]));
    change(&mut rules);
    let sentence = explain(&billed(), std::slice::from_ref(&row), &row, Some(&rules)).sentence;
    sentence.split_once(": ").expect("a colon").1.to_owned()
}

#[test]
fn nobody_is_told_to_have_used_nothing_where_usage_has_no_say() {
    let row = || part("sa-1", "10", 1.0, None);
    let never = told(Split::EvenActive, Some("metrics_fetch_failed"), row(), |_| ());
    assert!(never.ends_with("used it; the usage that shows who was there could not be fetched."), "{never}");
    let named = Split::EvenAmong { active: false, identities: vec!["sa-1".into()] };
    let named = told(named, Some("no_metrics_located"), row(), |_| ());
    assert_eq!(named, "the line goes to the only one there is; that is the rule of this product, whatever was used.");
    // The tier behind an even one, which for its detail could be behind one by usage.
    let mut late = row();
    late.tier = 1;
    late.allocation_detail = Some("no_metrics_no_active_identities_located".into());
    let everybody = Split::EvenTenant { types: vec!["user".into(), "service_account".into()] };
    let rules = book(Rule::FirstThatFits(vec![
        tier(Split::EvenActive, "even_split", CostType::Shared),
        tier(everybody, "even_split", CostType::Shared),
    ]));
    let sentence = explain(&billed(), std::slice::from_ref(&late), &late, Some(&rules)).sentence;
    let end = "the tenant's only identity of type user or service_account; nobody was found who has to do with it.";
    assert!(sentence.ends_with(end), "{sentence}");
}

#[test]
fn what_nobody_pays_says_why() {
    let nobody = |method: &str, detail: &str| {
        let mut row = part(UNALLOCATED, "10", 1.0, None);
        (row.allocation_method, row.allocation_detail) = (method.into(), Some(detail.into()));
        let rules = book(Rule::FirstThatFits(vec![tier(Split::ToResource, "terminal", CostType::Shared)]));
        explain(&billed(), std::slice::from_ref(&row), &row, Some(&rules)).sentence
    };
    let absent = nobody("terminal", "resource_inactive");
    assert_eq!(
        absent,
        "All 10 USD that lkc-1 cost on 2026-02-01 for KAFKA_NUM_CKU are charged to nobody: for that part of its interval \
         the resource did not exist."
    );
    let failed = nobody("ALLOCATION_FAILED", "usage_out_of_range");
    assert!(
        failed.ends_with("could not be split by its rule; its usage adds up to more than can be counted."),
        "{failed}"
    );
}

#[test]
fn identity_rules_are_told_where_they_chose_the_payer() {
    use crate::domain::rule::{IdentityRules, identity::Step};
    let rules = |of: IdentityRules| move |book: &mut RuleBook| drop(book.identities.insert("kafka".into(), of.clone()));
    let map = |id: &str, to: &str| vec![Step::Map(BTreeMap::from([(id.to_owned(), to.to_owned())]))];
    let owned = rules(IdentityRules { resources: map("lkc-1", "team-a"), ..IdentityRules::default() });
    let row = part("team-a", "10", 1.0, None);
    let owner = told(Split::EvenActive, None, row.clone(), owned);
    assert_eq!(owner, "the line goes to whom the identity rules of kafka give the resource.");
    let others = rules(IdentityRules { principals: map("sa-1", "team-a"), ..IdentityRules::default() });
    let other = told(Split::EvenActive, None, row, others);
    assert!(other.ends_with("; whoever is found is charged as the identity rules of kafka say."), "{other}");
}

#[test]
fn those_who_got_no_unit_are_counted() {
    let parts = [part("a", "0.0001", 0.1, None), part("b", "0.0001", 0.1, None), part("c", "0.0001", 0.1, None)];
    let rules = book(Rule::FirstThatFits(vec![tier(Split::EvenActive, "even_split", CostType::Shared)]));
    let billed = Billed { amount: amount("0.0003"), ..billed() };
    let told = explain(&billed, &parts, &parts[0], Some(&rules));
    assert_eq!((told.targets, told.rounded), (10, Rounded::Up));
    let used = [part("a", "0.0003", 0.75, Some(3.0))];
    let told = explain(&billed, &used, &used[0], Some(&cku()));
    assert_eq!(told.inputs.map(|inputs| inputs.total), Some(4.0));
}

#[test]
fn who_is_none_and_what_has_no_resource_are_told_as_such() {
    let found = |resolver: Resolver| {
        move |book: &mut RuleBook| {
            let product = book.products.get_mut("KAFKA_NUM_CKU").expect("it is there");
            (product.resolver, product.service) = (resolver, "connector".into());
        }
    };
    let hidden = part("connector_api_key_masked", "10", 1.0, None);
    let hidden = told(Split::EvenActive, None, hidden, found(Resolver::ConnectorCredentials));
    assert_eq!(
        hidden,
        "the line goes to the one whose credentials it has; its configuration hides the API key that it has."
    );
    let itself = told(Split::EvenActive, None, part("lkc-1", "10", 1.0, None), found(Resolver::ConnectorCredentials));
    assert_eq!(itself, "the line goes to itself, as it has no account's credentials.");
    let owner = told(Split::EvenActive, None, part("sa-1", "10", 1.0, None), found(Resolver::ResourceOwner));
    assert_eq!(owner, "the line goes to its owner.");
    let left = told(Split::Unallocated, Some("no_identities_located"), part(UNALLOCATED, "10", 1.0, None), |_| ());
    assert_eq!(left, "that is the rule.");
    let support =
        Billed { resource_id: "unresolved:SUPPORT/SUPPORT".into(), product_type: "SUPPORT".into(), ..billed() };
    let row = part("sa-1", "5", 0.5, None);
    let sentence = explain(&support, &[row.clone(), row.clone()], &row, None).sentence;
    let begins = "sa-1 is charged 5 USD of the 10 USD billed on 2026-02-01 for SUPPORT without a resource: ";
    assert!(sentence.starts_with(begins), "{sentence}");
}
