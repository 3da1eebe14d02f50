//! The processes of a round, under a supervisor that starts again what ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::faults::CREW;
use crate::harness::Running;

/// Before a process is started again that ended by itself.
const BY_ITSELF: Duration = Duration::from_millis(500);

/// One process, over all its lives.
struct Member {
    name: &'static str,
    running: Option<Running>,
    /// When it is started again.
    back: Option<Instant>,
    lives: u32,
}

/// Makes the command for a name and a role.
type Start<'c> = Box<dyn Fn(&str, &str) -> Command + 'c>;

/// All of them.
pub struct Crew<'c> {
    members: Vec<Member>,
    start: Start<'c>,
    logs: PathBuf,
    /// What was said last by those that ended although nobody asked them to.
    pub ended: Vec<String>,
}

impl<'c> Crew<'c> {
    /// Starts every process; `start` makes the command for a name and a role.
    pub fn start(logs: &Path, start: impl Fn(&str, &str) -> Command + 'c) -> Self {
        let member =
            |(name, _): &(&'static str, &str)| Member { name, running: None, back: Some(Instant::now()), lives: 0 };
        let members = CREW.iter().map(member).collect();
        let mut crew = Self { members, start: Box::new(start), logs: logs.to_owned(), ended: Vec::new() };
        crew.watch();
        crew
    }

    /// Looks after everybody once: notes who ended, starts who is due.
    pub fn watch(&mut self) {
        for (member, (_, role)) in self.members.iter_mut().zip(CREW) {
            if member.running.as_mut().and_then(Running::has_ended).is_some() {
                let said = member.running.take().map(|it| it.said()).unwrap_or_default();
                self.ended.push(format!("{role}: {}", last_words(&said)));
                member.back = Some(Instant::now() + BY_ITSELF);
            }
            if member.back.is_some_and(|due| due <= Instant::now()) {
                member.back = None;
                member.lives += 1;
                let log = format!("{}.{}", member.name, member.lives);
                member.running = Some(Running::start(&mut (self.start)(member.name, role), &self.logs, &log));
            }
        }
    }

    /// Looks after everybody until it is time, or until a condition holds. Did it?
    pub fn watch_until(&mut self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        loop {
            self.watch();
            if condition() {
                return true;
            }
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Ends a process without a word; it comes back after so long (`None`: when it is told to).
    pub fn kill(&mut self, member: usize, back: Option<Duration>) {
        let member = &mut self.members[member];
        // Dropping kills.
        member.running = None;
        member.back = back.map(|back| Instant::now() + back);
    }

    /// Starts a process again that is gone.
    pub fn bring_back(&mut self, member: usize) {
        let member = &mut self.members[member];
        if member.running.is_none() {
            member.back = Some(Instant::now());
        }
        self.watch();
    }

    /// Does it live?
    pub fn lives(&self, member: usize) -> bool {
        self.members[member].running.is_some()
    }

    pub fn signal(&self, member: usize, signal: Signal) {
        if let Some(running) = &self.members[member].running {
            running.signal(signal);
        }
    }

    /// Asks all to end, which they must do cleanly.
    pub fn stop(mut self) -> Result<(), String> {
        let mut left: Vec<(&str, Running)> =
            self.members.iter_mut().filter_map(|member| Some((member.name, member.running.take()?))).collect();
        left.iter().for_each(|(_, running)| running.signal(Signal::SIGTERM));
        for (name, running) in &mut left {
            let status = running.ends_within(Duration::from_secs(30));
            if !status.is_some_and(|status| status.success()) {
                return Err(format!("{name}, asked to stop: {status:?}; {}", last_words(&running.said())));
            }
        }
        Ok(())
    }
}

/// The error with which a process ended, or the last thing it said.
fn last_words(said: &str) -> String {
    let error = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    error.or_else(|| said.lines().last()).unwrap_or_default().to_owned()
}
