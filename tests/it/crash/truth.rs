//! What must be the same whatever happened: every record of the topics that carry money, every row of the tables.

use std::collections::BTreeMap;

use chrono::DateTime;
use tributary::cli::args::Format;
use tributary::cli::export::export;
use tributary::domain::{ChargebackRow, Day, DayAllocated, DaySealed, TenantDay, TopicAttributionRow};
use tributary::journal::{Codec, Connection, ScanRecord, Topic, scan};
use tributary::store::{ExportRange, Exported, Store};

use super::story::FIRST_KEPT;

/// Facts, seals, rows; what is remembered for gathering says how often it was asked, too.
const TOPICS: [Topic; 7] = [
    Topic::Days,
    Topic::Billing,
    Topic::Resources,
    Topic::Identities,
    Topic::Metrics,
    Topic::Chargebacks,
    Topic::TopicAttributions,
];
const TABLES: [(&str, Exported); 5] = [
    ("billing", Exported::Billing),
    ("resources", Exported::Resources),
    ("identities", Exported::Identities),
    ("chargebacks", Exported::Chargebacks),
    ("topic attributions", Exported::TopicAttributions),
];

/// What topics (`read_committed`) and tables hold, by their name: one text a record or a row, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    held: BTreeMap<String, Vec<String>>,
    /// The rows of revisions that were corrected later, by topic, day and revision. Whoever comes late passes over a whole
    /// revision.
    superseded: BTreeMap<String, Vec<String>>,
    /// The last revision of each day.
    pub sealed: Vec<(String, Day, u32)>,
    /// Records of topic `chargebacks` that none can do without.
    pub rows: usize,
}

impl Truth {
    /// Reads it all; blocks.
    pub fn read(connection: &Connection, runtime: &tokio::runtime::Runtime, store: &Store, tenants: &[String]) -> Self {
        let (codec, mut held, mut superseded) = (Codec::builtin(), BTreeMap::new(), BTreeMap::new());
        let mut last: BTreeMap<(String, Day), u32> = BTreeMap::new();
        for topic in TOPICS {
            let mut records: Vec<String> = Vec::new();
            let each = |record: ScanRecord<'_>| {
                let payload = record.payload.expect("no tombstones");
                let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                // Moments are those of a clock that goes on; everything else is the same to the last bit.
                let (text, row) = match topic {
                    Topic::Days => {
                        let seal: DaySealed = codec.decode(payload).expect("a seal");
                        let last = last.entry((seal.tenant.clone(), seal.day)).or_default();
                        *last = seal.revision.max(*last);
                        (format!("{:?}", DaySealed { gathered_at: DateTime::UNIX_EPOCH, ..seal }), None)
                    }
                    _ => (payload.escape_ascii().to_string(), row(&codec, topic, payload)),
                };
                let text = format!("[{}] {key}: {text}", record.partition);
                match row.filter(|(day, revision)| last.get(day).is_some_and(|last| revision < last)) {
                    Some((_, revision)) => {
                        let of_revision: &mut Vec<String> =
                            superseded.entry(format!("topic {topic}, {key} revision {revision}")).or_default();
                        of_revision.push(text);
                    }
                    None => records.push(text),
                }
            };
            scan(connection, topic, None, each).expect("the topic can be read");
            records.sort();
            if matches!(topic, Topic::Chargebacks | Topic::TopicAttributions) {
                // An outcome that is too old is kept no longer: whoever reads on from before it allocates the day again.
                records.dedup_by(|one, other| one == other && !is_kept(one));
            }
            held.insert(format!("topic {topic}"), records);
        }
        superseded.values_mut().for_each(|rows| rows.sort());
        held.insert(format!("topic {}", Topic::Allocations), outcomes(connection, &codec));
        let rows = held[&format!("topic {}", Topic::Chargebacks)].len();
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
        let sealed = last.into_iter().map(|((tenant, day), revision)| (tenant, day, revision)).collect();
        Self { held, superseded, sealed, rows }
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
        for (name, rows) in &found.superseded {
            if self.superseded.get(name) != Some(rows) {
                told += &format!(
                    "{name}: {} rows that were superseded, or none, and not these {}\n",
                    self.superseded.get(name).map_or(0, Vec::len),
                    rows.len()
                );
            }
        }
        told
    }
}

/// Which day and revision a row of a result is of; `None` for facts.
fn row(codec: &Codec, topic: Topic, payload: &[u8]) -> Option<((String, Day), u32)> {
    match topic {
        Topic::Chargebacks => {
            let row: ChargebackRow<'_> = codec.decode(payload).expect("a row");
            Some(((row.tenant.to_string(), row.day), row.revision))
        }
        Topic::TopicAttributions => {
            let row: TopicAttributionRow<'_> = codec.decode(payload).expect("a row");
            Some(((row.tenant.to_string(), row.day), row.revision))
        }
        _ => None,
    }
}

/// The last outcome of each day, or its tombstone.
fn outcomes(connection: &Connection, codec: &Codec) -> Vec<String> {
    let mut last: BTreeMap<(i32, String), String> = BTreeMap::new();
    let each = |record: ScanRecord<'_>| {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let text = record.payload.map_or("is gone".to_owned(), |payload| {
            let outcome: DayAllocated = codec.decode(payload).expect("an outcome");
            format!("{:?}", DayAllocated { allocated_at: DateTime::UNIX_EPOCH, ..outcome })
        });
        last.insert((record.partition, key), text);
    };
    scan(connection, Topic::Allocations, None, each).expect("the topic can be read");
    last.into_iter().map(|((partition, key), text)| format!("[{partition}] {key}: {text}")).collect()
}

/// Is the day of this record kept to the end?
fn is_kept(text: &str) -> bool {
    let key = text.split(' ').nth(1).expect("a key").trim_end_matches(':');
    let key: TenantDay = key.parse().expect("a day");
    key.day >= FIRST_KEPT.parse().expect("a day")
}

fn counts(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.as_str()).or_default() += 1);
    counts
}
