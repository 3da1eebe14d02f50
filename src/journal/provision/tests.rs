//! Against a broker, where `KAFKA_BOOTSTRAP_SERVERS` names one; without, only what needs none.

use super::*;

const SMALL: Layout = Layout { partitions: 2, replication_factor: 1 };

fn connection(bootstrap: String) -> Connection {
    let prefix = format!("provision-{}.", std::process::id());
    Connection::new(bootstrap, BTreeMap::new(), prefix, "test".to_owned()).unwrap()
}

async fn remove(connection: &Connection) {
    let cluster = Cluster::new(connection).unwrap();
    let names = cluster.metadata().await.unwrap().into_keys().filter(|name| name.starts_with(connection.prefix()));
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cluster.admin.delete_topics(&names, &options()).await.unwrap();
}

async fn set_by_somebody(connection: &Connection, topic: &str, settings: &[(&str, &str)]) {
    let cluster = Cluster::new(connection).unwrap();
    let name = format!("{}{topic}", connection.prefix());
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name));
    let change = settings.iter().fold(change, |change, (key, value)| change.set(key, value));
    let answer = cluster.admin.alter_configs([&change], &options()).await.unwrap();
    assert!(answer[0].is_ok(), "{answer:?}");
}

async fn own_settings(connection: &Connection, topic: &str) -> BTreeMap<String, String> {
    let wanted = Topology::embedded().wanted(connection.prefix(), SMALL);
    let topics = Cluster::new(connection).unwrap().topics(&wanted).await.unwrap();
    topics[&format!("{}{topic}", connection.prefix())].own.clone()
}

#[tokio::test]
async fn topics_are_created_widened_and_set_and_others_wishes_are_kept() {
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") else {
        eprintln!("skipped: set KAFKA_BOOTSTRAP_SERVERS to a broker");
        return;
    };
    let connection = connection(bootstrap);
    let wanted = Topology::embedded().wanted("", SMALL);
    let (all, wide) = (wanted.len(), wanted.iter().filter(|topic| topic.partitions == SMALL.partitions).count());
    let created = ensure(&connection, SMALL).await.unwrap();
    assert_eq!(created.iter().filter(|step| matches!(step, Step::Create(_))).count(), all);
    assert_eq!(ensure(&connection, SMALL).await.unwrap(), []);

    let wider = ensure(&connection, Layout { partitions: 3, ..SMALL }).await.unwrap();
    assert_eq!(wider.iter().filter(|step| matches!(step, Step::Widen { from: 2, to: 3, .. })).count(), wide);
    let narrower = ensure(&connection, SMALL).await.unwrap();
    assert_eq!(narrower.iter().filter(|step| matches!(step, Step::Narrower { .. })).count(), wide);

    set_by_somebody(&connection, "billing", &[("retention.ms", "5000"), ("segment.ms", "60000")]).await;
    let three = Layout { partitions: 3, ..SMALL };
    let altered = ensure(&connection, three).await.unwrap();
    assert!(matches!(&altered[..], [Step::Alter { .. }]), "{altered:?}");
    let settings = own_settings(&connection, "billing").await;
    assert_eq!((&settings["retention.ms"][..], &settings["segment.ms"][..]), ("34560000000", "60000"));
    assert_eq!(compare(&connection, three, 0).await.unwrap(), []);
    remove(&connection).await;
}

#[tokio::test]
async fn too_many_replicas_are_refused_with_the_remedy() {
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") else {
        eprintln!("skipped: set KAFKA_BOOTSTRAP_SERVERS to a broker");
        return;
    };
    let many = Layout { partitions: 1, replication_factor: 99 };
    let connection =
        Connection::new(bootstrap, BTreeMap::new(), "provision-99.".to_owned(), "test".to_owned()).unwrap();
    let error = ensure(&connection, many).await.unwrap_err().to_string();
    assert!(error.contains("set topics.replication_factor to at most"), "{error}");
}

#[test]
fn a_refusal_names_the_step_and_the_remedy() {
    let error = refused("create t.billing", RDKafkaErrorCode::TopicAuthorizationFailed).to_string();
    assert!(error.starts_with("Kafka refuses to create t.billing"), "{error}");
    assert!(error.contains("`tributary topology apply`"), "{error}");
}
