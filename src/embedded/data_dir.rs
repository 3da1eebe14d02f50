//! The folder that keeps what the embedded Kafka and Postgres write, and the lock that gives it one owner.
//!
//! In: a wish and the environment. Out: a [`DataDir`] held by this process alone until it is dropped or the process dies.
//! There is no stale lock to clean up: the kernel releases it with the process, whatever happens.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, Uid};

use super::EmbeddedError;
use super::process::write_pid;

/// The folder, locked.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Held for its lock.
    _lock: File,
}

/// What of the environment decides where things lie.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    pub(super) root: bool,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) xdg_data_home: Option<PathBuf>,
    pub(super) xdg_cache_home: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
}

impl Environment {
    pub(super) fn of_this_process() -> Self {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            root: Uid::effective().is_root(),
            // A relative one is meant from here, like on any command line.
            data_dir: std::env::var_os("TRIBUTARY_DATA_DIR").filter(|text| !text.is_empty()).map(PathBuf::from),
            xdg_data_home: folder("XDG_DATA_HOME"),
            xdg_cache_home: folder("XDG_CACHE_HOME"),
            home: folder("HOME"),
        }
    }

    /// Where the data goes: what was asked for, `TRIBUTARY_DATA_DIR`, or the usual place of this user.
    pub(super) fn data_folder(&self, wish: Option<&Path>) -> Option<PathBuf> {
        if let Some(wish) = wish.or(self.data_dir.as_deref()) {
            return Some(wish.to_owned());
        }
        if self.root {
            return Some("/var/lib/tributary".into());
        }
        let share = self.xdg_data_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/share")))?;
        Some(share.join("tributary"))
    }

    /// Where downloaded programs may lie, this user's place first. `scripts/setup.sh` fills the first or the last.
    pub(super) fn cache_folders(&self) -> Vec<PathBuf> {
        let own = self.xdg_cache_home.clone().or_else(|| Some(self.home.as_ref()?.join(".cache")));
        own.map(|cache| cache.join("tributary")).into_iter().chain(["/var/cache/tributary".into()]).collect()
    }
}

impl DataDir {
    /// Makes the folder where needed and locks it, or says who has it.
    pub(super) fn open(path: &Path, root: bool) -> Result<Self, EmbeddedError> {
        let failed = |source| EmbeddedError::DataDir { folder: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let file = path.join("lock");
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => write_pid(&mut lock, Pid::this().as_raw()).map_err(failed)?,
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(failed)?;
                return Err(EmbeddedError::InUse { folder: path, pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        if root {
            let_others_through(&path).map_err(failed)?;
            if let Some(closed) = path.ancestors().find(|folder| !others_pass(folder)) {
                return Err(EmbeddedError::Unreachable { folder: path.clone(), closed: closed.to_owned() });
            }
        }
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder of one service in here, made where needed.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let folder = self.path.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&folder);
        made.map_err(|source| EmbeddedError::DataDir { folder: folder.clone(), source })?;
        Ok(folder)
    }
}

/// Does a process hold the lock of this folder?
pub(super) fn is_locked(folder: &Path) -> bool {
    let lock = File::open(folder.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Started by root, Postgres runs as another user and has to get to its folder. Passing is enough, listing is not needed.
fn let_others_through(path: &Path) -> io::Result<()> {
    let mode = path.metadata()?.mode();
    if mode & 0o001 == 0 { std::fs::set_permissions(path, Permissions::from_mode(mode | 0o011)) } else { Ok(()) }
}

fn others_pass(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|folder| folder.mode() & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_home() -> Environment {
        Environment { home: Some("/home/ana".into()), ..Environment::default() }
    }

    #[test]
    fn the_folder_is_the_wish_the_variable_or_the_users_usual_place() {
        let variable = Environment { data_dir: Some("/srv/t".into()), ..at_home() };
        assert_eq!(variable.data_folder(Some(Path::new("/wish"))), Some("/wish".into()));
        assert_eq!(variable.data_folder(None), Some("/srv/t".into()));
        assert_eq!(at_home().data_folder(None), Some("/home/ana/.local/share/tributary".into()));
        let xdg = Environment { xdg_data_home: Some("/data".into()), ..at_home() };
        assert_eq!(xdg.data_folder(None), Some("/data/tributary".into()));
        let root = Environment { root: true, ..xdg };
        assert_eq!(root.data_folder(None), Some("/var/lib/tributary".into()));
        assert_eq!(Environment::default().data_folder(None), None);
    }

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path(), false).unwrap();
        let refusal = DataDir::open(folder.path(), false).unwrap_err().to_string();
        assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");
        assert!(refusal.contains(&first.path().display().to_string()), "{refusal}");
        assert!(refusal.contains("TRIBUTARY_DATA_DIR"), "{refusal}");
        drop(first);
        DataDir::open(folder.path(), false).unwrap();
    }

    #[test]
    fn a_closed_folder_above_is_named() {
        let closed = tempfile::tempdir().unwrap();
        std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let refusal = DataDir::open(&closed.path().join("data"), true).unwrap_err().to_string();
        assert!(refusal.contains(&format!("{} ", closed.path().display())), "{refusal}");
    }
}
