//! Projections on a real Kafka and a real Postgres, from records to exported rows and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::{Amount, ChargebackRow, CostType, Day, DayAllocated, Outcome, Target, TenantDay};
use crate::embedded::{self, Services, Settings};
use crate::journal::TransactionalProducer;
use crate::journal::provision::{self, Layout};
use crate::store::{ExportRange, Exported};

async fn start(folder: &std::path::Path) -> (Services, Parts) {
    let services = embedded::start(Settings::both_in(folder), &|_| ()).await.unwrap();
    let bootstrap = services.kafka_bootstrap().unwrap();
    let connection = Connection::new(bootstrap, BTreeMap::new(), "test.".into(), "one".into()).unwrap();
    provision::ensure(&connection, Layout { partitions: 3, replication_factor: 1 }).await.unwrap();
    let store = Store::connect(&services.database_url().unwrap(), 8).await.unwrap();
    let codec = Arc::new(Codec::builtin());
    let set_aside: SetAside = {
        let (connection, codec) = (connection.clone(), Arc::clone(&codec));
        Arc::new(move |entries| {
            let (connection, codec) = (connection.clone(), Arc::clone(&codec));
            Box::pin(async move {
                let publish = move || {
                    let mut producer = TransactionalProducer::new(&connection, "set-aside")?;
                    producer.begin()?;
                    for entry in entries {
                        let mut bytes = Vec::new();
                        codec.encode(&entry, &mut bytes).unwrap();
                        producer.send(Topic::Quarantine, None, entry.id.as_bytes(), Some(&bytes))?;
                    }
                    producer.commit()
                };
                tokio::task::spawn_blocking(publish).await.unwrap()
            })
        })
    };
    (services, Parts { connection, codec, store, set_aside })
}

fn day(n: u64) -> Day {
    "2026-02-27".parse::<Day>().unwrap().plus(n)
}

/// Writes a day's rows in one transaction, as allocation does; `identities` is how many rows.
fn publish(parts: &Parts, day: Day, revision: u32, identities: u32, garbage: bool) {
    let mut producer = TransactionalProducer::new(&parts.connection, "allocate").unwrap();
    let key = TenantDay::new("t", day).to_string();
    producer.begin().unwrap();
    let mut bytes = Vec::new();
    for ordinal in 0..identities {
        let identity = format!("sa-{:06}", ordinal % 5_000);
        let resource = format!("lkc-{:05}", ordinal / 5_000);
        bytes.clear();
        let row = ChargebackRow {
            tenant: "t",
            day,
            revision,
            ordinal,
            count: identities,
            ecosystem: "confluent_cloud",
            env_id: "env-abc",
            resource_id: &resource,
            product_category: "KAFKA",
            product_type: "KAFKA_NETWORK_READ",
            identity_id: &identity,
            target: Target::Identity,
            cost_type: CostType::Usage,
            allocation_method: "usage_ratio",
            allocation_detail: None,
            amount: Amount::from_units(i128::from(ordinal) * 1_234_567 + i128::from(revision)),
            currency: "USD",
            tier: 0,
            share: 0.25,
            usage: Some(1.5),
        };
        parts.codec.encode(&row, &mut bytes).unwrap();
        producer.send(Topic::Chargebacks, None, key.as_bytes(), Some(&bytes)).unwrap();
    }
    if garbage {
        producer.send(Topic::Chargebacks, None, key.as_bytes(), Some(b"not ours")).unwrap();
    }
    let closing = DayAllocated {
        tenant: "t".into(),
        day,
        revision,
        ecosystem: "confluent_cloud".into(),
        outcome: Outcome::Allocated,
        reason: None,
        billing_lines: 1,
        rows: identities,
        amount: Amount::ZERO,
        facts_digest: "f".into(),
        rows_digest: "r".into(),
        allocated_at: day.end(),
    };
    bytes.clear();
    parts.codec.encode(&closing, &mut bytes).unwrap();
    producer.send(Topic::Allocations, None, key.as_bytes(), Some(&bytes)).unwrap();
    producer.commit().unwrap();
}

async fn exported(parts: &Parts) -> Vec<String> {
    let range = ExportRange { tenant: "t".into(), from: None, to: None };
    let columns = Exported::Chargebacks.columns().len();
    let rows = parts.store.export(Exported::Chargebacks, &range).map_ok(move |row| {
        (0..columns).map(|i| row.text(i).unwrap().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(",")
    });
    rows.try_collect().await.unwrap()
}

async fn until(parts: &Parts, what: &str, condition: &str) {
    let begun = Instant::now();
    let query = sqlx::AssertSqlSafe(condition.to_owned());
    loop {
        let holds: Option<bool> = sqlx::query_scalar(query.clone()).fetch_one(parts.store.pool()).await.unwrap();
        if holds == Some(true) {
            return;
        }
        assert!(begun.elapsed().as_secs() < 120, "waited in vain until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_become_rows_once_and_a_rebuild_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (services, parts) = start(folder.path()).await;
    let published = {
        let parts = parts.clone();
        move || {
            publish(&parts, day(0), 1, 30, true);
            publish(&parts, day(1), 1, 20, false);
            publish(&parts, day(2), 1, 10, false);
            publish(&parts, day(2), 2, 0, false);
            publish(&parts, day(1), 2, 25, false);
        }
    };
    tokio::task::spawn_blocking(published).await.unwrap();

    let stop = CancellationToken::new();
    let mut roles = Vec::new();
    for projection in [Projection::Chargebacks, Projection::Days, Projection::Quarantine] {
        roles.push(tokio::spawn(run(projection, parts.clone(), stop.clone(), |_| ())));
    }
    until(&parts, "all rows are there", "SELECT count(*) = 55 FROM chargebacks").await;
    until(&parts, "days are told", "SELECT count(*) = 3 FROM days WHERE outcome = 'allocated'").await;
    until(&parts, "garbage is set aside", "SELECT count(*) = 1 FROM quarantine WHERE stage = 'project'").await;
    let first = exported(&parts).await;
    assert_eq!(first.len(), 55);

    // With the service running: both work on it.
    let apart = Parts { connection: parts.connection.as_instance("two"), ..parts.clone() };
    rebuild(&Projection::ALL, &apart, CancellationToken::new(), |_| ()).await.unwrap();
    assert_eq!(exported(&parts).await, first);
    until(&parts, "garbage is known once", "SELECT count(*) = 1 FROM quarantine").await;

    stop.cancel();
    for role in roles {
        role.await.unwrap().unwrap();
    }
    // Alone.
    rebuild(&[Projection::Chargebacks], &apart, CancellationToken::new(), |_| ()).await.unwrap();
    assert_eq!(exported(&parts).await, first);
    services.stop().await;
}

/// By hand: `cargo test --release --lib a_day_of_a_million -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_day_of_a_million_rows() {
    const ROWS: u32 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (services, parts) = start(folder.path()).await;
    for revision in 1..=2 {
        let publishing = parts.clone();
        tokio::task::spawn_blocking(move || publish(&publishing, day(0), revision, ROWS, false)).await.unwrap();
        let (stop, begun) = (CancellationToken::new(), Instant::now());
        let role = tokio::spawn(run(Projection::Chargebacks, parts.clone(), stop.clone(), |_| ()));
        let whole = format!("SELECT count(*) = 1 FROM slices WHERE complete AND revision = {revision}");
        until(&parts, "it is whole", &whole).await;
        let seconds = begun.elapsed().as_secs_f64();
        let memory = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        println!("revision {revision}: {seconds:.1} s, {:.0} rows/s, {peak}", f64::from(ROWS) / seconds);
        stop.cancel();
        role.await.unwrap().unwrap();
    }
    services.stop().await;
}
