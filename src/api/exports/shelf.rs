//! The folder of exports: a document for each, and the files of those that are whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};

use super::MOST_UNDER_WAY;
use super::document::Document;
use crate::unfinished::Unfinished;

/// Held for as long as the process lives.
const LOCK: &str = "lock";

/// All exports of this process' folder. Its methods block for as long as a small file takes to write.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    keep: TimeDelta,
    known: Mutex<HashMap<String, Document>>,
    _lock: File,
}

impl Shelf {
    /// Takes the folder, which is made if it is missing. What was under way when its last holder ended has failed.
    ///
    /// # Errors
    /// If the folder cannot be used, or another process has it.
    pub fn open(folder: &Path, keep: TimeDelta, now: DateTime<Utc>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another process keeps its exports there"),
            fs::TryLockError::Error(error) => error,
        })?;
        let shelf = Self { folder: folder.to_owned(), keep, known: Mutex::default(), _lock: lock };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("unfinished") => fs::remove_file(&path)?,
                Some("json") => shelf.recall(&path, now)?,
                _ => {}
            }
        }
        shelf.sweep(now);
        Ok(shelf)
    }

    fn recall(&self, path: &Path, now: DateTime<Utc>) -> io::Result<()> {
        let Ok(document) = serde_json::from_slice::<Document>(&fs::read(path)?) else {
            tracing::warn!(path = %path.display(), "this is no document of an export; it is left as it is");
            return Ok(());
        };
        let under_way = document.is_under_way();
        let document = document.after_restart(now, self.keep);
        if under_way { self.put(document) } else { self.remember(document) }
    }

    /// How long an ended export is kept.
    pub fn keep(&self) -> TimeDelta {
        self.keep
    }

    /// What is known of an export.
    pub fn get(&self, id: &str) -> Option<Document> {
        self.known().get(id).cloned()
    }

    /// Those of a tenant, newest first.
    pub fn of_tenant(&self, tenant: &str) -> Vec<Document> {
        let mut found: Vec<Document> =
            self.known().values().filter(|document| document.tenant == tenant).cloned().collect();
        found.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        found
    }

    /// May one more be asked for?
    pub fn has_room(&self) -> bool {
        self.known().values().filter(|document| document.is_under_way()).count() < MOST_UNDER_WAY
    }

    /// Writes what is known of an export, durably.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, document: Document) -> io::Result<()> {
        let mut file = Unfinished::begin(self.folder.join(format!("{}.json", document.id)))?;
        file.write_all(&serde_json::to_vec_pretty(&document).expect("a document is plain data"))?;
        file.finish()?;
        self.remember(document)
    }

    fn remember(&self, document: Document) -> io::Result<()> {
        self.known().insert(document.id.clone(), document);
        Ok(())
    }

    /// Where the file of an export is, or will be.
    pub fn file(&self, document: &Document) -> PathBuf {
        self.folder.join(format!("{}.{}", document.id, document.wish.format.extension()))
    }

    /// Removes what has expired.
    pub fn sweep(&self, now: DateTime<Utc>) {
        let expired: Vec<Document> =
            self.known().values().filter(|document| document.has_expired(now)).cloned().collect();
        for document in expired {
            let paths = [self.file(&document), self.folder.join(format!("{}.json", document.id))];
            let failed = paths.iter().filter_map(|path| fs::remove_file(path).err());
            // An export that failed has no file.
            for error in failed.filter(|error| error.kind() != io::ErrorKind::NotFound) {
                tracing::warn!(%error, export = document.id, "an export could not be removed; it is tried again");
            }
            if paths.iter().all(|path| !path.exists()) {
                self.known().remove(&document.id);
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Document>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::document;
    use super::super::document::{State, Whole};
    use super::*;

    #[test]
    fn a_restart_shows_what_was_cut_as_failed_and_keeps_what_is_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let now: DateTime<Utc> = "2026-03-06T06:30:00Z".parse().unwrap();
        let keep = TimeDelta::hours(1);
        let shelf = Shelf::open(folder.path(), keep, now).unwrap();
        assert!(Shelf::open(folder.path(), keep, now).unwrap_err().to_string().contains("another process"));
        shelf.put(document("cut", now)).unwrap();
        let whole = document("whole", now);
        fs::write(shelf.file(&whole), "rows").unwrap();
        shelf.put(whole.ended(Ok(Whole { rows: 1, bytes: 4, sha256: String::new() }), now, keep)).unwrap();
        fs::write(folder.path().join(".cut.csv.unfinished"), "half").unwrap();
        drop(shelf);
        let shelf = Shelf::open(folder.path(), keep, now).unwrap();
        assert_eq!(shelf.get("cut").unwrap().state, State::Failed);
        assert_eq!(shelf.get("whole").unwrap().state, State::Ready);
        assert!(!folder.path().join(".cut.csv.unfinished").exists());
        assert_eq!(shelf.of_tenant("t-1").len(), 2);
        assert!(shelf.of_tenant("t-2").is_empty());
        shelf.sweep(now + keep);
        assert!(shelf.get("whole").is_none() && !shelf.file(&document("whole", now)).exists());
        drop(shelf);
        let shelf = Shelf::open(folder.path(), keep, now).unwrap();
        assert!(shelf.get("whole").is_none() && shelf.get("cut").is_none(), "what is removed stays so");
    }

    #[test]
    fn there_is_room_for_so_many_at_a_time() {
        let folder = tempfile::TempDir::new().unwrap();
        let now: DateTime<Utc> = "2026-03-06T06:30:00Z".parse().unwrap();
        let shelf = Shelf::open(folder.path(), TimeDelta::hours(1), now).unwrap();
        for at in 0..MOST_UNDER_WAY {
            assert!(shelf.has_room());
            shelf.remember(document(&at.to_string(), now)).unwrap();
        }
        assert!(!shelf.has_room());
    }
}
