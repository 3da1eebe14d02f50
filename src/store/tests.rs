//! The tables on a real Postgres, started for these tests; each test has a database of its own.

mod history;
mod isolation;
mod months;
mod news;
mod places;
mod wall;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;

use super::*;
use crate::domain::{Amount, ChargebackRow, CostType, Target};
use crate::embedded::{self, Settings};
use crate::project::plan::{Note, Plan, Replaced, plan};

/// The address of a Postgres that lives as long as the test program.
fn server() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let settings = Settings { data_dir: Some(folder.path().into()), kafka: false, postgres: true };
                let services = embedded::start(settings, &|_| ()).await.unwrap();
                sender.send(services.database_url().unwrap()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    })
}

fn url_of(database: &str) -> String {
    let (server, _) = server().rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

async fn store(name: &'static str) -> Store {
    let mut admin = PgConnection::connect(server()).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    Store::connect(&url_of(name), 4).await.unwrap()
}

const TOPIC: &str = "chargebacks";

fn at(next: i64) -> Vec<Position> {
    vec![Position { topic: TOPIC.into(), partition: 0, next }]
}

/// A projector of chargebacks without Kafka: what the worker does with a batch, on rows given by hand.
struct Table {
    store: Store,
    generation: i32,
    next: i64,
    dimensions: DimensionCache,
    tenant: i32,
}

impl Table {
    async fn of(store: &Store) -> Self {
        let partitions = [(TOPIC.to_owned(), 0)];
        let (generation, positions) = store.take_over(Projection::Chargebacks, &partitions).await.unwrap();
        let tenant = store.tenant_keys(&["t"]).await.unwrap()[0].tenant_key;
        store.ensure_month(Projection::Chargebacks, day(28)).await.unwrap();
        let (store, next) = (store.clone(), positions[0].next);
        Self { store, generation, next, dimensions: DimensionCache::default(), tenant }
    }

    async fn write(&mut self, rows: &[ChargebackRow<'_>], closed: &[(u32, u32)]) -> Result<Plan, StoreError> {
        let at_day = |day| DayKey { tenant: self.tenant, day };
        let closed = closed.iter().map(|(revision, count)| Note::Closed {
            at: at_day(day(28)),
            revision: *revision,
            count: *count,
        });
        let row = |row: &ChargebackRow<'_>| Note::Row {
            at: at_day(row.day),
            revision: row.revision,
            ordinal: row.ordinal,
            count: row.count,
        };
        let notes: Vec<Note> = rows.iter().map(row).chain(closed).collect();
        let prints: Vec<_> = rows
            .iter()
            .filter_map(Fact::dimension)
            .map(|d| (Fingerprints::default().of(self.tenant, &d), self.tenant, d))
            .collect();
        self.store.resolve_dimensions(&mut self.dimensions, self.generation, &prints).await?;
        let next = self.next + notes.len() as i64;
        let mut tx = self.store.advance(Projection::Chargebacks, self.generation, &at(self.next), &at(next)).await?;
        let days: Vec<DayKey> = rows.iter().map(|r| at_day(r.day)).chain([at_day(day(28))]).collect();
        let plan = plan(&notes, tx.slices(&days).await?, Replaced::Dropped);
        let mut copy = CopyRows::default();
        for ((row, print), verdict) in rows.iter().zip(&prints).zip(&plan.verdicts) {
            if *verdict == crate::project::plan::Verdict::Keep {
                row.write(self.tenant, self.dimensions.get(&print.0).unwrap(), &mut copy);
            }
        }
        tx.copy(&copy).await?;
        tx.save(&plan.changes).await?;
        tx.commit().await?;
        self.next = next;
        Ok(plan)
    }
}

fn day(n: u32) -> crate::domain::Day {
    format!("2026-02-{n:02}").parse().unwrap()
}

fn row(revision: u32, ordinal: u32, count: u32, identity: &str, amount: Amount) -> ChargebackRow<'_> {
    ChargebackRow {
        tenant: "t",
        day: day(28),
        revision,
        ordinal,
        count,
        ecosystem: "e",
        env_id: "env",
        resource_id: "lkc",
        product_category: "KAFKA",
        product_type: "KAFKA_BASE",
        identity_id: identity,
        target: Target::Identity,
        cost_type: CostType::Shared,
        allocation_method: "even_split",
        allocation_detail: None,
        amount,
        currency: "USD",
        tier: 0,
        share: 0.5,
        usage: None,
    }
}

async fn seen(store: &Store) -> Vec<String> {
    let range = ExportRange { tenant: "t".into(), from: None, to: None };
    let rows: Vec<ExportedRow> = store.export(Exported::Chargebacks, &range).try_collect().await.unwrap();
    let told = |row: &ExportedRow| format!("{} {}", row.text(7).unwrap().unwrap(), row.text(11).unwrap().unwrap());
    rows.iter().map(told).collect()
}

#[tokio::test]
async fn a_slice_is_replaced_whole_and_a_stale_one_changes_nothing() {
    let store = store("replaced").await;
    let mut table = Table::of(&store).await;
    let one = Amount::whole(1);
    table.write(&[row(1, 0, 2, "a", one)], &[]).await.unwrap();
    assert!(seen(&store).await.is_empty(), "half a revision is not seen");
    table.write(&[row(1, 1, 2, "b", one)], &[]).await.unwrap();
    assert_eq!(seen(&store).await, ["a 1", "b 1"]);
    table.write(&[row(2, 0, 2, "a", Amount::whole(2))], &[]).await.unwrap();
    assert_eq!(seen(&store).await, ["a 1", "b 1"], "the old one stays until the new one is whole");
    table.write(&[row(2, 1, 2, "c", one), row(1, 0, 2, "a", one)], &[]).await.unwrap();
    assert_eq!(seen(&store).await, ["a 2", "c 1"]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM chargeback_facts").fetch_one(store.pool()).await.unwrap();
    assert_eq!(left, 2);
    table.write(&[], &[(3, 0)]).await.unwrap();
    assert!(seen(&store).await.is_empty(), "a revision without rows replaces, too");
    let slices: i64 = sqlx::query_scalar("SELECT count(*) FROM slices").fetch_one(store.pool()).await.unwrap();
    assert_eq!(slices, 1);
}

#[tokio::test]
async fn amounts_at_the_border_come_back_exactly() {
    let store = store("border").await;
    let mut table = Table::of(&store).await;
    let texts = [
        "99999999999999.99999999999999",
        "-99999999999999.99999999999999",
        "0.00000000000001",
        "-0.00000000000001",
        "0",
        "10000",
        "0.0001",
        "9999.00000001",
        "-12345678.90000000000001",
        "1e13",
    ];
    let amounts: Vec<Amount> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let names: Vec<String> = (0..texts.len()).map(|i| format!("i{i}")).collect();
    let rows: Vec<_> = (0..texts.len()).map(|i| row(1, i as u32, texts.len() as u32, &names[i], amounts[i])).collect();
    table.write(&rows, &[]).await.unwrap();
    let expected: Vec<String> = names.iter().zip(&amounts).map(|(name, amount)| format!("{name} {amount}")).collect();
    assert_eq!(seen(&store).await, expected);
    let summary = store.summary("t").await.unwrap();
    assert_eq!(summary.amounts, [("USD".to_owned(), amounts.iter().copied().sum())]);
    assert_eq!(summary.rows, texts.len() as u64);
}

#[tokio::test]
async fn whoever_does_not_stand_where_it_believes_is_refused() {
    let store = store("fenced").await;
    let mut zombie = Table::of(&store).await;
    let mut heir = Table::of(&store).await;
    heir.write(&[row(1, 0, 1, "a", Amount::whole(1))], &[]).await.unwrap();
    let refused = zombie.write(&[row(1, 0, 1, "z", Amount::whole(9))], &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced("chargebacks")), "{refused}");
    assert_eq!(seen(&store).await, ["a 1"]);

    store.reset(&[Projection::Chargebacks]).await.unwrap();
    assert!(seen(&store).await.is_empty());
    let refused = heir.write(&[row(2, 0, 1, "a", Amount::whole(1))], &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced("chargebacks")), "{refused}");
    let mut anew = Table::of(&store).await;
    assert_eq!(anew.next, 0);
    anew.write(&[row(1, 0, 1, "a", Amount::whole(1))], &[]).await.unwrap();
    assert_eq!(seen(&store).await, ["a 1"]);
}

#[tokio::test]
async fn a_reader_sees_the_old_day_or_the_new_one_and_nothing_between() {
    let store = store("readers").await;
    let mut table = Table::of(&store).await;
    table.write(&[row(1, 0, 2, "a", Amount::whole(1)), row(1, 1, 2, "b", Amount::whole(1))], &[]).await.unwrap();
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let (rows, revisions): (i64, i64) =
                    sqlx::query_as("SELECT count(*), count(DISTINCT revision) FROM chargebacks")
                        .fetch_one(store.pool())
                        .await
                        .unwrap();
                assert_eq!((rows, revisions), (2, 1));
                reads += 1;
            }
            reads
        }
    });
    for revision in 2..60 {
        table.write(&[row(revision, 0, 2, "a", Amount::whole(1))], &[]).await.unwrap();
        table.write(&[row(revision, 1, 2, "b", Amount::whole(1))], &[]).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 10);
}

#[tokio::test]
async fn two_processes_bring_the_tables_up_to_date_together() {
    let mut admin = PgConnection::connect(server()).await.unwrap();
    sqlx::query("CREATE DATABASE together").execute(&mut admin).await.unwrap();
    let url = url_of("together");
    let (one, two) = tokio::join!(Store::connect(&url, 2), Store::connect(&url, 2));
    let (one, two) = (one.unwrap(), two.unwrap());
    let month = |store: Store| async move { store.ensure_month(Projection::Billing, day(1)).await };
    let (a, b) = tokio::join!(month(one), month(two));
    a.and(b).unwrap();
}

#[tokio::test]
async fn errors_say_what_to_do_and_never_the_password() {
    let refusal = |url: String| async move {
        let error = Store::connect(&url, 2).await.unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        error
    };
    let (_, place) = server().split_once('@').unwrap();
    let wrong = refusal(format!("postgres://tributary:hunter2@{place}")).await;
    assert!(wrong.contains("check user and password in database.url"), "{wrong}");
    let missing = refusal(url_of("nowhere")).await;
    assert!(missing.contains("no such database"), "{missing}");
    let away = refusal("postgres://u:hunter2@127.0.0.1:1/x".into()).await;
    assert!(away.contains("127.0.0.1:1/x does not answer"), "{away}");
    let nonsense = refusal("mysql://u:hunter2@h/x".into()).await;
    assert!(nonsense.contains("postgres://user:password@host"), "{nonsense}");
}

#[tokio::test]
async fn a_day_is_complete_while_readers_see_its_newest_seal() {
    let store = store("complete").await;
    isolation::fill(&store).await;
    let complete = async |dataset| {
        let of = read::Selection {
            tenant: "a".into(),
            from: day(1),
            to: day(28).plus(1),
            conditions: Vec::new(),
            as_of: None,
        };
        let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
        reader.complete_days(dataset, &of).await.unwrap().len()
    };
    let (billing, chargebacks) = (read::Dataset::Billing, read::Dataset::Chargebacks);
    assert_eq!((complete(billing).await, complete(chargebacks).await), (1, 1));
    sqlx::raw_sql("UPDATE day_facts SET sealed_revision = 2").execute(store.pool()).await.unwrap();
    assert_eq!((complete(billing).await, complete(chargebacks).await), (0, 0));
    let came = "UPDATE slices SET revision = 2 WHERE projection = 'billing'";
    sqlx::raw_sql(came).execute(store.pool()).await.unwrap();
    assert_eq!((complete(billing).await, complete(chargebacks).await), (1, 0));
    sqlx::raw_sql("UPDATE slices SET complete = false").execute(store.pool()).await.unwrap();
    assert_eq!(complete(billing).await, 0);
}
