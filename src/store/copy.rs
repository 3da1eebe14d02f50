//! Rows in Postgres' binary COPY format.
//!
//! In: typed values. Out: rows in a table, by `COPY … FROM STDIN (FORMAT binary)`. The format is described in
//! Postgres' manual under COPY, "Binary Format"; a numeric is groups of four decimal digits.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::text::storable;
use crate::domain::Amount;
use crate::domain::amount::SCALE;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const POSTGRES_EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date");
const NULL: i32 = -1;
/// So many bytes go to Postgres at a time: it reads rows of the first while the next are on their way.
const CHUNK: usize = 256 << 10;

/// Rows behind each other, as `COPY` reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyRows {
    bytes: Vec<u8>,
    /// Where each row begins.
    starts: Vec<u32>,
    /// Where the last key was written.
    last_key: usize,
}

impl CopyRows {
    /// Begins a row of that many columns.
    pub fn row(&mut self, columns: i16) -> &mut Self {
        // A batch is a few megabytes.
        self.starts.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(&columns.to_be_bytes());
        self
    }

    /// How many rows were begun.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// The rows for which `kept` says so, in their order; a row without an answer is left out.
    pub fn only(&self, kept: &[bool]) -> Self {
        let ends = self.starts.iter().skip(1).map(|start| *start as usize).chain([self.bytes.len()]);
        let mut only = Self::default();
        for ((start, end), kept) in self.starts.iter().zip(ends).zip(kept) {
            if *kept {
                only.starts.push(u32::try_from(only.bytes.len()).unwrap_or(u32::MAX));
                only.bytes.extend_from_slice(&self.bytes[*start as usize..end]);
            }
        }
        only
    }

    /// Sends the rows by a `COPY … FROM STDIN (FORMAT binary)`.
    ///
    /// # Errors
    /// As Postgres says; a transaction around it is lost.
    pub(super) async fn send(&self, to: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
        const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
        let mut copy = to.copy_in_raw(statement).await?;
        for part in [SIGNATURE].into_iter().chain(self.bytes.chunks(CHUNK)).chain([TRAILER.as_slice()]) {
            if let Err(error) = copy.send(part).await {
                // The connection is closed with the transaction; the first error is the one that tells.
                let _ = copy.abort("could not send").await;
                return Err(error);
            }
        }
        copy.finish().await.map(drop)
    }

    /// A column of type int.
    pub fn int(&mut self, value: i32) -> &mut Self {
        self.column(&value.to_be_bytes())
    }

    /// A column of type bigint.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.column(&value.to_be_bytes())
    }

    /// A column of type bigint that [`Self::set_key`] may change.
    pub fn key(&mut self, value: i64) -> &mut Self {
        self.bigint(value);
        self.last_key = self.bytes.len() - size_of::<i64>();
        self
    }

    /// Where the last key was written.
    pub fn last_key(&self) -> usize {
        self.last_key
    }

    /// Puts another key at a place that [`Self::last_key`] told.
    pub fn set_key(&mut self, at: usize, value: i64) {
        self.bytes[at..at + size_of::<i64>()].copy_from_slice(&value.to_be_bytes());
    }

    /// A column of type double precision.
    pub fn double(&mut self, value: Option<f64>) -> &mut Self {
        match value {
            Some(value) => self.column(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A column of type bytea.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.column(value)
    }

    /// A column of type text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.column(storable(value).as_bytes())
    }

    /// A column of type text that may be null.
    pub fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// A column of type text[].
    pub fn texts(&mut self, values: &[String]) -> &mut Self {
        const TEXT_OID: i32 = 25;
        self.sized(|bytes| {
            let dimensions = i32::from(!values.is_empty());
            for header in [dimensions, 0, TEXT_OID] {
                bytes.extend_from_slice(&header.to_be_bytes());
            }
            if !values.is_empty() {
                bytes.extend_from_slice(&(values.len() as i32).to_be_bytes());
                bytes.extend_from_slice(&1_i32.to_be_bytes());
            }
            for value in values.iter().map(|value| storable(value)) {
                bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
                bytes.extend_from_slice(value.as_bytes());
            }
        })
    }

    /// A column of type jsonb.
    pub fn jsonb(&mut self, json: &str) -> &mut Self {
        self.sized(|bytes| {
            bytes.push(1);
            bytes.extend_from_slice(json.as_bytes());
        })
    }

    /// A column of type date.
    pub fn date(&mut self, value: NaiveDate) -> &mut Self {
        let days = (value - POSTGRES_EPOCH).num_days();
        self.column(&(days as i32).to_be_bytes())
    }

    /// A column of type timestamptz.
    pub fn moment(&mut self, value: Option<DateTime<Utc>>) -> &mut Self {
        const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
        match value {
            Some(value) => self.column(&(value.timestamp_micros() - POSTGRES_EPOCH_MICROS).to_be_bytes()),
            None => self.null(),
        }
    }

    /// A column of type numeric(28,14).
    pub fn amount(&mut self, value: Amount) -> &mut Self {
        self.sized(|bytes| numeric(value, bytes))
    }

    /// A column of type numeric(28,14) that may be null.
    pub fn maybe_amount(&mut self, value: Option<Amount>) -> &mut Self {
        match value {
            Some(value) => self.amount(value),
            None => self.null(),
        }
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&NULL.to_be_bytes());
        self
    }

    fn column(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// A column whose length is known after it is written.
    fn sized(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        let len = (self.bytes.len() - at - 4) as i32;
        self.bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
        self
    }
}

/// Digit groups from the first that is not zero, the power of 10⁴ it counts, sign, scale.
fn numeric(value: Amount, bytes: &mut Vec<u8>) {
    const GROUP: u128 = 10_000;
    /// Groups after the point: 14 decimals fill three and a half.
    const AFTER: i16 = 4;
    // Ten thousand to the power of 8 is beyond 10^28 with its half group.
    let mut groups = [0_u16; 9];
    let mut rest = value.units().unsigned_abs() * 100;
    let mut used = 0;
    while rest > 0 {
        groups[used] = (rest % GROUP) as u16;
        rest /= GROUP;
        used += 1;
    }
    let zeros = groups[..used].iter().take_while(|group| **group == 0).count();
    let weight = used as i16 - 1 - AFTER;
    let sign = if value.units() < 0 { 0x4000_u16 } else { 0 };
    let count = (used - zeros) as i16;
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&(if used == 0 { 0 } else { weight }).to_be_bytes());
    bytes.extend_from_slice(&sign.to_be_bytes());
    bytes.extend_from_slice(&(SCALE as i16).to_be_bytes());
    for group in groups[zeros..used].iter().rev() {
        bytes.extend_from_slice(&group.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shorts(text: &str) -> Vec<i16> {
        let mut bytes = Vec::new();
        numeric(Amount::parse(text).unwrap(), &mut bytes);
        bytes.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn a_key_may_become_known_later() {
        let of = |first: i64| {
            let mut rows = CopyRows::default();
            rows.row(2).key(first).text("x");
            let at = rows.last_key();
            rows.row(2).key(8).text("y");
            (rows, at)
        };
        let (mut rows, at) = of(0);
        rows.set_key(at, 7);
        assert_eq!(rows, of(7).0);
    }

    #[test]
    fn only_the_rows_that_are_kept_are_left() {
        let of = |numbers: &[i32]| {
            let mut rows = CopyRows::default();
            for number in numbers {
                rows.row(2).int(*number).text(&"x".repeat(*number as usize));
            }
            rows
        };
        assert_eq!(of(&[1, 2, 3, 4]).only(&[false, true, false, true]), of(&[2, 4]));
        assert_eq!(of(&[1, 2]).only(&[true, true]), of(&[1, 2]));
        assert_eq!(of(&[1, 2]).only(&[false, false]), of(&[]));
    }

    #[test]
    fn a_numeric_is_groups_of_four_digits() {
        assert_eq!(shorts("0"), [0, 0, 0, 14]);
        assert_eq!(shorts("1"), [1, 0, 0, 14, 1]);
        assert_eq!(shorts("-12345.5"), [3, 1, 0x4000, 14, 1, 2345, 5000]);
        assert_eq!(shorts("0.00000000000001"), [1, -4, 0, 14, 100]);
        assert_eq!(
            shorts("99999999999999.99999999999999"),
            [8, 3, 0, 14, 99, 9999, 9999, 9999, 9999, 9999, 9999, 9900]
        );
    }
}
