//! What the machine could do at best: the same bytes through the same clients without any of our work on them.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tributary::domain::DaySealed;
use tributary::journal::{Codec, Consumer, Event, Topic, TransactionalProducer, scan};

use super::machine::Watch;
use super::phases::{Found, Setup};

/// As the allocate role closes its transactions.
const ROWS_PER_TRANSACTION: usize = 200_000;
/// Written to a topic that nobody reads here.
const SINK: Topic = Topic::TopicAttributions;
const FACTS: [Topic; 5] = [Topic::Billing, Topic::Resources, Topic::Identities, Topic::Metrics, Topic::Days];

/// A row as it lies in the log.
struct Written {
    partition: i32,
    key: Box<[u8]>,
    payload: Box<[u8]>,
}

/// Reads all facts and writes as many bytes as the rows have, in transactions: the allocate role without allocation.
pub fn through(setup: &Setup) -> Result<Found> {
    let connection = setup.connection("through")?;
    let mut rows: Vec<Written> = Vec::new();
    scan(&connection, Topic::Chargebacks, None, |record| {
        if let (Some(key), Some(payload)) = (record.key, record.payload) {
            rows.push(Written { partition: record.partition, key: key.into(), payload: payload.into() });
        }
    })?;
    let (codec, mut facts) = (Codec::builtin(), 0_u64);
    scan(&connection, Topic::Days, None, |record| {
        if let Some(seal) = record.payload.and_then(|payload| codec.decode::<DaySealed>(payload).ok()) {
            facts += u64::from(seal.billing_lines + seal.resources + seal.identities + seal.metrics) + 1;
        }
    })?;
    let runtime = tokio::runtime::Handle::current();
    let watch = Watch::start(setup.others);
    let mut producer = TransactionalProducer::new(&connection, "through")?;
    let mut consumer = Consumer::start(&connection, "through", &FACTS)?;
    let (mut read, mut sent) = (0_u64, 0_usize);
    while read < facts {
        match runtime.block_on(consumer.next()).context("the consumer ended")? {
            Event::Assigned(assignment) => assignment.start_at(Vec::new()),
            Event::Revoked(_) => {}
            Event::Failed(error) => return Err(error.into()),
            Event::Batch(batch) => {
                read += batch.len() as u64;
                let due = (rows.len() as u64 * read / facts) as usize;
                for chunk in rows[sent..due].chunks(ROWS_PER_TRANSACTION) {
                    producer.begin()?;
                    for Written { partition, key, payload } in chunk {
                        producer.send(SINK, Some(*partition), key, Some(payload))?;
                    }
                    producer.commit()?;
                }
                sent = due;
            }
        }
    }
    Ok(Found { rows: sent as u64, taken: watch.read(), ..Found::default() })
}

/// Copies the rows that lie in the tables into empty tables of the same shape, dimensions included.
pub async fn copy(setup: &Setup) -> Result<Found> {
    let pool = PgPool::connect(&setup.database_url).await?;
    pool.execute(
        "CREATE TABLE bare_facts (LIKE chargeback_facts INCLUDING ALL) PARTITION BY RANGE (day);
         SELECT ensure_month('bare_facts', day) FROM (SELECT DISTINCT day FROM chargeback_facts) AS d;
         CREATE TABLE bare_dimensions (LIKE chargeback_dimensions INCLUDING ALL);",
    )
    .await?;
    let dimensions = out(&pool, "SELECT * FROM chargeback_dimensions ORDER BY dimension_key").await?;
    let facts = out(&pool, "SELECT * FROM chargeback_facts").await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM chargeback_facts").fetch_one(&pool).await?;
    let watch = Watch::start(setup.others);
    let mut connection = pool.acquire().await?;
    connection.execute("SET synchronous_commit = off").await?;
    for (table, bytes) in [("bare_dimensions", dimensions), ("bare_facts", facts)] {
        let mut copy = connection.copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
        for chunk in bytes.chunks(1 << 20) {
            copy.send(chunk).await?;
        }
        copy.finish().await?;
    }
    Ok(Found { rows: rows as u64, taken: watch.read(), ..Found::default() })
}

async fn out(pool: &PgPool, query: &str) -> Result<Vec<u8>> {
    use futures_util::TryStreamExt;
    let mut stream = pool.copy_out_raw(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A database of its own beside the one in `url`.
pub async fn database(url: &str, name: &str) -> Result<String> {
    let (server, _) = url.rsplit_once('/').context("a database in the address")?;
    let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_secs(10)).connect(url).await?;
    pool.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    pool.close().await;
    Ok(format!("{server}/{name}"))
}
