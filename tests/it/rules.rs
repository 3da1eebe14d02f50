//! An operator changes the rules of a tenant that runs.

use crate::harness::{Installation, Upstream, World, fail, succeed};

/// Days of the window are sealed and allocated again by the new rules; older ones keep those of their time, also when
/// everything is built anew from the log.
#[test]
fn changed_rules_hold_for_the_days_of_the_window_and_leave_older_ones_as_they_were() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("own_rules");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    let first = &world.runs[0];
    succeed(&mut installation.once(&config, first));
    let days = || installation.sql("SELECT day, allocated_revision FROM day_facts ORDER BY day");
    let before = days();
    let shared = "SELECT count(*) FROM chargebacks WHERE allocation_method = 'fixed_shares'";
    assert_eq!(installation.sql(shared), "0");

    // A day later: the window has moved on from the oldest day.
    let later: chrono::DateTime<chrono::Utc> = first.parse().expect("a moment");
    let later = (later + chrono::TimeDelta::days(1)).to_rfc3339();
    upstream.set_now(&later);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let own = "    plugin_settings:\n      allocator_overrides: {otherwise: {shares: {finance: 1}}, \
               KAFKA_STORAGE: {shares: {platform: 0.25, search: 0.75}}}\n";
    let changed = text.replacen("    plugin_settings:\n", own, 1);
    assert_ne!(text, changed);
    std::fs::write(&config, &changed).expect("written");
    succeed(&mut installation.once(&config, &later));

    let old: Vec<&str> = before.lines().collect();
    let after = days();
    let revisions: Vec<(&str, &str)> = after.lines().filter_map(|line| line.split_once('|')).collect();
    assert!(old.iter().all(|line| line.ends_with("|1")), "{before}");
    let of = |line: &str| line.split('|').next().unwrap_or_default().to_owned();
    let oldest = of(old[0]);
    assert_eq!(revisions[0], (oldest.as_str(), "1"), "{after}");
    for line in &old[1..] {
        let day = of(line);
        assert!(revisions.contains(&(day.as_str(), "2")), "{day} was not allocated again\n{after}");
    }
    let by_own = format!("{shared} AND day = '{oldest}'");
    assert_eq!(installation.sql(&by_own), "0");
    assert_ne!(installation.sql(shared), "0");
    let sums = ["billing", "chargebacks"]
        .map(|table| installation.sql(&format!("SELECT day, sum(amount) FROM {table} GROUP BY 1 ORDER BY 1")));
    assert_eq!(sums[0], sums[1]);

    // Nothing changed since: nothing is sealed again.
    let sealed = installation.records("days");
    succeed(&mut installation.once(&config, &later));
    assert_eq!(installation.records("days"), sealed);
}

/// What is measured is billed as ever; only who pays is another.
#[test]
fn a_cluster_of_ones_own_takes_other_rules_too() {
    let Some(world) = World::named("small-selfmanaged") else { return };
    let installation = Installation::new("own_cluster_rules");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let own = "    plugin_settings:\n      allocator_overrides: {SELF_KAFKA_COMPUTE: {shares: {platform: 0.4, finance: 0.6}}, \
               SELF_KAFKA_STORAGE: {by_usage: [bytes_in, bytes_out]}}\n      \
               identity_resolution_overrides: {SELF_KAFKA_STORAGE: {principals: [{pattern: '^User:(?<who>[a-z]+)-', \
               identity: 'team-{who}'}], otherwise: UNASSIGNED}}\n";
    std::fs::write(&config, text.replacen("    plugin_settings:\n", own, 1)).expect("written");
    succeed(&mut installation.once(&config, &world.runs[0]));

    let payers = |product: &str| {
        installation.sql(&format!(
            "SELECT DISTINCT identity_id, allocation_method FROM chargebacks WHERE product_type = '{product}' ORDER BY 1"
        ))
    };
    assert_eq!(payers("SELF_KAFKA_COMPUTE"), "finance|fixed_shares\nplatform|fixed_shares");
    let storage = payers("SELF_KAFKA_STORAGE");
    assert!(storage.lines().count() > 2 && storage.contains("team-search|usage_ratio"), "{storage}");
    assert!(storage.lines().all(|line| line.starts_with("team-") || line.starts_with("UNASSIGNED")), "{storage}");
    let others = payers("SELF_KAFKA_NETWORK_EGRESS");
    assert!(others.contains("User:search-inventory-0|usage_ratio"), "{others}");
    let sums = ["billing", "chargebacks"]
        .map(|table| installation.sql(&format!("SELECT day, sum(amount) FROM {table} GROUP BY 1 ORDER BY 1")));
    assert_eq!(sums[0], sums[1]);
    // Each day is rounded to four decimals.
    let finance = "SELECT abs(sum(amount) FILTER (WHERE identity_id = 'finance') - 0.6 * sum(amount)) < 0.001
                   FROM chargebacks WHERE product_type = 'SELF_KAFKA_COMPUTE'";
    assert_eq!(installation.sql(finance), "t");
}

#[test]
fn faults_of_rules_are_told_at_once_and_nothing_starts() {
    let installation = Installation::new("faulty_rules");
    let config = installation.write_config(
        "tenants:\n  lab:\n    ecosystem: external\n    tenant_id: lab\n    plugin_settings:\n      \
         allocator_overrides: {A: evne, B: {shares: {x: 0.5}}, C: 'my.module:even_split'}\n      \
         identity_resolution_overrides: {any: {principals: [{file: nowhere.csv}, {pattern: '(', identity: x}]}}\n",
    );
    let text = fail(&mut installation.once(&config, "2026-02-10T00:00:00Z"));
    for part in ["did you mean `even`?", "add up to 0.5, not to 1", "names Python code", "nowhere.csv", "no regular"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}
