//! Records that nobody can use: set aside with their bytes and a reason, in the way of nothing else.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Serialize;
use tributary::clock::Clock;
use tributary::domain::quarantine::{Quarantined, Stage, Status};
use tributary::domain::{Amount, BillingLine, Day, DaySealed, MetricValue, Reason, Subject, TenantDay};
use tributary::ecosystem::confluent_cloud::rules::rule_book;
use tributary::journal::{Codec, Record};

use crate::harness::{Installation, Running, Upstream, World, fail, succeed, until};

/// A program that writes what it likes into the topics of an installation.
pub(super) struct Writer {
    producer: BaseProducer,
    prefix: String,
}

impl Writer {
    pub(super) fn to(installation: &Installation) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &installation.kafka).set("partitioner", "murmur2_random");
        config.set("message.max.bytes", "30000000").set("compression.type", "lz4");
        Self { producer: config.create().expect("a producer"), prefix: installation.prefix.clone() }
    }

    pub(super) fn write(&self, topic: &str, key: &[u8], payload: &[u8]) {
        self.write_at(Clock::system().now(), topic, key, payload);
    }

    /// Writes a tombstone.
    pub(super) fn bury(&self, topic: &str, key: &[u8]) {
        let name = format!("{}{topic}", self.prefix);
        self.producer.send(BaseRecord::<[u8], [u8]>::to(&name).key(key)).expect("queued");
        self.producer.flush(Duration::from_secs(10)).expect("written");
    }

    /// Writes as if it were another time.
    fn write_at(&self, at: DateTime<Utc>, topic: &str, key: &[u8], payload: &[u8]) {
        let name = format!("{}{topic}", self.prefix);
        let record = BaseRecord::to(&name).key(key).payload(payload).timestamp(at.timestamp_millis());
        self.producer.send(record).expect("queued");
        self.producer.flush(Duration::from_secs(10)).expect("written");
    }
}

pub(super) fn bytes<T: Record + Serialize>(record: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::builtin().encode(record, &mut bytes).expect("it fits its schema");
    bytes
}

pub(super) fn line(tenant: &str, day: Day, ordinal: u32, count: u32) -> BillingLine {
    let one = Amount::whole(1);
    BillingLine {
        tenant: tenant.into(),
        day,
        revision: 1,
        ordinal,
        count,
        ecosystem: "confluent_cloud".into(),
        env_id: String::new(),
        resource_id: "lkc-of-somebody-else".into(),
        resource_name: None,
        product_category: "KAFKA".into(),
        product_type: "KAFKA_BASE".into(),
        quantity: one,
        unit_price: one,
        amount: one,
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day.start(),
        period_end: day.end(),
        evidence: Vec::new(),
    }
}

fn usage(tenant: &str, day: Day, ordinal: u32, count: u32) -> MetricValue {
    MetricValue {
        tenant: tenant.into(),
        day,
        revision: 1,
        ordinal,
        count,
        ecosystem: "confluent_cloud".into(),
        resource_id: "lkc-1".into(),
        metric: "bytes_in".into(),
        subject_type: Subject::Principal,
        subject: "sa-1".into(),
        value: 1.0,
    }
}

/// A seal of a day with one billing line and nothing else.
pub(super) fn seal(tenant: &str, day: Day) -> DaySealed {
    DaySealed {
        tenant: tenant.into(),
        day,
        revision: 1,
        ecosystem: "confluent_cloud".into(),
        billing_lines: 1,
        resources: 0,
        identities: 0,
        metrics: 0,
        digest: "a digest".into(),
        rules: serde_json::to_string(&rule_book("0.7", "0.3")).expect("JSON"),
        metrics_failed: Vec::new(),
        quarantined: 0,
        reason: Reason::New,
        requested: None,
        gathered_at: day.end(),
    }
}

/// Bytes that look like a record of schema id 1 234 567, which nobody knows.
const UNKNOWN: &[u8] = &[0, 0x00, 0x12, 0xd6, 0x87, 1, 2, 3];
pub(super) const GARBAGE: &[u8] = b"\xffnot a record at all";

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn quarantine(installation: &Installation, config: &std::path::Path, words: &[&str]) -> String {
    let mut command = installation.tributary();
    stdout(&succeed(command.arg("quarantine").args(words).arg("--config").arg(config)))
}

/// Every way to spoil a record, in every topic that is read: it is set aside aloud. A day whose own records are all
/// there does not mind; one that a readable record contradicts is refused; no other one notices.
#[test]
fn poison_is_set_aside_and_refuses_only_the_days_it_contradicts() {
    let Some(world) = World::named("small-ccloud") else { return };
    let installation = Installation::new("poison");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));

    let tenant = world.name.as_str();
    let first: Day = "2026-02-17".parse().expect("a day");
    let day = |n: u64| first.plus(n);
    let cut = |record: Vec<u8>| record[..record.len() / 2].to_vec();
    let foreign = bytes(&seal(tenant, day(1)));
    let spoiled: [(&str, Vec<u8>, &str); 10] = [
        ("billing", GARBAGE.to_vec(), "Confluent's wire format"),
        ("billing", foreign, "day-sealed"),
        ("billing", cut(bytes(&line(tenant, day(2), 0, 1))), "billing-line"),
        ("billing", bytes(&line(tenant, day(3), 7, 7)), "ordinals"),
        ("resources", GARBAGE.to_vec(), "Confluent's wire format"),
        ("identities", UNKNOWN.to_vec(), "schema id 1234567 is unknown"),
        ("metrics", cut(bytes(&usage(tenant, day(6), 0, 1))), "metric-value"),
        ("metrics", bytes(&usage(tenant, day(7), 9, 9)), "ordinals run from 0"),
        ("days", GARBAGE.to_vec(), "Confluent's wire format"),
        ("days", cut(bytes(&seal(tenant, day(9)))), "day-sealed"),
    ];
    let writer = Writer::to(&installation);
    for (n, (topic, payload, _)) in (0..).zip(&spoiled) {
        writer.write(topic, TenantDay::new(tenant, day(n)).to_string().as_bytes(), payload);
    }
    // Nobody's: a key that names no day, in facts and results; and results that belong to a sound day.
    for topic in ["billing", "resources", "identities", "metrics", "days", "chargebacks", "allocations", "quarantine"] {
        writer.write(topic, b"\xfe no key", GARBAGE);
    }
    // Of a sound day of somebody else, under a key of ours.
    writer.write("billing", b"no/key", &bytes(&line("somebody", day(11), 0, 1)));
    let sound = TenantDay::new(tenant, day(10)).to_string();
    writer.write("chargebacks", sound.as_bytes(), UNKNOWN);
    writer.write("allocations", sound.as_bytes(), GARBAGE);

    let text = fail(&mut installation.once(&config, &world.runs[0]));
    let listed = quarantine(&installation, &config, &["list"]);
    for (n, (topic, _, reason)) in (0..).zip(&spoiled) {
        let refused = format!("{} was refused", day(n));
        assert_eq!(text.contains(&refused), [3, 7].contains(&n), "{topic} {n}: {refused:?} in\n{text}");
        let day = day(n).to_string();
        let told = listed.lines().any(|row| row.contains(&day) && row.contains(reason));
        assert!(told, "{topic} {n}: no entry of {day} says {reason:?}\n{listed}");
    }
    for topic in ["billing", "resources", "identities", "metrics", "days", "chargebacks", "allocations", "quarantine"] {
        assert!(listed.lines().any(|row| row.contains(&format!(" {topic}["))), "no entry of {topic}\n{listed}");
    }

    assert!(listed.contains("a record of somebody/2026-02-28 stands under the key \"no/key\""), "{listed}");

    // The days that nobody spoiled are whole and exact.
    let others = "day NOT IN ('2026-02-20', '2026-02-24')";
    let sealed = installation.sql(&format!("SELECT count(*) FROM day_facts WHERE {others}"));
    assert_ne!(sealed, "0", "a world with days to spare");
    let done = "allocated_revision = sealed_revision AND refused_revision IS NULL";
    assert_eq!(installation.sql(&format!("SELECT count(*) FROM day_facts WHERE {others} AND {done}")), sealed);
    let sums = ["billing", "chargebacks"].map(|table| {
        installation.sql(&format!("SELECT day, sum(amount) FROM {table} WHERE {others} GROUP BY 1 ORDER BY 1"))
    });
    assert_eq!(sums[0], sums[1]);
    assert_eq!(installation.sql(&format!("SELECT count(*) FROM chargebacks WHERE NOT ({others})")), "0");

    // What was set aside is shown with its bytes.
    let id = installation.sql("SELECT id FROM quarantine WHERE topic = 'identities' AND day IS NOT NULL LIMIT 1");
    let shown = quarantine(&installation, &config, &["show", &id]);
    for part in ["00 00 12 d6 87 01 02 03", "schema id 1234567 is unknown", &day(5).to_string()] {
        assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
    }
}

/// A gatherer of somebody else's lost a line of a day into quarantine: sent again, it completes the day.
#[test]
fn what_is_sent_again_is_used_and_marked() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("resend");
    let config = world.config(&installation, "http://127.0.0.1:1");
    let service = &mut installation.service(&config, "allocate,project", "service");
    let mut service = Running::start(service, installation.dir.path(), "service");
    service.until("the tables are there", |_| installation.has("quarantine"));

    let (tenant, day) = ("somebody", "2026-02-03".parse::<Day>().expect("a day"));
    let key = TenantDay::new(tenant, day).to_string();
    let writer = Writer::to(&installation);
    writer.write("days", key.as_bytes(), &bytes(&seal(tenant, day)));
    // The fact topics have the same layout: a day lies in the same partition of each.
    let (_, partition) = installation.partitions("days").remove(0);
    let entry = Quarantined {
        id: "0123456789abcdef".into(),
        tenant: Some(tenant.into()),
        day: Some(day),
        stage: Stage::Project,
        source: "billing[0]@0".into(),
        topic: Some("billing".into()),
        partition: Some(partition),
        offset: Some(0),
        key: Some(key.clone().into_bytes()),
        payload: bytes(&line(tenant, day, 0, 1)),
        reason: "set aside by hand".into(),
        status: Status::Open,
        at: day.end(),
    };
    writer.write("quarantine", entry.id.as_bytes(), &bytes(&entry));
    service.until("the entry is listed", |_| installation.sql("SELECT count(*) FROM quarantine") == "1");
    service.until("the seal is seen", |_| installation.sql("SELECT count(*) FROM day_facts") == "1");
    assert_eq!(installation.records("allocations"), 0, "a line is missing");

    // The service keeps running: its producers and this one do not put each other out.
    let sent = quarantine(&installation, &config, &["resend", "0123"]);
    assert!(sent.contains("0123456789abcdef to billing["), "{sent}");
    service.until("the day is allocated", |_| {
        installation.sql("SELECT sum(amount) FROM chargebacks") == "1.00000000000000"
    });
    service.until("the entry is marked", |_| installation.sql("SELECT status FROM quarantine") == "resent");
    assert!(quarantine(&installation, &config, &["list"]).contains("nothing is in quarantine"));
    assert!(quarantine(&installation, &config, &["list", "--all"]).contains("resent"));
    assert!(quarantine(&installation, &config, &["show", "0123"]).contains("status   resent"));

    // Twice by mistake: no row is booked twice.
    quarantine(&installation, &config, &["resend", "0123"]);
    until("it is in the topic again", || installation.records("billing") == 2);
    let mark = bytes(&line(tenant, day.plus(1), 0, 1));
    writer.write("billing", TenantDay::new(tenant, day.plus(1)).to_string().as_bytes(), &mark);
    writer.write(
        "days",
        TenantDay::new(tenant, day.plus(1)).to_string().as_bytes(),
        &bytes(&seal(tenant, day.plus(1))),
    );
    service
        .until("the next day is allocated", |_| installation.sql("SELECT count(DISTINCT day) FROM chargebacks") == "2");
    assert_eq!(installation.sql("SELECT count(*), sum(amount) FROM billing"), "2|2.00000000000000");
    assert_eq!(installation.sql("SELECT count(*), sum(amount) FROM chargebacks"), "2|2.00000000000000");
    service.stop();
}

/// A gatherer of somebody else's died in the middle of a day: nobody waits for ever, and what comes behind is read.
#[test]
fn a_revision_that_is_never_finished_is_refused_and_holds_nothing_up() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("unfinished");
    let config = world.config(&installation, "http://127.0.0.1:1");
    let service = &mut installation.service(&config, "allocate,project", "service");
    let mut service = Running::start(service, installation.dir.path(), "service");
    service.until("the tables are there", |_| installation.has("quarantine"));
    let writer = Writer::to(&installation);
    let first: Day = "2026-02-01".parse().expect("a day");
    let tenant = "somebody";
    let key = |day: Day| TenantDay::new(tenant, day).to_string();

    // For a day of the log's time: one of two lines is here. As many whole days follow as reach each partition.
    let yesterday = Clock::system().now() - TimeDelta::hours(25);
    writer.write_at(yesterday, "billing", key(first).as_bytes(), &bytes(&line(tenant, first, 0, 2)));
    for day in first.plus(1).until(first.plus(21)) {
        writer.write("billing", key(day).as_bytes(), &bytes(&line(tenant, day, 0, 1)));
        writer.write("days", key(day).as_bytes(), &bytes(&seal(tenant, day)));
    }
    let refused = format!("SELECT reason FROM quarantine WHERE day = '{first}'");
    service.until("it is given up", |_| installation.sql(&refused).contains("never finished"));
    assert!(installation.sql(&refused).contains("1 of 2 billing lines, the seal"), "{}", installation.sql(&refused));
    service.until("the others are whole", |_| installation.sql("SELECT count(*) FROM chargebacks") == "20");

    // At once, where it fills the memory: every line is here, the seal is not, and reading ahead is paused for it.
    let large = first.plus(30);
    for ordinal in 0..110 {
        let resource_id = format!("{ordinal}{}", "r".repeat(1 << 20));
        let line = BillingLine { resource_id, ..line(tenant, large, ordinal, 110) };
        writer.write("billing", key(large).as_bytes(), &bytes(&line));
    }
    for day in first.plus(31).until(first.plus(51)) {
        writer.write("billing", key(day).as_bytes(), &bytes(&line(tenant, day, 0, 1)));
        writer.write("days", key(day).as_bytes(), &bytes(&seal(tenant, day)));
    }
    let refused = format!("SELECT reason FROM quarantine WHERE day = '{large}'");
    service.until("the large one is given up", |_| installation.sql(&refused).contains("the seal did not arrive"));
    service.until("those behind it are whole", |_| installation.sql("SELECT count(*) FROM chargebacks") == "40");
    service.stop();
}

/// Postgres stores no zero byte in a text: the row is there all the same, with its money.
#[test]
fn a_text_with_a_zero_byte_is_projected() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("zero-byte");
    let config = world.config(&installation, "http://127.0.0.1:1");
    let service = &mut installation.service(&config, "allocate,project", "service");
    let mut service = Running::start(service, installation.dir.path(), "service");
    service.until("the tables are there", |_| installation.has("quarantine"));
    let writer = Writer::to(&installation);
    let (tenant, day) = ("somebody", "2026-02-03".parse::<Day>().expect("a day"));
    let key = TenantDay::new(tenant, day).to_string();
    let line = BillingLine { resource_id: "lkc\0-1".into(), evidence: vec!["{\0}".into()], ..line(tenant, day, 0, 1) };
    writer.write("billing", key.as_bytes(), &bytes(&line));
    writer.write("days", key.as_bytes(), &bytes(&DaySealed { digest: "d\0".into(), ..seal(tenant, day) }));
    for table in ["billing", "chargebacks"] {
        let row = format!("SELECT resource_id, amount FROM {table}");
        service.until(table, |_| installation.sql(&row) == "lkc\u{fffd}-1|1.00000000000000");
    }
    service.until("the day is told", |_| installation.sql("SELECT allocated_revision FROM day_facts") == "1");
    assert_eq!(installation.sql("SELECT count(*) FROM quarantine"), "0");
    service.stop();
}

/// Larger than a record of the quarantine may be: its first bytes are kept, and nobody stumbles over it.
#[test]
fn a_record_too_large_for_the_quarantine_is_cut() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("large");
    let config = world.config(&installation, "http://127.0.0.1:1");
    let service = &mut installation.service(&config, "allocate,project", "service");
    let mut service = Running::start(service, installation.dir.path(), "service");
    service.until("the tables are there", |_| installation.has("quarantine"));
    // Compressed by whoever wrote it, it passes the topic's limit of 8 MiB.
    let payload = vec![255; 20 << 20];
    let writer = Writer::to(&installation);
    writer.write("billing", b"somebody/2026-02-03", &payload);
    writer.write("chargebacks", b"somebody/2026-02-03", &payload);
    // Allocation and the projection of the lines both find the first: it is one entry all the same.
    service.until("both are set aside", |_| installation.sql("SELECT count(*) FROM quarantine") == "2");
    let told = "SELECT count(*) FROM quarantine WHERE reason LIKE '%too many to keep%' AND length(payload) > 7000000";
    assert_eq!(installation.sql(told), "2");
    let id = installation.sql("SELECT id FROM quarantine LIMIT 1");
    let refused = fail(installation.tributary().args(["quarantine", "resend", &id, "--config"]).arg(&config));
    assert!(refused.contains("cannot be sent again"), "{refused}");
    service.stop();
}
