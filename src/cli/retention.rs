//! `tributary retention`: removes now what the service removes once a day.

use std::io::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::{Config, Ecosystem, Tenant};
use crate::domain::Day;
use crate::journal::{Codec, Connection};
use crate::store::Store;
use crate::upkeep::{self, Keep, Period};

/// From which day on each configured tenant's days are kept.
pub fn keep(config: &Config, now: DateTime<Utc>) -> Keep {
    Keep::new(periods(config), Day::of(now))
}

/// How long the days of each configured tenant are kept.
pub fn periods(config: &Config) -> Vec<Period> {
    let topic_days = |tenant: &Tenant| match &tenant.ecosystem {
        Ecosystem::ConfluentCloud(cloud) => cloud.topic_attribution.retention_days,
        Ecosystem::SelfManagedKafka(cluster) => cluster.topic_attribution.retention_days,
        Ecosystem::GenericMetrics(_) | Ecosystem::External(_) => tenant.retention_days,
    };
    let period = |tenant: &Tenant| Period {
        tenant: tenant.tenant_id.clone(),
        days: tenant.retention_days,
        topic_days: topic_days(tenant),
    };
    config.tenants.iter().map(period).collect()
}

/// The longest of all periods, days; 0 without tenants.
pub fn longest(config: &Config) -> u32 {
    periods(config).iter().map(|of| of.days.max(of.topic_days)).max().unwrap_or(0)
}

/// Prints what is too old in the tables, and names tenants that nobody says anything about.
///
/// # Errors
/// If Postgres does not answer.
pub async fn show(store: &Store, keep: &Keep, out: &mut impl Write) -> anyhow::Result<()> {
    let steps = upkeep::steps(store, keep).await?;
    steps.iter().try_for_each(|step| writeln!(out, "{step}"))?;
    if steps.is_empty() {
        writeln!(out, "nothing is too old")?;
    }
    for tenant in store.tenants().await?.into_iter().filter(|tenant| tenant.forgotten_at.is_none()) {
        if !keep.knows(&tenant.id) {
            let id = tenant.id;
            writeln!(
                out,
                "tenant {id} is not in this configuration: all its days are kept; `tributary tenant forget {id}` removes it"
            )?;
        }
    }
    Ok(())
}

/// Removes it, and prints what was removed.
///
/// # Errors
/// What stands in the way; what was done is done.
pub async fn clean(
    store: &Store,
    connection: &Connection,
    codec: &Arc<Codec>,
    keep: &Keep,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    show(store, keep, out).await?;
    let done = upkeep::clean(store, connection, codec, keep).await?;
    let upkeep::Done { partitions, rows, outcomes, emissions } = done;
    let gone = format!("forgot {outcomes} outcomes and {emissions} emissions");
    writeln!(out, "dropped {partitions} partitions, deleted {rows} rows, {gone}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_says_how_long_and_topics_keep_the_longest_of_all() {
        let text = "tenants:
  days:
    ecosystem: external
    tenant_id: e
    retention_days: 300
  topics:
    ecosystem: confluent_cloud
    tenant_id: c
    retention_days: 201
    plugin_settings:
      ccloud_api: {key: K, secret: hush}
      topic_attribution: {retention_days: 340}
";
        let loaded = crate::config::parse(text, &|_| None).unwrap();
        let period = |tenant: &str, days, topic_days| Period { tenant: tenant.to_owned(), days, topic_days };
        assert_eq!(periods(&loaded.config), [period("e", 300, 300), period("c", 201, 340)]);
        assert_eq!(longest(&loaded.config), 340);
    }
}
