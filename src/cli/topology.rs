//! `tributary topology check | plan | apply`.
//!
//! In: the declaration, a connection, the operator's sizes. Out: lines to read. Absent: decisions.

use std::io::Write;

use anyhow::{Context, bail};

use crate::journal::plan::Step;
use crate::journal::topology::{Layout, Topology};
use crate::journal::{Connection, provision};

/// Proves the declaration against the program; needs no broker.
///
/// # Errors
/// If the declaration has faults, which are written to `out`.
pub fn check(out: &mut impl Write) -> anyhow::Result<()> {
    let topology = Topology::embedded();
    let faults = topology.faults();
    for fault in &faults {
        writeln!(out, "{fault}")?;
    }
    match faults.len() {
        0 => writeln!(out, "{} topics, all sound", topology.topics.len()).context("writing the answer"),
        1 => bail!("the topology has a fault"),
        n => bail!("the topology has {n} faults"),
    }
}

/// Lists what `apply` would do.
///
/// # Errors
/// If the cluster cannot be asked.
pub async fn plan(
    connection: &Connection,
    layout: Layout,
    retention_days: u32,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let steps = provision::compare(connection, layout, retention_days).await?;
    list(&steps, out)?;
    let count = steps.iter().filter(|step| step.changes_something()).count();
    match count {
        0 => writeln!(out, "nothing to do")?,
        n => writeln!(out, "{n} to do; run `tributary topology apply`")?,
    }
    Ok(())
}

/// Creates, widens and sets what is declared; deletes nothing.
///
/// # Errors
/// If the cluster refuses a step, or has more partitions than are declared.
pub async fn apply(
    connection: &Connection,
    layout: Layout,
    retention_days: u32,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let steps = provision::ensure_keeping(connection, layout, retention_days).await?;
    list(&steps, out)?;
    if steps.iter().any(|step| matches!(step, Step::Narrower { .. })) {
        bail!("some topics have more partitions than are declared; nothing was taken away");
    }
    let done = steps.iter().filter(|step| step.changes_something()).count();
    match done {
        0 => writeln!(out, "nothing to do")?,
        n => writeln!(out, "{n} done")?,
    }
    Ok(())
}

fn list(steps: &[Step], out: &mut impl Write) -> std::io::Result<()> {
    steps.iter().try_for_each(|step| writeln!(out, "{step}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_declaration_is_said_to_be_one() {
        let mut out = Vec::new();
        check(&mut out).unwrap();
        let expected = format!("{} topics, all sound\n", crate::journal::Topic::all().len());
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
