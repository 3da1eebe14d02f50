//! Readers of one tenant, and handlers that forget to ask for its rows only.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::isolation::{MARK, OWN, fill, login};
use super::*;
use crate::store::read::{AuditQuery, Reader};

/// Without texts but the tenant's id.
const BARE: [&str; 6] =
    ["chargeback_facts", "chargeback_months", "chargeback_sums", "day_topic_attributions", "slices", "tenants"];
const LIMIT: Duration = Duration::from_secs(30);

/// Every table and view with rows of tenants, whatever rule it is under.
async fn relations(store: &Store) -> Vec<String> {
    let found = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'm')
           AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
                       AND a.attname IN ('tenant_key', 'tenant_id', 'tenant'))
           -- Which login belongs to whom is nobody's business but the service's.
           AND c.relname <> 'tenant_roles' ORDER BY 1",
    );
    found.fetch_all(store.pool()).await.unwrap()
}

async fn all(reader: &mut Reader, relation: &str) -> String {
    let statement = AssertSqlSafe(format!("SELECT x::text FROM {relation} x"));
    let rows: Result<Vec<String>, _> = sqlx::query_scalar(statement).fetch_all(&mut *reader.tx).await;
    rows.unwrap_or_else(|error| panic!("{relation}: {error}; let the migration that makes it call isolate('…')"))
        .join("\n")
}

#[tokio::test]
async fn a_question_that_forgets_its_tenant_gets_no_rows_of_others() {
    let store = store("walled").await;
    fill(&store).await;
    let walled = store.walled().await.unwrap();
    let relations = relations(&store).await;
    assert!(relations.len() > 20, "{relations:?}");
    for relation in &relations {
        let everything = all(&mut store.reader(LIMIT).await.unwrap(), relation).await;
        let bare = BARE.contains(&relation.as_str());
        assert!(bare || everything.contains(MARK), "let isolation.sql fill {relation}: {everything}");
        for (tenant, own, others) in [("a", OWN, MARK), ("b", MARK, OWN)] {
            let seen = all(&mut walled.reader_of(tenant, LIMIT).await.unwrap(), relation).await;
            assert!(!seen.is_empty() && !seen.contains(others), "{relation} of {tenant}: {seen}");
            assert!(bare || seen.contains(own), "{relation} of {tenant}: {seen}");
            // Records that could not be read are shown to no tenant.
            let shown = everything.lines().filter(|row| !row.contains("misplaced")).count();
            assert_eq!(seen.lines().count() * 2, shown, "{relation} of {tenant}: {seen}");
        }
        let seen = all(&mut walled.reader_of("never seen", LIMIT).await.unwrap(), relation).await;
        assert!(seen.is_empty(), "{relation}: {seen}");
    }
}

#[tokio::test]
async fn a_view_of_a_tenant_leaves_nothing_on_its_connection() {
    let store = store("walled_once").await;
    fill(&store).await;
    let walled = store.walled().await.unwrap();
    let again = walled.walled().await.unwrap();
    for _ in 0..8 {
        let mut of_a = again.reader_of("a", LIMIT).await.unwrap();
        let unnamed = AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(of_a.audit(&unnamed).await.unwrap().len(), 1, "it was asked for no tenant in particular");
        drop(of_a);
        let mut of_all = again.reader(LIMIT).await.unwrap();
        assert_eq!(of_all.audit(&unnamed).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_login_of_a_tenant_cannot_say_that_it_is_another() {
    let store = store("walled_logins").await;
    fill(&store).await;
    store.walled().await.unwrap();
    let (role, granted) = store.grant("a", Some("wall_a")).await.unwrap();
    let crate::store::Granted::Made(password) = granted else { panic!("{role} was there") };
    let mut login = PgConnection::connect(&login("walled_logins", &role, password.expose())).await.unwrap();
    for key in 1..=3 {
        sqlx::raw_sql(AssertSqlSafe(format!("SET tributary.tenant = '{key}'"))).execute(&mut login).await.unwrap();
        let seen: Vec<String> =
            sqlx::query_scalar("SELECT x::text FROM chargebacks x").fetch_all(&mut login).await.unwrap();
        assert!(seen.join("\n").contains(OWN) && !seen.join("\n").contains(MARK), "{seen:?}");
    }
    let acted = sqlx::raw_sql("SET ROLE tributary_api_walled_logins").execute(&mut login).await;
    assert!(acted.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn where_ours_may_not_make_the_role_an_administrator_is_told_what_to_run() {
    let mut admin = PgConnection::connect(server()).await.unwrap();
    sqlx::raw_sql("CREATE ROLE walled_plain LOGIN PASSWORD 'plain'").execute(&mut admin).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE of_walled_plain OWNER walled_plain").execute(&mut admin).await.unwrap();
    let store = Store::connect(&login("of_walled_plain", "walled_plain", "plain"), 2).await.unwrap();
    fill(&store).await;
    let refused = store.walled().await.unwrap_err().to_string();
    assert!(refused.contains("api.row_security"), "{refused}");
    let statements = refused.lines().find(|line| line.contains("CREATE ROLE")).unwrap().to_owned();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut admin).await.unwrap();
    let walled = store.walled().await.unwrap();
    let seen = all(&mut walled.reader_of("a", LIMIT).await.unwrap(), "chargeback_facts").await;
    assert_eq!(seen.lines().count(), 1, "{seen}");
}
