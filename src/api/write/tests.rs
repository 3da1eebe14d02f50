//! Changes on a real Kafka and a real Postgres: written once, told where, seen by whoever asks with that position.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::ApiToken;
use crate::embedded::{self, Settings};
use crate::journal::provision;
use crate::journal::topology::Layout;
use crate::project;
use crate::store::read::AuditQuery;
use crate::store::{Position, Projection, Store};

fn token(n: usize, at: DateTime<Utc>) -> ApiToken {
    ApiToken {
        id: format!("trib_{n:08}"),
        name: format!("number {n}"),
        hash: format!("{n:064x}"),
        scopes: vec!["costs:read".into()],
        tenants: Some(vec!["acme".into()]),
        created_at: at,
        created_by: "cli:test".into(),
        expires_at: None,
    }
}

async fn wait_for(store: &Store, ledger: &Ledger, position: &EventPosition) {
    let records = position.records().iter().map(|at| Position {
        topic: ledger.topic(at.topic),
        partition: at.partition,
        next: at.offset + 1,
    });
    let records: Vec<Position> = records.collect();
    let begun = std::time::Instant::now();
    while store.behind(&records).await.unwrap() {
        assert!(begun.elapsed().as_secs() < 120, "waited in vain for the tables");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_in_the_tables_once_they_are_at_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let services = embedded::start(Settings::both_in(folder.path()), &|_| ()).await.unwrap();
    let connection =
        Connection::new(services.kafka_bootstrap().unwrap(), BTreeMap::new(), "test.".into(), "one".into()).unwrap();
    provision::ensure(&connection, Layout { partitions: 3, replication_factor: 1 }).await.unwrap();
    let store = Store::connect(&services.database_url().unwrap(), 8).await.unwrap();
    let codec = Arc::new(Codec::builtin());
    let ledger = Ledger::open(connection.clone(), Arc::clone(&codec), Clock::system(), "api").unwrap();
    let (stop, by) =
        (CancellationToken::new(), |n: usize| By { actor: "cli:test".into(), request_id: format!("r{n}") });

    // Many at once share transactions, and each is told its own place.
    let created = (0..40).map(|n| {
        let (ledger, by) = (ledger.clone(), by(n));
        async move {
            let made = token(n, ledger.now());
            let change = Change::put(&ledger, Topic::Tokens, &made.id, &made).unwrap();
            let change = change.of("token.created", "token", &made.id).to(&made.name);
            ledger.write(&by, None, vec![change]).await.unwrap()
        }
    });
    let positions = join_all(created).await;
    let places: std::collections::BTreeSet<_> = positions.iter().flat_map(EventPosition::records).collect();
    assert_eq!(places.len(), 80, "no two records lie in the same place");
    let last = positions.iter().max_by_key(|position| position.records().iter().map(|at| at.offset).max()).unwrap();
    let behind = last.records().iter().map(|at| Position {
        topic: ledger.topic(at.topic),
        partition: at.partition,
        next: at.offset + 1,
    });
    assert!(store.behind(&behind.collect::<Vec<_>>()).await.unwrap(), "nobody has projected anything yet");

    let set_aside: project::SetAside = Arc::new(|_| Box::pin(async { panic!("nothing is to be set aside") }));
    let parts = project::Parts { connection, codec, store: store.clone(), set_aside };
    let projecting = [Projection::Audit, Projection::Tokens]
        .map(|of| tokio::spawn(project::run(of, parts.clone(), stop.clone(), |_| ())));
    for position in &positions {
        wait_for(&store, &ledger, position).await;
    }
    assert_eq!(store.tokens().await.unwrap().len(), 40);

    // A tenant's thing that is gone, with what it was.
    let removed = Change::remove(Topic::Tokens, "trib_00000007").of("token.revoked", "token", "trib_00000007");
    let removed = removed.from(&BTreeMap::from([("name", "number 7")]));
    let position = ledger.write(&by(99), Some("acme"), vec![removed]).await.unwrap();
    wait_for(&store, &ledger, &position).await;
    assert_eq!(store.token_by_hash(&format!("{:064x}", 7)).await.unwrap(), None);
    assert!(store.token_by_hash(&format!("{:064x}", 8)).await.unwrap().is_some());
    let mut reader = store.reader(std::time::Duration::from_secs(10)).await.unwrap();
    let of_acme = AuditQuery { tenant: Some("acme".into()), limit: 10, ..AuditQuery::default() };
    let events = reader.audit(&of_acme).await.unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].action.as_str(), events[0].actor.as_str()), ("token.revoked", "cli:test"));
    assert_eq!((events[0].before.as_deref(), events[0].after.as_deref()), (Some("{\"name\":\"number 7\"}"), None));
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    assert_eq!(reader.audit(&all).await.unwrap().len(), 41);
    drop(reader);
    stop.cancel();
    for task in projecting {
        task.await.unwrap().unwrap();
    }
    services.stop().await;
}
