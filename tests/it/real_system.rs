//! A real Apache Kafka, scraped by a real Prometheus, billed from its rate card: what was sent is what is paid for.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, Statistics, TopicPartitionList};
use tributary::clock::Clock;

use crate::harness::{BilledCluster, Installation, succeed, until};

const TOPICS: [&str; 3] = ["orders", "clicks", "audit"];
const MIB: usize = 1 << 20;
/// Who writes how many MiB to which topic, and who reads it how often.
const WRITES: [(&str, &str, usize); 3] = [("alice", "orders", 96), ("bob", "clicks", 64), ("carol", "audit", 48)];
const READS: [(&str, &str, usize); 3] = [("bob", "orders", 1), ("carol", "clicks", 2), ("alice", "audit", 1)];
/// Bytes that are written before, so that all counters are there. Rates by user count them, increases of counters do not.
const FIRST: usize = 16 << 10;
/// In how many rounds it is all done.
const ROUNDS: usize = 16;
/// 4 KiB a record, so that what Kafka adds to each is far below the tolerance.
const RECORD: usize = 4096;
const TOLERANCE: f64 = 0.02;

/// Writes so many bytes and waits until they are acknowledged.
fn write(cluster: &BilledCluster, user: &str, topic: &str, bytes: usize) {
    let mut config = cluster.client(user);
    config.set("compression.type", "none").set("batch.size", "500000").set("linger.ms", "50").set("acks", "all");
    let producer: BaseProducer = config.create().expect("a producer");
    let value = vec![b'x'; RECORD];
    for _ in 0..bytes / RECORD {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(&value);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(20));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(120)).expect("everything is acknowledged");
}

/// What the library says of a consumer: how many reports there were, and the bytes that all brokers have sent it.
#[derive(Default)]
struct Received(Mutex<(usize, u64)>);

impl ClientContext for Received {
    fn stats(&self, statistics: Statistics) {
        let bytes = statistics.brokers.values().map(|broker| broker.rxbytes).sum();
        let mut last = self.0.lock().expect("no panic");
        *last = (last.0 + 1, bytes);
    }
}

impl ConsumerContext for Received {}

/// Reads a whole topic from an offset; the offset after the last record, and the bytes that were received for it. A
/// client that is held up may fetch a part twice: the cluster has sent it twice, and it is paid for twice.
fn read(cluster: &BilledCluster, user: &str, topic: &str, from: i64) -> (i64, u64) {
    let mut config = cluster.client(user);
    config.set("group.id", "none").set("enable.auto.commit", "false").set("queued.max.messages.kbytes", "4096");
    // Whole answers: a batch that an answer cuts off is sent twice, and counted twice.
    config.set("fetch.message.max.bytes", "67108864").set("fetch.max.bytes", "67108864");
    config.set("statistics.interval.ms", "100");
    let consumer: BaseConsumer<Received> = config.create_with_context(Received::default()).expect("a consumer");
    let (_, end) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(60)).expect("the topic's end");
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(topic, 0, Offset::Offset(from)).expect("an offset");
    consumer.assign(&at).expect("assigned");
    let mut next = from;
    until("everything is read", || {
        while let Some(record) = consumer.poll(Duration::from_millis(200)) {
            next = record.expect("a record").offset() + 1;
        }
        next >= end
    });
    let received = || *consumer.context().0.lock().expect("no panic");
    let reports = received().0;
    // The first report after the end may have been written before it.
    until("the library has said what it received", || {
        assert!(consumer.poll(Duration::from_millis(50)).is_none(), "nothing comes after the end");
        received().0 >= reports + 2
    });
    (end, received().1)
}

/// Prometheus' own time, seconds.
fn now(cluster: &BilledCluster) -> f64 {
    cluster.ask("vector(time())")[0].1
}

fn moment() -> DateTime<Utc> {
    Clock::system().now()
}

/// The ends of the periods at which storage is looked at, up to one period ahead.
fn marks(from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let first = from.timestamp().div_euclid(300) + 1;
    let last = (until.timestamp() + 300).div_euclid(300);
    (first..=last).filter_map(|n| DateTime::from_timestamp(n * 300, 0))
}

#[test]
fn what_three_users_really_sent_is_what_they_pay_for() {
    let cluster = BilledCluster::start();
    let begun = moment();
    cluster.set_quotas();
    let admin: AdminClient<DefaultClientContext> = cluster.client("admin").create().expect("an admin client");
    let topics = TOPICS.map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).expect("topics are made");

    // Counters are born with the first byte; only what comes after the first look at them can be seen to be added.
    for (user, topic, _) in WRITES {
        write(&cluster, user, topic, FIRST);
    }
    let ends: Vec<i64> = READS.iter().map(|(user, topic, _)| read(&cluster, user, topic, 0).0).collect();
    let by_topic = |metric: &str| cluster.ask(&format!("{metric}{{topic=~\"orders|clicks|audit\"}} > {FIRST}")).len();
    until("all topics are counted both ways", || {
        let all = ["bytesin", "bytesout"].map(|way| by_topic(&format!("kafka_server_brokertopicmetrics_{way}_total")));
        all == [TOPICS.len(); 2]
    });
    let settled = |metric: &str| cluster.ask(&format!("sum({metric}) < 1000")).len() == 1;
    let quiet = || settled("kafka_server_produce_byte_rate") && settled("kafka_server_fetch_byte_rate");
    until("the first traffic has left the rates", quiet);
    let first = now(&cluster);
    let (before, traffic_from) = (cluster.bytes_on_disk() as f64, moment());

    // Everybody in turn, as on a busy cluster: Kafka knows bytes by user only as rates over some seconds.
    let mut ends = ends;
    let mut received = [0; READS.len()];
    for _ in 0..ROUNDS {
        for (user, topic, mib) in WRITES {
            write(&cluster, user, topic, mib * MIB / ROUNDS);
        }
        for (((user, topic, times), end), received) in READS.iter().zip(&mut ends).zip(&mut received) {
            let from = *end;
            for _ in 0..*times {
                let (next, bytes) = read(&cluster, user, topic, from);
                (*end, *received) = (next, *received + bytes);
            }
        }
    }
    let (after, traffic_until) = (cluster.bytes_on_disk() as f64, moment());
    until("the traffic has left the rates", quiet);
    // Prometheus adds half an interval at both ends of what it saw: small beside this much time.
    until("a minute of samples is there", || now(&cluster) - first > 60.0);

    let installation = Installation::new("real");
    let config = installation.write_config(&format!(
        "tenants:\n  real:\n    ecosystem: self_managed_kafka\n    tenant_id: real\n    lookback_days: 4\n    cutoff_days: 1\n    \
         plugin_settings:\n      cluster_id: billed\n      broker_count: 1\n      cost_model: {{compute_hourly_rate: '0.5', \
         storage_per_gib_hourly: '1', network_ingress_per_gib: '100', network_egress_per_gib: '100'}}\n      metrics: {{url: \
         '{}'}}\n      metric_names: {{principal_bytes_in: kafka_server_produce_byte_rate, principal_bytes_out: \
         kafka_server_fetch_byte_rate}}\n      discovery_window_hours: 96\n      topic_attribution: {{enabled: true}}\n      completeness: {{wait_days: 0}}\n      \
         resource_source: {{source: admin_api, bootstrap_servers: '{}', security_protocol: SASL_PLAINTEXT, sasl_mechanism: \
         PLAIN, sasl_username: alice, sasl_password: alice-password}}\n",
        cluster.prometheus, cluster.bootstrap
    ));
    // A day is billed when it is over: for the service it is the day after tomorrow.
    let now = (moment() + TimeDelta::days(2)).to_rfc3339();
    let output = succeed(&mut installation.once(&config, &now));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("is billed with a gap"), "a day of some minutes is flagged:\n{said}");

    // What was billed, in bytes: prices are 100 a GiB.
    let gib = (1_u64 << 30) as f64;
    let sum = |condition: &str| -> f64 {
        let sql = format!("SELECT coalesce(sum(amount), 0) FROM chargebacks WHERE {condition}");
        installation.sql(&sql).parse().expect("a number")
    };
    let near = |what: &str, found: f64, expected: f64| {
        let off = (found - expected) / expected;
        assert!(off.abs() <= TOLERANCE, "{what}: {found:.0} instead of {expected:.0}, {:.2} % off", off * 100.0);
        eprintln!("{what}: {:+.2} % off", off * 100.0);
    };
    let bytes = |way: &str, condition: &str| {
        sum(&format!("product_type = 'SELF_KAFKA_NETWORK_{way}' AND {condition}")) / 100.0 * gib
    };
    let written: usize = WRITES.iter().map(|(_, _, mib)| mib * MIB).sum();
    near("all that was written", bytes("INGRESS", "true"), written as f64);
    for (user, _, mib) in WRITES {
        near(
            &format!("written by {user}"),
            bytes("INGRESS", &format!("identity_id = 'User:{user}'")),
            (mib * MIB) as f64,
        );
    }
    let size = |topic: &str| WRITES.iter().find(|(_, name, _)| *name == topic).map_or(0, |(_, _, mib)| mib * MIB);
    near("all that was read", bytes("EGRESS", "true"), received.iter().sum::<u64>() as f64);
    for ((user, topic, times), received) in READS.iter().zip(received) {
        let records = (size(topic) * times) as u64;
        assert!(received >= records, "{user} has read {records} bytes, the library speaks of {received}");
        let condition = format!("identity_id = 'User:{user}'");
        near(&format!("read by {user}"), bytes("EGRESS", &condition), received as f64);
        eprintln!("received by {user}: {:+.2} % beside the records", (received as f64 / records as f64 - 1.0) * 100.0);
    }

    // Storage is the mean over the moments it was looked at: before, within and after the traffic.
    let looked: Vec<_> = marks(begun, moment()).collect();
    let mean = |within: f64| {
        let size = |at: &DateTime<Utc>| match at {
            at if *at < traffic_from => before,
            at if *at < traffic_until => within,
            _ => after,
        };
        looked.iter().map(size).sum::<f64>() / looked.len() as f64
    };
    let kept = sum("product_type = 'SELF_KAFKA_STORAGE'") / 24.0 * gib;
    let (least, most) = (mean(before) * (1.0 - TOLERANCE), mean(after) * (1.0 + TOLERANCE));
    assert!((least..=most).contains(&kept), "{kept:.0} bytes kept, the disk has {least:.0} to {most:.0}");

    let listed = |sql: &str| installation.sql(sql).lines().map(str::to_owned).collect::<Vec<_>>();
    let people = listed("SELECT DISTINCT identity_id FROM identities WHERE identity_type = 'principal' ORDER BY 1");
    // Whether the admin is seen, too, is Kafka's business: it moves no records.
    for (user, _, _) in WRITES {
        assert!(people.contains(&format!("User:{user}")), "{people:?}");
    }
    let topics = listed("SELECT DISTINCT resource_id FROM resources WHERE resource_type = 'topic' ORDER BY 1");
    for topic in TOPICS {
        assert!(topics.contains(&format!("billed:topic:{topic}")), "{topics:?}");
    }
    let brokers = listed("SELECT DISTINCT resource_id FROM resources WHERE resource_type = 'broker'");
    assert_eq!(brokers, ["billed:broker:1"]);

    // The same bill down to topics: the bytes of each, everything in all.
    for (_, topic, mib) in WRITES {
        let sql = "SELECT sum(amount) FROM topic_attributions WHERE product_type = 'SELF_KAFKA_NETWORK_INGRESS'";
        let sum: f64 = installation.sql(&format!("{sql} AND topic_name = '{topic}'")).parse().expect("a number");
        near(&format!("written to {topic}"), sum / 100.0 * gib, (mib * MIB) as f64);
    }
    let by_topic = "SELECT (SELECT sum(amount) FROM billing) = (SELECT sum(amount) FROM topic_attributions)";
    assert_eq!(installation.sql(by_topic), "t");
    let conserved = "SELECT (SELECT sum(amount) FROM billing) = (SELECT sum(amount) FROM chargebacks)";
    assert_eq!(installation.sql(conserved), "t");
}
