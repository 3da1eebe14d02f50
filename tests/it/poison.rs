//! A record that nobody can read, in every topic that is read: it stops nobody, or it says what to do.
//!
//! What `tests/it/quarantine.rs` does to facts and results is not done again here.

use tributary::domain::quarantine::{Quarantined, Stage, Status};
use tributary::domain::run::{RunStatus, Trigger};
use tributary::domain::{Aggregation, Amount, Day, Emission, EmissionOutcome, EmittedRows, Run, TopicAttributionRow};
use tributary::journal::Topic;

use crate::harness::{Installation, Running, Upstream, World, succeed};
use crate::quarantine::{GARBAGE, Writer, bytes};

/// Read by a projection alone, or by one and by roles that learn of it some other way.
const SET_ASIDE: [Topic; 7] = [
    Topic::TopicAttributions,
    Topic::Runs,
    Topic::Commands,
    Topic::Emissions,
    Topic::Audit,
    Topic::Tokens,
    Topic::Tags,
];
/// Memories: a role that begins must know all of it.
const REMEMBERED: [Topic; 3] = [Topic::GatherState, Topic::Tenants, Topic::Emissions];
/// `tests/it/quarantine.rs` has them.
const ELSEWHERE: [Topic; 8] = [
    Topic::Billing,
    Topic::Resources,
    Topic::Identities,
    Topic::Metrics,
    Topic::Days,
    Topic::Chargebacks,
    Topic::Allocations,
    Topic::Quarantine,
];

const TENANT: &str = "tiny-ccloud";

#[test]
fn every_topic_is_poisoned_by_some_test() {
    let poisoned = |topic: &&Topic| [&SET_ASIDE[..], &REMEMBERED, &ELSEWHERE].iter().any(|of| of.contains(topic));
    let missed: Vec<&Topic> = Topic::all().iter().filter(|topic| !poisoned(topic)).collect();
    assert!(missed.is_empty(), "write what happens to a record of {missed:?} that cannot be read");
}

fn installed(world: &World, name: &str, upstream: &Upstream) -> (Installation, std::path::PathBuf) {
    let installation = Installation::new(name);
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    (installation, config)
}

#[test]
fn what_cannot_be_read_is_set_aside_and_what_is_sent_again_is_used() {
    let Some(world) = World::named(TENANT) else { return };
    let upstream = Upstream::start(&world, &[]);
    let (installation, config) = installed(&world, "poisoned", &upstream);
    let writer = Writer::to(&installation);
    let mut service = installation.service(&config, "gather,allocate,project", "service");
    let mut service = Running::start(service.args(["--now", &world.runs[0]]), installation.dir.path(), "service");
    service.until("the tenant is gathered", |_| {
        installation.has("runs") && installation.sql("SELECT count(*) FROM runs WHERE status = 'completed'") == "1"
    });
    for topic in SET_ASIDE {
        writer.write(topic.name(), b"\xfe no key", GARBAGE);
    }
    for topic in SET_ASIDE {
        let entries = format!("SELECT count(*) FROM quarantine WHERE status = 'open' AND source LIKE '{topic}[%'");
        service.until(&format!("the garbage in {topic} is set aside"), |_| installation.sql(&entries) == "1");
    }

    // What was set aside when it could not be read, and can be by now.
    let day: Day = "2026-01-15".parse().expect("a day");
    let records = [
        (Topic::Runs, "somebody/r1", bytes(&run(day)), "SELECT count(*) FROM runs WHERE tenant_id = 'somebody'"),
        (
            Topic::Emissions,
            "somebody/2026-01-15/daily/chargebacks/csv",
            bytes(&emission(day)),
            "SELECT count(*) FROM emission_facts JOIN tenants USING (tenant_key) WHERE tenant_id = 'somebody'",
        ),
        (
            Topic::TopicAttributions,
            "somebody/2026-01-15",
            bytes(&attribution(day)),
            "SELECT count(*) FROM topic_attributions WHERE tenant_id = 'somebody'",
        ),
    ];
    for (topic, key, payload, shown) in records {
        let id = format!("{:016x}", topic as u32 + 1);
        let entry = Quarantined {
            id: id.clone(),
            tenant: Some("somebody".into()),
            day: Some(day),
            stage: Stage::Project,
            source: format!("{topic}[0]@0"),
            topic: Some(topic.name().to_owned()),
            partition: Some(0),
            offset: Some(0),
            key: Some(key.into()),
            payload,
            reason: "set aside by hand".into(),
            status: Status::Open,
            at: day.end(),
        };
        writer.write("quarantine", id.as_bytes(), &bytes(&entry));
        let known = format!("SELECT count(*) FROM quarantine WHERE id = '{id}'");
        service.until(&format!("the entry of {topic} is listed"), |_| installation.sql(&known) == "1");
        assert_eq!(installation.sql(shown), "0", "{topic}");
        succeed(installation.tributary().args(["quarantine", "resend", &id, "--config"]).arg(&config));
        service.until(&format!("what was sent again to {topic} is shown"), |_| installation.sql(shown) == "1");
        let status = format!("SELECT status FROM quarantine WHERE id = '{id}'");
        service.until(&format!("the entry of {topic} is marked"), |_| installation.sql(&status) == "resent");
    }
    service.stop();
    world.check(&installation.export(&config, &world.name, "out"));
}

/// Without its memory a tenant would count its revisions from 1 again: whoever begins says which record it cannot read,
/// and goes on when that has a tombstone.
#[test]
fn a_memory_that_cannot_be_read_is_named_and_a_tombstone_lifts_it() {
    let Some(world) = World::named(TENANT) else { return };
    let upstream = Upstream::start(&world, &[]);
    let (installation, config) = installed(&world, "amnesia", &upstream);
    let writer = Writer::to(&installation);
    for topic in [Topic::GatherState, Topic::Tenants] {
        writer.write(topic.name(), b"nobody/was/here", GARBAGE);
        let output = installation.once(&config, &world.runs[0]).output().expect("it starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{topic}: it went on\n{text}");
        let named =
            text.contains(&format!("{topic}[")) && text.contains("cannot be read") && text.contains("tombstone");
        assert!(named, "{topic} is not named:\n{text}");
        assert_eq!(installation.records("days"), 0, "{topic}: nothing is sealed");
        writer.bury(topic.name(), b"nobody/was/here");
    }
    succeed(&mut installation.once(&config, &world.runs[0]));
    world.check(&installation.export(&config, &world.name, "out"));
    let entries = "SELECT string_agg(split_part(source, '[', 1), ' ' ORDER BY source) FROM quarantine";
    assert_eq!(installation.sql(entries), "gather-state tenants", "they are visible, too");
}

fn run(day: Day) -> Run {
    Run {
        tenant: "somebody".into(),
        id: "r1".into(),
        instance: "elsewhere".into(),
        trigger: Trigger::Once,
        commands: Vec::new(),
        started_at: day.start(),
        ended_at: Some(day.end()),
        status: RunStatus::Completed,
        from: None,
        to: None,
        wanted: None,
        sealed: 1,
        unchanged: 0,
        held: 0,
        quarantined: 0,
        errors: Vec::new(),
        failures_in_a_row: 0,
        suspended: None,
        next_due_at: None,
    }
}

fn emission(day: Day) -> Emission {
    Emission {
        tenant: "somebody".into(),
        dataset: EmittedRows::Chargebacks,
        emitter: "csv".into(),
        aggregation: Aggregation::Daily,
        day,
        revision: 1,
        outcome: EmissionOutcome::Emitted,
        attempts: 1,
        error: None,
        rows: 1,
        target: None,
        at: day.end(),
    }
}

fn attribution(day: Day) -> TopicAttributionRow<'static> {
    TopicAttributionRow {
        tenant: "somebody",
        day,
        revision: 1,
        ordinal: 0,
        count: 1,
        ecosystem: "external",
        env_id: "",
        cluster_resource_id: "lkc-1",
        topic_name: "orders",
        product_category: "KAFKA",
        product_type: "KAFKA_STORAGE",
        attribution_method: "even_split",
        amount: Amount::whole(1),
        currency: "USD",
        share: 1.0,
        usage: None,
    }
}
