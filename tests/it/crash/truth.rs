//! What must be the same whatever happened: every record of the topics that carry money, every row of the tables.

use std::collections::BTreeMap;

use chrono::DateTime;
use tributary::cli::args::Format;
use tributary::cli::export::export;
use tributary::domain::{Day, DayAllocated, DaySealed};
use tributary::journal::{Codec, Connection, Topic, scan};
use tributary::store::{ExportRange, Exported, Store};

/// Facts, seals, rows and outcomes; what is remembered for gathering says how often it was asked, too.
const TOPICS: [Topic; 7] = [
    Topic::Billing,
    Topic::Resources,
    Topic::Identities,
    Topic::Metrics,
    Topic::Days,
    Topic::Chargebacks,
    Topic::Allocations,
];
const TABLES: [(&str, Exported); 4] = [
    ("billing", Exported::Billing),
    ("resources", Exported::Resources),
    ("identities", Exported::Identities),
    ("chargebacks", Exported::Chargebacks),
];

/// What topics (`read_committed`) and tables hold, by their name: one text a record or a row, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    held: BTreeMap<String, Vec<String>>,
    /// What was sealed.
    pub sealed: Vec<(String, Day, u32)>,
}

impl Truth {
    /// Reads it all; blocks.
    pub fn read(connection: &Connection, runtime: &tokio::runtime::Runtime, store: &Store, tenants: &[String]) -> Self {
        let (codec, mut held, mut sealed) = (Codec::builtin(), BTreeMap::new(), Vec::new());
        for topic in TOPICS {
            let mut records: Vec<String> = Vec::new();
            let each = |record: tributary::journal::ScanRecord<'_>| {
                let payload = record.payload.expect("no tombstones");
                let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                // Moments are those of a clock that goes on; everything else is the same to the last bit.
                let text = match topic {
                    Topic::Days => {
                        let seal: DaySealed = codec.decode(payload).expect("a seal");
                        sealed.push((seal.tenant.clone(), seal.day, seal.revision));
                        format!("{:?}", DaySealed { gathered_at: DateTime::UNIX_EPOCH, ..seal })
                    }
                    Topic::Allocations => {
                        let outcome: DayAllocated = codec.decode(payload).expect("an outcome");
                        format!("{:?}", DayAllocated { allocated_at: DateTime::UNIX_EPOCH, ..outcome })
                    }
                    _ => payload.escape_ascii().to_string(),
                };
                records.push(format!("[{}] {key}: {text}", record.partition));
            };
            scan(connection, topic, None, each).expect("the topic can be read");
            records.sort();
            held.insert(format!("topic {topic}"), records);
        }
        for (table, exported) in TABLES {
            let mut rows: Vec<String> = Vec::new();
            for tenant in tenants {
                let range = ExportRange { tenant: tenant.clone(), from: None, to: None };
                let mut csv = Vec::new();
                runtime.block_on(export(store, exported, &range, Format::Csv, &mut csv)).expect("it can be exported");
                rows.extend(
                    String::from_utf8(csv).expect("text").lines().skip(1).map(|row| format!("{tenant}: {row}")),
                );
            }
            rows.sort();
            held.insert(format!("table {table}"), rows);
        }
        sealed.sort();
        Self { held, sealed }
    }

    /// What is lost, doubled or wrong in `found`: some lines of it, empty if it is the same.
    pub fn differences(&self, found: &Self) -> String {
        let mut told = String::new();
        for (name, expected) in &self.held {
            let found = found.held.get(name).map(Vec::as_slice).unwrap_or_default();
            if expected == found {
                continue;
            }
            let (mut more, mut less) = (counts(found), counts(expected));
            for (line, count) in &mut more {
                let common = less.get(line).copied().unwrap_or_default().min(*count);
                *count -= common;
                less.entry(line).and_modify(|left| *left -= common);
            }
            let lines = |sign: char, counts: BTreeMap<&str, usize>| {
                let left = counts.into_iter().filter(|(_, count)| *count > 0).take(3);
                left.map(|(line, count)| format!("  {sign} {count} x {:.300}\n", line)).collect::<String>()
            };
            told += &format!("{name}: {} expected, {} found\n", expected.len(), found.len());
            told += &lines('-', less);
            told += &lines('+', more);
        }
        told
    }
}

fn counts(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.as_str()).or_default() += 1);
    counts
}
