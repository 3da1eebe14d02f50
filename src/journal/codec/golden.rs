//! One message of every schema version, kept for ever in `tests/golden/wire/<record>/`: `v<N>.avro` as it
//! travelled, `v<N>.json` what it means (days and instants as the numbers of the wire, amounts as texts).
//!
//! Today's reader turns the first into the second; today's writer turns the second of the newest version into the
//! first. A new version adds a pair (written by this test with `TRIBUTARY_GOLDEN=add`) and edits none.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::journal::samples;

fn path(record: &str, version: u32, kind: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire");
    format!("{folder}/{record}/v{version}.{kind}").into()
}

#[track_caller]
fn check<T: Record + Serialize + Deserialize<'static>>(sample: &T) {
    let newest = schema::newest(T::SCHEMA).unwrap().version;
    add_if_asked(sample, newest);
    for version in 1..=newest {
        let (bytes, meaning) = pair(T::SCHEMA, version);
        let value: T = Codec::builtin().decode(bytes).unwrap();
        let read = serde_json::to_value(&value).unwrap();
        // Fields that came later are not part of what an old message meant.
        for (field, meant) in meaning.as_object().unwrap() {
            assert_eq!(&read[field], meant, "{field} of {} v{version}", T::SCHEMA);
        }
        if version == newest {
            assert_eq!(read, meaning);
            let mut written = Vec::new();
            Codec::builtin().encode(&value, &mut written).unwrap();
            assert_eq!(written, bytes, "{} v{version}", T::SCHEMA);
        }
    }
}

fn pair(record: &str, version: u32) -> (&'static [u8], Value) {
    let missing = "is missing; run the test with TRIBUTARY_GOLDEN=add and commit the pair";
    let read = |kind| {
        let path = path(record, version, kind);
        std::fs::read(&path).unwrap_or_else(|_| panic!("{} {missing}", path.display()))
    };
    (read("avro").leak(), serde_json::from_slice(&read("json")).unwrap())
}

fn add_if_asked<T: Record + Serialize>(sample: &T, version: u32) {
    let [avro, json] = ["avro", "json"].map(|kind| path(T::SCHEMA, version, kind));
    if std::env::var("TRIBUTARY_GOLDEN").as_deref() != Ok("add") || avro.exists() {
        return;
    }
    let mut bytes = Vec::new();
    Codec::builtin().encode(sample, &mut bytes).unwrap();
    std::fs::create_dir_all(avro.parent().unwrap()).unwrap();
    std::fs::write(avro, bytes).unwrap();
    std::fs::write(json, serde_json::to_string_pretty(sample).unwrap() + "\n").unwrap();
}

#[test]
fn old_messages_are_read_for_ever() {
    check(&samples::billing_line());
    check(&samples::resource());
    check(&samples::identity());
    check(&samples::metric_value());
    check(&samples::day_sealed());
    check(&samples::chargeback_row());
    check(&samples::topic_attribution_row());
    check(&samples::day_allocated());
    check(&samples::gather_state());
    check(&samples::quarantined());
    check(&samples::command());
    check(&samples::run());
    check(&samples::tenant_event());
    check(&samples::emission());
    check(&samples::audit_event());
    check(&samples::api_token());
}
