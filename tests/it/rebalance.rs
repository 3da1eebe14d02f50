//! Allocate workers that come and go while days arrive: each revision is allocated once, and nothing stands still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tributary::allocate::worker::{self, AllocateError};
use tributary::cli::sources;
use tributary::clock::Clock;
use tributary::config;
use tributary::demo::{self, Organisation};
use tributary::domain::{ChargebackRow, DayAllocated, Outcome};
use tributary::ecosystem::http::{Http, Limits};
use tributary::gather::{Ask, Gatherer};
use tributary::journal::provision::ensure;
use tributary::journal::topology::Layout;
use tributary::journal::{Codec, Connection, Topic, blocking, scan};

use crate::harness::Installation;

const DAYS: u32 = 24;
const NOW: &str = "2026-03-06T06:30:00Z";

/// A member of the group, started again when its partitions moved, as the program does.
fn member(connection: &Connection, name: &str, stop: &CancellationToken, done: &Done) -> JoinHandle<()> {
    let (connection, stop, done) = (connection.as_instance(name), stop.clone(), done.clone());
    let clock = Clock::standing_at(NOW.parse().unwrap());
    tokio::task::spawn_blocking(move || {
        let heard = |days: &[DayAllocated]| days.iter().for_each(|day| drop(done.send(day.clone())));
        loop {
            match worker::run(&connection, Arc::new(Codec::builtin()), clock, &stop, heard) {
                Err(error) if error.is_transient() => {}
                ended => return ended.unwrap_or_else(|error: AllocateError| panic!("{error:?}")),
            }
        }
    })
}

type Done = UnboundedSender<DayAllocated>;

/// Waits until that many days are allocated in this revision.
async fn hear(heard: &mut UnboundedReceiver<DayAllocated>, revision: u32, days: u32) {
    for _ in 0..days {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(120), heard.recv()).await;
            let day = next.expect("the group stands still").expect("a member");
            assert_eq!(day.outcome, Outcome::Allocated, "{day:?}");
            if day.revision == revision {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_each_revision_is_allocated_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let installation = blocking(|| Installation::new("rebalance")).await;
    let (kafka, prefix) = (installation.kafka.clone(), installation.prefix.clone());
    let connection = Connection::new(kafka, BTreeMap::new(), prefix, "test".to_owned()).unwrap();
    ensure(&connection, Layout { partitions: 4, replication_factor: 1 }).await.unwrap();

    let now = NOW.parse().unwrap();
    let running = demo::serve(Organisation::generate(1, demo::first_day(now, DAYS), DAYS)).await.unwrap();
    let config = config::parse(&demo::config_yaml(&running, now), &|_| None).unwrap().config;
    let (source, mut rules) =
        sources::of(&config.tenants[0], &Http::new(Limits::default()).unwrap(), Clock::system()).unwrap();
    let (log, tenant) = (connection.clone(), sources::settings(&config.tenants[0]));
    let open = move || Gatherer::open(&log, &Arc::new(Codec::builtin()), vec![tenant]);
    let mut gatherer = blocking(open).await.unwrap().remove(0);

    let (done, mut heard) = unbounded_channel();
    let (a, b, c) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let mut members = vec![member(&connection, "a", &a, &done)];
    for revision in 1..=3 {
        // Other rules make every day anew; days arrive while members join and leave.
        rules.owner_types.push(format!("made-up-{revision}"));
        let (back, report) =
            gatherer.cycle(&source, &rules, &Clock::standing_at(now), &Ask::default(), |_| ()).await.unwrap();
        gatherer = back;
        assert_eq!(report.sealed.len() as u32, DAYS, "{report:?}");
        match revision {
            1 => members.push(member(&connection, "b", &b, &done)),
            2 => members.push(member(&connection, "c", &c, &done)),
            _ => a.cancel(),
        }
        hear(&mut heard, revision, DAYS).await;
    }
    b.cancel();
    c.cancel();
    for member in members {
        member.await.unwrap();
    }
    blocking(move || each_revision_is_there_once(&connection)).await;
    running.stop().await.unwrap();
}

fn each_revision_is_there_once(connection: &Connection) {
    let codec = Codec::builtin();
    let mut outcomes: BTreeMap<(String, u32), u32> = BTreeMap::new();
    scan(connection, Topic::Allocations, None, |record| {
        let day: DayAllocated = codec.decode(record.payload.unwrap()).unwrap();
        let known = outcomes.insert((day.day.to_string(), day.revision), day.rows);
        assert_eq!(known, None, "{} revision {} was allocated twice", day.day, day.revision);
    })
    .unwrap();
    let mut rows: BTreeMap<(String, u32), Vec<u32>> = BTreeMap::new();
    scan(connection, Topic::Chargebacks, None, |record| {
        let row: ChargebackRow<'_> = codec.decode(record.payload.unwrap()).unwrap();
        rows.entry((row.day.to_string(), row.revision)).or_default().push(row.ordinal);
    })
    .unwrap();
    assert_eq!(outcomes.len() as u32, 3 * DAYS);
    for (key, count) in outcomes {
        let mut ordinals = rows.remove(&key).unwrap_or_default();
        ordinals.sort_unstable();
        assert_eq!(ordinals, (0..count).collect::<Vec<_>>(), "{key:?}");
    }
    assert_eq!(rows.len(), 0, "rows without an outcome");
}
