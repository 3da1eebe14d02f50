//! How fast one client may ask. Pure but for a lock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clients in mind at most; beyond that, those that have not asked for longest are forgotten first.
const MOST: usize = 20_000;

/// So many requests a second, and ten seconds' worth of them at once.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    at_once: f64,
    clients: Mutex<HashMap<String, Left>>,
}

/// What a client may still ask, as of a moment.
#[derive(Debug, Clone, Copy)]
struct Left {
    requests: f64,
    at: Instant,
}

impl Pace {
    /// `None` for no limit at all.
    pub fn of(per_second: u32) -> Option<Self> {
        let rate = f64::from(per_second);
        (per_second > 0).then(|| Self { per_second: rate, at_once: rate * 10.0, clients: Mutex::default() })
    }

    /// Takes one request from what the client may ask.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn take(&self, client: &str, now: Instant) -> Result<(), Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST && !clients.contains_key(client) {
            // Whoever has all of it back is as good as new.
            clients.retain(|_, left| self.by(*left, now) < self.at_once);
            if clients.len() >= MOST {
                clients.clear();
            }
        }
        let left = clients.get(client).map_or(self.at_once, |left| self.by(*left, now));
        let taken = if left >= 1.0 { left - 1.0 } else { left };
        clients.insert(client.to_owned(), Left { requests: taken, at: now });
        if left >= 1.0 { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) / self.per_second)) }
    }

    fn by(&self, left: Left, now: Instant) -> f64 {
        let back = now.saturating_duration_since(left.at).as_secs_f64() * self.per_second;
        (left.requests + back).min(self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_its_share_and_does_not_take_another_ones() {
        let (pace, begun) = (Pace::of(5).unwrap(), Instant::now());
        for _ in 0..50 {
            assert_eq!(pace.take("a", begun), Ok(()));
        }
        assert_eq!(pace.take("a", begun), Err(Duration::from_millis(200)));
        assert_eq!(pace.take("b", begun), Ok(()));
        let later = begun + Duration::from_secs(1);
        let granted = (0..20).filter(|_| pace.take("a", later).is_ok()).count();
        assert_eq!(granted, 5);
        assert!(Pace::of(0).is_none());
    }

    #[test]
    fn strangers_without_number_do_not_fill_the_memory() {
        let (pace, now) = (Pace::of(1).unwrap(), Instant::now());
        for n in 0..MOST + 10 {
            assert_eq!(pace.take(&n.to_string(), now), Ok(()));
        }
        assert!(pace.clients.lock().unwrap().len() <= MOST);
    }
}
