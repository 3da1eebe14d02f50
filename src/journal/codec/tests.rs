//! Every record there and back, by our codec and by apache-avro; and bytes that are no record.

use std::fmt::Debug;

use super::*;
use crate::journal::samples;

fn encoded<T: Record + Serialize>(record: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::builtin().encode(record, &mut bytes).unwrap();
    bytes
}

/// What ours wrote is read by ours and by apache-avro; what apache-avro writes of it is read by ours.
#[track_caller]
fn there_and_back<T>(record: &T)
where
    T: Record + Serialize + Deserialize<'static> + PartialEq + Debug,
{
    let codec = Codec::builtin();
    let bytes: &'static [u8] = encoded(record).leak();
    assert_eq!(&codec.decode::<T>(bytes).unwrap(), record);

    let schema = apache_avro::Schema::parse_str(schema::newest(T::SCHEMA).unwrap().text).unwrap();
    let value = apache_avro::from_avro_datum(&schema, &mut &bytes[HEADER..], None).unwrap();
    let theirs = [&bytes[..HEADER], &apache_avro::to_avro_datum(&schema, value).unwrap()].concat();
    assert_eq!(theirs.len(), bytes.len());
    assert_eq!(&codec.decode::<T>(theirs.leak()).unwrap(), record);
}

#[test]
fn every_record_reads_back_and_apache_avro_agrees() {
    there_and_back(&samples::billing_line());
    there_and_back(&samples::resource());
    there_and_back(&samples::identity());
    there_and_back(&samples::metric_value());
    there_and_back(&samples::day_sealed());
    there_and_back(&samples::chargeback_row());
    there_and_back(&samples::topic_attribution_row());
    there_and_back(&samples::day_allocated());
    there_and_back(&samples::gather_state());
    samples::gather_state_parts().iter().for_each(there_and_back);
    there_and_back(&samples::quarantined());
    there_and_back(&samples::quarantined_row());
    there_and_back(&samples::tenant_event());
}

#[test]
fn records_follow_each_other_in_one_buffer_and_texts_are_borrowed() {
    let codec = Codec::builtin();
    let mut bytes = encoded(&samples::metric_value());
    let first = bytes.len();
    codec.encode(&samples::chargeback_row(), &mut bytes).unwrap();
    let usage: MetricValueRef = codec.decode(&bytes[..first]).unwrap();
    let row: ChargebackRow = codec.decode(&bytes[first..]).unwrap();
    assert_eq!((usage.subject, row), ("sa-1", samples::chargeback_row()));
    assert!(bytes.as_ptr_range().contains(&usage.subject.as_ptr()));
}

#[test]
fn what_does_not_fit_is_not_written_at_all() {
    let mut bytes = b"before".to_vec();
    let too_large = BillingLine { amount: crate::domain::Amount::from_units(i128::MAX), ..samples::billing_line() };
    let error = Codec::builtin().encode(&too_large, &mut bytes).unwrap_err();
    assert_eq!((error.record, &bytes[..]), ("billing-line", &b"before"[..]));
}

/// How `bytes` fail to be a resource.
fn failure(bytes: &[u8]) -> String {
    Codec::builtin().decode::<Resource>(bytes).unwrap_err().to_string()
}

#[test]
fn bytes_that_are_no_record_say_why_and_what_to_do() {
    let good = encoded(&samples::resource());
    let [mut json, mut unknown, mut cut, mut longer] = [(); 4].map(|()| good.clone());
    json[0] = b'{';
    unknown[4] = 0xff;
    cut.pop();
    longer.push(0);
    assert!(failure(b"").contains("wire format (empty)"));
    assert!(failure(&good[..4]).contains("shorter than 5 bytes"));
    assert!(failure(&json).contains("first byte is not 0"));
    assert!(failure(&unknown).contains("is unknown; the program's own ids"));
    assert!(failure(&encoded(&samples::identity())).contains("is of `identity`, and `resource` belongs here"));
    assert!(failure(&cut).contains("do not follow schema id 1000000002 of `resource`"));
    assert!(failure(&longer).contains("do not follow"));
}

#[test]
fn no_bytes_can_panic_or_fill_the_memory() {
    let good = encoded(&samples::gather_state());
    let codec = Codec::builtin();
    for at in HEADER..good.len() {
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] = byte;
            let _ = codec.decode::<GatherState>(&bad);
            bad.truncate(at);
            assert!(codec.decode::<GatherState>(&bad).is_err());
        }
    }
}

/// Version 1 and a made-up version 2 of one record, as a reader of each sees them.
mod evolving {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub struct One {
        pub id: String,
        pub gone: i64,
        pub count: i32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub struct Two {
        pub id: String,
        pub count: i64,
        pub note: Option<String>,
        #[serde(default = "one")]
        pub factor: f64,
        #[serde(default)]
        pub labels: Vec<String>,
    }

    fn one() -> f64 {
        1.0
    }

    impl Record for One {
        const SCHEMA: &'static str = "thing";
    }

    impl Record for Two {
        const SCHEMA: &'static str = "thing";
    }

    const V1: &str = r#"{"type": "record", "name": "Thing", "fields": [{"name": "id", "type": "string"},
        {"name": "gone", "type": "long"}, {"name": "count", "type": "int"}]}"#;
    const V2: &str = r#"{"type": "record", "name": "Thing", "fields": [{"name": "id", "type": "string"},
        {"name": "count", "type": "long"}, {"name": "note", "type": ["null", "string"], "default": null},
        {"name": "factor", "type": "double", "default": 1.0},
        {"name": "labels", "type": {"type": "array", "items": "string"}, "default": []}]}"#;

    fn codec(versions: &[&'static str]) -> Codec {
        let mut codec = Codec::builtin();
        for (version, text) in (1..).zip(versions) {
            codec.add(schema::SchemaFile { record: "thing", version, text }, version);
        }
        codec
    }

    #[test]
    fn a_newer_reader_fills_what_an_older_writer_lacked() {
        let old = One { id: "a".into(), gone: 9, count: -3 };
        let mut bytes = Vec::new();
        codec(&[V1]).encode(&old, &mut bytes).unwrap();
        let read: Two = codec(&[V1, V2]).decode(&bytes).unwrap();
        assert_eq!(read, Two { id: "a".into(), count: -3, note: None, factor: 1.0, labels: Vec::new() });
    }

    #[test]
    fn the_highest_version_is_written_and_read_back() {
        let new = Two { id: "a".into(), count: 1 << 40, note: Some("n".into()), factor: 2.0, labels: vec!["x".into()] };
        let mut bytes = Vec::new();
        codec(&[V1, V2]).encode(&new, &mut bytes).unwrap();
        assert_eq!(bytes[..HEADER], [0, 0, 0, 0, 2]);
        assert_eq!(codec(&[V1, V2]).decode::<Two>(&bytes).unwrap(), new);
    }
}
