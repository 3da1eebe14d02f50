//! What a process leaves behind that dies within a transaction, and how soon readers get past it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tributary::journal::ends::is_settled;
use tributary::journal::provision::ensure;
use tributary::journal::topology::Layout;
use tributary::journal::{Connection, JournalError, Topic, TransactionalProducer};

use crate::harness::{Installation, until};

const ROWS: [Topic; 1] = [Topic::Chargebacks];

/// An installation with its topics.
fn installation(name: &str) -> (Installation, Connection) {
    let installation = Installation::new(name);
    let (kafka, prefix) = (installation.kafka.clone(), installation.prefix.clone());
    let connection = Connection::new(kafka, BTreeMap::new(), prefix, "one".to_owned()).expect("plain settings");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let made = runtime.block_on(ensure(&connection, Layout { partitions: 1, replication_factor: 1 }));
    made.expect("the topics are made");
    (installation, connection)
}

/// A producer that wrote a row and stopped there, as a process does that is killed or frozen.
fn left_open(connection: &Connection) -> TransactionalProducer {
    let mut producer = TransactionalProducer::new(connection, "allocate").expect("it connects");
    producer.begin().expect("a transaction");
    producer.send(Topic::Chargebacks, Some(0), b"key", Some(b"row")).expect("it is queued");
    until("the row is written and not committed", || !settled(connection));
    producer
}

fn settled(connection: &Connection) -> bool {
    is_settled(connection, &ROWS, 0).expect("the broker answers")
}

#[test]
fn readers_get_past_what_nobody_ends_and_its_writer_may_begin_anew() {
    let (installation, connection) = installation("left_open");
    let mut gone = left_open(&connection);
    let since = Instant::now();
    until("readers get past it", || settled(&connection));
    println!("an open transaction held readers up for {:.1} s", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < Duration::from_secs(40), "it took {:?}", since.elapsed());
    let late = gone.commit().expect_err("it is aborted");
    assert!(matches!(late, JournalError::Overdue(_)) && late.is_transient(), "{late:?}");
    assert_eq!(installation.records("chargebacks"), 0);
}

#[test]
fn a_successor_ends_what_was_left_open_at_once_and_puts_its_writer_out() {
    let (installation, connection) = installation("taken_over");
    let mut gone = left_open(&connection);
    let since = Instant::now();
    let next = TransactionalProducer::new(&connection, "allocate").expect("it connects");
    until("readers get past it", || settled(&connection));
    println!("a successor ended an open transaction after {:.1} s", since.elapsed().as_secs_f64());
    // Sooner than the broker does by itself.
    assert!(since.elapsed() < Duration::from_secs(14), "it took {:?}", since.elapsed());
    let put_out = gone.commit().expect_err("it is put out");
    assert!(matches!(put_out, JournalError::Fenced { .. }), "{put_out:?}");
    assert_eq!(installation.records("chargebacks"), 0);
    drop(next);
}
