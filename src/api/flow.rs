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
use crate::store::read::{Availability, Column, Dataset, Reader, Rows, Selection};

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
    mut table: Table,
    taker: &Sender<Bytes>,
) -> Result<u64, Cut> {
    let days = reader.available(dataset, &of.tenant, of.from, of.to).await?;
    let mut count = 0;
    for (from, to) in portions(&days, PORTION) {
        let mut asked = Rows::of(dataset, columns, &Selection { from, to, ..of.clone() });
        let mut rows = reader.rows(&mut asked);
        while let Some(row) = rows.try_next().await? {
            // A column that is asked for is there.
            table.row((0..columns.len()).map(|column| row.text(column).ok().flatten()))?;
            count += 1;
            if let Some(bytes) = table.take(CHUNK) {
                hand_on(bytes, taker).await?;
            }
        }
    }
    table.end()?;
    if let Some(bytes) = table.take(1) {
        hand_on(bytes, taker).await?;
    }
    Ok(count)
}

async fn hand_on(bytes: Vec<u8>, taker: &Sender<Bytes>) -> Result<(), Cut> {
    taker.send_timeout(Ok(bytes), PATIENCE).await.map_err(|_| Cut::Gone)
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
