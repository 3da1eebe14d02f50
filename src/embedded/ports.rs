//! Loopback ports that stay the same from run to run.
//!
//! In: the file that remembers them. Out: ports that are free now. Nothing is reserved: a port is only ours once the
//! child listens on it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use rand::Rng;

use super::EmbeddedError;

/// Below the range the kernel takes for outgoing connections: there, a client that tries a stopped service on loopback
/// again and again can be given the service's own port and end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 1_000;

/// The ports remembered in `file` if all are free, else new ones, remembered.
pub(super) fn choose<const N: usize>(file: &Path) -> Result<[u16; N], EmbeddedError> {
    if let Some(ports) = remembered(file).filter(|ports| ports.iter().all(|port| is_free(*port))) {
        return Ok(ports);
    }
    let mut found = free_ports();
    let mut next = || found.next().ok_or(EmbeddedError::NoPort);
    let mut ports = [0; N];
    for port in &mut ports {
        *port = next()?;
    }
    let text: String = ports.iter().map(|port| format!("{port}\n")).collect();
    std::fs::write(file, text).map_err(|source| EmbeddedError::DataDir { folder: file.to_owned(), source })?;
    Ok(ports)
}

fn remembered<const N: usize>(file: &Path) -> Option<[u16; N]> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().map(|line| line.parse().ok()).collect::<Option<Vec<u16>>>()?.try_into().ok()
}

/// Each port once, in random order, so that two starts at the same time hardly meet.
fn free_ports() -> impl Iterator<Item = u16> {
    let mut seen = std::collections::HashSet::new();
    std::iter::repeat_with(|| rand::rng().random_range(RANGE))
        .take(TRIES)
        .filter(move |port| seen.insert(*port) && is_free(*port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kept_until_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports");
        let first: [u16; 2] = choose(&file).unwrap();
        assert_ne!(first[0], first[1]);
        assert_eq!(choose::<2>(&file).unwrap(), first);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first[1])).unwrap();
        let second: [u16; 2] = choose(&file).unwrap();
        assert!(!second.contains(&first[1]));
        assert_eq!(choose::<2>(&file).unwrap(), second);
    }

    #[test]
    fn an_unreadable_memory_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports");
        std::fs::write(&file, "lots\n").unwrap();
        let [port] = choose(&file).unwrap();
        assert!(RANGE.contains(&port));
    }
}
