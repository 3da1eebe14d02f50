//! The table at the end of `run --once`.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use crate::config::Config;
use crate::emit;
use crate::service::Report;
use crate::store::{DayState, Store};

/// What `--once` reports.
#[derive(Debug)]
pub struct Summary {
    pub text: String,
    pub failed: bool,
}

impl Summary {
    /// Adds what emitters did.
    pub fn add_emitted(&mut self, report: emit::Report) {
        let emit::Report { emitted, skipped, failed, busy } = report;
        if busy {
            self.text.push_str("emitters: another process emits, see its log\n");
        } else if emitted + skipped + failed > 0 {
            let failures =
                if failed > 0 { format!(", FAILED: {failed}, see the view `emissions`") } else { String::new() };
            self.text.push_str(&format!("emitters: {emitted} emitted, {skipped} without rows{failures}\n"));
        }
        self.failed |= failed > 0;
    }
}

/// What the tables hold of every tenant now, and what went wrong with it.
///
/// # Errors
/// If Postgres does not answer.
pub async fn of(config: &Config, store: &Store, reports: &[Report]) -> Result<Summary> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["tenant", "days", "sealed now", "lines", "rows", "topic rows", "amount", "quarantined"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut remarks = Vec::new();
    let mut failed = false;
    for tenant in &config.tenants {
        let report = reports.iter().find(|(name, _)| *name == tenant.name).map(|(_, report)| report);
        let held = store.summary(&tenant.tenant_id).await?;
        let amounts: Vec<String> =
            held.amounts.iter().map(|(currency, amount)| format!("{amount} {currency}")).collect();
        let sealed = report.and_then(|report| report.as_ref().ok()).map_or(0, |report| report.sealed.len());
        table.add_row([
            tenant.name.clone(),
            held.days.to_string(),
            sealed.to_string(),
            held.lines.to_string(),
            held.rows.to_string(),
            held.topic_rows.to_string(),
            amounts.join(" + "),
            held.quarantined.to_string(),
        ]);
        let faults = match report {
            Some(Ok(report)) => {
                let days: Vec<_> =
                    report.all_days.iter().map(|(day, revision)| (report.tenant.clone(), *day, *revision)).collect();
                let mut faults: Vec<String> = report.failure.iter().cloned().collect();
                // Waiting for metrics is no failure; what has failed is told once.
                let waiting = report.held.iter().filter(|(_, why)| !faults.iter().any(|fault| fault.contains(why)));
                let waiting: Vec<_> = waiting.cloned().collect();
                let flagged = report.flagged.iter();
                remarks.extend(flagged.map(|(day, why)| format!("{}: {day} is billed with a gap: {why}", tenant.name)));
                remarks.extend(said_of_held(&waiting).into_iter().map(|said| format!("{}: {said}", tenant.name)));
                for day in store.progress(&days).await? {
                    if let DayState::Refused(why) = day.state {
                        faults.push(format!("{} was refused: {why}", day.day));
                    }
                }
                if report.all_days.is_empty() && faults.is_empty() {
                    let (from, to) = (report.window.start, report.window.end);
                    remarks.push(format!("{}: no billing lines from {from} to {to} (excluded)", tenant.name));
                }
                faults
            }
            Some(Err(error)) => vec![error.clone()],
            None => Vec::new(),
        };
        failed |= !faults.is_empty();
        remarks.extend(faults.into_iter().map(|fault| format!("{}: FAILED: {fault}", tenant.name)));
        if held.quarantined > 0 {
            remarks.push(format!("{}: rows were set aside, see `tributary quarantine list`", tenant.name));
        }
    }
    let remarks: String = remarks.into_iter().map(|remark| format!("{remark}\n")).collect();
    Ok(Summary { text: format!("{table}\n{remarks}"), failed })
}

/// Held days by reason: a hundred days held for one reason are one sentence.
pub(super) fn said_of_held<D: Copy + std::fmt::Display>(held: &[(D, String)]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<D>)> = Vec::new();
    for (day, why) in held {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, days)) => days.push(*day),
            None => reasons.push((why, vec![*day])),
        }
    }
    let said = |(why, days): (&str, Vec<D>)| {
        let (first, last, n) = (days.first(), days.last(), days.len());
        match (first, last) {
            (Some(first), Some(last)) if n > 1 => format!("{n} days held ({first} to {last}): {why}"),
            (Some(first), _) => format!("{first} held: {why}"),
            _ => why.to_owned(),
        }
    };
    reasons.into_iter().map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Day;

    #[test]
    fn days_held_for_one_reason_are_one_sentence() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let held = [
            (day("2026-02-01"), "metrics".to_owned()),
            (day("2026-02-02"), "metrics".to_owned()),
            (day("2026-02-03"), "inventory".to_owned()),
        ];
        let said = said_of_held(&held);
        assert_eq!(said, ["2 days held (2026-02-01 to 2026-02-02): metrics", "2026-02-03 held: inventory"]);
    }
}
