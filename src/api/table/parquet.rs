//! Parquet: columns with their types, amounts as exact decimals.

use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use chrono::{DateTime, NaiveDate};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use crate::domain::Amount;
use crate::store::read::{Column, Kind};

/// Rows of a row group: what is held of a file while it is written.
const GROUP: usize = 1 << 16;
/// Digits of an amount, as in the tables; 12 bytes hold as many.
const PRECISION: i32 = 28;
const SCALE: i32 = 14;
const WIDTH: usize = 12;

/// A file that is being written.
pub(super) struct Parquet {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Held>,
    rows: usize,
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parquet({} columns, {} rows held)", self.columns.len(), self.rows)
    }
}

/// The values of a column in the row group that is being filled.
struct Held {
    kind: Kind,
    /// For each row: 1 where there is a value.
    present: Vec<i16>,
    /// All texts, one behind the other, and where each ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
    /// Days, moments and whole numbers.
    numbers: Vec<i64>,
    weights: Vec<f64>,
}

impl Parquet {
    /// A file under `columns`.
    pub fn begin(columns: &[Column]) -> io::Result<Self> {
        let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>().map_err(told)?;
        let schema = Type::group_type_builder("rows").with_fields(fields).build().map_err(told)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).map_err(told)?;
        Ok(Self { writer, columns: columns.iter().map(|column| Held::of(column.kind)).collect(), rows: 0 })
    }

    /// Adds a row.
    pub fn row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a str>>) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP { self.group().map_err(told) } else { Ok(()) }
    }

    /// Writes what is held and what stands at the end of a file.
    pub fn end(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.group().map_err(told)?;
        }
        self.writer.finish().map(drop).map_err(told)
    }

    /// What was written and not taken.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        self.writer.inner_mut()
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            if let Some(mut open) = group.next_column()? {
                column.write(open.untyped())?;
                open.close()?;
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let of = |physical| Type::primitive_type_builder(column.name, physical).with_repetition(Repetition::OPTIONAL);
    let built = match column.kind {
        Kind::Text => of(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)),
        Kind::Json => of(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::Json)),
        Kind::Decimal => of(Physical::FIXED_LEN_BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::decimal(SCALE, PRECISION)))
            .with_length(WIDTH as i32)
            .with_precision(PRECISION)
            .with_scale(SCALE),
        Kind::Integer => of(Physical::INT32),
        Kind::Float => of(Physical::DOUBLE),
        Kind::Day => of(Physical::INT32).with_logical_type(Some(LogicalType::Date)),
        Kind::Moment => of(Physical::INT64).with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    built.build().map(Arc::new)
}

impl Held {
    fn of(kind: Kind) -> Self {
        let (present, texts, ends, numbers, weights) = Default::default();
        Self { kind, present, texts, ends, numbers, weights }
    }

    fn push(&mut self, cell: Option<&str>) -> io::Result<()> {
        self.present.push(i16::from(cell.is_some()));
        let Some(text) = cell else { return Ok(()) };
        let odd = || io::Error::other(format!("{text:?} is no {:?}", self.kind));
        match self.kind {
            Kind::Text | Kind::Json => {
                self.texts.extend_from_slice(text.as_bytes());
                self.ends.push(self.texts.len());
            }
            Kind::Decimal => {
                let units = text.parse::<Amount>().map_err(|_| odd())?.units();
                self.texts.extend_from_slice(&units.to_be_bytes()[16 - WIDTH..]);
                self.ends.push(self.texts.len());
            }
            Kind::Integer => self.numbers.push(text.parse().map_err(|_| odd())?),
            Kind::Float => self.weights.push(text.parse().map_err(|_| odd())?),
            Kind::Day => {
                let day: NaiveDate = text.parse().map_err(|_| odd())?;
                self.numbers.push((day - NaiveDate::default()).num_days());
            }
            Kind::Moment => {
                let moment = DateTime::parse_from_rfc3339(text).map_err(|_| odd())?;
                self.numbers.push(moment.timestamp_micros());
            }
        }
        Ok(())
    }

    /// Writes the values and forgets them.
    fn write(&mut self, into: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = std::mem::take(&mut self.present);
        let narrow = |number: &i64| i32::try_from(*number).unwrap_or_default();
        match into {
            ColumnWriter::Int32ColumnWriter(into) => {
                batch(into, &self.numbers.iter().map(narrow).collect::<Vec<_>>(), &present)?;
            }
            ColumnWriter::Int64ColumnWriter(into) => batch(into, &self.numbers, &present)?,
            ColumnWriter::DoubleColumnWriter(into) => batch(into, &self.weights, &present)?,
            ColumnWriter::ByteArrayColumnWriter(into) => batch(into, &self.slices::<ByteArray>(), &present)?,
            ColumnWriter::FixedLenByteArrayColumnWriter(into) => {
                batch(into, &self.slices::<FixedLenByteArray>(), &present)?;
            }
            _ => return Err(ParquetError::General("a column of a type that no field has".to_owned())),
        }
        self.ends.clear();
        self.numbers.clear();
        self.weights.clear();
        Ok(())
    }

    /// The texts, each a part of one block of memory.
    fn slices<T: From<ByteArray>>(&mut self) -> Vec<T> {
        let all = Bytes::from(std::mem::take(&mut self.texts));
        let mut start = 0;
        let slice = |end: &usize| {
            let part = all.slice(start..*end);
            start = *end;
            T::from(ByteArray::from(part))
        };
        self.ends.iter().map(slice).collect()
    }
}

fn batch<T: DataType>(
    into: &mut ColumnWriterImpl<'_, T>,
    values: &[T::T],
    present: &[i16],
) -> Result<(), ParquetError> {
    into.write_batch(values, Some(present), None).map(drop)
}

fn told(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::store::read::Dataset;

    /// The file of `count` rows whose amounts are 0, −1 and so on, with every third detail missing.
    fn written(count: usize) -> Vec<u8> {
        let columns = Dataset::Chargebacks.columns();
        let mut file = Parquet::begin(columns).unwrap();
        let mut taken = Vec::new();
        for at in 0..count {
            let amount = format!("-{at}.00000000000001");
            let cell = |column: &Column| match (column.name, column.kind) {
                ("allocation_detail", _) if at % 3 == 0 => None,
                (_, Kind::Decimal) => Some(amount.as_str()),
                (_, Kind::Day) => Some("1970-01-02"),
                (_, Kind::Integer) => Some("7"),
                (_, Kind::Float) => Some("0.25"),
                _ => Some("lkc-1"),
            };
            file.row(columns.iter().map(cell)).unwrap();
            taken.append(file.bytes());
        }
        file.end().unwrap();
        taken.append(file.bytes());
        taken
    }

    #[test]
    fn a_file_reads_back_over_row_groups() {
        let count = GROUP + 5;
        let reader = SerializedFileReader::new(Bytes::from(written(count))).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let mut seen = 0;
        for (at, row) in reader.get_row_iter(None).unwrap().map(Result::unwrap).enumerate() {
            let field = |name: &str| row.get_column_iter().find(|(column, _)| *column == name).unwrap().1.clone();
            let Field::Decimal(amount) = field("amount") else { panic!("{row}") };
            let mut bytes = [if amount.data()[0] & 0x80 == 0 { 0 } else { 0xff }; 16];
            bytes[16 - WIDTH..].copy_from_slice(amount.data());
            let expected: Amount = format!("-{at}.00000000000001").parse().unwrap();
            assert_eq!((i128::from_be_bytes(bytes), amount.scale()), (expected.units(), SCALE));
            assert_eq!(field("day"), Field::Date(1));
            assert_eq!(field("tier"), Field::Int(7));
            assert_eq!(field("share"), Field::Double(0.25));
            assert_eq!(field("resource_id"), Field::Str("lkc-1".to_owned()));
            assert_eq!(field("allocation_detail") == Field::Null, at % 3 == 0);
            seen += 1;
        }
        assert_eq!(seen, count);
    }

    #[test]
    fn a_file_without_rows_has_its_columns() {
        let reader = SerializedFileReader::new(Bytes::from(written(0))).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
        let named: Vec<_> = Dataset::Chargebacks.columns().iter().map(|column| column.name).collect();
        let descriptor = reader.metadata().file_metadata().schema_descr();
        assert_eq!(descriptor.columns().iter().map(|column| column.name()).collect::<Vec<_>>(), named);
    }

    #[test]
    fn the_largest_amount_of_the_tables_fits() {
        let mut column = Held::of(Kind::Decimal);
        column.push(Some("99999999999999.99999999999999")).unwrap();
        column.push(Some("-99999999999999.99999999999999")).unwrap();
        assert_eq!((column.texts[0] & 0x80, column.texts[WIDTH] & 0x80), (0, 0x80));
    }
}
