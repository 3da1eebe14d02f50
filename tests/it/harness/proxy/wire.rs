//! What a client says on the wire, cut into messages and named; as much of both protocols as it takes to choose a moment.

/// Whose protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    Kafka,
    Postgres,
}

impl Wire {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::Postgres => "Postgres",
        }
    }
}

/// A client's message at the beginning of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub bytes: usize,
    /// As the protocol names it; `""` for those that nobody asks for.
    pub name: &'static str,
    /// By which Kafka's answer is known; zero in Postgres.
    pub correlation: i32,
}

/// Kafka's requests by their key.
const REQUESTS: [(i16, &str); 16] = [
    (0, "Produce"),
    (1, "Fetch"),
    (3, "Metadata"),
    (8, "OffsetCommit"),
    (9, "OffsetFetch"),
    (10, "FindCoordinator"),
    (11, "JoinGroup"),
    (12, "Heartbeat"),
    (13, "LeaveGroup"),
    (14, "SyncGroup"),
    (22, "InitProducerId"),
    (24, "AddPartitionsToTxn"),
    (25, "AddOffsetsToTxn"),
    (26, "EndTxn"),
    (28, "TxnOffsetCommit"),
    (2, "ListOffsets"),
];
/// Code of a Postgres start-up message, protocol 3.0; what comes before it has no letter either.
const START_UP: i32 = 3 << 16;

/// One connection's client side.
#[derive(Debug)]
pub struct Reader {
    wire: Wire,
    /// Postgres' messages carry a letter once the client has introduced itself.
    introduced: bool,
}

impl Reader {
    pub fn new(wire: Wire) -> Self {
        Self { wire, introduced: false }
    }

    /// The first message of `read`, if it is whole.
    pub fn next(&mut self, read: &[u8]) -> Option<Seen> {
        let seen = match self.wire {
            Wire::Kafka => {
                let (size, key, correlation) = (number(read, 0)?, number(read, 4)? >> 16, number(read, 8)?);
                let name = REQUESTS.iter().find(|(known, _)| i32::from(*known) == key).map_or("", |(_, name)| name);
                Seen { bytes: length(size) + 4, name, correlation }
            }
            Wire::Postgres if !self.introduced => {
                let (size, code) = (number(read, 0)?, number(read, 4)?);
                self.introduced = code == START_UP && read.len() >= length(size);
                Seen { bytes: length(size), name: "StartUp", correlation: 0 }
            }
            Wire::Postgres => {
                let bytes = length(number(read, 1)?) + 1;
                let body = read.get(5..bytes.min(read.len()))?;
                Seen { bytes, name: statement(read[0], body), correlation: 0 }
            }
        };
        (seen.bytes <= read.len()).then_some(seen)
    }
}

fn statement(letter: u8, body: &[u8]) -> &'static str {
    match letter {
        b'd' => "CopyData",
        b'c' => "CopyDone",
        b'Q' if body.starts_with(b"COMMIT") => "Commit",
        b'Q' if body.starts_with(b"BEGIN") => "Begin",
        b'Q' => "Query",
        b'P' => "Parse",
        b'B' => "Bind",
        _ => "",
    }
}

/// Puts the proxy's port where the broker says its own: its host is written before it, so nothing changes its length.
pub fn readdress(answer: &mut [u8], broker: u16, proxy: u16) {
    const HOST: &[u8] = b"127.0.0.1";
    let (from, to) = (u32::from(broker).to_be_bytes(), u32::from(proxy).to_be_bytes());
    let address = HOST.len() + from.len();
    for at in 0..answer.len().saturating_sub(address - 1) {
        let (host, port) = answer[at..at + address].split_at_mut(HOST.len());
        if host == HOST && port == from {
            port.copy_from_slice(&to);
        }
    }
}

/// The big-endian number at `at`, if it is there.
pub fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub fn length(size: i32) -> usize {
    usize::try_from(size).expect("a message of a length")
}

#[test]
fn messages_are_named_and_measured() {
    let end =
        [&9_i32.to_be_bytes()[..], &26_i16.to_be_bytes(), &3_i16.to_be_bytes(), &7_i32.to_be_bytes(), b"x"].concat();
    let mut kafka = Reader::new(Wire::Kafka);
    assert_eq!(kafka.next(&end), Some(Seen { bytes: 13, name: "EndTxn", correlation: 7 }));
    assert_eq!(kafka.next(&end[..12]), None);

    let mut postgres = Reader::new(Wire::Postgres);
    let tls = [8_i32.to_be_bytes(), 80_877_103_i32.to_be_bytes()].concat();
    let start = [8_i32.to_be_bytes(), START_UP.to_be_bytes()].concat();
    assert_eq!(postgres.next(&tls).map(|seen| seen.name), Some("StartUp"));
    assert_eq!(postgres.next(&start).map(|seen| seen.bytes), Some(8));
    let commit = [b"Q", &11_i32.to_be_bytes()[..], b"COMMIT\0rest"].concat();
    assert_eq!(postgres.next(&commit), Some(Seen { bytes: 12, name: "Commit", correlation: 0 }));
}

#[test]
fn a_broker_is_said_to_be_where_the_proxy_is() {
    let mut answer = [b"\x0a127.0.0.1", &29_092_u32.to_be_bytes()[..], b"127.0.0.1:29092"].concat();
    readdress(&mut answer, 29_092, 31_000);
    assert_eq!(answer, [b"\x0a127.0.0.1", &31_000_u32.to_be_bytes()[..], b"127.0.0.1:29092"].concat());
}
