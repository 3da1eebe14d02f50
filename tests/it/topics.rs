//! Topic attribution over real services: what a failure of its metrics does, and what other rules do to days that are
//! allocated already. That the rows are the right ones is for `worlds` to say.

use std::path::Path;

use crate::harness::{Installation, Upstream, World, succeed};

/// Every metric by topic, of every cluster, refused for good.
const REFUSED: &str = r#"[{"match": "query=.*(received|sent|retained)_bytes", "status": 422}]"#;

fn replace(config: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(config).expect("the configuration");
    assert!(text.contains(old), "{old} is in the configuration");
    std::fs::write(config, text.replace(old, new)).expect("written");
}

/// What differs between lines and their rows in a table of rows; empty if each line that has rows has all of them.
fn unlike(installation: &Installation, table: &str, resource: &str) -> String {
    installation.sql(&format!(
        "SELECT b.day, b.resource_id, b.product_type, b.amount, r.amount FROM billing b
         JOIN (SELECT day, env_id, {resource} AS resource_id, product_type, sum(amount) AS amount FROM {table}
               GROUP BY 1, 2, 3, 4) r USING (day, env_id, resource_id, product_type)
         WHERE b.amount <> r.amount"
    ))
}

#[test]
fn failing_topic_metrics_hold_a_day_for_a_while_and_never_who_pays() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let (installation, upstream) = (Installation::new("topic_outage"), Upstream::start(&world, &[]));
    let config = world.config(&installation, &upstream.url);
    replace(&config, "topic_attribution_retry_limit: 3", "topic_attribution_retry_limit: 2");
    let once = || succeed(&mut installation.once(&config, &world.runs[0]));

    upstream.set_faults(REFUSED);
    let said = String::from_utf8_lossy(&once().stdout).into_owned();
    assert!(said.contains("attempt 1 of 2") && said.contains(":topic:*"), "{said}");
    assert_eq!(installation.sql("SELECT count(*) FROM days WHERE sealed_revision IS NOT NULL"), "0");

    once();
    let days = installation.sql("SELECT count(*) FROM days WHERE outcome = 'allocated'");
    assert_eq!(days, "3");
    let other = "SELECT count(*) FROM topic_attributions
                 WHERE topic_name <> '__UNATTRIBUTED__' OR attribution_method <> 'ATTRIBUTION_FAILED' OR share <> 1";
    assert_eq!(installation.sql(other), "0");
    assert_ne!(installation.sql("SELECT count(*) FROM topic_attributions"), "0");
    let failed = "SELECT count(*) FROM chargebacks WHERE allocation_detail = 'metrics_fetch_failed'";
    assert_eq!(installation.sql(failed), "0", "who pays was measured");
    assert_eq!(unlike(&installation, "chargebacks", "resource_id"), "");
    assert_eq!(unlike(&installation, "topic_attributions", "cluster_resource_id"), "");

    // The metrics are back: the days are gathered again, and nothing of the failure is left.
    upstream.set_faults("[]");
    once();
    assert_eq!(installation.sql("SELECT count(*) FROM topic_attributions WHERE topic_name LIKE '\\_\\_%'"), "0");
    world.check(&installation.export(&config, &world.name, "out"));

    // And failing again does not take away what is known.
    let before = installation.records("topic-attributions");
    upstream.set_faults(REFUSED);
    once();
    assert_eq!(installation.records("topic-attributions"), before);
}

#[test]
fn other_rules_allocate_the_days_again() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let (installation, upstream) = (Installation::new("topic_rules"), Upstream::start(&world, &[]));
    let config = world.config(&installation, &upstream.url);
    let once = || succeed(&mut installation.once(&config, &world.runs[0]));
    let methods = || {
        installation.sql("SELECT DISTINCT product_type || ' ' || attribution_method FROM topic_attributions ORDER BY 1")
    };
    replace(
        &config,
        "      topic_attribution:\n        enabled: true",
        "      topic_attribution:\n        enabled: false",
    );
    once();
    assert_eq!(methods(), "");
    let paid = installation.sql("SELECT sum(amount), count(*) FROM chargebacks");

    let chosen = "enabled: true\n        cost_mapping_overrides: {kafka_base: bytes_ratio, KAFKA_PARTITION: disabled}";
    replace(
        &config,
        "      topic_attribution:\n        enabled: false",
        &format!("      topic_attribution:\n        {chosen}"),
    );
    once();
    let expected = [
        "KAFKA_BASE bytes_ratio",
        "KAFKA_NETWORK_READ bytes_ratio",
        "KAFKA_NETWORK_WRITE bytes_ratio",
        "KAFKA_STORAGE retained_bytes_ratio",
    ];
    assert_eq!(methods(), expected.join("\n"));
    assert_eq!(unlike(&installation, "topic_attributions", "cluster_resource_id"), "");
    assert_eq!(installation.sql("SELECT sum(amount), count(*) FROM chargebacks"), paid);

    // The topics are in the inventory, with the day from which they were seen.
    let seen = "SELECT count(DISTINCT resource_id) > 0 AND bool_and(created_at IS NOT NULL AND parent_id LIKE 'lkc-%')
                FROM resources WHERE resource_type = 'topic'";
    assert_eq!(installation.sql(seen), "t");
}
