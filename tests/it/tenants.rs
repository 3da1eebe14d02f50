//! What becomes of old days, and of tenants that are to be forgotten.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use tributary::journal::{Connection, Topic, scan};

use crate::harness::{Installation, Running, Upstream, World, fail, sql, succeed};
use crate::worlds::{differences, tables};

const WORLD: &str = "small-ccloud";

/// Keys of a tenant in a compacted topic that have a value; of all tenants in one that has other keys.
fn living(installation: &Installation, topic: Topic) -> usize {
    let (kafka, prefix) = (installation.kafka.clone(), installation.prefix.clone());
    let connection = Connection::new(kafka, BTreeMap::new(), prefix, "reader".to_owned()).expect("plain settings");
    let mut last: BTreeMap<(i32, Vec<u8>), bool> = BTreeMap::new();
    let note = |record: tributary::journal::ScanRecord<'_>| {
        last.insert((record.partition, record.key.unwrap_or_default().to_vec()), record.payload.is_some());
    };
    scan(&connection, topic, None, note).expect("the topic can be read");
    let of_tenant = |key: &[u8]| topic == Topic::Quarantine || key.starts_with(format!("{WORLD}/").as_bytes());
    last.into_iter().filter(|((_, key), lives)| *lives && of_tenant(key)).count()
}

/// Rows of the tenant in all tables.
fn rows(installation: &Installation) -> String {
    let key = format!("(SELECT tenant_key FROM tenants WHERE tenant_id = '{WORLD}')");
    let tables = installation.sql(&format!(
        "SELECT string_agg(format('SELECT %L || count(*) FROM %s WHERE tenant_key = {} HAVING count(*) > 0',
                                  c.relname || ' ', c.relname), ' UNION ALL ')
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_key'
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'tenants'
           AND c.relnamespace = 'public'::regnamespace",
        key.replace('\'', "''")
    ));
    let set_aside = format!("SELECT 'quarantine ' || count(*) FROM quarantine WHERE tenant_id = '{WORLD}'");
    installation.sql(&format!("{tables} UNION ALL {set_aside} HAVING count(*) > 0"))
}

/// Two organisations in one configuration, and the second one alone.
fn both(installation: &Installation, one: &World, other: &World, urls: [&str; 2]) -> (PathBuf, PathBuf) {
    let text =
        |world: &World, url: &str| std::fs::read_to_string(world.config(installation, url)).expect("the configuration");
    let [one, other] = [text(one, urls[0]), text(other, urls[1])];
    let (_, tenants) = other.split_once("tenants:\n").expect("tenants");
    let (tenants, _) = tenants.split_once("topics:\n").expect("an end");
    let both = one.replacen("\ntopics:\n", &format!("\n{tenants}topics:\n"), 1);
    let [of_both, of_other] = ["both.yaml", "without.yaml"].map(|name| installation.dir.path().join(name));
    std::fs::write(&of_both, both).expect("written");
    std::fs::write(&of_other, other).expect("written");
    (of_both, of_other)
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
    assert_eq!(installation.sql("SELECT count(*) FROM held_days WHERE day < '2026-02-23'"), "0");
    assert_eq!(installation.sql("SELECT count(*) FROM runs"), "1", "it is not too old");
    assert_eq!(installation.sql("SELECT count(*) FROM chargebacks"), before, "what is not too old stays");
    assert_eq!(installation.sql("SELECT count(*) FROM slices WHERE day < '2026-02-23'"), "0");
    assert_eq!(living(&installation, Topic::Allocations), 6, "outcomes of days that are gone are gone");
    let told = retention(some, &[]);
    assert!(told.contains("nothing is too old") && told.contains("forgot 0 outcomes and 0 emissions"), "{told}");

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

/// By the service's own clock, which a file moves.
#[test]
fn the_service_removes_what_is_too_old_once_a_day() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("daily");
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    let clock = installation.dir.path().join("now");
    let set = |now: DateTime<Utc>| {
        let beside = clock.with_extension("next");
        std::fs::write(&beside, now.to_rfc3339()).expect("written");
        std::fs::rename(beside, &clock).expect("renamed");
    };
    let days = || installation.sql("SELECT count(DISTINCT day) FROM chargebacks");
    let looks = |service: &Running| service.said().matches("removed what is too old").count();
    // 68 days are kept: the first is too old, the other two are not yet.
    let mut now: DateTime<Utc> = "2026-05-06T06:00:00Z".parse().expect("a moment");
    set(now);
    let mut command = installation.service(&config, "project", "daily");
    let mut service = Running::start(command.arg("--clock-file").arg(&clock), installation.dir.path(), "daily");
    service.until("it looks for the first time", |it| {
        now += TimeDelta::seconds(30);
        set(now);
        looks(it) == 1
    });
    assert_eq!(days(), "2");
    for (seen, left) in [(2, "1"), (3, "0")] {
        // Another day of the calendar, but no day has passed since the last look.
        set(now + TimeDelta::hours(20));
        now += TimeDelta::hours(24);
        set(now);
        service.until("it looks again", |it| looks(it) >= seen);
        assert_eq!((looks(&service), days().as_str()), (seen, left));
    }
    service.stop();
}

#[test]
fn topics_keep_what_the_longest_tenant_keeps_and_never_less() {
    let installation = Installation::new("kept");
    let topology = |command: &str, days: u32| {
        let tenant = format!("tenants:\n  a: {{ecosystem: external, tenant_id: a, retention_days: {days}}}\n");
        let config = installation.write_config(&tenant);
        let output = succeed(installation.tributary().args(["topology", command, "--config"]).arg(config));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    topology("apply", 250);
    assert_eq!(topology("plan", 370), "nothing to do\n", "topics keep 400 days in any case");
    let longer = topology("plan", 730);
    let days = |days: u64| (days * 86_400_000).to_string();
    let told = |topic: &str| {
        longer.lines().any(|line| line.contains(topic) && line.contains(&days(400)) && line.contains(&days(760)))
    };
    assert!(told("billing") && told("chargebacks") && !longer.contains("gather-state"), "{longer}");
    topology("apply", 730);
    assert_eq!(topology("plan", 730), "nothing to do\n");
    assert_eq!(topology("plan", 250), "nothing to do\n", "another process may know who needs it");
}

#[test]
fn a_service_at_work_gets_over_months_that_are_dropped_under_it() {
    let Some(world) = World::named(WORLD) else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("dropped");
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    let mut service = installation.service(&config, "allocate,project", "service");
    let service = Running::start(&mut service, installation.dir.path(), "service");
    let gather = |config: &PathBuf| {
        let mut command = installation.service(config, "gather", "gatherer");
        succeed(command.args(["--once", "--now", &world.runs[0]]));
    };
    gather(&config);
    let paid = "SELECT count(*), sum(amount) FROM chargebacks";
    let before = installation.sql(paid);
    let mut retention = installation.tributary();
    succeed(retention.args(["retention", "--now", "2026-06-20T06:00:00Z", "--config"]).arg(&config));
    assert_eq!(installation.sql(paid), "0|");

    // Other rules, other revisions: of months and with dimensions that the projectors believe to be there.
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let other = "missing_metrics_behavior: skip\n        cost_mapping_overrides: {KAFKA_PARTITION: disabled}";
    assert!(text.contains("missing_metrics_behavior: even_split"));
    std::fs::write(&config, text.replace("missing_metrics_behavior: even_split", other)).expect("written");
    gather(&config);
    assert_eq!(installation.sql(paid), before);
    assert_eq!(installation.sql("SELECT min(revision), max(revision) FROM chargebacks"), "2|2");
    let unnamed = "SELECT count(*) FROM chargeback_facts f WHERE NOT EXISTS
                   (SELECT FROM chargeback_dimensions d WHERE d.dimension_key = f.dimension_key)";
    assert_eq!(installation.sql(unnamed), "0");
    service.stop();
}

#[test]
fn a_forgotten_tenant_is_gone_stays_gone_and_may_come_back() {
    let (Some(world), Some(neighbour)) = (World::named(WORLD), World::named("tiny-ccloud")) else { return };
    let upstreams = [&world, &neighbour].map(|world| Upstream::start(world, &[]));
    let installation = Installation::new("forget");
    let (config, without) = both(&installation, &world, &neighbour, upstreams.each_ref().map(|it| it.url.as_str()));
    succeed(&mut installation.once(&config, &world.runs[0]));
    let exported = |tenant: &str, into: &str| tables(&installation.export(&config, tenant, into));
    let first = exported(WORLD, "first");
    let of_neighbour = exported(&neighbour.name, "neighbour");
    let others_stay = |into: &str| assert_eq!(differences(&of_neighbour, &exported(&neighbour.name, into)), "");
    let tenant = |words: &[&str], config: &PathBuf| {
        let mut command = installation.tributary();
        command.arg("tenant").args(words).arg("--config").arg(config);
        command
    };
    let role = format!("reader_of_{}", installation.prefix.trim_end_matches('.'));
    let output = succeed(&mut tenant(&["grant", WORLD, "--role", &role], &config));
    let granted = String::from_utf8_lossy(&output.stdout).into_owned();
    let login = granted.lines().find(|line| line.starts_with("postgres://")).expect("an address to log in with");
    assert_eq!(sql(login, "SELECT DISTINCT tenant_id FROM chargebacks"), WORLD);
    assert_eq!(sql(login, "SELECT count(*) FROM topic_attributions"), (first[5].1.lines().count() - 1).to_string());
    let refused = fail(&mut tenant(&["forget", WORLD, "--yes"], &config));
    assert!(refused.contains("take it out of the configuration"), "{refused}");
    let refused = fail(&mut tenant(&["forget", WORLD], &without));
    assert!(refused.contains("--yes"), "{refused}");
    let refused = fail(&mut tenant(&["forget", "nobody", "--yes"], &without));
    assert!(refused.contains("there is no tenant \"nobody\"") && refused.contains(WORLD), "{refused}");

    // Under a service at work, which reads everything again.
    let mut service = installation.service(&without, "allocate,project", "service");
    let service = Running::start(&mut service, installation.dir.path(), "service");
    succeed(&mut tenant(&["forget", WORLD, "--yes"], &without));
    assert_eq!(rows(&installation), "");
    assert_eq!(installation.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'")), "0");
    for topic in [Topic::GatherState, Topic::Allocations, Topic::Quarantine] {
        assert_eq!(living(&installation, topic), 0, "{topic}");
    }
    others_stay("others");
    service.stop();
    // The facts are still in the log, and nobody takes them up again.
    rebuild(&installation, &without);
    assert_eq!(rows(&installation), "");
    others_stay("others_rebuilt");
    // Nor into an empty database, where the event arrives beside the rows.
    let elsewhere = Installation::new("forget_elsewhere");
    let mut rebuilding = installation.tributary();
    succeed(rebuilding.env("DATABASE_URL", &elsewhere.database_url).arg("rebuild").arg("--config").arg(&without));
    assert_eq!(rows(&elsewhere), "");
    let count = "SELECT count(*), sum(amount) FROM chargebacks";
    assert_eq!(elsewhere.sql(count), installation.sql(count));
    succeed(&mut tenant(&["forget", WORLD, "--yes"], &without));

    // With the same upstream it is what it was, under numbers that nobody has seen.
    succeed(&mut installation.once(&config, &world.runs[0]));
    let comparable =
        |tables: Vec<(String, String)>| tables.into_iter().filter(|(name, _)| name != "days.csv").collect::<Vec<_>>();
    let first = comparable(first);
    assert_eq!(differences(&first, &comparable(exported(WORLD, "back"))), "");
    let numbers = format!("SELECT min(revision), max(revision) FROM chargebacks WHERE tenant_id = '{WORLD}'");
    assert_eq!(installation.sql(&numbers), "2|2");
    rebuild(&installation, &config);
    assert_eq!(differences(&first, &comparable(exported(WORLD, "rebuilt"))), "");
    others_stay("others_back");
}
