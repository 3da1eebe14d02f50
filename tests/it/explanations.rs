//! What people are told of every kind of row there is in the worlds of the kit, one sentence each.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tributary::domain::Day;
use tributary::store::Store;
use tributary::store::read::{ChargebackRowOf, Selection};

use crate::harness::{Installation, Upstream, World, succeed};

/// More rows than a small world has.
const ALL: u32 = 200_000;

/// The sentences of a world, those of `tests/golden/explanations/<name>.txt`; `own` are settings of the operator.
/// `TRIBUTARY_BLESS=1` writes the file anew: then read it.
fn told(world: &str, name: &str, own: &str) {
    let Some(world) = World::named(world) else { return };
    let installation = Installation::new(name);
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, text.replacen("    plugin_settings:\n", &format!("    plugin_settings:\n{own}"), 1))
        .expect("written");
    succeed(&mut installation.once(&config, &world.runs[0]));
    let sentences = tokio::runtime::Runtime::new().expect("a runtime").block_on(sentences(&installation, &world.name));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/explanations/{name}.txt"));
    if std::env::var_os("TRIBUTARY_BLESS").is_some() {
        std::fs::write(&golden, &sentences).expect("written");
    }
    let before = std::fs::read_to_string(&golden).expect("the sentences");
    let changed: Vec<&str> = sentences.lines().filter(|line| !before.lines().any(|known| known == *line)).collect();
    assert!(before == sentences, "{name} is told otherwise; new are\n{}", changed.join("\n"));
}

/// One row of each kind, the largest, by kind.
async fn sentences(installation: &Installation, tenant: &str) -> String {
    let store = Store::connect(&installation.database_url, 2).await.expect("a store");
    let mut reader = store.reader(Duration::from_secs(60)).await.expect("a view");
    let of =
        Selection { tenant: tenant.to_owned(), from: Day::FIRST, to: Day::LAST, conditions: Vec::new(), as_of: None };
    let mut kinds: BTreeMap<Vec<String>, ChargebackRowOf> = BTreeMap::new();
    for row in reader.largest(&of, ALL).await.expect("rows") {
        let detail = row.allocation_detail.clone().unwrap_or_default();
        let texts = [&row.product_type, &row.cost_type, &row.allocation_method, &detail, &row.target];
        let kind = texts.into_iter().cloned().chain([row.tier.to_string()]).collect();
        kinds.entry(kind).or_insert(row);
    }
    let mut told = String::new();
    for row in kinds.values() {
        let explained = reader.explained(tenant, row).await.expect("an explanation");
        told.push_str(&explained.told(row).expect("amounts").expect("the line is there").sentence);
        told.push('\n');
    }
    told
}

#[test]
fn of_a_vendors_bill() {
    told("small-ccloud", "vendor", "");
}

#[test]
fn of_a_bill_whose_metrics_were_away() {
    told("small-ccloud-outage", "outage", "");
}

#[test]
fn of_a_cluster_of_ones_own() {
    told("small-selfmanaged", "own_cluster", "");
}

#[test]
fn of_anything_that_is_measured() {
    told("small-generic", "generic", "");
}

#[test]
fn of_rules_of_an_operator() {
    let own = "      allocator_overrides:
        KAFKA_STORAGE: {shares: {platform: 0.25, search: 0.75}}
        KAFKA_BASE: {first_that_fits: [owner, {even: found, detail: nobody_owns_it}, {to: platform}]}
        KAFKA_NETWORK_READ: {by_usage: [bytes_in, bytes_out]}
        KAFKA_PARTITION: unallocated
        SUPPORT: {to: finance}
        otherwise: resource
      identity_resolution_overrides:
        connector: {principals: [{pattern: '^sa-(?<who>.)', identity: 'team-{who}'}], otherwise: UNASSIGNED}
        KAFKA_NETWORK_WRITE: {principals: [{pattern: '^sa-', identity: everybody}]}
      interval_rule: [kafka]
";
    told("small-ccloud", "operator", own);
}
