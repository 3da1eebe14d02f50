//! `tributary status`: how many days are where, how far each projection is behind, what is in quarantine.

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::{Table, presets};

use crate::domain::GatherState;
use crate::journal::codec::Codec;
use crate::journal::{Connection, JournalError, Topic, blocking, scan};
use crate::service::lag::lag;
use crate::store::Store;

/// Prints the tables of the status.
///
/// # Errors
/// When Kafka or Postgres does not answer.
pub async fn status(
    store: &Store,
    connection: &Connection,
    codec: std::sync::Arc<Codec>,
    mut out: impl Write,
) -> anyhow::Result<()> {
    let mut held = blocking({
        let connection = connection.clone();
        move || held(&connection, &codec)
    })
    .await?;
    let mut days = table(&["tenant", "sealed", "allocated", "projected", "held", "refused", "last day"]);
    for tenant in store.overview().await? {
        let held = held.remove(&tenant.tenant).unwrap_or_default();
        days.add_row([
            tenant.tenant,
            tenant.sealed.to_string(),
            tenant.allocated.to_string(),
            tenant.projected.to_string(),
            held.to_string(),
            tenant.refused.to_string(),
            tenant.last_day.map(|day| day.to_string()).unwrap_or_default(),
        ]);
    }
    // Tenants whose days are all held back have no sealed day.
    for (tenant, held) in held.into_iter().filter(|(_, held)| *held > 0) {
        days.add_row([tenant, "0".into(), "0".into(), "0".into(), held.to_string(), "0".into(), String::new()]);
    }
    writeln!(out, "{days}\n")?;
    let mut lags = table(&["projection", "behind"]);
    for (projection, lag) in lag(store, connection).await? {
        lags.add_row([projection.name().to_owned(), lag.to_string()]);
    }
    writeln!(out, "{lags}\n")?;
    let open = store.open_quarantine().await?;
    let hint = if open > 0 { "; see `tributary quarantine list`" } else { "" };
    writeln!(out, "open entries in quarantine: {open}{hint}")?;
    Ok(())
}

/// Days per tenant that the gather stage holds back.
fn held(connection: &Connection, codec: &Codec) -> Result<BTreeMap<String, u64>, JournalError> {
    let mut days: BTreeMap<Vec<u8>, (String, bool)> = BTreeMap::new();
    scan(connection, Topic::GatherState, None, |record| {
        let Some(key) = record.key else { return };
        let state = record.payload.and_then(|payload| codec.decode::<GatherState>(payload).ok());
        match state.and_then(|state| Some((state.tenant, state.day?.held.is_some()))) {
            Some(day) => drop(days.insert(key.to_vec(), day)),
            None => drop(days.remove(key)),
        }
    })?;
    let mut held = BTreeMap::new();
    for (tenant, is_held) in days.into_values() {
        *held.entry(tenant).or_default() += u64::from(is_held);
    }
    Ok(held)
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(header.iter().copied());
    table
}
