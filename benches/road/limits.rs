//! What the machine could do at best: the same bytes through the same clients without any of our work on them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tributary::domain::DaySealed;
use tributary::journal::{Codec, Connection, Consumer, Event, Topic, TransactionalProducer, scan};

use super::machine::Watch;
use super::phases::{Found, Setup};

/// As the allocate role closes its transactions.
const ROWS_PER_TRANSACTION: usize = 200_000;
/// A topic with as many partitions as those of rows, which no role that is measured here reads.
const SINK: Topic = Topic::Commands;
const FACTS: [Topic; 5] = [Topic::Billing, Topic::Resources, Topic::Identities, Topic::Metrics, Topic::Days];
/// The tables of facts that are written in slices.
const TABLES: [&str; 4] = ["billing_facts", "resource_facts", "identity_facts", "chargeback_facts"];

/// Rows as they lie in the log, behind each other: a row in a place of its own would be fetched from memory anew, which is
/// no part of what the machine can do at best.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    /// Partition, length of key and of payload.
    places: Vec<(i32, usize, usize)>,
}

/// A row as it lies in the log.
struct Written<'a> {
    partition: i32,
    key: &'a [u8],
    payload: &'a [u8],
}

impl Rows {
    fn push(&mut self, Written { partition, key, payload }: Written<'_>) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(payload);
        self.places.push((partition, key.len(), payload.len()));
    }

    fn iter(&self) -> impl Iterator<Item = Written<'_>> {
        let mut rest = self.bytes.as_slice();
        self.places.iter().map(move |(partition, key, payload)| {
            let (row, behind) = rest.split_at(key + payload);
            rest = behind;
            Written { partition: *partition, key: &row[..*key], payload: &row[*key..] }
        })
    }
}

/// Reads all facts and writes as many bytes as the rows have: the allocate role without allocation. With `transactions`
/// as it does, without them as a plain producer of the same settings. Time counts from where the group has handed out its
/// partitions, as for the role.
pub fn through(setup: &Setup, transactions: bool) -> Result<Found> {
    let connection = setup.connection(if transactions { "through" } else { "plain" })?;
    let mut rows = Rows::default();
    scan(&connection, Topic::Chargebacks, None, |record| {
        if let (Some(key), Some(payload)) = (record.key, record.payload) {
            rows.push(Written { partition: record.partition, key, payload });
        }
    })?;
    let (codec, mut facts) = (Codec::builtin(), 0_u64);
    scan(&connection, Topic::Days, None, |record| {
        if let Some(seal) = record.payload.and_then(|payload| codec.decode::<DaySealed>(payload).ok()) {
            facts += u64::from(seal.billing_lines + seal.resources + seal.identities + seal.metrics) + 1;
        }
    })?;
    let runtime = tokio::runtime::Handle::current();
    let began = Instant::now();
    let mut watch = Watch::start(setup.others);
    let mut joining = 0.0;
    let mut sink = if transactions { Sink::transactional(&connection)? } else { Sink::plain(&connection)? };
    let mut consumer = Consumer::start(&connection, connection.instance(), &FACTS)?;
    let (count, mut unsent) = (rows.places.len() as u64, rows.iter());
    let (mut read, mut sent) = (0_u64, 0_u64);
    while read < facts {
        match runtime.block_on(consumer.next()).context("the consumer ended")? {
            Event::Assigned(assignment) => {
                joining = began.elapsed().as_secs_f64();
                watch = Watch::start(setup.others);
                assignment.start_at(Vec::new());
            }
            Event::Revoked(_) => {}
            Event::Failed(error) => return Err(error.into()),
            Event::Batch(batch) => {
                read += batch.len() as u64;
                let due = count * read / facts;
                unsent.by_ref().take((due - sent) as usize).try_for_each(|row| sink.send(&row))?;
                sent = due;
            }
        }
    }
    sink.finish()?;
    Ok(Found { rows: sent, taken: watch.read(), joining: Some(joining), ..Found::default() })
}

/// Where rows go.
enum Sink {
    /// With the rows of the open transaction.
    Transactional(TransactionalProducer, usize),
    Plain(BaseProducer, String),
}

impl Sink {
    fn transactional(connection: &Connection) -> Result<Self> {
        let mut producer = TransactionalProducer::new(connection, "through")?;
        producer.begin()?;
        Ok(Self::Transactional(producer, 0))
    }

    fn plain(connection: &Connection) -> Result<Self> {
        let mut config = connection.producer_config("plain", Duration::from_secs(15));
        config.remove("transactional.id");
        config.remove("transaction.timeout.ms");
        Ok(Self::Plain(config.create()?, connection.topic(SINK)))
    }

    fn send(&mut self, row: &Written<'_>) -> Result<()> {
        let Written { partition, key, payload } = row;
        match self {
            Self::Transactional(producer, rows) => {
                producer.send(SINK, Some(*partition), key, Some(payload))?;
                *rows += 1;
                if *rows == ROWS_PER_TRANSACTION {
                    producer.commit()?;
                    producer.begin()?;
                    *rows = 0;
                }
            }
            Self::Plain(producer, topic) => {
                let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(*partition).key(*key).payload(*payload);
                while let Err((error, unsent)) = producer.send(record) {
                    if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                        return Err(error.into());
                    }
                    producer.poll(Duration::from_millis(20));
                    record = unsent;
                }
            }
        }
        Ok(())
    }

    /// Returns when all of it is written.
    fn finish(self) -> Result<()> {
        match self {
            Self::Transactional(mut producer, _) => Ok(producer.commit()?),
            Self::Plain(producer, _) => Ok(producer.flush(Duration::from_secs(60))?),
        }
    }
}

/// Copies what the projector wrote into empty tables of the same shape, one after the other on one connection. The rows of
/// allocation come last, and how long they took alone is told, too.
pub async fn copy(setup: &Setup) -> Result<Found> {
    let pool = PgPool::connect(&setup.database_url).await?;
    let mut bytes = Vec::new();
    pool.execute("CREATE TABLE bare_chargeback_dimensions (LIKE chargeback_dimensions INCLUDING ALL)").await?;
    for table in TABLES {
        pool.execute(AssertSqlSafe(format!(
            "CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL) PARTITION BY RANGE (day);
             SELECT ensure_month('bare_{table}', day) FROM (SELECT DISTINCT day FROM {table}) AS d",
        )))
        .await?;
        if table == "chargeback_facts" {
            let dimensions = out(&pool, "SELECT * FROM chargeback_dimensions ORDER BY dimension_key").await?;
            bytes.push(("chargeback_dimensions", dimensions));
        }
        bytes.push((table, out(&pool, &format!("SELECT * FROM {table}")).await?));
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM chargeback_facts").fetch_one(&pool).await?;
    let mut connection = pool.acquire().await?;
    connection.execute("SET synchronous_commit = off").await?;
    let watch = Watch::start(setup.others);
    let mut before_chargebacks = 0.0;
    for (table, bytes) in bytes {
        if table == "chargeback_dimensions" {
            before_chargebacks = watch.read().seconds;
        }
        let mut copy = connection.copy_in_raw(&format!("COPY bare_{table} FROM STDIN (FORMAT binary)")).await?;
        for chunk in bytes.chunks(1 << 20) {
            copy.send(chunk).await?;
        }
        copy.finish().await?;
    }
    let taken = watch.read();
    let seconds_of_chargebacks = Some(taken.seconds - before_chargebacks);
    Ok(Found { rows: rows as u64, taken, seconds_of_chargebacks, ..Found::default() })
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
