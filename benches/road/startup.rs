//! How long a start takes with much behind it: tables from the log, and the memory of the allocate role.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio_util::sync::CancellationToken;
use tributary::domain::TenantDay;
use tributary::gather::publish::Publisher;
use tributary::journal::{Codec, Record, Topic, TransactionalProducer};
use tributary::project;
use tributary::service::projecting_parts;
use tributary::store::Projection;

use super::facts::{Shape, tenant_id};
use super::machine::Watch;
use super::phases::{Found, Setup, allocate, publish};

/// Small days that go into one transaction, because what is measured is reading them.
const DAYS_PER_TRANSACTION: usize = 500;

/// Empties all tables and reads them from the log again.
pub async fn rebuild(setup: Setup) -> Result<Found> {
    let parts = setup.parts().await?;
    let parts = projecting_parts(parts.connection.as_instance("rebuild"), parts.codec, parts.store);
    let watch = Watch::start(setup.others);
    project::rebuild(&Projection::ALL, &parts, CancellationToken::new(), |_| ()).await?;
    let taken = watch.read();
    Ok(Found { rows: setup.check(&parts.store).await?, taken, ..Found::default() })
}

/// Writes many small days.
pub async fn seed_small(setup: Setup) -> Result<Found> {
    let connection = setup.provide("seed").await?;
    let watch = Watch::start(setup.others);
    tokio::task::spawn_blocking(move || -> Result<()> {
        let mut writer = Writer {
            producer: TransactionalProducer::new(&connection, "seed")?,
            codec: Codec::builtin(),
            buffer: Vec::new(),
        };
        let days: Vec<_> = setup.shape.sealed().collect();
        for days in days.chunks(DAYS_PER_TRANSACTION) {
            writer.producer.begin()?;
            for (tenant, day) in days {
                let (key, facts) = (TenantDay::new(tenant, *day).to_string(), setup.shape.revision(tenant, *day, 1));
                facts.billing.iter().try_for_each(|fact| writer.put(Topic::Billing, &key, fact))?;
                facts.resources.iter().try_for_each(|fact| writer.put(Topic::Resources, &key, fact))?;
                facts.identities.iter().try_for_each(|fact| writer.put(Topic::Identities, &key, fact))?;
                facts.metrics.iter().try_for_each(|fact| writer.put(Topic::Metrics, &key, fact))?;
                writer.put(Topic::Days, &key, &facts.seal)?;
            }
            writer.producer.commit()?;
        }
        Ok(())
    })
    .await??;
    Ok(Found { taken: watch.read(), ..Found::default() })
}

struct Writer {
    producer: TransactionalProducer,
    codec: Codec,
    buffer: Vec<u8>,
}

impl Writer {
    fn put(&mut self, topic: Topic, key: &str, fact: &(impl Record + serde::Serialize)) -> Result<()> {
        self.buffer.clear();
        self.codec.encode(fact, &mut self.buffer)?;
        Ok(self.producer.send(topic, None, key.as_bytes(), Some(&self.buffer))?)
    }
}

/// From the start of an allocate role that has everything behind it to the outcome of a day that is new.
pub async fn restore(setup: Setup) -> Result<Found> {
    let codec = Arc::new(Codec::builtin());
    let connection = setup.connection("seed")?;
    tokio::task::spawn_blocking(move || {
        let mut publisher = Publisher::open(&connection, &tenant_id(0), codec)?;
        let next = Shape { days: setup.shape.days + 1, tenants: 1, ..setup.shape };
        if let Some((tenant, day)) = next.sealed().last() {
            publish(&mut publisher, &next, &tenant, day, 1)?;
        }
        let one = Shape { tenants: 1, days: 1, ..setup.shape };
        let found = allocate(&Setup { shape: one, ..setup })?;
        ensure!(found.rows == one.rows(), "{} rows of one new day", found.rows);
        Ok(found)
    })
    .await?
}
