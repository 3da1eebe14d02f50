//! Chargeback rows to bytes and back, by the million: what neighbouring rows share is written and read once.
//!
//! In: rows, or their bytes, that mostly follow each other by billing line. Out: to the byte and to the value what
//! [`Codec::encode`] and [`Codec::decode`] give; tests hold them together. Absent: other records, and rows that another
//! program wrote by another schema: they take the ordinary way, and so does whatever is odd, which tells what is wrong.
//!
//! An Avro record is its fields, one behind the other. Between what differs from row to row lie four runs of fields that
//! mostly stay as they were:
//!
//! ```text
//! [tenant … revision] ordinal [count … product_type] identity target [cost type … detail] amount [currency, tier] share usage
//! ```

use chrono::NaiveDate;

use super::{Codec, DecodeError, EncodeError, HEADER, Record};
use crate::domain::{Amount, ChargebackRow, CostType, Day, Target};

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
/// Discriminants of the schema's unions: `["null", …]`.
const NULL: i64 = 0;
const VALUE: i64 = 1;

impl Codec {
    /// Writes many rows.
    pub fn row_writer<'r>(&self) -> RowWriter<'_, 'r> {
        RowWriter { codec: self, last: None, runs: Default::default() }
    }

    /// Reads many rows.
    pub fn row_reader<'a>(&self) -> RowReader<'_, 'a> {
        RowReader { codec: self, day: Run::default(), line: Run::default(), label: Run::default(), end: Run::default() }
    }

    fn row_header(&self) -> &[u8; HEADER] {
        &self.writers[ChargebackRow::SCHEMA].header
    }
}

/// Writes rows that mostly follow each other by line.
#[derive(Debug)]
pub struct RowWriter<'c, 'r> {
    codec: &'c Codec,
    last: Option<ChargebackRow<'r>>,
    /// The four runs as they were written last, the header in front of the first.
    runs: [Vec<u8>; 4],
}

impl<'r> RowWriter<'_, 'r> {
    /// Appends a row to `out`; on an error `out` is as before.
    ///
    /// # Errors
    /// [`EncodeError`] as [`Codec::encode`] has it.
    pub fn write(&mut self, row: &ChargebackRow<'r>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !row.amount.in_range() {
            return self.codec.encode(row, out);
        }
        self.share(row);
        let [day, line, label, end] = &self.runs;
        out.extend_from_slice(day);
        put_long(out, row.ordinal.into());
        out.extend_from_slice(line);
        put_text(out, row.identity_id);
        put_long(out, row.target as i64);
        out.extend_from_slice(label);
        put_amount(out, row.amount);
        out.extend_from_slice(end);
        out.extend_from_slice(&row.share.to_le_bytes());
        match row.usage {
            None => put_long(out, NULL),
            Some(usage) => {
                put_long(out, VALUE);
                out.extend_from_slice(&usage.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Writes the runs that are not as they were.
    fn share(&mut self, row: &ChargebackRow<'r>) {
        let last = self.last.replace(row.clone());
        let [day, line, label, end] = &mut self.runs;
        let is_new = |same: fn(&ChargebackRow<'_>, &ChargebackRow<'_>) -> bool| {
            !last.as_ref().is_some_and(|last| same(last, row))
        };
        if is_new(|a, b| is(a.tenant, b.tenant) && (a.day, a.revision) == (b.day, b.revision)) {
            day.clear();
            day.extend_from_slice(self.codec.row_header());
            put_text(day, row.tenant);
            put_long(day, (row.day.date() - EPOCH).num_days());
            put_long(day, row.revision.into());
        }
        if is_new(|a, b| {
            a.count == b.count
                && is(a.resource_id, b.resource_id)
                && is(a.product_type, b.product_type)
                && is(a.product_category, b.product_category)
                && is(a.env_id, b.env_id)
                && is(a.ecosystem, b.ecosystem)
        }) {
            line.clear();
            put_long(line, row.count.into());
            let texts = [row.ecosystem, row.env_id, row.resource_id, row.product_category, row.product_type];
            texts.iter().for_each(|text| put_text(line, text));
        }
        if is_new(|a, b| {
            let details = match (a.allocation_detail, b.allocation_detail) {
                (Some(a), Some(b)) => is(a, b),
                (a, b) => a == b,
            };
            a.cost_type == b.cost_type && is(a.allocation_method, b.allocation_method) && details
        }) {
            label.clear();
            put_long(label, row.cost_type as i64);
            put_text(label, row.allocation_method);
            match row.allocation_detail {
                None => put_long(label, NULL),
                Some(detail) => {
                    put_long(label, VALUE);
                    put_text(label, detail);
                }
            }
        }
        if is_new(|a, b| is(a.currency, b.currency) && a.tier == b.tier) {
            end.clear();
            put_text(end, row.currency);
            put_long(end, row.tier.into());
        }
    }
}

/// Rows of a line point to the same texts, so most of the time nothing is compared.
fn is(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// An int, a long, a length or a discriminant: zigzag, seven bits a byte, the lowest first.
fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// The units in two's complement, the highest byte first, as few bytes as keep the sign.
fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    let units = amount.units();
    let bytes = units.to_be_bytes();
    // Bits that repeat the sign; one of them must stay.
    let spare = (if units < 0 { units.leading_ones() } else { units.leading_zeros() }) - 1;
    let start = spare as usize / 8;
    put_long(out, (bytes.len() - start) as i64);
    out.extend_from_slice(&bytes[start..]);
}

/// Reads rows that mostly follow each other by line.
#[derive(Debug)]
pub struct RowReader<'c, 'a> {
    codec: &'c Codec,
    day: Run<'a, (&'a str, Day, u32)>,
    line: Run<'a, (u32, [&'a str; 5])>,
    label: Run<'a, (CostType, &'a str, Option<&'a str>)>,
    end: Run<'a, (&'a str, u32)>,
}

impl<'a> RowReader<'_, 'a> {
    /// Reads one row; its texts borrow from `bytes`, or from those of a row before.
    ///
    /// # Errors
    /// [`DecodeError`] as [`Codec::decode`] has it.
    pub fn read(&mut self, bytes: &'a [u8]) -> Result<ChargebackRow<'a>, DecodeError> {
        match self.quickly(bytes) {
            Some(row) => Ok(row),
            None => self.codec.decode(bytes),
        }
    }

    /// A row by today's schema, if nothing about it is odd.
    fn quickly(&mut self, bytes: &'a [u8]) -> Option<ChargebackRow<'a>> {
        let mut from = Bytes(bytes.strip_prefix(self.codec.row_header())?);
        let (tenant, day, revision) =
            self.day.read(&mut from, |from| Some((from.text()?, from.day()?, from.whole()?)))?;
        let ordinal = from.whole()?;
        let (count, texts) = self.line.read(&mut from, |from| {
            Some((from.whole()?, [from.text()?, from.text()?, from.text()?, from.text()?, from.text()?]))
        })?;
        let [ecosystem, env_id, resource_id, product_category, product_type] = texts;
        let identity_id = from.text()?;
        let target = match from.long()? {
            0 => Target::Identity,
            1 => Target::Resource,
            2 => Target::Unallocated,
            _ => return None,
        };
        let (cost_type, allocation_method, allocation_detail) = self.label.read(&mut from, |from| {
            let cost_type = match from.long()? {
                0 => CostType::Usage,
                1 => CostType::Shared,
                _ => return None,
            };
            Some((cost_type, from.text()?, from.maybe(Bytes::text)?))
        })?;
        let amount = from.amount()?;
        let (currency, tier) = self.end.read(&mut from, |from| Some((from.text()?, from.whole()?)))?;
        let share = from.double()?;
        let usage = from.maybe(Bytes::double)?;
        let row = ChargebackRow {
            tenant,
            day,
            revision,
            ordinal,
            count,
            ecosystem,
            env_id,
            resource_id,
            product_category,
            product_type,
            identity_id,
            target,
            cost_type,
            allocation_method,
            allocation_detail,
            amount,
            currency,
            tier,
            share,
            usage,
        };
        from.0.is_empty().then_some(row)
    }
}

/// Fields behind each other, as they were read last.
#[derive(Debug)]
struct Run<'a, T> {
    bytes: &'a [u8],
    value: Option<T>,
}

impl<T> Default for Run<'_, T> {
    fn default() -> Self {
        Self { bytes: &[], value: None }
    }
}

impl<'a, T: Copy> Run<'a, T> {
    /// Equal bytes say the same: each field tells its own length.
    fn read(&mut self, from: &mut Bytes<'a>, parse: impl FnOnce(&mut Bytes<'a>) -> Option<T>) -> Option<T> {
        if let (Some(value), Some(rest)) = (self.value, from.0.strip_prefix(self.bytes)) {
            from.0 = rest;
            return Some(value);
        }
        let all = from.0;
        let value = parse(from)?;
        *self = Self { bytes: &all[..all.len() - from.0.len()], value: Some(value) };
        Some(value)
    }
}

/// What is left to read. `None`: too short, or not what is expected.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn long(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for (i, byte) in self.0.iter().enumerate().take(9) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.0 = &self.0[i + 1..];
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        // Larger than anything in a row.
        None
    }

    fn whole(&mut self) -> Option<u32> {
        self.long()?.try_into().ok()
    }

    fn day(&mut self) -> Option<Day> {
        let days = i32::try_from(self.long()?).ok()?;
        EPOCH.checked_add_signed(chrono::TimeDelta::days(days.into())).map(Day::from)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?.try_into().ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.sized()?).ok()
    }

    fn double(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn amount(&mut self) -> Option<Amount> {
        Amount::from_be_bytes(self.sized()?)
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            NULL => Some(None),
            VALUE => Some(Some(value(self)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
