//! Lists as files: all rows that are chosen, in three forms that say the same.

use std::collections::BTreeMap;

use serde_json::Value;
use tributary::domain::Amount;

use super::{Served, amount};

const ALL: &str = "from=2020-01-01&to=2029-01-01";

pub(super) fn lists_are_files(served: &Served) {
    for list in ["chargebacks", "billing-lines", "topic-costs"] {
        let items = pages(served, list);
        assert!(items.len() > 100, "{list} has {} rows", items.len());
        let lines = lines(served, &format!("{list}?{ALL}"));
        assert_eq!(lines.iter().map(plain).collect::<Vec<_>>(), items.iter().map(plain).collect::<Vec<_>>(), "{list}");
        let rows = csv(served, &format!("{list}?{ALL}"));
        assert_eq!(rows.len(), items.len(), "{list}");
        for (row, item) in rows.iter().zip(&items) {
            let members = item.as_object().expect("an object");
            assert_eq!(row.keys().collect::<Vec<_>>(), members.keys().collect::<Vec<_>>(), "{list}");
            for (name, value) in members {
                let text = value
                    .as_str()
                    .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
                // Weights and lists have more than one spelling.
                let same =
                    row[name] == text || value.is_number() || value.is_array() || row[name] == format!("'{text}");
                assert!(same, "{list} {name}: {} and {text}", row[name]);
            }
        }
        let path = format!("{}/{list}?{ALL}", served.tenant);
        let (_, head, _) = served.raw(&path, "Accept: text/csv\r\n");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").trim().to_owned();
        assert!(head.contains("text/csv") && head.contains("attachment"), "{head}");
        assert_eq!(served.raw(&path, &format!("Accept: text/csv\r\nIf-None-Match: {tag}\r\n")).0, 304);
        // Another form is another answer.
        assert_eq!(served.raw(&path, &format!("If-None-Match: {tag}\r\n")).0, 200);
    }
    let chosen = csv(served, &format!("chargebacks?{ALL}&filter=product_type:prefix:KAFKA_"));
    let sum: Amount = chosen.iter().map(|row| row["amount"].parse::<Amount>().expect("an amount")).sum();
    let summed = served.of_tenant("/costs/aggregate?filter=product_type:prefix:KAFKA_");
    assert_eq!(sum, amount(&summed["totals"][0]["amount"]));
    for said in ["limit=1", "count=exact", "cursor=x", "from=never"] {
        let path = format!("{}/chargebacks?{said}", served.tenant);
        let (status, head, body) = served.raw(&path, "Accept: text/csv\r\n");
        assert_eq!(status, 400, "{said}: {body}");
        assert!(head.contains("application/problem+json"), "{head}");
    }
}

/// All items of a list, page by page.
fn pages(served: &Served, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = served.of_tenant(&format!("/{list}?limit=1000{cursor}"));
        items.extend(page["items"].as_array().expect("rows").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn lines(served: &Served, path: &str) -> Vec<Value> {
    let (status, _, body) = served.raw(&format!("{}/{path}", served.tenant), "Accept: application/x-ndjson\r\n");
    assert_eq!(status, 200, "{body}");
    body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn csv(served: &Served, path: &str) -> Vec<BTreeMap<String, String>> {
    let (status, _, body) = served.raw(&format!("{}/{path}", served.tenant), "Accept: text/csv\r\n");
    assert_eq!(status, 200, "{body}");
    let mut reader = ::csv::Reader::from_reader(body.as_bytes());
    reader.deserialize().collect::<Result<_, _>>().expect("rows")
}

/// With weights as numbers, whatever their spelling.
fn plain(item: &Value) -> Vec<String> {
    let member = |(name, value): (&String, &Value)| match value.as_f64() {
        Some(number) => format!("{name}={number:e}"),
        None => format!("{name}={value}"),
    };
    item.as_object().expect("an object").iter().map(member).collect()
}
