//! A tenant's login, and everything it may try.

use sqlx::{AssertSqlSafe, Row};

use super::*;
use crate::store::{Granted, RoleError, TenantKey};

/// Stands in every text of tenant `b`, and nowhere else.
pub(super) const MARK: &str = "belongs-to-b";
pub(super) const OWN: &str = "belongs-to-a";
const VIEWS: [&str; 10] = [
    "billing",
    "resources",
    "identities",
    "chargebacks",
    "topic_attributions",
    "days",
    "runs",
    "day_topic_attributions",
    "quarantine",
    "chargeback_dimensions",
];

/// A day of each tenant in every table.
pub(super) async fn fill(store: &Store) {
    let keys = store.tenant_keys(&["a", "b"]).await.unwrap();
    for projection in Projection::ALL {
        store.ensure_month(projection, day(28)).await.unwrap();
    }
    for TenantKey { tenant_id: tenant, tenant_key: key, .. } in keys {
        let text = if tenant == "a" { OWN } else { MARK };
        let fill = include_str!("isolation.sql").replace("$key", &key.to_string()).replace("$text", text);
        sqlx::raw_sql(AssertSqlSafe(fill.replace("$tenant", &tenant))).execute(store.pool()).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE").execute(store.pool()).await.unwrap();
}

pub(super) fn login(database: &str, role: &str, password: &str) -> String {
    let (_, place) = server().split_once('@').unwrap();
    let (place, _) = place.split_once('/').unwrap();
    format!("postgres://{role}:{password}@{place}/{database}")
}

async fn granted(store: &Store, database: &str, tenant: &str, role: Option<&str>) -> PgConnection {
    let (role, granted) = store.grant(tenant, role).await.unwrap();
    let Granted::Made(password) = granted else { panic!("{role} was there") };
    PgConnection::connect(&login(database, &role, password.expose())).await.unwrap()
}

/// All that comes back, rows or error with its details, as one text.
async fn told(connection: &mut PgConnection, statement: &str) -> String {
    match sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch_all(connection).await {
        Ok(rows) => rows.iter().map(|row| row.try_get::<String, _>(0).unwrap_or_default() + "\n").collect(),
        Err(error) => format!("refused: {error:?}"),
    }
}

#[tokio::test]
async fn every_table_of_tenants_and_every_view_is_under_the_rule() {
    let store = store("under_the_rule").await;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
           AND CASE c.relkind
               WHEN 'v' THEN NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
               WHEN 'm' THEN true
               ELSE c.relkind IN ('r', 'p')
                    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                AND a.attname IN ('tenant_key', 'tenant_id', 'tenant') AND NOT a.attisdropped)
                    AND NOT c.relrowsecurity END",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert!(open.is_empty(), "let the migration that makes them call isolate('…'): {open:?}");
}

#[tokio::test]
async fn a_login_sees_its_own_rows_and_no_others_whatever_it_asks() {
    let store = store("isolated").await;
    fill(&store).await;
    let mut a = granted(&store, "isolated", "a", Some("iso_a")).await;
    let mut b = granted(&store, "isolated", "b", Some("iso_b")).await;
    for view in VIEWS {
        let statement = format!("SELECT x::text FROM {view} x");
        let seen = told(&mut a, &statement).await;
        // The one view that has no text but the tenant's id.
        let (own, mark) = if view == "day_topic_attributions" { ("(a,", "(b,") } else { (OWN, MARK) };
        assert!(seen.contains(own) && !seen.contains(mark), "{view}: {seen}");
        let seen = told(&mut b, &statement).await;
        assert!(seen.contains(mark) && !seen.contains(own), "{view}: {seen}");
    }
    let relations: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert!(relations.iter().any(|name| name == "chargeback_facts_2026_02"), "partitions are tried, too");
    for relation in &relations {
        for attempt in
            [format!("SELECT x::text FROM {relation} x"), format!("SELECT x::text FROM (TABLE {relation}) x")]
        {
            let seen = told(&mut a, &attempt).await;
            assert!(!seen.contains(MARK), "{attempt}: {seen}");
        }
    }
    for attempt in include_str!("attempts.sql").split("-- ").filter(|attempt| !attempt.trim().is_empty()) {
        let (what, statement) = attempt.split_once('\n').unwrap();
        let seen = told(&mut a, statement).await;
        assert!(!seen.contains(MARK), "{what}: {seen}");
        if let Some(expected) = what.split_once(" => ").map(|(_, expected)| expected.trim()) {
            assert!(seen.contains(expected), "{what}: {seen}");
        }
        sqlx::raw_sql("ROLLBACK; RESET ALL").execute(&mut a).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_taken_back_is_gone_at_once() {
    let store = store("taken_back").await;
    fill(&store).await;
    let mut open = granted(&store, "taken_back", "a", None).await;
    assert!(told(&mut open, "SELECT tenant_id FROM billing").await.contains('a'));
    let (_, again) = store.grant("a", None).await.unwrap();
    assert!(matches!(again, Granted::Allowed), "granting again renews the rights");
    let taken = store.grant("b", Some("tributary_a")).await.unwrap_err();
    assert!(matches!(taken, RoleError::OfAnother { .. }), "{taken}");
    assert_eq!(store.revoke("a", None).await.unwrap(), [("tributary_a".to_owned(), true)]);
    assert!(told(&mut open, "SELECT tenant_id FROM billing").await.contains("refused"), "also where it was open");
    assert_eq!(store.tenant_roles().await.unwrap(), []);
    let all = store.grant("a", Some("tributary")).await.unwrap_err();
    assert!(matches!(all, RoleError::SeesAll { .. }), "{all}");
}

#[tokio::test]
async fn where_ours_may_not_create_roles_an_administrator_is_told_what_to_run() {
    let mut admin = PgConnection::connect(server()).await.unwrap();
    let statements = "CREATE ROLE plain LOGIN PASSWORD 'plain'";
    sqlx::raw_sql(statements).execute(&mut admin).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE of_plain OWNER plain").execute(&mut admin).await.unwrap();
    let store = Store::connect(&login("of_plain", "plain", "plain"), 2).await.unwrap();
    fill(&store).await;
    let refused = store.grant("a", Some("grafana \"a\"")).await.unwrap_err().to_string();
    let statement = refused.lines().find(|line| line.contains("CREATE ROLE")).unwrap().replace('…', "hush");
    assert!(refused.contains("--role"), "{refused}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
    let (role, granted) = store.grant("a", Some("grafana \"a\"")).await.unwrap();
    assert!(matches!(granted, Granted::Allowed));
    let mut reader = PgConnection::connect(&login("of_plain", "grafana%20%22a%22", "hush")).await.unwrap();
    let seen = told(&mut reader, "SELECT x::text FROM chargebacks x").await;
    assert!(seen.contains(OWN) && !seen.contains(MARK), "{seen}");
    assert_eq!(store.revoke("a", None).await.unwrap(), [(role, false)], "it is not ours to drop");
}
