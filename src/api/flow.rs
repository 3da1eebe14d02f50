//! All rows of a question, on their way to whoever takes the bytes.
//!
//! Postgres is asked for a few days at a time, in one view of the tables, so neither it nor this program holds more than
//! those days' worth of sorting and a few chunks of bytes, whatever is asked for. Bytes wait for whoever takes them.

use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::sync::mpsc::Sender;

use super::table::Table;
use crate::domain::Day;
use crate::store::StoreError;
use crate::store::read::{Availability, Chargebacks, Column, Dataset, Reader, Rows, Selection};

/// Rows that Postgres sorts at once, if no single day has more.
const PORTION: u32 = 50_000;
/// Bytes handed on at once.
const CHUNK: usize = 64 << 10;
/// How long the bytes may wait for whoever takes them.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long Postgres may take for one portion, the waits for the taker among it.
pub(crate) const LIMIT: Duration = Duration::from_secs(900);

/// Bytes of a file, or why there will be no more of them.
pub(crate) type Bytes = Result<Vec<u8>, std::io::Error>;

/// Why rows stopped flowing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file could not be written")]
    File(#[from] std::io::Error),
    #[error("whoever takes the bytes has gone, or took none for a minute")]
    Gone,
}

/// Writes all rows as a table and hands its bytes on. Returns how many rows there were.
///
/// # Errors
/// [`Cut`]; what was handed on is not whole then.
pub(crate) async fn pour(
    reader: &mut Reader,
    dataset: Dataset,
    of: &Selection,
    columns: &[Column],
    table: Table,
    taker: &Sender<Bytes>,
) -> Result<u64, Cut> {
    let days = reader.available(dataset, &of.tenant, of.from, of.to).await?;
    let of = |(from, to)| Selection { from, to, ..of.clone() };
    let mut pouring = Pouring { table, taker, rows: 0 };
    if dataset == Dataset::Chargebacks {
        let mut file = Chargebacks::under(columns);
        for portion in portions(&days, Chargebacks::BATCH).into_iter().map(of) {
            loop {
                reader.next_batch(&mut file, &portion).await?;
                for row in file.rows() {
                    pouring.row(row.iter()).await?;
                }
                if !file.is_full() {
                    break;
                }
            }
        }
    } else {
        for portion in portions(&days, PORTION).into_iter().map(of) {
            let tagged = reader.tagged(dataset, columns, &portion).await?;
            let mut asked = Rows::of(dataset, columns, &portion);
            let mut rows = reader.rows(&mut asked);
            while let Some(row) = rows.try_next().await? {
                pouring.row((0..columns.len()).map(|column| tagged.text(&row, column))).await?;
            }
        }
    }
    pouring.end().await
}

/// A table whose bytes are handed on.
struct Pouring<'a> {
    table: Table,
    taker: &'a Sender<Bytes>,
    rows: u64,
}

impl Pouring<'_> {
    async fn row<'r>(&mut self, cells: impl Iterator<Item = Option<&'r str>>) -> Result<(), Cut> {
        self.table.row(cells)?;
        self.rows += 1;
        self.hand_on(CHUNK).await
    }

    /// Returns how many rows there were.
    async fn end(mut self) -> Result<u64, Cut> {
        self.table.end()?;
        self.hand_on(1).await?;
        Ok(self.rows)
    }

    async fn hand_on(&mut self, least: usize) -> Result<(), Cut> {
        let Some(bytes) = self.table.take(least) else { return Ok(()) };
        self.taker.send_timeout(Ok(bytes), PATIENCE).await.map_err(|_| Cut::Gone)
    }
}

/// Ranges of days with at most `most` rows, or of one day where it alone has more.
fn portions(days: &[Availability], most: u32) -> Vec<(Day, Day)> {
    let mut portions: Vec<(Day, Day)> = Vec::new();
    let mut held = 0;
    for day in days {
        let (date, rows) = (Day::from(day.day), day.rows.unsigned_abs());
        held += rows;
        match portions.last_mut() {
            Some((_, end)) if held <= most => *end = date.plus(1),
            _ => {
                portions.push((date, date.plus(1)));
                held = rows;
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_hold_every_day_once() {
        let day = |date: &str, rows| Availability { day: date.parse().unwrap(), revision: 1, rows };
        let days = [
            day("2026-02-01", 5),
            day("2026-02-02", 5),
            day("2026-02-04", 1),
            day("2026-02-05", 40),
            day("2026-02-06", 0),
            day("2026-02-07", 10),
        ];
        let told: Vec<String> = portions(&days, 10).iter().map(|(from, to)| format!("{from} to {to}")).collect();
        assert_eq!(
            told,
            [
                "2026-02-01 to 2026-02-03",
                "2026-02-04 to 2026-02-05",
                "2026-02-05 to 2026-02-06",
                "2026-02-06 to 2026-02-08"
            ]
        );
        assert!(portions(&[], 10).is_empty());
    }
}
