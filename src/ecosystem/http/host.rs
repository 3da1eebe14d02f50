//! Turns at a host: how many requests at once, how close together, and none while it asked us to wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// All hosts this process talks to, by `host:port`.
#[derive(Debug)]
pub struct Hosts {
    concurrent: usize,
    spacing: Duration,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

/// One host, shared by everybody who asks it.
#[derive(Debug)]
pub struct Host {
    slots: Arc<Semaphore>,
    spacing: Duration,
    gate: Mutex<Gate>,
}

#[derive(Debug)]
struct Gate {
    /// The earliest start of the next request.
    next: Instant,
    /// The host asked for silence until then.
    held_until: Instant,
}

/// Permission for one request; give it back by dropping it when the answer is read.
#[derive(Debug)]
pub struct Turn {
    _slot: OwnedSemaphorePermit,
}

impl Hosts {
    /// At most `concurrent` requests (at least 1) at a time at one host, their starts `spacing` apart.
    pub fn new(concurrent: usize, spacing: Duration) -> Self {
        Self { concurrent: concurrent.max(1), spacing, known: Mutex::default() }
    }

    /// The host by its name and port.
    pub fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let host = known.entry(name.to_owned()).or_insert_with(|| Arc::new(Host::new(self.concurrent, self.spacing)));
        Arc::clone(host)
    }
}

impl Host {
    fn new(concurrent: usize, spacing: Duration) -> Self {
        let now = Instant::now();
        let gate = Mutex::new(Gate { next: now, held_until: now });
        Self { slots: Arc::new(Semaphore::new(concurrent)), spacing, gate }
    }

    /// Waits for a turn, but not for a silence that ends more than `patience` from now: then `Err` is its rest.
    pub async fn turn(&self, patience: Duration) -> Result<Turn, Duration> {
        loop {
            self.check_silence(patience)?;
            let slot = Arc::clone(&self.slots).acquire_owned().await;
            // Never closed; an error would only mean that nobody limits us.
            let Ok(slot) = slot else { return Err(Duration::ZERO) };
            match self.start_or_wait() {
                None => return Ok(Turn { _slot: slot }),
                Some(at) => {
                    self.check_silence(patience)?;
                    sleep_until(at).await;
                }
            }
        }
    }

    /// No request starts before `wait` is over.
    pub fn hold(&self, wait: Duration) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.held_until = gate.held_until.max(Instant::now() + wait);
    }

    fn check_silence(&self, patience: Duration) -> Result<(), Duration> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = gate.held_until.saturating_duration_since(Instant::now());
        if rest > patience { Err(rest) } else { Ok(()) }
    }

    fn start_or_wait(&self) -> Option<Instant> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let free = gate.next.max(gate.held_until);
        if free > now {
            return Some(free);
        }
        gate.next = now + self.spacing;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn no_more_turns_than_slots() {
        let hosts = Hosts::new(2, Duration::ZERO);
        let host = hosts.host("a:443");
        let first = host.turn(LONG).await.unwrap();
        let _second = hosts.host("a:443").turn(LONG).await.unwrap();
        let third = tokio::time::timeout(Duration::from_millis(20), host.turn(LONG)).await;
        assert!(third.is_err());
        let _elsewhere = hosts.host("b:443").turn(LONG).await.unwrap();
        drop(first);
        assert!(host.turn(LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_silence_is_kept_by_everybody_or_told_at_once() {
        let host = Hosts::new(2, Duration::ZERO).host("a:443");
        host.hold(Duration::from_millis(50));
        let began = Instant::now();
        assert!(host.turn(LONG).await.is_ok());
        assert!(began.elapsed() >= Duration::from_millis(50));
        host.hold(LONG);
        assert!(host.turn(Duration::from_secs(1)).await.unwrap_err() > Duration::from_secs(50));
    }
}
