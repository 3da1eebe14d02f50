//! Records per second on one core, there and back: our codec (serde_avro_fast) with apache-avro's `Value` beside it.
//!
//! `cargo bench --bench codec`

use std::hint::black_box;
use std::time::Instant;

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use tributary::domain::{ChargebackRow, CostType, Day, MetricValue, MetricValueRef, Subject, Target};
use tributary::journal::{Codec, schema};

const RECORDS: u32 = 200_000;
const ROUNDS: usize = 5;
/// In front of every datum.
const HEADER: usize = 5;

fn main() {
    let codec = Codec::builtin();
    let day: Day = "2026-02-28".parse().expect("a date");
    println!("{:<30} {:>8} {:>12} {:>12}", "", "bytes", "encode/s", "decode/s");

    let mut rows = Encoded::default();
    let texts: Vec<_> = (0..RECORDS).map(|n| format!("sa-{n:06}")).collect();
    let encode = best(|| rows.fill(|n, out| codec.encode(&row(day, n, &texts), out).expect("it fits")));
    let decode = best(|| rows.each(|bytes| consume(&codec.decode::<ChargebackRow>(bytes).expect("it reads"))));
    report("ChargebackRow, ours", &rows, encode, decode);
    let encode = best(|| {
        let mut writer = codec.row_writer();
        rows.fill(|n, out| writer.write(&row(day, n, &texts), out).expect("it fits"));
    });
    let decode = best(|| {
        let mut reader = codec.row_reader();
        rows.each(|bytes| consume(&reader.read(bytes).expect("it reads")));
    });
    report("ChargebackRow, of one line", &rows, encode, decode);
    apache_avro("ChargebackRow, apache-avro", "chargeback-row", &rows);

    let values: Vec<_> = (0..RECORDS).map(|n| usage(day, n)).collect();
    let mut usage = Encoded::default();
    let encode = best(|| usage.fill(|n, out| codec.encode(&values[n as usize], out).expect("it fits")));
    let decode = best(|| usage.each(|bytes| consume(&codec.decode::<MetricValue>(bytes).expect("it reads"))));
    report("MetricValue, ours", &usage, encode, decode);
    let decode = best(|| usage.each(|bytes| consume(&codec.decode::<MetricValueRef>(bytes).expect("it reads"))));
    report("MetricValueRef, ours", &usage, encode, decode);
    apache_avro("MetricValue, apache-avro", "metric-value", &usage);
}

/// Records one after the other, and where each ends.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    fn fill(&mut self, mut encode: impl FnMut(u32, &mut Vec<u8>)) {
        self.bytes.clear();
        self.ends.clear();
        for n in 0..RECORDS {
            encode(n, &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    fn each<'a>(&'a self, mut read: impl FnMut(&'a [u8])) {
        let mut start = 0;
        for end in &self.ends {
            read(&self.bytes[start..*end]);
            start = *end;
        }
    }
}

/// What is decoded counts as used.
fn consume<T>(value: &T) {
    black_box(value);
}

/// The quickest of several rounds, in seconds.
fn best(mut round: impl FnMut()) -> f64 {
    let timed = |_| {
        let start = Instant::now();
        round();
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(timed).fold(f64::MAX, f64::min)
}

fn report(name: &str, encoded: &Encoded, encode: f64, decode: f64) {
    let speed = |seconds: f64| format!("{:.2} M", f64::from(RECORDS) / seconds / 1e6);
    let bytes = encoded.bytes.len() / RECORDS as usize;
    println!("{name:<30} {bytes:>8} {:>12} {:>12}", speed(encode), speed(decode));
}

/// The same records through apache-avro; its encoding starts from a ready `Value`, which flatters it.
fn apache_avro(name: &str, record: &str, encoded: &Encoded) {
    let schema = Schema::parse_str(schema::newest(record).expect("a record of ours").text).expect("a schema");
    let read = |bytes: &[u8]| from_avro_datum(&schema, &mut &bytes[HEADER..], None).expect("it reads");
    let decode = best(|| encoded.each(|bytes| consume(&read(bytes))));
    let mut values: Vec<Value> = Vec::new();
    encoded.each(|bytes| values.push(read(bytes)));
    let mut rounds = (0..ROUNDS).map(|_| values.clone()).collect::<Vec<_>>();
    let encode = best(|| {
        for value in rounds.pop().unwrap_or_default() {
            black_box(to_avro_datum(&schema, value).expect("it fits"));
        }
    });
    report(name, encoded, encode, decode);
}

fn row(day: Day, ordinal: u32, texts: &[String]) -> ChargebackRow<'_> {
    ChargebackRow {
        tenant: "acme-organisation",
        day,
        revision: 3,
        ordinal,
        count: RECORDS,
        ecosystem: "confluent_cloud",
        env_id: "env-abc123",
        resource_id: "lkc-def456",
        product_category: "KAFKA",
        product_type: "KAFKA_NETWORK_WRITE",
        identity_id: &texts[ordinal as usize],
        target: Target::Identity,
        cost_type: CostType::Usage,
        allocation_method: "usage_ratio",
        allocation_detail: Some("usage_ratio_allocation"),
        amount: tributary::domain::Amount::from_units(i128::from(ordinal) * 1_000_000_000_000),
        currency: "USD",
        tier: 0,
        share: 0.125,
        usage: Some(f64::from(ordinal)),
    }
}

fn usage(day: Day, ordinal: u32) -> MetricValue {
    MetricValue {
        tenant: "acme-organisation".to_owned(),
        day,
        revision: 3,
        ordinal,
        count: RECORDS,
        ecosystem: "confluent_cloud".to_owned(),
        resource_id: "lkc-def456".to_owned(),
        metric: "bytes_in".to_owned(),
        subject_type: Subject::Principal,
        subject: format!("sa-{ordinal:06}"),
        value: f64::from(ordinal),
    }
}
