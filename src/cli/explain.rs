//! `tributary explain`: why rows are what they are, a sentence each.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::args::Explain;
use crate::config::Config;
use crate::store::Store;
use crate::store::read::{Condition, Dataset, Operator, Selection};

/// How long one question to Postgres may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prints the sentences, those of the largest amounts first, and how many rows were left out.
///
/// # Errors
/// For a tenant that is not configured, a choice without a row, and when Postgres does not answer.
pub async fn explain(store: &Store, config: &Config, args: &Explain, mut out: impl Write) -> Result<()> {
    let tenant = config.tenants.iter().find(|tenant| tenant.name == args.tenant);
    let tenant = tenant.with_context(|| format!("there is no tenant {:?} in the configuration", args.tenant))?;
    let of = Selection {
        tenant: tenant.tenant_id.clone(),
        from: args.day,
        to: args.day.plus(1),
        conditions: conditions(args),
        as_of: None,
    };
    let mut reader = store.reader(PATIENCE).await?;
    let rows = reader.largest(&of, args.limit).await?;
    if rows.is_empty() {
        bail!("no row fits; `tributary export chargebacks` shows the rows, `tributary status` the days that have some");
    }
    for row in &rows {
        let explained = reader.explained(&of.tenant, row).await?;
        match explained.told(row)? {
            Some(told) => writeln!(out, "{}", told.sentence)?,
            None => writeln!(out, "{} of {}: its billing line is not in the tables yet", row.identity_id, row.amount)?,
        }
    }
    let all = reader.count(Dataset::Chargebacks, &of).await?;
    let left = all.saturating_sub(rows.len() as u64);
    if left > 0 {
        writeln!(out, "\n{left} more rows; choose with --identity, --resource or --product, or raise --limit")?;
    }
    Ok(())
}

fn conditions(args: &Explain) -> Vec<Condition> {
    let wanted = [("identity_id", &args.identity), ("resource_id", &args.resource), ("product_type", &args.product)];
    let condition = |(name, value): (&str, &Option<String>)| {
        let (field, value) = (Dataset::Chargebacks.field(name)?, value.clone()?);
        Some(Condition { field, operator: Operator::Equal, values: vec![value] })
    };
    wanted.into_iter().filter_map(condition).collect()
}
