//! CSV as RFC 4180 has it.

use crate::spreadsheet::guarded;
use crate::store::read::{Column, Kind};

/// The names of the columns.
pub(super) fn head(columns: &[Column]) -> Vec<u8> {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    format!("{}\r\n", names.join(",")).into_bytes()
}

/// A row. Texts that a spreadsheet would calculate are guarded; numbers are numbers.
pub(super) fn row<'a>(columns: &[Column], cells: impl Iterator<Item = Option<&'a str>>, out: &mut Vec<u8>) {
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        separate(at, out);
        let Some(text) = cell else { continue };
        match column.kind {
            Kind::Text => field(&guarded(text), out),
            _ => field(text, out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn field(text: &str, out: &mut Vec<u8>) {
    let plain = !text.is_empty() && !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::read::Dataset;

    fn written(cells: &[Option<&str>]) -> String {
        let columns = Dataset::Chargebacks.columns();
        let chosen: Vec<Column> = ["env_id", "amount", "allocation_detail"]
            .iter()
            .map(|name| *columns.iter().find(|column| column.name == *name).unwrap())
            .collect();
        let mut out = head(&chosen);
        row(&chosen, cells.iter().copied(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_missing_value_is_not_an_empty_text() {
        assert_eq!(written(&[Some(""), Some("1.5"), None]), "env_id,amount,allocation_detail\r\n\"\",1.5,\r\n");
    }

    #[test]
    fn texts_are_guarded_and_numbers_are_not() {
        assert!(written(&[Some("=1+1"), Some("-1.5"), Some("a,\"b\"")]).ends_with("'=1+1,-1.5,\"a,\"\"b\"\"\"\r\n"));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in ".*") {
            let file = written(&[Some(&text), Some("1"), Some(&text)]);
            let mut reader = ::csv::Reader::from_reader(file.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let cell = guarded(&text).into_owned();
            prop_assert_eq!([&record[0], &record[2]], [&cell, &cell]);
        }
    }
}
