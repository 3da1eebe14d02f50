//! Gather against the made-up organisation and a real broker: days are sealed once, memory survives.
//!
//! The broker is the one that `KAFKA_BOOTSTRAP_SERVERS` names, or an embedded one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary::cli::sources;
use tributary::clock::Clock;
use tributary::config;
use tributary::demo::{self, Organisation};
use tributary::domain::{BillingLine, DaySealed, Reason};
use tributary::ecosystem::http::{Http, Limits};
use tributary::embedded;
use tributary::gather::{Ask, CycleReport, GatherError, Gatherer, TenantSettings};
use tributary::journal::provision::ensure;
use tributary::journal::topology::Layout;
use tributary::journal::{Codec, Connection, Topic, scan};

const DAYS: u32 = 5;

/// What a gatherer needs beside its tenant, which a test may change.
struct Bench {
    connection: Connection,
    codec: Arc<Codec>,
    source: tributary::ecosystem::Source,
    rules: tributary::domain::RuleBook,
    clock: Clock,
}

impl Bench {
    async fn open(&self, tenant: &TenantSettings) -> Gatherer {
        let (connection, codec, tenant) = (self.connection.clone(), Arc::clone(&self.codec), tenant.clone());
        let open = move || Gatherer::open(&connection, &codec, vec![tenant]);
        tokio::task::spawn_blocking(open).await.unwrap().unwrap().remove(0)
    }

    async fn cycle(&self, gatherer: Gatherer) -> Result<(Gatherer, CycleReport), GatherError> {
        gatherer.cycle(&self.source, &self.rules, &self.clock, &Ask::default(), |_| ()).await
    }

    fn seals(&self) -> Vec<DaySealed> {
        let mut seals = Vec::new();
        scan(&self.connection, Topic::Days, None, |record| {
            seals.push(self.codec.decode::<DaySealed>(record.payload.unwrap()).unwrap());
        })
        .unwrap();
        seals.sort_by_key(|seal| (seal.day, seal.revision));
        seals
    }

    /// How many billing lines each revision of each day has.
    fn lines(&self) -> BTreeMap<(String, u32), u32> {
        let mut lines = BTreeMap::new();
        scan(&self.connection, Topic::Billing, None, |record| {
            let line = self.codec.decode::<BillingLine>(record.payload.unwrap()).unwrap();
            assert_eq!(record.key.unwrap(), format!("{}/{}", line.tenant, line.day).as_bytes());
            *lines.entry((line.day.to_string(), line.revision)).or_default() += 1;
        })
        .unwrap();
        lines
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_sealed_once_and_remembered() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let kafka_only = embedded::Settings { data_dir: Some(folder.path().join("data")), kafka: true, postgres: false };
    let given = std::env::var("KAFKA_BOOTSTRAP_SERVERS").ok();
    let services = match given {
        Some(_) => None,
        None => Some(embedded::start(kafka_only, &|_| ()).await.unwrap()),
    };
    let bootstrap = given.or_else(|| services.as_ref().and_then(embedded::Services::kafka_bootstrap)).unwrap();
    let prefix = format!("gather-{}.", std::process::id());
    let connection = Connection::new(bootstrap, BTreeMap::new(), prefix, "test".to_owned()).unwrap();
    ensure(&connection, Layout { partitions: 3, replication_factor: 1 }).await.unwrap();

    let now = "2026-03-06T06:30:00Z".parse().unwrap();
    let running = demo::serve(Organisation::generate(1, demo::first_day(now, DAYS), DAYS)).await.unwrap();
    let config = config::parse(&demo::config_yaml(&running, now), &|_| None).unwrap().config;
    // The last cycle meets a source that is gone; no need to wait for its return.
    let mut impatient = Limits::default();
    impatient.patience.connect_attempts = 1;
    let (source, rules) = sources::of(&config.tenants[0], &Http::new(impatient).unwrap(), Clock::system()).unwrap();
    let tenant = sources::settings(&config.tenants[0]);
    let clock = Clock::starting_at(now);
    let mut bench = Bench { connection, codec: Arc::new(Codec::builtin()), source, rules, clock };

    // Everything is new.
    let gatherer = bench.open(&tenant).await;
    let (gatherer, first) = bench.cycle(gatherer).await.unwrap();
    assert_eq!((first.sealed.len(), first.unchanged, &first.held, &first.failure), (5, 0, &vec![], &None));
    let seals = bench.seals();
    assert!(seals.iter().all(|seal| seal.reason == Reason::New && seal.revision == 1), "{seals:?}");
    assert!(seals.iter().all(|seal| seal.metrics > 0 && seal.identities > 0 && seal.resources > 0));
    let counted = seals.iter().map(|seal| ((seal.day.to_string(), 1), seal.billing_lines)).collect();
    assert_eq!(bench.lines(), counted);

    // Nothing changed: nothing is published, by this gatherer or by one that has only the log's memory.
    let (gatherer, second) = bench.cycle(gatherer).await.unwrap();
    assert_eq!((second.sealed.len(), second.unchanged, &second.all_days), (0, 5, &first.all_days));
    let reopened = bench.open(&tenant).await;
    let (reopened, third) = bench.cycle(reopened).await.unwrap();
    assert_eq!((third.sealed.len(), third.unchanged, &third.all_days), (0, 5, &first.all_days));

    // The one that was taken over from is fenced.
    let fenced = bench.cycle(gatherer).await.unwrap_err();
    assert!(matches!(fenced, GatherError::TakenOver { .. }), "{fenced:?}");
    assert_eq!(bench.seals().len(), 5);

    // Other rules: every day anew, by revision 2.
    bench.rules.owner_types.push("principal".to_owned());
    let (reopened, fourth) = bench.cycle(reopened).await.unwrap();
    assert!(fourth.sealed.len() == 5 && fourth.sealed.iter().all(|(_, revision)| *revision == 2), "{fourth:?}");
    assert!(bench.seals().iter().filter(|seal| seal.revision == 2).all(|seal| seal.reason == Reason::Inventory));

    // The source is gone: the tenant failed, nothing is sealed, nothing is lost.
    running.stop().await.unwrap();
    let (_, fifth) = bench.cycle(reopened).await.unwrap();
    assert!(fifth.sealed.is_empty() && fifth.failure.is_some(), "{fifth:?}");
    assert_eq!(fifth.all_days, fourth.all_days);
    if let Some(services) = services {
        services.stop().await;
    }
}
