//! What becomes of old days, and of tenants that are to be forgotten.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tributary::journal::{Connection, Topic, scan};

use crate::harness::{Installation, Upstream, World, fail, succeed};
use crate::worlds::{differences, tables};

const WORLD: &str = "small-ccloud";

/// Keys of a compacted topic that have a value.
fn living(installation: &Installation, topic: Topic) -> usize {
    let (kafka, prefix) = (installation.kafka.clone(), installation.prefix.clone());
    let connection = Connection::new(kafka, BTreeMap::new(), prefix, "reader".to_owned()).expect("plain settings");
    let mut last: BTreeMap<(i32, Vec<u8>), bool> = BTreeMap::new();
    let note = |record: tributary::journal::ScanRecord<'_>| {
        last.insert((record.partition, record.key.unwrap_or_default().to_vec()), record.payload.is_some());
    };
    scan(&connection, topic, None, note).expect("the topic can be read");
    last.into_values().filter(|lives| *lives).count()
}

/// Rows of tenants in all tables.
fn rows(installation: &Installation) -> String {
    let tables = installation.sql(
        "SELECT string_agg(format('SELECT %L || count(*) FROM %s HAVING count(*) > 0', c.relname || ' ', c.relname), ' UNION ALL ')
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_key'
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'tenants'
           AND c.relnamespace = 'public'::regnamespace",
    );
    installation
        .sql(&format!("{tables} UNION ALL SELECT 'quarantine ' || count(*) FROM quarantine HAVING count(*) > 0"))
}

fn rebuild(installation: &Installation, config: &PathBuf) {
    succeed(installation.tributary().arg("rebuild").arg("--config").arg(config));
}

#[test]
fn old_days_go_by_day_or_with_their_month_and_stay_away() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("retention");
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let of_topics = "      topic_attribution:\n        enabled: true\n";
    assert!(text.contains(of_topics));
    std::fs::write(&config, text.replace(of_topics, &format!("{of_topics}        retention_days: 70\n")))
        .expect("written");
    succeed(&mut installation.once(&config, &world.runs[0]));
    assert_ne!(installation.sql("SELECT count(*) FROM topic_attributions"), "0");
    let before = installation.sql("SELECT count(*) FROM chargebacks WHERE day >= '2026-02-23'");
    let retention = |now: &str, more: &[&str]| {
        let mut command = installation.tributary();
        let output = succeed(command.args(["retention", "--now", now]).args(more).arg("--config").arg(&config));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // 77 days are kept, of the rows of topics 70.
    let (some, all) = ("2026-05-11T06:00:00Z", "2026-06-20T06:00:00Z");
    let told = retention(some, &["--dry-run"]);
    assert!(told.contains("chargebacks: delete days of small-ccloud from 2026-02-17 to 2026-02-22"), "{told}");
    assert!(told.contains("topic-attributions: drop the partition of 2026-02"), "{told}");
    assert_ne!(installation.sql("SELECT count(*) FROM chargebacks WHERE day < '2026-02-23'"), "0", "nothing was done");
    retention(some, &[]);
    assert!(!installation.has("topic_attribution_facts_2026_02"));
    for table in ["billing", "resources", "identities", "chargebacks", "days"] {
        assert_eq!(installation.sql(&format!("SELECT count(*) FROM {table} WHERE day < '2026-02-23'")), "0", "{table}");
    }
    assert_eq!(installation.sql("SELECT count(*) FROM chargebacks"), before, "what is not too old stays");
    assert_eq!(installation.sql("SELECT count(*) FROM slices WHERE day < '2026-02-23'"), "0");
    assert_eq!(living(&installation, Topic::Allocations), 6, "outcomes of days that are gone are gone");
    let told = retention(some, &[]);
    assert!(told.contains("nothing is too old") && told.contains("forgot 0 outcomes"), "{told}");

    for _ in 0..2 {
        let told = retention(all, &[]);
        assert!(told.contains("chargebacks: drop the partition of 2026-02"), "{told}");
        assert!(!installation.has("chargeback_facts_2026_02") && !installation.has("billing_facts_2026_02"));
        // What waits for a person to look at it has no age.
        let left = rows(&installation);
        assert!(left.starts_with("quarantine ") && left.lines().count() == 1, "dimensions go, too: {left}");
        // The log still has the facts: what comes back from there is found again.
        rebuild(&installation, &config);
        assert!(installation.has("chargeback_facts_2026_02"));
    }
}

#[test]
fn a_forgotten_tenant_is_gone_stays_gone_and_may_come_back() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("forget");
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    let first = tables(&installation.export(&config, WORLD, "first"));
    let tenant = |words: &[&str], config: &PathBuf| {
        let mut command = installation.tributary();
        command.arg("tenant").args(words).arg("--config").arg(config);
        command
    };
    let role = format!("reader_of_{}", installation.prefix.trim_end_matches('.'));
    succeed(&mut tenant(&["grant", WORLD, "--role", &role], &config));
    let refused = fail(&mut tenant(&["forget", WORLD, "--yes"], &config));
    assert!(refused.contains("take it out of the configuration"), "{refused}");

    let full = std::fs::read_to_string(&config).expect("the configuration");
    let without = installation.write_config("tenants: {}\n");
    let refused = fail(&mut tenant(&["forget", WORLD], &without));
    assert!(refused.contains("--yes"), "{refused}");
    let refused = fail(&mut tenant(&["forget", "nobody", "--yes"], &without));
    assert!(refused.contains("there is no tenant \"nobody\"") && refused.contains(WORLD), "{refused}");
    succeed(&mut tenant(&["forget", WORLD, "--yes"], &without));
    assert_eq!(rows(&installation), "");
    assert_eq!(installation.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'")), "0");
    for topic in [Topic::GatherState, Topic::Allocations, Topic::Quarantine] {
        assert_eq!(living(&installation, topic), 0, "{topic}");
    }
    // The facts are still in the log, and nobody takes them up again.
    rebuild(&installation, &without);
    assert_eq!(rows(&installation), "");
    succeed(&mut tenant(&["forget", WORLD, "--yes"], &without));

    // With the same upstream it is what it was, under numbers that nobody has seen.
    std::fs::write(&config, full).expect("written");
    succeed(&mut installation.once(&config, &world.runs[0]));
    let back = |into: &str| {
        let tables = tables(&installation.export(&config, WORLD, into));
        tables.into_iter().filter(|(name, _)| name != "days.csv").collect::<Vec<_>>()
    };
    let first: Vec<_> = first.into_iter().filter(|(name, _)| name != "days.csv").collect();
    assert_eq!(differences(&first, &back("back")), "");
    assert_eq!(installation.sql("SELECT min(revision), max(revision) FROM chargebacks"), "2|2");
    rebuild(&installation, &config);
    assert_eq!(differences(&first, &back("rebuilt")), "");
}
