//! A JSON object a line, with the members that a page's items have.

use crate::store::read::{Column, Kind};

/// What stands before each column's value: `{"id":`, `,"day":`.
pub(super) fn heads(columns: &[Column]) -> Vec<Vec<u8>> {
    let head = |(at, column): (usize, &Column)| {
        let mut head = vec![if at == 0 { b'{' } else { b',' }];
        text(column.name, &mut head);
        head.push(b':');
        head
    };
    columns.iter().enumerate().map(head).collect()
}

/// A row: amounts are texts, weights and whole numbers are numbers.
pub(super) fn row<'a>(
    columns: &[Column],
    heads: &[Vec<u8>],
    cells: impl Iterator<Item = Option<&'a str>>,
    out: &mut Vec<u8>,
) {
    for ((column, head), cell) in columns.iter().zip(heads).zip(cells) {
        out.extend_from_slice(head);
        match (cell, column.kind) {
            (None, _) => out.extend_from_slice(b"null"),
            (Some(value), Kind::Integer | Kind::Json) => out.extend_from_slice(value.as_bytes()),
            (Some(value), Kind::Float) if value.parse::<f64>().is_ok_and(f64::is_finite) => {
                out.extend_from_slice(value.as_bytes());
            }
            // JSON has no word for it.
            (Some(_), Kind::Float) => out.extend_from_slice(b"null"),
            (Some(value), _) => text(value, out),
        }
    }
    out.extend_from_slice(b"}\n");
}

fn text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text goes into memory");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::read::Dataset;

    #[test]
    fn kinds_are_told_apart() {
        let columns = Dataset::Chargebacks.columns();
        let cell = |column: &Column| match column.kind {
            Kind::Text if column.name == "allocation_detail" => None,
            Kind::Text => Some("a \"b\"\n"),
            Kind::Float if column.name == "usage" => Some("NaN"),
            Kind::Decimal | Kind::Float => Some("0.25"),
            Kind::Integer => Some("3"),
            Kind::Json => Some("{\"team\": \"a\"}"),
            _ => Some("2026-02-01"),
        };
        let mut out = Vec::new();
        row(columns, &heads(columns), columns.iter().map(cell), &mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        let object: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(object["resource_id"], "a \"b\"\n");
        assert_eq!(object["amount"], "0.25");
        let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!([&object["tier"], &object["share"]], [&number("3"), &number("0.25")]);
        assert_eq!([&object["usage"], &object["allocation_detail"]], [&json!(null), &json!(null)]);
        assert_eq!(object["day"], "2026-02-01");
    }
}
