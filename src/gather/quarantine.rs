//! Provider rows that are set aside.
//!
//! In: bad rows, the ids of those already set aside. Out: entries for topic `quarantine`. Absent: topics.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::Day;
use crate::domain::quarantine::{Quarantined, Stage, Status};
use crate::ecosystem::{BadRow, Bill};

/// The entries for a bill's bad rows that are not in `known` yet, each once.
pub fn entries(tenant: &str, bill: &Bill, known: &BTreeSet<String>, at: DateTime<Utc>) -> Vec<Quarantined> {
    let dated = bill.days.iter().flat_map(|(day, of_day)| of_day.bad.iter().map(|row| (Some(*day), row)));
    let undated = bill.undated.iter().map(|row| (None, row));
    let mut taken = BTreeSet::new();
    let all = dated.chain(undated).map(|(day, row)| entry(tenant, day, row, at));
    all.filter(|entry| !known.contains(&entry.id) && taken.insert(entry.id.clone())).collect()
}

fn entry(tenant: &str, day: Option<Day>, row: &BadRow, at: DateTime<Utc>) -> Quarantined {
    Quarantined {
        id: id(tenant, day, &row.bytes),
        tenant: Some(tenant.to_owned()),
        day,
        stage: Stage::Gather,
        source: row.source.clone(),
        topic: None,
        partition: None,
        offset: None,
        key: None,
        payload: row.bytes.clone(),
        reason: row.reason.clone(),
        status: Status::Open,
        at,
    }
    .cut()
}

/// The same bytes of the same tenant's day are the same entry, whenever and however they were asked for.
fn id(tenant: &str, day: Option<Day>, bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    let day = day.map_or_else(String::new, |day| day.to_string());
    for part in [tenant.as_bytes(), bytes, day.as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, day};
    use super::*;
    use crate::ecosystem::DayBill;

    fn bad(bytes: &str) -> BadRow {
        BadRow { bytes: bytes.into(), reason: "amount is no number".into(), source: "GET /billing/v1/costs".into() }
    }

    #[test]
    fn each_row_is_set_aside_once() {
        let of_day = DayBill { lines: vec![], bad: vec![bad("{}"), bad("{}"), bad("[]")], ..DayBill::default() };
        let bill = Bill { days: [(day("2026-02-10"), of_day)].into(), undated: vec![bad("{}")] };
        let now = at("2026-03-01T00:00:00Z");
        let first = entries("t", &bill, &BTreeSet::new(), now);
        let days: Vec<_> = first.iter().map(|entry| (entry.day.is_some(), entry.payload.as_slice())).collect();
        assert_eq!(days, [(true, &b"{}"[..]), (true, b"[]"), (false, b"{}")]);
        let known = first.into_iter().map(|entry| entry.id).collect();
        assert_eq!(entries("t", &bill, &known, now), []);
        assert_eq!(entries("other", &bill, &known, now).len(), 3);
    }
}
