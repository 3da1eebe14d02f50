//! Sums of months beside the rows they are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::store::read::{Aggregate, Bucket, Cell, Condition, Dataset, Operator, Selection};

const FIELDS: [&[&str]; 4] = [&[], &["identity_id"], &["product_type", "tag.team"], &["identity_id", "cost_type"]];

/// The answers to all kinds of questions about the weeks around February.
async fn sums(store: &Store) -> Vec<Vec<Cell>> {
    let dataset = Dataset::Chargebacks;
    let only_a = Condition {
        field: dataset.field("identity_id").unwrap(),
        operator: Operator::Equal,
        values: vec!["a".to_owned()],
    };
    let mut found = Vec::new();
    for bucket in [Bucket::None, Bucket::Day, Bucket::Week, Bucket::Month, Bucket::Quarter, Bucket::Year] {
        for (fields, conditions) in FIELDS.iter().flat_map(|fields| [(fields, vec![]), (fields, vec![only_a.clone()])])
        {
            let group_by = fields.iter().map(|name| dataset.field(name).unwrap()).collect();
            let (from, to) = ("2026-01-20".parse().unwrap(), "2026-03-15".parse().unwrap());
            let of = Selection { tenant: "t".to_owned(), from, to, conditions, as_of: None };
            let ask = Aggregate { dataset, of, group_by, bucket, top: None, limit: 1000 };
            let mut reader = store.reader(Duration::from_secs(30)).await.unwrap();
            let cells = reader.aggregate(&ask).await.unwrap();
            for top in 0..4 {
                let with_rest = reader.aggregate(&Aggregate { top: Some(top), ..ask.clone() }).await.unwrap();
                assert_eq!(with_rest, folded(&cells, top as usize), "the {top} largest of {fields:?} {bucket:?}");
            }
            found.push(cells);
        }
    }
    found
}

/// The largest groups over all periods, and the rest as one: what Postgres is to answer.
fn folded(cells: &[Cell], top: usize) -> Vec<Cell> {
    let mut groups: BTreeMap<&Option<Vec<Option<String>>>, Amount> = BTreeMap::new();
    for cell in cells {
        *groups.entry(&cell.group).or_default() += cell.amount;
    }
    let mut ranked: Vec<_> = groups.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let kept: Vec<_> = ranked.into_iter().take(top).map(|(group, _)| group).collect();
    let mut folded: BTreeMap<_, Cell> = BTreeMap::new();
    for cell in cells {
        let group = cell.group.clone().filter(|_| kept.contains(&&cell.group));
        let none = Cell { group: group.clone(), amount: Amount::ZERO, usage_amount: None, rows: 0, ..cell.clone() };
        let sum = folded.entry((cell.start, group.is_none(), group, cell.currency.clone())).or_insert(none);
        sum.amount += cell.amount;
        sum.usage_amount = Some(sum.usage_amount.unwrap_or_default() + cell.usage_amount.unwrap());
        sum.rows += cell.rows;
    }
    folded.into_values().collect()
}

async fn add_up(store: &Store) -> usize {
    let behind = store.months_behind().await.unwrap();
    for month in &behind {
        store.add_up_month(month.tenant_key, month.month).await.unwrap();
    }
    behind.len()
}

async fn run(store: &Store, statement: &'static str) {
    sqlx::raw_sql(statement).execute(store.pool()).await.unwrap();
}

/// A whole day of two rows.
async fn whole(table: &mut Table, date: &str, revision: u32, units: i128) {
    let date = date.parse().unwrap();
    table.store.ensure_month(Projection::Chargebacks, date).await.unwrap();
    let of = |ordinal, identity, units| ChargebackRow {
        day: date,
        cost_type: if ordinal == 0 { CostType::Usage } else { CostType::Shared },
        ..row(revision, ordinal, 2, identity, Amount::from_units(units))
    };
    table.write(&[of(0, "a", units), of(1, "b", -3 * units + 1)], &[]).await.unwrap();
}

#[tokio::test]
async fn a_month_of_sums_answers_what_its_rows_do_to_the_last_digit() {
    let store = store("month_sums").await;
    let mut table = Table::of(&store).await;
    for (n, date) in ["2026-01-25", "2026-02-01", "2026-02-02", "2026-02-28", "2026-03-01"].into_iter().enumerate() {
        whole(&mut table, date, 1, 12_345_678_901_234_567 * (n as i128 + 1) + 7).await;
    }
    run(&store, "INSERT INTO tag_facts SELECT tenant_key, 'identity', 'a', 'team', 'x', now(), 'y' FROM tenants").await;
    let by_rows = sums(&store).await;
    assert!(by_rows.iter().all(|cells| !cells.is_empty()));
    assert_eq!(add_up(&store).await, 3);
    assert_eq!(add_up(&store).await, 0);
    assert_eq!(sums(&store).await, by_rows);

    run(&store, "UPDATE chargeback_sums SET amount = amount * 2").await;
    assert_ne!(sums(&store).await, by_rows, "the sums are what was read");

    whole(&mut table, "2026-02-01", 2, 5).await;
    let corrected = sums(&store).await;
    run(&store, "TRUNCATE chargeback_months").await;
    assert_eq!(sums(&store).await, corrected, "a month with a day that was corrected is read row by row");
    add_up(&store).await;
    assert_eq!(sums(&store).await, corrected);

    whole(&mut table, "2026-02-03", 1, 11).await;
    let with_another_day = sums(&store).await;
    assert_ne!(with_another_day, corrected);
    assert_eq!(add_up(&store).await, 1);
    assert_eq!(sums(&store).await, with_another_day);

    store.delete_days(Projection::Chargebacks, table.tenant, day(1), day(3)).await.unwrap();
    let with_two_less = sums(&store).await;
    assert_ne!(with_two_less, with_another_day);
    assert_eq!(add_up(&store).await, 1);
    assert_eq!(sums(&store).await, with_two_less);

    store.reset(&[Projection::Chargebacks]).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("SELECT (SELECT count(*) FROM chargeback_sums) + (SELECT count(*) FROM chargeback_months)")
            .fetch_one(store.pool())
            .await
            .unwrap();
    assert_eq!((left, add_up(&store).await), (0, 0));
}
