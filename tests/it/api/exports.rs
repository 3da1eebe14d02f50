//! Exports: whole files with a digest, fetched at once or in parts, equal to what is exported otherwise.

use std::collections::BTreeMap;

use parquet::data_type::AsBytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tributary::domain::Amount;

use super::Served;
use crate::harness::until;

const ALL: [(&str, &str); 2] = [("from", "2020-01-01"), ("to", "2029-01-01")];

pub(super) fn exports_are_whole_files(served: &Served) {
    let total = served.sums(&[])[&Vec::new()];
    let topics = served.topics.iter().map(|row| row["amount"].parse::<Amount>().expect("an amount")).sum();
    for (dataset, expected) in [("chargebacks", total), ("billing", total), ("topic_costs", topics)] {
        let mut counts = Vec::new();
        for format in ["csv", "ndjson", "parquet"] {
            let (export, bytes) = made(served, &json!({"dataset": dataset, "format": format}));
            assert_eq!(export["bytes"], bytes.len(), "{export}");
            assert_eq!(export["sha256"], digest(&bytes), "{export}");
            let amounts = amounts(format, bytes);
            assert_eq!(amounts.iter().copied().sum::<Amount>(), expected, "{dataset} as {format}");
            assert_eq!(export["rows"], amounts.len(), "{export}");
            counts.push(amounts.len());
        }
        assert!(counts[0] > 100 && counts.iter().all(|count| *count == counts[0]), "{dataset}: {counts:?}");
    }
    chosen_rows_and_columns(served);
    a_download_can_be_resumed(served);
    what_cannot_be_had_is_said(served);
    // Who asked for which rows is remembered.
    let (export, _) = made(served, &json!({"columns": ["day", "amount"], "format": "csv"}));
    let told = format!("{}/events?entity=export:{}", served.tenant, export["id"].as_str().expect("an id"));
    until("the audit has it", || served.get(&told)["items"][0]["action"] == "export.asked");
    let event = &served.get(&told)["items"][0];
    assert_eq!((&event["actor"], &event["after"]["columns"]), (&json!("nobody"), &json!(["day", "amount"])), "{event}");
}

fn chosen_rows_and_columns(served: &Served) {
    let wish = json!({"columns": ["identity_id", "amount"], "filters": ["cost_type:eq:usage"], "format": "csv"});
    let (_, bytes) = made(served, &wish);
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    assert_eq!(reader.headers().expect("names"), vec!["identity_id", "amount"]);
    let mut sums: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
    for row in reader.records().map(|row| row.expect("a row")) {
        *sums.entry(vec![row[0].to_owned(), "usage".to_owned()]).or_default() += row[1].parse().expect("an amount");
    }
    let mut expected = served.sums(&["identity_id", "cost_type"]);
    expected.retain(|key, _| key[1] == "usage");
    assert_eq!(sums, expected);
}

fn a_download_can_be_resumed(served: &Served) {
    let (export, whole) = made(served, &json!({"format": "ndjson"}));
    let path = export["content"].as_str().expect("where it is");
    let tag = format!("\"{}\"", export["sha256"].as_str().expect("a digest"));
    let part = |range: &str, more: &str| served.send("GET", path, &format!("Range: bytes={range}\r\n{more}"), b"");
    let (status, head, first) = part("0-999", "");
    assert_eq!((status, first.len()), (206, 1000));
    assert!(head.contains(&format!("content-range: bytes 0-999/{}", whole.len())), "{head}");
    let (status, _, rest) = part("1000-", &format!("If-Range: {tag}\r\n"));
    assert_eq!(status, 206);
    assert_eq!([first, rest].concat(), whole);
    assert_eq!(part("-10", "").2, &whole[whole.len() - 10..]);
    // What the client has is of another file: it gets all of this one.
    assert_eq!(part("1000-", "If-Range: \"other\"\r\n").2, whole);
    let (status, head, _) = part(&format!("{}-", whole.len()), "");
    assert_eq!(status, 416);
    assert!(head.contains(&format!("content-range: bytes */{}", whole.len())), "{head}");
    assert_eq!(served.send("GET", path, &format!("If-None-Match: {tag}\r\n"), b"").0, 304);
    let (status, head, body) = served.send("HEAD", path, "", b"");
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains(&format!("content-length: {}", whole.len())) && head.contains(&tag), "{head}");
}

fn what_cannot_be_had_is_said(served: &Served) {
    let path = format!("{}/exports", served.tenant);
    let post = |kind: &str, body: &[u8]| {
        let (status, head, body) = served.send("POST", &path, &format!("Content-Type: {kind}\r\n"), body);
        assert!(head.contains("application/problem+json"), "{head}");
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, told) =
        post("application/json", br#"{"format": "csv", "columns": ["team"], "filters": ["x"], "from": "never"}"#);
    assert_eq!(status, 400);
    assert!(["team", "filters", "never"].iter().all(|part| told.contains(part)), "{told}");
    for body in ["", "{", "[]", r#"{"format": "xlsx"}"#, r#"{"format": "csv", "limit": 1}"#] {
        assert_eq!(post("application/json", body.as_bytes()).0, 400, "{body}");
    }
    assert_eq!(post("text/plain", b"{}").0, 415);
    assert_eq!(post("application/json", &vec![b' '; 2 << 20]).0, 413);
    for id in ["0", "..%2F..%2Fetc%2Fpasswd", &"0".repeat(32)] {
        served.problem(&format!("{path}/{id}"), 404);
        served.problem(&format!("{path}/{id}/content"), 404);
    }
    let listed = served.get(&path);
    assert!(listed["items"].as_array().expect("exports").len() > 9, "{listed}");
}

/// Asks for an export of all days, and waits for its file.
fn made(served: &Served, wish: &Value) -> (Value, Vec<u8>) {
    let mut wish = wish.clone();
    for (name, value) in ALL {
        wish[name] = json!(value);
    }
    let path = format!("{}/exports", served.tenant);
    let (status, head, body) =
        served.send("POST", &path, "Content-Type: application/json\r\n", wish.to_string().as_bytes());
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a place").trim();
    let mut export = Value::Null;
    until("the export is ready", || {
        export = served.get(place);
        assert_ne!(export["state"], "failed", "{export}");
        export["state"] == "ready"
    });
    let (status, _, bytes) = served.send("GET", export["content"].as_str().expect("where it is"), "", b"");
    assert_eq!(status, 200);
    (export, bytes)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn amounts(format: &str, bytes: Vec<u8>) -> Vec<Amount> {
    let amount = |text: &str| text.parse::<Amount>().expect("an amount");
    match format {
        "csv" => {
            let mut reader = csv::Reader::from_reader(&bytes[..]);
            let rows: Vec<BTreeMap<String, String>> = reader.deserialize().collect::<Result<_, _>>().expect("rows");
            rows.iter().map(|row| amount(&row["amount"])).collect()
        }
        "ndjson" => {
            let text = String::from_utf8(bytes).expect("UTF-8");
            let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
            text.lines().map(|text| amount(line(text)["amount"].as_str().expect("a text"))).collect()
        }
        _ => {
            let reader = SerializedFileReader::new(axum::body::Bytes::from(bytes)).expect("Parquet");
            let rows = reader.get_row_iter(None).expect("rows");
            rows.map(|row| {
                let row = row.expect("a row");
                let field = row.get_column_iter().find(|(name, _)| *name == "amount").expect("an amount").1;
                let Field::Decimal(decimal) = field else { panic!("{row} has no decimal") };
                assert_eq!((decimal.precision(), decimal.scale()), (28, 14));
                let digits = decimal.as_bytes();
                let mut units = [if digits[0] & 0x80 == 0 { 0 } else { 0xff }; 16];
                units[16 - digits.len()..].copy_from_slice(digits);
                Amount::from_units(i128::from_be_bytes(units))
            })
            .collect()
        }
    }
}
