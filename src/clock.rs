//! The one place that asks what time it is.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// How often a clock that others move is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The system's clock, one that runs from a chosen moment, one that stands still, or one that a file moves.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    System,
    Running(DateTime<Utc>, Instant),
    Standing(DateTime<Utc>),
    Moved(&'static Moved),
}

/// A clock that stands until its file says another moment.
#[derive(Debug)]
struct Moved {
    file: PathBuf,
    shown: Mutex<DateTime<Utc>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that shows `now` at this moment and runs on from there.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self(Kind::Running(now, Instant::now()))
    }

    /// A clock that always shows `now`: what is done by it can be repeated to the last digit.
    pub fn standing_at(now: DateTime<Utc>) -> Self {
        Self(Kind::Standing(now))
    }

    /// A clock that shows the moment (RFC 3339) in a file, for tests that let months pass.
    ///
    /// # Errors
    /// If the file cannot be read or has no moment in it now; later, what cannot be read changes nothing.
    pub fn moved_by(file: &Path) -> std::io::Result<Self> {
        let shown = Mutex::new(moment_in(file)?);
        // As long as the process: clocks are handed about by value.
        Ok(Self(Kind::Moved(Box::leak(Box::new(Moved { file: file.to_owned(), shown })))))
    }

    /// Waits until this clock shows `moment`; for ever without one.
    pub async fn reaches(&self, moment: Option<DateTime<Utc>>) {
        let Some(moment) = moment else { return std::future::pending().await };
        loop {
            let left = (moment - self.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return;
            }
            match self.0 {
                Kind::Standing(_) => return std::future::pending().await,
                Kind::Moved(_) => tokio::time::sleep(LOOK_AGAIN).await,
                // The system's clock may be set meanwhile: look again once a minute.
                Kind::System | Kind::Running(..) => tokio::time::sleep(left.min(Duration::from_secs(60))).await,
            }
        }
    }

    /// The present moment, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            #[allow(clippy::disallowed_methods, reason = "this is the one place")]
            Kind::System => Utc::now(),
            Kind::Running(now, since) => now + TimeDelta::from_std(since.elapsed()).unwrap_or_default(),
            Kind::Standing(now) => now,
            Kind::Moved(moved) => {
                let mut shown = moved.shown.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(now) = moment_in(&moved.file) {
                    *shown = now;
                }
                *shown
            }
        }
    }
}

fn moment_in(file: &Path) -> std::io::Result<DateTime<Utc>> {
    let text = std::fs::read_to_string(file)?;
    text.trim().parse().map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_moves_the_clock_and_whoever_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("now");
        assert!(Clock::moved_by(&file).is_err());
        std::fs::write(&file, "2026-03-06T06:30:00Z\n").unwrap();
        let clock = Clock::moved_by(&file).unwrap();
        let later = clock.now() + TimeDelta::days(3);
        std::fs::write(&file, "half a mome").unwrap();
        assert_eq!(clock.now(), later - TimeDelta::days(3));
        let waits = tokio::spawn(async move { clock.reaches(Some(later)).await });
        std::fs::write(&file, later.to_rfc3339()).unwrap();
        waits.await.unwrap();
    }
}
