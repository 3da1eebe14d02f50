//! Ten million chargeback rows, as a projector writes them: resolved dimensions, COPY, slices, positions.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::Duration;
use serde_json::{Value, json};
use sqlx::Executor;
use tributary::api::auth::token::{NewToken, make};
use tributary::clock::Clock;
use tributary::domain::{Amount, ApiToken, ChargebackRow, CostType, Day, EntityType, Scope, Tag, Target};
use tributary::secret::Secret;
use tributary::store::{
    CopyRows, DayKey, DimensionCache, Fact, Fingerprints, Position, Projection, SliceChange, Store,
};

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub tenants: u32,
    pub days: u32,
    /// Of each tenant, each with [`PRODUCTS`] lines a day that [`PRINCIPALS`] share.
    pub clusters: u32,
}

/// 10,136,000 rows: half a year of five tenants, 11,200 rows a day.
pub const SHAPE: Shape = Shape { tenants: 5, days: 181, clusters: 16 };
const PRODUCTS: [(&str, CostType); 7] = [
    ("KAFKA_NETWORK_READ", CostType::Usage),
    ("KAFKA_NETWORK_WRITE", CostType::Usage),
    ("KAFKA_STORAGE", CostType::Usage),
    ("KAFKA_NUM_CKU", CostType::Usage),
    ("KAFKA_NUM_CKU", CostType::Shared),
    ("KAFKA_BASE", CostType::Shared),
    ("KAFKA_PARTITION", CostType::Shared),
];
const PRINCIPALS: u32 = 100;
/// Principals are shared between the clusters of a tenant.
const ALL_PRINCIPALS: u32 = 300;
const TEAMS: u32 = 20;
/// Days written in one transaction, about as many rows as a projector takes together.
const DAYS_TOGETHER: u32 = 3;
/// Readers with a token of their own.
const TOKENS: u32 = 50;
const TOPIC: &str = "bench.chargebacks";

impl Shape {
    pub fn rows_per_day(&self) -> u32 {
        self.clusters * PRODUCTS.len() as u32 * PRINCIPALS
    }

    pub fn rows_of_tenant(&self) -> u64 {
        u64::from(self.days) * u64::from(self.rows_per_day())
    }

    /// The first day there is.
    pub fn first(&self) -> Day {
        "2026-01-01".parse().expect("a date")
    }

    /// The day `n` days after the first.
    pub fn day(&self, n: u32) -> Day {
        Day::from(self.first().date() + Duration::days(i64::from(n)))
    }
}

pub fn tenant(number: u32) -> String {
    format!("organisation-{number:03}")
}

pub fn principal(number: u32) -> String {
    format!("sa-{number:06x}")
}

/// A row's texts, once for each of a day's rows.
struct Line {
    env_id: String,
    resource_id: String,
    product: &'static str,
    cost_type: CostType,
    identity_id: String,
}

impl Line {
    fn all(shape: Shape) -> Vec<Self> {
        let of = |cluster: u32, product: usize, user: u32| Self {
            env_id: format!("env-{:04x}", cluster / 4),
            resource_id: format!("lkc-{cluster:06x}"),
            product: PRODUCTS[product].0,
            cost_type: PRODUCTS[product].1,
            identity_id: principal((cluster * 61 + user) % ALL_PRINCIPALS),
        };
        let lines = (0..shape.clusters).flat_map(|cluster| (0..PRODUCTS.len()).map(move |product| (cluster, product)));
        lines.flat_map(|(cluster, product)| (0..PRINCIPALS).map(move |user| of(cluster, product, user))).collect()
    }

    fn row<'a>(&'a self, tenant: &'a str, day: Day, ordinal: u32, count: u32) -> ChargebackRow<'a> {
        let used = self.cost_type == CostType::Usage;
        // Other amounts every day, with as many digits as a split gives.
        let units =
            (i128::from(ordinal % 977 + 1) * 104_729 + i128::from(day.date().to_epoch_days()) * 31) * 10_000_000_000;
        ChargebackRow {
            tenant,
            day,
            revision: 1,
            ordinal,
            count,
            ecosystem: "confluent_cloud",
            env_id: &self.env_id,
            resource_id: &self.resource_id,
            product_category: "KAFKA",
            product_type: self.product,
            identity_id: &self.identity_id,
            target: Target::Identity,
            cost_type: self.cost_type,
            allocation_method: if used { "usage_ratio" } else { "even_split" },
            allocation_detail: Some(if used { "usage_ratio_allocation" } else { "even_split_allocation" }),
            amount: Amount::from_units(units),
            currency: "USD",
            tier: 0,
            share: 0.01,
            usage: used.then_some(f64::from(ordinal) * 1024.0),
        }
    }
}

/// Writes all tenants at the same time, their tags, and what upkeep would have done by now.
pub async fn fill(store: &Store, shape: Shape) -> Result<Value> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..shape.tenants {
        tasks.spawn(rows(store.clone(), shape, number));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let seconds = began.elapsed().as_secs_f64();
    tags(store, shape).await?;
    let adding = Instant::now();
    // As the role `project` has it done half a minute later.
    for month in store.months_behind().await? {
        store.add_up_month(month.tenant_key, month.month).await?;
    }
    let added = adding.elapsed().as_secs_f64();
    // As autovacuum has it done a minute later.
    store.pool().execute("VACUUM ANALYZE").await?;
    let rows = u64::from(shape.tenants) * shape.rows_of_tenant();
    println!("fill: {rows} rows in {seconds:.1} s, their months added up in {added:.1} s");
    let tenths = |seconds: f64| (seconds * 10.0).round() / 10.0;
    Ok(json!({
        "rows": rows,
        "tenants": shape.tenants,
        "days": shape.days,
        "seconds": tenths(seconds),
        "seconds_of_months": tenths(added),
    }))
}

async fn rows(store: Store, shape: Shape, number: u32) -> Result<()> {
    let name = tenant(number);
    let key = store.tenant_keys(&[&name]).await?.first().context("made")?.tenant_key;
    let partition = [(TOPIC.to_owned(), number as i32)];
    let (generation, mut at) = store.take_over(Projection::Chargebacks, &partition).await?;
    let (lines, count) = (Line::all(shape), shape.rows_per_day());
    let (mut cache, mut prints) = (DimensionCache::default(), Fingerprints::default());
    let first: Vec<ChargebackRow<'_>> =
        lines.iter().zip(0..).map(|(line, n)| line.row(&name, shape.first(), n, count)).collect();
    let wanted: Vec<_> = first.iter().filter_map(Fact::dimension).map(|of| (prints.of(key, &of), key, of)).collect();
    store.resolve_dimensions(&mut cache, generation, &wanted).await?;
    let keys: Vec<i64> =
        wanted.iter().map(|(print, ..)| cache.get(print).context("resolved")).collect::<Result<_>>()?;
    let numbers: Vec<u32> = (0..shape.days).collect();
    for together in numbers.chunks(DAYS_TOGETHER as usize) {
        let mut copy = CopyRows::default();
        let mut changes = Vec::new();
        for day in together.iter().map(|n| shape.day(*n)) {
            store.ensure_month(Projection::Chargebacks, day).await?;
            for ((line, dimension), n) in lines.iter().zip(&keys).zip(0..) {
                line.row(&name, day, n, count).write(key, *dimension, &mut copy);
            }
            let at = DayKey { tenant: key, day };
            changes.push(SliceChange::Completed { at, revision: 1, count, replaces: false });
        }
        let next = at[0].next + copy.rows() as i64;
        let end = vec![Position { next, ..at[0].clone() }];
        let mut tx = store.advance(Projection::Chargebacks, generation, &at, &end).await?;
        tx.copy(&copy).await?;
        tx.save(&changes).await?;
        tx.commit().await?;
        at = end;
    }
    Ok(())
}

/// Two thirds of the identities belong to a team, and every other cluster to one of its own.
async fn tags(store: &Store, shape: Shape) -> Result<()> {
    let mut tags = Vec::new();
    for name in (0..shape.tenants).map(tenant) {
        let key = store.tenant_keys(&[&name]).await?.first().context("made")?.tenant_key;
        let tag = |entity_type, entity_id, value| Tag {
            tenant: name.clone(),
            entity_type,
            entity_id,
            key: "team".to_owned(),
            value,
            at: Clock::system().now(),
            by: "bench".to_owned(),
        };
        let identities = (0..ALL_PRINCIPALS).filter(|n| n % 3 != 0);
        tags.extend(identities.map(|n| (key, tag(EntityType::Identity, principal(n), format!("team-{}", n % TEAMS)))));
        let clusters = (0..shape.clusters).step_by(2);
        tags.extend(
            clusters.map(|n| (key, tag(EntityType::Resource, format!("lkc-{n:06x}"), format!("platform-{n}")))),
        );
    }
    written(store, Projection::Tags, async |tx| {
        Ok(tx.save_tags(&tags.iter().map(|(key, tag)| (*key, tag)).collect::<Vec<_>>()).await?)
    })
    .await
}

/// Tokens of readers who may see every tenant.
pub async fn tokens(store: &Store) -> Result<Vec<Secret>> {
    let new = |n| NewToken {
        name: format!("reader {n}"),
        scopes: BTreeSet::from([Scope::CostsRead]),
        tenants: None,
        expires_at: None,
    };
    let made = (0..TOKENS).map(|n| make(new(n), "bench", Clock::system().now()));
    let (secrets, tokens): (Vec<Secret>, Vec<ApiToken>) = made.unzip();
    written(store, Projection::Tokens, async |tx| Ok(tx.save_tokens(&tokens, &[]).await?)).await?;
    Ok(secrets)
}

/// A batch of a projection that is written for the first time.
async fn written(
    store: &Store,
    projection: Projection,
    write: impl AsyncFnOnce(&mut tributary::store::ProjectionTx) -> Result<()>,
) -> Result<()> {
    let topic = format!("bench.{}", projection.name());
    let (generation, at) = store.take_over(projection, &[(topic, 0)]).await?;
    let end = vec![Position { next: 1, ..at[0].clone() }];
    let mut tx = store.advance(projection, generation, &at, &end).await?;
    write(&mut tx).await?;
    Ok(tx.commit().await?)
}
