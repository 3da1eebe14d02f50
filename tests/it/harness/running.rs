//! The program as a service: started, watched, signalled, and never left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything in these tests may take before it counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits for a condition, and says what it was if it does not come true.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(LIMIT, condition), "waited in vain until {what}");
}

fn comes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    true
}

/// A process of the program; it is killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command; what it says goes into a file of this name in `dir`.
    pub fn start(command: &mut Command, dir: &Path, name: &str) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log).expect("a log");
        let both = file.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn().expect("it starts");
        Self { child, log }
    }

    /// All it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("its log")).into_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a condition while the process lives.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let mut ended = None;
        let came = comes_true(LIMIT, || {
            ended = self.child.try_wait().expect("its state");
            condition(self) || ended.is_some()
        });
        assert!(came, "waited in vain until {what}; it said\n{}", self.said());
        assert!(ended.is_none() || condition(self), "it ended ({ended:?}) before {what}; it said\n{}", self.said());
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state")
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it can be signalled");
    }

    /// How it ended, if it does so in time.
    pub fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut ended = None;
        comes_true(limit, || {
            ended = self.has_ended();
            ended.is_some()
        });
        ended
    }

    /// Waits for its end, which must come by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        self.ends_within(LIMIT).unwrap_or_else(|| panic!("it does not end; it said\n{}", self.said()))
    }

    /// Asks it to end and expects that it does so cleanly.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "asked to stop, it ended with {status}; it said\n{}", self.said());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes whose command line names this folder, with the command line.
pub fn processes_in(folder: &Path) -> Vec<(u32, String)> {
    let folder = folder.to_str().expect("UTF-8");
    let pids = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        // Empty for one that has ended and waits to be reaped.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(folder).then_some((pid, line))
    });
    pids.collect()
}
