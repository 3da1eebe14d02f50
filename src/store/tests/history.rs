//! Lines of revisions that were replaced, however their records are batched.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::domain::{BillingLine, DaySealed, Reason};
use crate::project::plan::{Replaced, Verdict};
use crate::store::read::{BillingRow, KnownDay, LineRevisionRow, Selection};

/// A record: revision, which of how many it is, its resource, its amount.
type Record = (u32, u32, u32, &'static str, i64);

const RECORDS: [Record; 6] = [
    (1, 0, 2, "a", 10),
    (1, 1, 2, "b", 5),
    (2, 0, 1, "a", 12),
    (3, 0, 2, "a", 12),
    (3, 1, 2, "b", 6),
    (5, 0, 1, "b", 7),
];

fn line((revision, ordinal, count, resource, amount): Record) -> BillingLine {
    BillingLine {
        tenant: "t".into(),
        day: day(28),
        revision,
        ordinal,
        count,
        ecosystem: "e".into(),
        env_id: "env".into(),
        resource_id: resource.into(),
        resource_name: None,
        product_category: "KAFKA".into(),
        product_type: "KAFKA_BASE".into(),
        quantity: Amount::whole(1),
        unit_price: Amount::whole(1),
        amount: Amount::whole(amount),
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day(28).start(),
        period_end: day(28).end(),
        evidence: vec!["{}".into()],
    }
}

/// An hour apart.
fn sealed(revision: u32) -> DateTime<Utc> {
    day(28).end() + TimeDelta::hours(revision.into())
}

fn seal(revision: u32, billing_lines: u32) -> DaySealed {
    DaySealed {
        tenant: "t".into(),
        day: day(28),
        revision,
        ecosystem: "e".into(),
        billing_lines,
        resources: 0,
        identities: 0,
        metrics: 0,
        digest: format!("d{revision}"),
        rules: "{}".into(),
        metrics_failed: Vec::new(),
        quarantined: 0,
        reason: if revision == 1 { Reason::New } else { Reason::Bill },
        requested: None,
        gathered_at: sealed(revision),
    }
}

/// Projects batches of billing records and closing records, as the worker does.
async fn project(store: &Store, tenant: i32, batches: &[Vec<Note>]) {
    let place = |next| vec![Position { topic: "billing".into(), partition: 0, next }];
    store.reset(&[Projection::Billing, Projection::Days]).await.unwrap();
    store.ensure_month(Projection::Billing, day(28)).await.unwrap();
    let (generation, _) = store.take_over(Projection::Billing, &[("billing".to_owned(), 0)]).await.unwrap();
    let at = DayKey { tenant, day: day(28) };
    for (n, notes) in batches.iter().enumerate() {
        let n = n as i64;
        let mut tx = store.advance(Projection::Billing, generation, &place(n), &place(n + 1)).await.unwrap();
        let plan = plan(notes, tx.slices(&[at]).await.unwrap(), Replaced::Kept);
        let mut copy = CopyRows::default();
        for (note, verdict) in notes.iter().zip(&plan.verdicts) {
            if let (Note::Row { revision, ordinal, .. }, Verdict::Keep) = (note, verdict) {
                let record = RECORDS.iter().find(|record| (record.0, record.1) == (*revision, *ordinal)).unwrap();
                line(*record).write(tenant, 0, &mut copy);
            }
        }
        tx.copy(&copy).await.unwrap();
        tx.save(&plan.changes).await.unwrap();
        tx.commit().await.unwrap();
    }
    let seals = [(1, 2), (2, 1), (3, 2), (4, 0), (5, 1)].map(|(revision, lines)| (tenant, seal(revision, lines)));
    let (generation, _) = store.take_over(Projection::Days, &[("billing".to_owned(), 0)]).await.unwrap();
    let mut tx = store.advance(Projection::Days, generation, &place(0), &place(1)).await.unwrap();
    tx.save_revisions(&seals).await.unwrap();
    tx.save_revisions(&seals).await.unwrap();
    tx.commit().await.unwrap();
}

async fn revisions(store: &Store, resource: &str) -> Vec<LineRevisionRow> {
    let digest: Vec<u8> = sqlx::query_scalar(
        "SELECT substring(sha256(convert_to(json_build_array('env', $1::text, 'KAFKA', 'KAFKA_BASE', 'USD')::text, 'UTF8'))
             FOR 16)",
    )
    .bind(resource)
    .fetch_one(store.pool())
    .await
    .unwrap();
    let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
    reader.line_revisions("t", day(28), &digest, 100).await.unwrap()
}

async fn told(store: &Store, resource: &str) -> Vec<String> {
    let rows = revisions(store, resource).await;
    let told = |row: &LineRevisionRow| {
        let amount = row.amount.as_deref().unwrap_or("-");
        format!("{} {amount}{}", row.revision, if row.current { " now" } else { "" })
    };
    rows.iter().map(told).collect()
}

/// The lines of the day as they were known at a moment, now if there is none, and what is known of the day.
async fn lines(store: &Store, as_of: Option<DateTime<Utc>>) -> (Vec<BillingRow>, Vec<KnownDay>) {
    let of = Selection { as_of, ..Selection::of_day("t", day(28)) };
    let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
    (reader.page(&of, None, 10).await.unwrap(), reader.known_days(&of).await.unwrap())
}

/// The same in a few words, at the seal of a revision.
async fn held(store: &Store, revision: u32) -> (String, String) {
    let (rows, known) = lines(store, Some(sealed(revision))).await;
    let rows: Vec<String> = rows.iter().map(|row| format!("{} {}", row.resource_id, row.amount)).collect();
    let words = |day: &KnownDay| {
        let revision = day.revision.map_or("none".to_owned(), |revision| revision.to_string());
        let [lost, behind] =
            [(day.lost, " lost"), (day.behind, " behind")].map(|(is, word)| if is { word } else { "" });
        format!("{revision}{lost}{behind}")
    };
    (rows.join(", "), known.iter().map(words).collect())
}

async fn all_held(store: &Store, revisions: std::ops::RangeInclusive<u32>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for revision in revisions {
        told.push(held(store, revision).await);
    }
    told
}

fn words(lines: &str, known: &str) -> (String, String) {
    (lines.to_owned(), known.to_owned())
}

/// Every record once; the fourth revision has none and is known from what closes it.
fn notes(tenant: i32) -> Vec<Note> {
    let at = DayKey { tenant, day: day(28) };
    let row = |(revision, ordinal, count, ..): &Record| Note::Row {
        at,
        revision: *revision,
        ordinal: *ordinal,
        count: *count,
    };
    let mut notes: Vec<Note> = RECORDS.iter().map(row).collect();
    notes.insert(5, Note::Closed { at, revision: 4, count: 0 });
    notes
}

#[tokio::test]
async fn the_history_of_a_line_is_the_same_however_its_records_came() {
    let store = store("line_history").await;
    let tenant = store.tenant_keys(&["t"]).await.unwrap()[0].tenant_key;
    let all = notes(tenant);
    let singly: Vec<Vec<Note>> = all.iter().map(|note| vec![*note]).collect();
    // Closing records lie in another topic, which may be read first.
    let closed_first = [vec![all[5]], all.iter().copied().filter(|note| *note != all[5]).collect()];
    let cut = |at: usize| vec![all[..at].to_vec(), all[at..].to_vec()];
    let mut ways = vec![
        vec![all.clone()],
        singly.clone(),
        closed_first.to_vec(),
        closed_first.concat().chunks(1).map(<[Note]>::to_vec).collect(),
    ];
    ways.extend((1..all.len()).map(cut));
    for way in ways {
        project(&store, tenant, &way).await;
        assert_eq!(told(&store, "a").await, ["5 - now", "4 -", "3 12", "2 12", "1 10"], "{way:?}");
        assert_eq!(told(&store, "b").await, ["5 7 now", "4 -", "3 6", "2 -", "1 5"], "{way:?}");
        assert!(told(&store, "never").await.iter().all(|row| row.contains('-')));
        let expected = [("", "none"), ("a 10, b 5", "1"), ("a 12", "2"), ("a 12, b 6", "3"), ("", "4"), ("b 7", "5")];
        assert_eq!(all_held(&store, 0..=5).await, expected.map(|(lines, known)| words(lines, known)), "{way:?}");
        let (now, known) = lines(&store, None).await;
        let later = lines(&store, Some(sealed(1000))).await.0;
        assert_eq!((later, known), (now, vec![]), "what has not come is as now");
        let microsecond = sealed(3) - TimeDelta::microseconds(1);
        assert_eq!(lines(&store, Some(microsecond)).await.1[0].revision, Some(2), "until the next one is sealed");
        let was = lines(&store, Some(sealed(3))).await.0.swap_remove(1);
        assert_eq!((was.revision, was.product_type.as_str(), was.evidence), (3, "KAFKA_BASE", vec!["{}".to_owned()]));
    }
}

#[tokio::test]
async fn what_readers_never_saw_whole_is_no_history_and_what_is_forgotten_goes() {
    let store = store("line_history_ends").await;
    let tenant = store.tenant_keys(&["t"]).await.unwrap()[0].tenant_key;
    let all = notes(tenant);
    // One record of the first revision is missing, and the last has not come.
    project(&store, tenant, &[all[1..6].to_vec()]).await;
    assert_eq!(told(&store, "b").await, ["4 - now", "3 6", "2 -"]);
    assert_eq!(revisions(&store, "b").await[1].reason, "bill");
    let expected = [("", "none lost"), ("a 12", "2"), ("a 12, b 6", "3"), ("", "4"), ("", "4")];
    assert_eq!(all_held(&store, 1..=5).await, expected.map(|(lines, known)| words(lines, known)));
    assert_eq!(held(&store, 0).await, words("", "none"), "there was no seal before the first");

    let event = crate::domain::TenantEvent {
        tenant: "t".into(),
        kind: crate::domain::TenantEventKind::Forgotten,
        last_revision: 3,
        at: day(28).end(),
    };
    store.forget(&event).await.unwrap();
    assert_eq!(told(&store, "b").await, ["4 - now"]);
    assert_eq!(held(&store, 3).await, words("", "none"), "what is forgotten is not missed");
    project(&store, tenant, std::slice::from_ref(&all)).await;
    assert_eq!(told(&store, "b").await, ["5 7 now", "4 -"], "read again it stays away");

    let days = store.delete_days(Projection::Billing, tenant, day(1), day(28).plus(1)).await.unwrap();
    assert_eq!(days, 1);
    project(&store, tenant, &[all]).await;
    store.drop_month(Projection::Billing, day(1)).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM replaced_lines").fetch_one(store.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_newest_revision_of_a_day_from_before_there_was_history_is_known() {
    let store = store("line_history_before").await;
    isolation::fill(&store).await;
    let clean = "DELETE FROM day_revisions; DELETE FROM replaced_lines; UPDATE day_facts SET seal_reason = 'usage'";
    sqlx::raw_sql(clean).execute(store.pool()).await.unwrap();
    let known = include_str!("../../../migrations/0101_known_revisions.sql");
    for _ in 0..2 {
        sqlx::raw_sql(known).execute(store.pool()).await.unwrap();
    }
    let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
    let rows = reader.line_revisions("a", day(28), &[0; 16], 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.revision, row.current, row.reason.as_str())).collect();
    assert_eq!(told, [(1, true, "usage")]);
    drop(reader);
    let known = async |statement: &'static str| {
        sqlx::raw_sql(statement).execute(store.pool()).await.unwrap();
        let of = Selection { as_of: Some(day(1).start()), ..Selection::of_day("a", day(28)) };
        let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
        let known = reader.known_days(&of).await.unwrap();
        (known[0].revision, known[0].lost, known[0].behind)
    };
    assert_eq!(known("SELECT").await, (None, false, false), "it was sealed later");
    let third =
        "UPDATE day_revisions SET revision = 3; UPDATE slices SET revision = 3; UPDATE billing_facts SET revision = 3";
    assert_eq!(known(third).await, (None, true, false), "two revisions are not kept");
    assert!(known("DELETE FROM day_revisions").await.2, "its seal is still to come");
}
