//! Days that break a law are refused with a reason, never half allocated.

use tributary::allocate::{OpenDay, Refusal, RuleBooks, allocate};
use tributary::domain::Amount;
use tributary::ecosystem::confluent_cloud::rules::rule_book;

use crate::case::{Facts, configured, key, line, person, value};

fn facts() -> Facts {
    let mut facts = Facts::new(&serde_json::to_string(&rule_book("0.7", "0.3")).unwrap());
    facts.lines =
        vec![line("KAFKA_NETWORK_WRITE", "lkc-1", Amount::whole(1)), line("SUPPORT", "org", Amount::whole(1))];
    facts.identities = vec![person("sa-1", "service_account")];
    facts.metrics = vec![value("lkc-1", "bytes_in", "sa-1", 1.0), value("lkc-1", "bytes_in", "sa-2", 1.0)];
    facts.number();
    facts
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Facts), reason: &str) {
    let mut facts = facts();
    change(&mut facts);
    let told = facts.allocate().map(|a| a.rows()).unwrap_err().to_string();
    assert!(told.contains(reason), "{told}");
}

#[test]
fn the_day_itself_is_sound() {
    assert_eq!(facts().allocate().unwrap().rows(), 3);
}

#[test]
fn counts_that_disagree() {
    refused(|day| day.seal.billing_lines = 3, "billing line records disagree on how many there are, 2 or 3");
    refused(|day| day.metrics[1].count = 7, "metric value records disagree");
    refused(|day| day.lines[1].ordinal = 2, "number 2 of 2");
    refused(|day| day.seal.identities = 1 << 25, "more than one day may have");
}

#[test]
fn records_of_another_day() {
    refused(
        |day| day.lines[0].tenant = "other".into(),
        "billing line record of other/2026-02-01 revision 1 stands under",
    );
    refused(|day| day.metrics[0].revision = 2, "metric value record of acme/2026-02-01 revision 2");
    refused(|day| day.seal.day = key().day.plus(1), "seal record of acme/2026-02-02");
}

#[test]
fn keys_twice() {
    refused(|day| day.lines[1] = with_ordinal(day, 1), "two billing line records have the key env-1 | lkc-1 | KAFKA");
    refused(
        |day| day.metrics[1].subject = "sa-1".into(),
        "two metric value records have the key lkc-1 | bytes_in | sa-1",
    );
    let twice = |day: &mut Facts| {
        day.identities.push(day.identities[0].clone());
        day.number();
    };
    refused(twice, "two identity records have the key sa-1");
}

fn with_ordinal(day: &Facts, ordinal: u32) -> tributary::domain::BillingLine {
    tributary::domain::BillingLine { ordinal, ..day.lines[0].clone() }
}

#[test]
fn usage_that_is_no_number() {
    refused(|day| day.metrics[1].value = f64::NAN, "usage bytes_in of sa-2 on lkc-1 is not a finite number");
}

#[test]
fn rules_that_cannot_be_read_or_are_not_sound() {
    refused(|day| day.seal.rules = "{".into(), "cannot be read");
    let resolver = |day: &mut Facts| day.seal.rules = day.seal.rules.replace("keys_and_principals", "oracle");
    refused(resolver, "unknown variant `oracle`");
    let ratio = |day: &mut Facts| day.seal.rules = day.seal.rules.replace("\"0.7\"", "\"0.6\"");
    refused(ratio, "the ratios of a mix add up to 0.9");
    let metric = |day: &mut Facts| {
        day.seal.rules = day.seal.rules.replace("[\"bytes_in\",\"bytes_out\"],\"rule\"", "[],\"rule\"")
    };
    refused(metric, "split by but not asked for");
    refused(|day| day.seal.rules = day.seal.rules.replace("\"version\":1", "\"version\":3"), "run a newer one");
    let later = |day: &mut Facts| day.seal.rules = r#"{"version":9,"all_is_new":true}"#.into();
    refused(later, "rules have format 9, this version reads 2");
    let changed = |settings: &str, from: &str, to: &str| {
        let rules = serde_json::to_string(&configured(settings)).unwrap();
        assert!(rules.contains(from), "{rules}");
        rules.replace(from, to)
    };
    let shares = "allocator_overrides: {SUPPORT: {shares: {a: 0.5, b: 0.5}}}";
    let uneven = changed(shares, "\"share\":\"0.5\"", "\"share\":\"0.4\"");
    refused(|day| day.seal.rules = uneven, "rule of SUPPORT: the shares add up to 0.8, not to 1");
    let twice = changed(shares, "\"id\":\"b\"", "\"id\":\"a\"");
    refused(|day| day.seal.rules = twice, "rule of SUPPORT: \"a\" has two shares");
    let nobody = changed("allocator_overrides: {SUPPORT: {to: a}}", "\"id\":\"a\"", "\"id\":\"\"");
    refused(|day| day.seal.rules = nobody, "an identity without a name cannot be charged");
    let pattern = "identity_resolution_overrides: {any: {principals: [{pattern: 'a', identity: b}]}}";
    let broken = changed(pattern, "\"pattern\":\"a\"", "\"pattern\":\"(\"");
    refused(|day| day.seal.rules = broken, "identities of any: pattern \"(\" is no regular expression");
}

#[test]
fn sums_that_do_not_fit() {
    let huge = |day: &mut Facts| day.lines.iter_mut().for_each(|l| l.amount = Amount::from_units(10_i128.pow(28) - 1));
    refused(huge, "does not fit 14 digits");
}

#[test]
fn a_day_that_is_not_whole() {
    let day = OpenDay::new(key(), 1);
    assert!(!day.is_complete());
    assert_eq!(allocate(day, &mut RuleBooks::default()).map(|a| a.rows()).unwrap_err(), Refusal::Incomplete);
}

#[test]
fn an_empty_day_is_allocated_to_no_rows() {
    let facts = Facts::new(&facts().seal.rules);
    let allocation = facts.allocate();
    assert_eq!(allocation.map(|a| (a.rows(), a.amount())).unwrap(), (0, Amount::ZERO));
}
