//! Where the services of a data folder can be reached, for other commands on the same machine.
//!
//! In: addresses, once the services answer. Out: the same, in a file only this user may read (the database's
//! address holds its password). It means nothing unless somebody holds the folder's lock.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "addresses";

/// Addresses of services that another process runs. `Debug` leaves the password out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// What a Kafka client takes as `bootstrap.servers`.
    pub kafka: Option<String>,
    /// With the password: not for printing.
    pub database_url: Option<String>,
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Addresses({:?}, database: {})", self.kafka, self.database_url.is_some())
    }
}

impl Addresses {
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let path = place(folder);
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let (kafka, url) = (self.kafka.as_deref().unwrap_or("-"), self.database_url.as_deref().unwrap_or("-"));
        writeln!(file, "{kafka}\n{url}")?;
        std::fs::rename(unfinished, path)
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(place(folder)).ok()?;
        let mut lines = text.lines().map(|line| Some(line.to_owned()).filter(|line| line != "-"));
        Some(Self { kafka: lines.next()?, database_url: lines.next()? })
    }

    pub(super) fn forget(folder: &Path) {
        // What is left after a crash means nothing: the lock says whether anybody runs.
        let _ = std::fs::remove_file(place(folder));
    }
}

fn place(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let told = Addresses { kafka: Some("127.0.0.1:1".into()), database_url: None };
        told.write(folder.path()).unwrap();
        assert_eq!(Addresses::read(folder.path()), Some(told));
        Addresses::forget(folder.path());
        assert_eq!(Addresses::read(folder.path()), None);
    }
}
