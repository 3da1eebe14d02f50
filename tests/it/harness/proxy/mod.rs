//! A TCP proxy in front of Kafka or Postgres that cuts and stalls connections, also at a chosen message.
//!
//! Clients are told to connect to it; a broker's answers that say where it is are made to say where the proxy is.

mod wire;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use wire::Wire;
use wire::{Reader, length, number, readdress};

/// Answers of Kafka that hold its address.
const TELLS_ADDRESS: [&str; 2] = ["Metadata", "FindCoordinator"];

/// When a connection is cut, seen from the message that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The server never hears of it.
    Before,
    /// The server gets half of it.
    Within,
    /// The server does it and the client never hears of that.
    Unanswered,
}

/// Tells whether a trap has sprung.
#[derive(Debug, Clone)]
pub struct Sprung(Arc<AtomicBool>);

impl Sprung {
    pub fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The proxy; its connections end with the runtime it was started on.
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    wire: Wire,
    /// Where the service listens, on loopback.
    service: u16,
    /// Where we listen, on loopback.
    port: u16,
    traps: Mutex<Vec<(&'static str, Moment, Sprung)>>,
    /// Connections that saw a lower number are cut.
    era: watch::Sender<u64>,
    stalled: watch::Sender<bool>,
}

impl Proxy {
    /// Listens on a free port of loopback for clients of the service on `service`.
    pub fn start(runtime: &Runtime, wire: Wire, service: u16) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (era, stalled) = (watch::Sender::new(0), watch::Sender::new(false));
        let shared = Arc::new(Shared { wire, service, port, traps: Mutex::default(), era, stalled });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(Arc::clone(&serving), client));
                }
            }
        });
        Self { shared }
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Cuts the next connection over which this message goes.
    pub fn cut_at(&self, message: &'static str, moment: Moment) -> Sprung {
        let sprung = Sprung(Arc::default());
        self.shared.traps.lock().expect("nobody panics with it").push((message, moment, sprung.clone()));
        sprung
    }

    /// Forgets traps that have not sprung.
    pub fn disarm(&self) {
        self.shared.traps.lock().expect("nobody panics with it").clear();
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        self.shared.era.send_modify(|era| *era += 1);
    }

    /// Lets nothing through until it is said otherwise; connections stay open.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }
}

impl Shared {
    fn sprung(&self, name: &str) -> Option<Moment> {
        let mut traps = self.traps.lock().expect("nobody panics with it");
        let at = traps.iter().position(|(message, ..)| *message == name)?;
        let (_, moment, sprung) = traps.remove(at);
        sprung.0.store(true, Ordering::Relaxed);
        Some(moment)
    }

    async fn flowing(&self) {
        // Fails when the proxy is gone, and the connection with it.
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }
}

/// What the two directions of a connection tell each other.
#[derive(Default)]
struct Open {
    /// Answers to look into.
    addresses: BTreeSet<i32>,
    /// The answer at which the connection is cut.
    last: Option<i32>,
}

async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let mut era = shared.era.subscribe();
    // A service that is away refuses; so do we, by closing.
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.service)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let open = Mutex::new(Open::default());
    // Whichever ends first ends both; a failed write or read is the end of a connection, too.
    tokio::select! {
        _ = requests(&shared, &open, from_client, to_server) => {}
        _ = answers(&shared, &open, from_server, to_client) => {}
        _ = era.changed() => {}
    }
}

async fn requests(
    shared: &Shared,
    open: &Mutex<Open>,
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
) -> std::io::Result<()> {
    let (mut read, mut reader) = (Vec::new(), Reader::new(shared.wire));
    while client.read_buf(&mut read).await? > 0 {
        while let Some(seen) = reader.next(&read) {
            shared.flowing().await;
            let message: Vec<u8> = read.drain(..seen.bytes).collect();
            if shared.wire == Wire::Kafka && TELLS_ADDRESS.contains(&seen.name) {
                open.lock().expect("nobody panics with it").addresses.insert(seen.correlation);
            }
            match shared.sprung(seen.name) {
                None => server.write_all(&message).await?,
                Some(Moment::Before) => return Ok(()),
                Some(Moment::Within) => return server.write_all(&message[..message.len() / 2]).await,
                Some(Moment::Unanswered) => {
                    open.lock().expect("nobody panics with it").last = Some(seen.correlation);
                    server.write_all(&message).await?;
                }
            }
        }
    }
    Ok(())
}

async fn answers(
    shared: &Shared,
    open: &Mutex<Open>,
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    while server.read_buf(&mut read).await? > 0 {
        shared.flowing().await;
        if shared.wire == Wire::Postgres {
            if open.lock().expect("nobody panics with it").last.is_some() {
                return Ok(());
            }
            client.write_all(&read).await?;
            read.clear();
        }
        while let Some(bytes) = number(&read, 0).map(|size| length(size) + 4).filter(|bytes| *bytes <= read.len()) {
            let mut answer: Vec<u8> = read.drain(..bytes).collect();
            let correlation = number(&answer, 4);
            {
                let mut open = open.lock().expect("nobody panics with it");
                if open.last.is_some() && open.last == correlation {
                    return Ok(());
                }
                if correlation.is_some_and(|correlation| open.addresses.remove(&correlation)) {
                    readdress(&mut answer, shared.service, shared.port);
                }
            }
            client.write_all(&answer).await?;
        }
    }
    Ok(())
}
