//! Exports: files of rows that are made apart from the request that asks for them, and fetched when they are whole.
//!
//! In: what to export. Out: a document that says how far it is, and a file with a digest. Both lie in one folder that one
//! process holds; an export that was cut by an end of the process is shown as failed, and its file is never there in part.
//! Absent: HTTP, which rows there are.

mod document;
mod range;
mod shelf;
mod work;

pub(crate) use document::{Document, State, Wish};
pub(crate) use range::{Part, part};
pub(crate) use shelf::Shelf;
pub(crate) use work::make;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Exports that may wait or be made at the same time.
const MOST_UNDER_WAY: usize = 100;
/// How often expired files are looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// Where exports lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFolder {
    /// No other process may use it at the same time.
    pub directory: PathBuf,
    /// How long they are kept, in hours.
    pub keep_hours: u32,
    /// Was it named by the operator? Then it has to be usable; else there are no exports where it is not.
    pub asked: bool,
}

impl Shelf {
    /// Takes the folder, and removes what has expired from it until `stop`.
    ///
    /// # Errors
    /// If a folder that was asked for cannot be used.
    pub fn of(
        folder: Option<&ExportFolder>,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> std::io::Result<Option<Arc<Self>>> {
        let Some(ExportFolder { directory, keep_hours, asked }) = folder else { return Ok(None) };
        let opened = Self::open(directory, TimeDelta::hours(i64::from(*keep_hours)), clock.now());
        let shelf = match opened.map(Arc::new) {
            Ok(shelf) => shelf,
            Err(error) => {
                let place = directory.display();
                let told =
                    format!("exports cannot be kept in {place}: {error}; name a folder as api.exports.directory");
                if *asked {
                    return Err(std::io::Error::new(error.kind(), told));
                }
                tracing::warn!("{told}");
                return Ok(None);
            }
        };
        let (swept, clock, stop) = (Arc::clone(&shelf), *clock, stop.clone());
        tokio::spawn(async move {
            while tokio::time::timeout(SWEEP, stop.cancelled()).await.is_err() {
                swept.sweep(clock.now());
            }
        });
        Ok(Some(shelf))
    }
}
