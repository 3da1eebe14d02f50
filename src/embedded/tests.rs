//! The real services, started in a folder of their own. As root, Postgres runs as `nobody` here as everywhere.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::{Connection, PgConnection};

use super::*;

/// Set for the copy of this test program that plays the parent that is killed.
const VICTIM: &str = "TRIBUTARY_TEST_VICTIM_FOLDER";

async fn both(folder: &Path) -> Services {
    start(Settings::both_in(folder), &|step| println!("{step}")).await.unwrap()
}

/// The name of the broker's cluster, made up when its storage was.
fn cluster(services: &Services) -> String {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", services.kafka_bootstrap().unwrap()).create().unwrap();
    let metadata = client.fetch_metadata(None, Duration::from_secs(10)).unwrap();
    assert_eq!(metadata.brokers().len(), 1);
    client.client().fetch_cluster_id(Duration::from_secs(10)).unwrap()
}

async fn sql(services: &Services, statement: &'static str) -> Option<i32> {
    let mut connection = PgConnection::connect(&services.database_url().unwrap()).await.unwrap();
    let answer = sqlx::query_scalar(statement).fetch_optional(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

fn signal(pid: Option<u32>, signal: Signal) {
    kill(Pid::from_raw(pid.unwrap().cast_signed()), signal).unwrap();
}

/// A process that was ended but not yet reaped by whoever inherited it counts as gone.
fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        tokio::time::sleep(process::LOOK_AGAIN).await;
    }
}

#[tokio::test]
async fn both_start_stop_and_keep_their_data_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let told = Mutex::new(Vec::new());
    let first =
        start(Settings::both_in(folder.path()), &|step| told.lock().unwrap().push(step.to_owned())).await.unwrap();
    assert_eq!(told.lock().unwrap().iter().filter(|step| step.contains("first start")).count(), 2);
    let addresses = (first.kafka_bootstrap(), first.database_url());
    let name = cluster(&first);
    assert_eq!(sql(&first, "select 1").await, Some(1));
    sql(&first, "create table kept as select 7 as n").await;

    let refusal = start(Settings::both_in(folder.path()), &|_| ()).await.unwrap_err();
    assert!(matches!(refusal, EmbeddedError::InUse { .. }), "{refusal}");
    let pids = [first.kafka_pid().unwrap(), first.postgres_pid().unwrap()];
    first.stop().await;
    assert!(!pids.into_iter().any(runs));

    let second = both(folder.path()).await;
    assert_eq!((second.kafka_bootstrap(), second.database_url()), addresses);
    assert_eq!(cluster(&second), name);
    assert_eq!(sql(&second, "select n from kept").await, Some(7));
    second.stop().await;
}

#[tokio::test]
async fn a_killed_service_is_noticed_and_starts_again_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut services = both(folder.path()).await;
    let (name, addresses) = (cluster(&services), (services.kafka_bootstrap(), services.database_url()));
    sql(&services, "create table kept as select 7 as n").await;

    signal(services.kafka_pid(), Signal::SIGKILL);
    let death = services.died().await;
    assert!(matches!(&death, EmbeddedError::Died { service: "Kafka", status, .. } if status.signal() == Some(9)));
    assert!(death.to_string().contains("kafka.log"), "{death}");
    services.restart_kafka().await.unwrap();

    signal(services.postgres_pid(), Signal::SIGKILL);
    assert!(services.died().await.to_string().contains("postgres.log"));
    services.restart_postgres().await.unwrap();

    assert_eq!((services.kafka_bootstrap(), services.database_url()), addresses);
    assert_eq!(cluster(&services), name);
    assert_eq!(sql(&services, "select n from kept").await, Some(7));
    services.stop().await;
}

/// Does nothing in an ordinary run: it is the body of the process that the next test kills.
#[tokio::test]
async fn victim() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let services = both(Path::new(&folder)).await;
    let pids = format!("{} {}", services.kafka_pid().unwrap(), services.postgres_pid().unwrap());
    std::fs::write(Path::new(&folder).join("pids.new"), pids).unwrap();
    std::fs::rename(Path::new(&folder).join("pids.new"), Path::new(&folder).join("pids")).unwrap();
    panic!("{}", services.died().await);
}

#[tokio::test]
async fn children_die_with_their_parent_and_the_next_start_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::tests::victim"])
        .env(VICTIM, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let file = folder.path().join("pids");
    until("the other process has started its services", || file.exists()).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let pids: Vec<u32> = text.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| runs(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();

    let services = both(folder.path()).await;
    assert!(!pids.iter().any(|pid| runs(*pid)));
    assert_eq!(sql(&services, "select 1").await, Some(1));
    services.stop().await;
}

#[tokio::test]
async fn a_service_that_cannot_start_shows_the_end_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { kafka: false, ..Settings::both_in(folder.path()) };
    start(settings.clone(), &|_| ()).await.unwrap().stop().await;
    let configuration = folder.path().join("postgres/data/postgresql.conf");
    std::fs::write(configuration, "no_such_setting = 1\n").unwrap();
    let refusal = start(settings, &|_| ()).await.unwrap_err().to_string();
    assert!(refusal.contains("no_such_setting") && refusal.contains("postgres.log"), "{refusal}");
}

#[tokio::test]
async fn asking_for_nothing_starts_nothing() {
    let services = start(Settings::default(), &|_| ()).await.unwrap();
    assert_eq!((services.kafka_pid(), services.postgres_pid(), services.data_dir()), (None, None, None));
    services.stop().await;
}
