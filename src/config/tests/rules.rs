//! An operator's own rules.

use super::*;
use crate::domain::rule::change::Override;
use crate::domain::rule::identity::Step;
use crate::domain::rule::{Resolver, Rule, Split, Tier, Usage};

fn rule(split: &str) -> Override {
    let text = settings(&[&format!("allocator_overrides: {{KAFKA_BASE: {split}}}")]);
    ccloud(&text).rules.changes.products["KAFKA_BASE"].clone()
}

fn tiers(split: &str) -> Vec<Tier> {
    match rule(split).rule {
        Rule::FirstThatFits(tiers) => tiers,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused_split(split: &str, words: &[&str]) {
    let path = "tenants.a.plugin_settings.allocator_overrides.KAFKA_BASE";
    refused_with(&settings(&[&format!("allocator_overrides: {{KAFKA_BASE: {split}}}")]), &[&[path], words].concat());
}

#[test]
fn every_way_to_split_can_be_written() {
    let first = |split: &str| tiers(split).remove(0).split;
    assert_eq!(first("even"), Split::EvenActive);
    assert_eq!(first("{even: found}"), Split::EvenActive);
    assert_eq!(first("{even: [user]}"), Split::EvenTenant { types: vec!["user".into()] });
    let Split::EvenTenant { types } = first("{even: tenant}") else { panic!("all of the tenant") };
    assert_eq!(types.len(), 4);
    assert_eq!(first("{by_usage: bytes_in}"), Split::ByUsage(Usage::Metrics(vec!["bytes_in".into()])));
    let both = Usage::Metrics(vec!["bytes_in".into(), "bytes_out".into()]);
    assert_eq!(first("{by_usage: [bytes_in, bytes_out]}"), Split::ByUsage(both));
    assert!(matches!(first("{by_usage: statements}"), Split::ByUsage(Usage::Resolved { .. })));
    assert_eq!(first("owner"), Split::ToOwner);
    assert_eq!(first("{to: finance}"), Split::ToIdentity { id: "finance".into() });
    assert_eq!(first("resource"), Split::ToResource);
    assert_eq!(first("unallocated"), Split::Unallocated);
    let Split::ByShares(shares) = first("{shares: {a: 0.6, b: '0.4'}}") else { panic!("shares") };
    assert_eq!((shares[0].id.as_str(), shares[0].share.as_str(), shares[1].share.as_str()), ("a", "0.6", "0.4"));
    let labelled = tiers("{split: owner, detail: by_cmdb, cost_type: shared}");
    assert_eq!(labelled[0].detail.as_deref(), Some("by_cmdb"));
    let several = tiers("{first_that_fits: [{by_usage: bytes_in}, even, {to: platform}]}");
    assert_eq!(several.len(), 3);
    let Rule::Mix(parts) =
        rule("{mix: [{ratio: 0.7, by_usage: bytes_in}, {ratio: 0.3, first_that_fits: [even, owner]}]}").rule
    else {
        panic!("a mix")
    };
    assert_eq!((parts[0].tiers.len(), parts[1].tiers.len(), parts[1].ratio.as_str()), (2, 3, "0.3"));
    assert_eq!(rule("{split: even, identities: resource_owner}").resolver, Some(Resolver::ResourceOwner));
}

#[test]
fn what_is_wrong_with_a_split_names_it_and_the_remedy() {
    refused_split("evne", &["\"evne\" is no split", "did you mean `even`?"]);
    refused_split("[even]", &["is a list, not a split"]);
    refused_split("{}", &["does not say how to split"]);
    refused_split("{even: found, to: x}", &["several ways to split at once: `even`, `to`"]);
    refused_split("{by_usge: bytes_in, even: found}", &["by_usge", "did you mean `by_usage`?"]);
    refused_split("{by_usage: bytes}", &["\"bytes\" is no usage", "did you mean `bytes_in`?"]);
    refused_split("{by_usage: []}", &["is an empty list"]);
    refused_split("{even: [usr]}", &["\"usr\" is no type of identity", "`user`"]);
    refused_split("{shares: {a: 0.6, b: 0.3}}", &["the shares add up to 0.9, not to 1"]);
    refused_split("{shares: {a: 1.5, b: -0.5}}", &["ratio \"1.5\" is not a decimal between 0 and 1"]);
    refused_split("{shares: {}}", &["the shares add up to 0"]);
    refused_split("{mix: [{ratio: 0.7, even: found}, {ratio: 0.2, to: x}]}", &["add up to 0.9, not to 1"]);
    refused_split("{mix: [{even: found}, {ratio: 1, to: x}]}", &["mix[0].ratio", "is missing"]);
    refused_split("{first_that_fits: []}", &["has nothing to try"]);
    refused_split("{first_that_fits: [even, owner], detail: x}", &["one label for several splits"]);
    refused_split("{by_usage: bytes_in, identities: resource_owner}", &["write `identities: keys_and_principals`"]);
    refused_split("{ratio: 0.5, even: found}", &["ratio", "not a known key"]);
}

#[test]
fn python_code_is_refused_with_what_to_write() {
    good(&settings(&["allocator_overrides: {}", "identity_resolution_overrides:"]));
    for (code, instead) in [
        ("my.module:even_allocator", "`even`"),
        ("my.module:UsageRatioModel", "`by_usage: bytes_in`"),
        ("x.y.direct_owner", "`owner`"),
        ("my.module:composition", "`mix: ["),
        ("my.module:whatever", "the page \"Rules\""),
    ] {
        refused_split(&format!("'{code}'"), &["names Python code, which cannot run here", instead]);
    }
    let ldap = settings(&["identity_resolution_overrides: {kafka: 'my.module:ldap_resolver'}"]);
    refused_with(&ldap, &["identity_resolution_overrides.kafka", "names Python code", "file: people.csv"]);
}

#[test]
fn a_name_that_may_be_a_slip_of_the_pen_is_told() {
    let warned = |line: &str| good(&settings(&[line])).warnings.iter().map(|w| w.message.clone()).collect::<String>();
    assert!(warned("allocator_overrides: {KAFKA_BAES: even}").contains("did you mean `KAFKA_BASE`?"));
    assert_eq!(warned("allocator_overrides: {SOMETHING_QUITE_NEW: even, otherwise: unallocated}"), "");
    let any = "identity_resolution_overrides: {any: {principals: [{map: {a: b}}]}, conector: {otherwise: x}}";
    assert!(warned(any).contains("did you mean `connector`?"));
    assert!(warned("identity_resolution_overrides: {any: {}}").contains("books nothing to anybody else"));
    let interval = "interval_rule: [any, KAFKA_BASE, connector, ksql]";
    refused_with(&settings(&[interval]), &["interval_rule[3]", "\"ksql\" is not known", "`ksqldb`"]);
}

#[test]
fn identities_come_from_maps_patterns_and_teams() {
    let text = settings(&[
        "identity_resolution_overrides:",
        "  kafka:",
        "    principals:",
        "      - map: {sa-1: checkout}",
        "      - pattern: '^sa-(?<team>[a-z]+)-'",
        "        identity: '{team}'",
        "      - teams: {ml: [u-1, u-2], ops: [u-3]}",
        "    resources: [{map: {lkc-1: platform}}]",
        "    otherwise: UNASSIGNED",
        "    even_split: charged",
    ]);
    let rules = ccloud(&text).rules;
    let kafka = &rules.changes.identities["kafka"];
    let matcher = kafka.compile().expect("sound");
    let told = ["sa-1", "sa-ml-1", "u-2", "u-9"].map(|id| matcher.principal(id).unwrap_or_default());
    assert_eq!(told, ["checkout", "ml", "ml", "UNASSIGNED"]);
    assert_eq!(matcher.resource("lkc-1").as_deref(), Some("platform"));
    // What is shown loads again and says the same.
    let shown = show(&good(&text).config).replace("\"***\"", "\"hush\"");
    assert_eq!(ccloud(&shown).rules.changes, rules.changes, "{shown}");
}

#[test]
fn what_is_wrong_with_a_step_names_it() {
    let step = |step: &str| settings(&[&format!("identity_resolution_overrides: {{any: {{principals: [{step}]}}}}")]);
    let path = "identity_resolution_overrides.any.principals[0]";
    refused_with(&step("{}"), &[path, "says nothing", "`teams`"]);
    refused_with(&step("{map: {a: b}, teams: {}}"), &[path, "says several things at once"]);
    refused_with(&step("{pattern: 'a'}"), &[path, "has a `pattern` without an `identity`"]);
    refused_with(&step("{map: {a: b}, identity: x}"), &[path, "without a `pattern`"]);
    refused_with(&step("{pattern: '(', identity: x}"), &[path, "no regular expression"]);
    refused_with(&step("{pattern: 'a', identity: '{1}'}"), &[path, "does not capture"]);
    refused_with(&step("{teams: {a: [x], b: [x]}}"), &[path, "\"x\" is booked to \"a\" and to \"b\""]);
    refused_with(&step("{file: absent.csv}"), &[path, "absent.csv: cannot be read"]);
    refused_with(&step("{fil: absent.csv}"), &[path, "did you mean `file`?"]);
}

#[test]
fn a_map_file_is_read_beside_the_configuration_and_becomes_part_of_the_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = folder.path().join("t.yaml");
    let text = settings(&["identity_resolution_overrides: {any: {principals: [{file: teams.csv}]}}"]);
    std::fs::write(&yaml, text.replace("hush-1", "hush")).expect("written");
    let steps = |csv: &str| {
        std::fs::write(folder.path().join("teams.csv"), csv).expect("written");
        let config = load(&yaml, None).expect("good").config;
        let Ecosystem::ConfluentCloud(settings) = &config.tenants[0].ecosystem else { panic!("confluent") };
        settings.rules.changes.identities["any"].principals.clone()
    };
    let map = |identity: &str| vec![Step::Map([("sa-1".to_owned(), identity.to_owned())].into())];
    assert_eq!(steps("sa-1,checkout\n"), map("checkout"));
    assert_eq!(steps("sa-1,search\n"), map("search"));
}

#[test]
fn an_external_tenant_takes_any_product_and_metric() {
    let external = |settings: &str| {
        format!("tenants: {{x: {{ecosystem: external, tenant_id: x, plugin_settings: {{{settings}}}}}}}")
    };
    let text = external("allocator_overrides: {VM: {by_usage: cpu_seconds}}, rules_of: none");
    let Ecosystem::External(settings) = good(&text).config.tenants.remove(0).ecosystem else { panic!("external") };
    assert_eq!((settings.starts_from, settings.rules.changes.products.len()), (BaseBook::None, 1));
    assert!(good(&external("")).warnings.is_empty());
    refused_with(&external("ccloud_api: {key: K}"), &["plugin_settings.ccloud_api"]);
    refused_with(&external("rules_of: confluent"), &["did you mean `confluent_cloud`?"]);
}
