//! Projections on a real Kafka and a real Postgres, from records to exported rows and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::{
    Amount, BillingLine, ChargebackRow, CostType, Day, DayAllocated, DaySealed, Identity, Outcome, Reason, Resource,
    Target, TenantDay,
};
use crate::embedded::{self, Services, Settings};
use crate::journal::TransactionalProducer;
use crate::journal::provision;
use crate::journal::topology::Layout;
use crate::store::{DayState, ExportRange, Exported};

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
        topic_rows: Some(0),
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

async fn until(parts: &Parts, what: &str, condition: &str) {
    let begun = Instant::now();
    loop {
        let holds: Option<bool> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(condition.to_owned())).fetch_one(parts.store.pool()).await.unwrap();
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
    let first = table(&parts, Exported::Chargebacks).await;
    assert_eq!(first.len(), 55);

    // With the service running: both work on it.
    let apart = Parts { connection: parts.connection.as_instance("two"), ..parts.clone() };
    rebuild(&Projection::ALL, &apart, CancellationToken::new(), |_| ()).await.unwrap();
    assert_eq!(table(&parts, Exported::Chargebacks).await, first);
    until(&parts, "garbage is known once", "SELECT count(*) = 1 FROM quarantine").await;

    stop.cancel();
    for role in roles {
        role.await.unwrap().unwrap();
    }
    // Alone.
    rebuild(&[Projection::Chargebacks], &apart, CancellationToken::new(), |_| ()).await.unwrap();
    assert_eq!(table(&parts, Exported::Chargebacks).await, first);
    services.stop().await;
}

/// A revision with one line, a resource and a key, or with nothing at all.
fn publish_facts(parts: &Parts, day: Day, revision: u32, empty: bool) {
    let mut producer = TransactionalProducer::new(&parts.connection, "gather").unwrap();
    let key = TenantDay::new("t", day).to_string();
    let count = u32::from(!empty);
    let attributes = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let line = BillingLine {
        tenant: "t".into(),
        day,
        revision,
        ordinal: 0,
        count,
        ecosystem: "confluent_cloud".into(),
        env_id: "env-abc".into(),
        resource_id: "lkc-1".into(),
        resource_name: None,
        product_category: "KAFKA".into(),
        product_type: "KAFKA_BASE".into(),
        quantity: Amount::whole(24),
        unit_price: "0.05".parse().unwrap(),
        amount: "1.20".parse().unwrap(),
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day.start(),
        period_end: day.end(),
        evidence: vec!["{}".into(), "{\"a\":\"\u{e4}\"}".into()],
    };
    let resource = Resource {
        tenant: "t".into(),
        day,
        revision,
        ordinal: 0,
        count,
        ecosystem: "confluent_cloud".into(),
        resource_id: "lkc-1".into(),
        resource_type: "kafka_cluster".into(),
        display_name: Some("one".into()),
        parent_id: Some("env-abc".into()),
        owner_id: None,
        created_at: Some("2025-01-02T03:04:05.5Z".parse().unwrap()),
        deleted_at: Some("2026-02-28T00:00:00Z".parse().unwrap()),
        attributes: attributes(&[("region", "eu"), ("cloud", "aws"), ("z", "1"), ("a", "2")]),
    };
    let identity = Identity {
        tenant: "t".into(),
        day,
        revision,
        ordinal: 0,
        count,
        ecosystem: "confluent_cloud".into(),
        identity_id: "KEY".into(),
        identity_type: "api_key".into(),
        display_name: None,
        owner_id: Some("sa-1".into()),
        resource_id: None,
        created_at: None,
        deleted_at: None,
        attributes: attributes(&[("a", "2")]),
    };
    let seal = DaySealed {
        tenant: "t".into(),
        day,
        revision,
        ecosystem: "confluent_cloud".into(),
        billing_lines: count,
        resources: count,
        identities: count,
        metrics: 0,
        digest: "d".into(),
        rules: "{}".into(),
        metrics_failed: vec!["lkc-1".into()],
        quarantined: 2,
        reason: Reason::New,
        requested: None,
        gathered_at: day.end(),
    };
    let mut records = vec![(Topic::Days, Vec::new())];
    parts.codec.encode(&seal, &mut records[0].1).unwrap();
    if !empty {
        records.extend([Topic::Billing, Topic::Resources, Topic::Identities].map(|topic| (topic, Vec::new())));
        parts.codec.encode(&line, &mut records[1].1).unwrap();
        parts.codec.encode(&resource, &mut records[2].1).unwrap();
        parts.codec.encode(&identity, &mut records[3].1).unwrap();
    }
    producer.begin().unwrap();
    for (topic, bytes) in &records {
        producer.send(*topic, None, key.as_bytes(), Some(bytes)).unwrap();
    }
    producer.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_become_tables_that_are_exported_as_people_expect() {
    let folder = tempfile::tempdir().unwrap();
    let (services, parts) = start(folder.path()).await;
    let publishing = parts.clone();
    let published = move || {
        publish_facts(&publishing, day(0), 1, false);
        publish(&publishing, day(0), 1, 2, false);
        publish_facts(&publishing, day(1), 1, false);
        publish_facts(&publishing, day(1), 2, true);
    };
    tokio::task::spawn_blocking(published).await.unwrap();
    let stop = CancellationToken::new();
    let spawn = |projection: Projection| tokio::spawn(run(projection, parts.clone(), stop.clone(), |_| ()));
    let roles: Vec<_> = Projection::ALL.into_iter().map(spawn).collect();
    let asked = [("t".to_owned(), day(0), 1), ("t".to_owned(), day(1), 2), ("nobody".to_owned(), day(0), 1)];
    let whole = "SELECT count(*) = 8 FROM slices WHERE complete AND (revision = 2 OR day = '2026-02-27')";
    until(&parts, "all slices are whole", whole).await;
    until(&parts, "days are told", "SELECT count(*) = 2 FROM days WHERE sealed_revision IS NOT NULL").await;
    until(&parts, "a day is done", "SELECT count(*) = 1 FROM days WHERE allocated_revision IS NOT NULL").await;
    let states: Vec<DayState> = parts.store.progress(&asked).await.unwrap().into_iter().map(|p| p.state).collect();
    assert_eq!(states[0], DayState::Done);
    assert_eq!(states[1], DayState::Waiting(vec!["allocation"]));
    assert!(matches!(&states[2], DayState::Waiting(missing) if missing.len() == 5), "{states:?}");
    let overview = parts.store.overview().await.unwrap();
    assert_eq!((overview[0].sealed, overview[0].allocated, overview[0].projected), (2, 1, 1));
    let summary = parts.store.summary("t").await.unwrap();
    assert_eq!((summary.days, summary.lines, summary.rows), (2, 1, 2));

    assert_eq!(
        table(&parts, Exported::Billing).await,
        ["confluent_cloud|t|2026-02-27T00:00:00Z|env-abc|lkc-1|KAFKA|KAFKA_BASE|24|0.05|1.2|USD|daily|0"]
    );
    assert_eq!(
        table(&parts, Exported::Resources).await,
        ["confluent_cloud|t|lkc-1|kafka_cluster|one|env-abc||deleted|aws|eu|2025-01-02T03:04:05.5Z|\
          2026-02-28T00:00:00Z|{\"a\": \"2\", \"z\": \"1\"}"]
    );
    assert_eq!(
        table(&parts, Exported::Identities).await,
        ["confluent_cloud|t|KEY|api_key||||{\"a\": \"2\", \"owner_id\": \"sa-1\"}"]
    );
    assert_eq!(
        table(&parts, Exported::Days).await,
        [
            "2026-02-27|1|1|1|0|0|1|1|allocated||1|2|0|2|lkc-1|2026-02-28T00:00:00Z",
            "2026-02-28|1|1|0|0|0|2||||0|||2|lkc-1|2026-03-01T00:00:00Z"
        ]
    );
    stop.cancel();
    for role in roles {
        role.await.unwrap().unwrap();
    }
    services.stop().await;
}

async fn table(parts: &Parts, what: Exported) -> Vec<String> {
    let range = ExportRange { tenant: "t".into(), from: None, to: None };
    let columns = what.columns().len();
    let rows = parts.store.export(what, &range).map_ok(move |row| {
        (0..columns).map(|i| row.text(i).unwrap().unwrap_or_default().to_owned()).collect::<Vec<_>>().join("|")
    });
    rows.try_collect().await.unwrap()
}
