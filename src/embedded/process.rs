//! One child process under supervision, from its first instruction to its last.
//!
//! In: a command, the file that says who runs, a log. Out: a [`Process`] whose end can be awaited and asked for.
//! A child that outlives us would keep ports and files: the kernel asks it to end when we die, however we die, and it
//! sits in a process group of its own so that Ctrl-C in the terminal reaches us first. Nothing here restarts a child.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};
use tokio::sync::{oneshot, watch};

use super::EmbeddedError;

/// How long a child of an earlier run, asked to end by the kernel, may take to do so.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(20);
/// How often a condition without an event behind it is looked at.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A log larger than this, in bytes, is set aside when its process starts.
const LOG_LIMIT: u64 = 20 << 20;
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 16 << 10;

/// The two ways a child is asked to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals {
    /// Ends cleanly; also what the kernel sends when we die.
    pub(super) polite: Signal,
    /// Ends now.
    pub(super) firm: Signal,
}

/// What is needed to start a child.
#[derive(Debug)]
pub(super) struct Launch {
    /// What error messages call it.
    pub(super) name: &'static str,
    pub(super) command: Command,
    /// Locked by the child as long as it, or a child of its own, lives. Holds its pid.
    pub(super) running: PathBuf,
    pub(super) log: PathBuf,
    pub(super) signals: Signals,
}

/// A started child. Dropping it ends the child at once; [`Process::stop`] is the clean way.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    pid: Pid,
    log: PathBuf,
    signals: Signals,
    /// True while `pid` is ours: from the start until the child is reaped, when the number may go to somebody else.
    ours: Arc<Mutex<bool>>,
    end: watch::Receiver<Option<ExitStatus>>,
}

impl Launch {
    /// Starts the child, once a predecessor that still winds down has released its folder.
    pub(super) async fn start(self) -> Result<Process, EmbeddedError> {
        let Self { name, mut command, running, log, signals } = self;
        let failed = |source| EmbeddedError::NotStarted { service: name, log: log.clone(), source };
        let mut lock = claim(name, &running).await?;
        let output = open_log(&log).map_err(failed)?;
        let pid_file = lock.try_clone().map_err(failed)?;
        command.stdin(pid_file).stderr(output.try_clone().map_err(failed)?).stdout(output);
        command.current_dir("/").process_group(0);
        end_with_parent(&mut command, signals.polite);

        let (started, pid) = oneshot::channel();
        let (ended, end) = watch::channel(None);
        let ours = Arc::new(Mutex::new(true));
        let supervised = Arc::clone(&ours);
        // A thread of its own: the kernel takes the death of the starting *thread* for ours, so it must live as long as the child.
        std::thread::Builder::new()
            .name(format!("supervise {name}"))
            .spawn(move || supervise(command, started, &supervised, &ended))
            .map_err(failed)?;
        let pid = pid.await.map_err(|_| failed(io::Error::other("its supervisor ended")))?.map_err(failed)?;
        write_pid(&mut lock, pid.as_raw()).map_err(failed)?;
        Ok(Process { name, pid, log, signals, ours, end })
    }
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Resolves when the child has ended, with how. Independent of the borrow, so it can be awaited beside other work.
    pub(super) fn ended(&self) -> impl Future<Output = ExitStatus> + Send + 'static {
        let mut end = self.end.clone();
        async move {
            match end.wait_for(Option::is_some).await.map(|status| *status) {
                Ok(Some(status)) => status,
                // The supervisor answers before it goes; without it there is nothing to tell.
                _ => std::future::pending().await,
            }
        }
    }

    /// Resolves when the child has ended, as an error that shows the end of its log.
    pub(super) fn died(&self) -> impl Future<Output = EmbeddedError> + Send + 'static {
        let (service, log, ended) = (self.name, self.log.clone(), self.ended());
        async move {
            let status = ended.await;
            let tail = tail(&log);
            EmbeddedError::Died { service, status, log, tail }
        }
    }

    /// An error for a child that lives but did not get ready within `limit`.
    pub(super) fn slow(&self, limit: Duration) -> EmbeddedError {
        let (service, log, tail) = (self.name, self.log.clone(), tail(&self.log));
        EmbeddedError::Slow { service, seconds: limit.as_secs(), log, tail }
    }

    /// Asks the child to end, insists after `limit`, and returns when it is gone.
    pub(super) async fn stop(self, limit: Duration) {
        self.signal(self.signals.polite);
        if tokio::time::timeout(limit, self.ended()).await.is_err() {
            self.signal(self.signals.firm);
            if tokio::time::timeout(limit, self.ended()).await.is_err() {
                self.signal(Signal::SIGKILL);
                self.ended().await;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if *ours {
            // The only failure left is a child that has ended meanwhile.
            let _ = kill(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(self.signals.firm);
    }
}

/// Waits until no process of an earlier run holds `path`, then holds it.
async fn claim(name: &'static str, path: &Path) -> Result<File, EmbeddedError> {
    let failed = |source| EmbeddedError::NotStarted { service: name, log: path.to_owned(), source };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let started = tokio::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if started.elapsed() > PREDECESSOR_LIMIT => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(EmbeddedError::Orphan { service: name, pid: pid.trim().to_owned() });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

pub(super) fn write_pid(file: &mut File, pid: i32) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{pid}")
}

fn open_log(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|log| log.len() > LOG_LIMIT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// Has the kernel send `signal` to the child when the starting thread is gone.
#[allow(
    unsafe_code,
    reason = "the death signal must be set between fork and exec; both calls there are bare system calls"
)]
fn end_with_parent(command: &mut Command, signal: Signal) {
    let parent = Pid::this();
    let ask_kernel = move || {
        set_pdeathsig(signal)?;
        // We may have died before the kernel was asked; then nobody would tell the child.
        if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: prctl and getppid are, nothing allocates.
    unsafe { command.pre_exec(ask_kernel) };
}

fn supervise(
    mut command: Command,
    started: oneshot::Sender<io::Result<Pid>>,
    ours: &Mutex<bool>,
    ended: &watch::Sender<Option<ExitStatus>>,
) {
    let spawned = command.spawn();
    // It holds copies of the child's files, the lock among them.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return drop(started.send(Err(error))),
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    if started.send(Ok(pid)).is_err() {
        // Whoever asked has given up meanwhile: nobody else would ever end it. A failure means that it has ended.
        let _ = child.kill();
    }
    // Sees the end without reaping, so that the pid stays the child's until `ours` says otherwise.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let status = {
        let mut ours = ours.lock().unwrap_or_else(PoisonError::into_inner);
        *ours = false;
        child.wait()
    };
    if let Ok(status) = status {
        ended.send_replace(Some(status));
    }
}

/// The last lines of a log, indented to stand under an error message.
fn tail(log: &Path) -> String {
    let text = last_bytes(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..].iter().map(|line| format!("\n    {line}")).collect()
}

fn last_bytes(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Signals = Signals { polite: Signal::SIGTERM, firm: Signal::SIGKILL };

    fn shell(script: &str, folder: &Path) -> Launch {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let (running, log) = (folder.join("running"), folder.join("child.log"));
        Launch { name: "a shell", command, running, log, signals: PLAIN }
    }

    #[tokio::test]
    async fn an_unexpected_end_is_seen_with_the_last_lines_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("echo no room left; exit 3", folder.path()).start().await.unwrap();
        let error = process.died().await.to_string();
        assert!(error.contains("a shell") && error.contains("3") && error.contains("no room left"), "{error}");
    }

    #[tokio::test]
    async fn a_child_that_ignores_the_polite_signal_is_ended_firmly() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("trap '' TERM; echo deaf; while :; do sleep 1; done", folder.path()).start().await.unwrap();
        while !tail(&folder.path().join("child.log")).contains("deaf") {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let (pid, ended) = (process.pid, process.ended());
        process.stop(Duration::from_millis(50)).await;
        ended.await;
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }

    #[tokio::test]
    async fn a_new_child_waits_until_the_grandchildren_of_the_old_one_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let old = shell("exec 3<&0; sleep 0.3 & exit 0", folder.path()).start().await.unwrap();
        old.ended().await;
        let begun = std::time::Instant::now();
        let new = shell("exit 0", folder.path()).start().await.unwrap();
        new.ended().await;
        assert!(begun.elapsed() > Duration::from_millis(150));
    }

    #[tokio::test]
    async fn dropping_ends_the_child() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("sleep 600", folder.path()).start().await.unwrap();
        let ended = process.ended();
        drop(process);
        ended.await;
    }
}
