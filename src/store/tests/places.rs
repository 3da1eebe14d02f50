//! Where resources are, however the records that say so come.

use super::*;

/// A cluster that was said to be elsewhere at first, what runs on it, and what is nowhere.
const FACTS: &str = "
    INSERT INTO resource_facts (tenant_key, day, revision, ecosystem, resource_id, resource_type, parent_id, attributes) VALUES
    ($key, '2026-02-01', 1, 'e', 'lkc', 'kafka_cluster', 'env', '{\"cloud\": \"aws\", \"region\": \"east\"}'),
    ($key, '2026-02-01', 2, 'e', 'lkc', 'kafka_cluster', 'env', '{\"cloud\": \"aws\", \"region\": \"west\"}'),
    ($key, '2026-02-02', 1, 'e', 'lkc', 'kafka_cluster', 'env', '{\"cloud\": \"aws\", \"region\": \"west\"}'),
    ($key, '2026-02-02', 1, 'e', 'lcc', 'connector', 'lkc', '{}'),
    ($key, '2026-02-02', 1, 'e', 'ksql', 'ksqldb_cluster', 'env', '{\"kafka_cluster_id\": \"lkc\"}'),
    ($key, '2026-02-02', 1, 'e', 'lkc:topic:a', 'topic', 'lkc', '{}'),
    ($key, '2026-02-03', 1, 'e', 'own', 'cluster', NULL, '{\"region\": \"cellar\"}'),
    ($key, '2026-02-03', 1, 'e', 'env', 'environment', NULL, '{}'),
    ($key, '2026-02-03', 1, 'e', 'lkc', 'kafka_cluster', 'env', '{\"cloud\": \"aws\", \"region\": \"west\"}')";

#[tokio::test]
async fn the_places_of_resources_are_the_same_whatever_came_first() {
    let store = store("places").await;
    let tenant = store.tenant_keys(&["t"]).await.unwrap()[0].tenant_key;
    store.ensure_month(Projection::Resources, day(1)).await.unwrap();
    let facts = sqlx::AssertSqlSafe(FACTS.replace("$key", &tenant.to_string()));
    sqlx::raw_sql(facts).execute(store.pool()).await.unwrap();
    let slices = [(1, 1), (1, 2), (2, 1), (3, 1)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        sqlx::raw_sql("TRUNCATE resource_places").execute(store.pool()).await.unwrap();
        // Each twice: a place that is known changes nothing.
        for at in order.into_iter().chain(order) {
            let (n, revision) = slices[at];
            let add = sqlx::query("SELECT add_places(ARRAY[$1], ARRAY[$2], ARRAY[$3])");
            add.bind(tenant).bind(day(n).date()).bind(revision).execute(store.pool()).await.unwrap();
        }
        let told: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', resource_id, cloud, region, extract(day FROM day), revision) FROM resource_places
             ORDER BY resource_id, day, revision",
        )
        .fetch_all(store.pool())
        .await
        .unwrap();
        let expected =
            ["ksql aws west 2 1", "lcc aws west 2 1", "lkc aws east 1 1", "lkc aws west 1 2", "own  cellar 3 1"];
        assert_eq!(told, expected, "{order:?}");
    }
}
