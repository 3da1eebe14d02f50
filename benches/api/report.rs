//! What a run says at its end: headline figures against what is asked for, and its part of the file with all of them.

use anyhow::Result;
use serde_json::{Value, json};
use tributary::clock::Clock;

use super::headline::{self, Asked, Headline};

const HEADLINES: [Headline; 6] = [
    Headline {
        key: "page_p99_ms",
        at: "/pages/p99_ms",
        unit: "milliseconds: the slowest kind of page of 100 chargebacks over 10 M rows, over HTTP",
        asked: Asked::AtMost(30.0),
    },
    Headline {
        key: "month_sums_p99_ms",
        at: "/sums/p99_ms",
        unit: "milliseconds: the slowest sums of a month by two dimensions, warm, over HTTP",
        asked: Asked::AtMost(100.0),
    },
    Headline {
        key: "file_rows_per_s",
        at: "/files/rows_per_s",
        unit: "rows a second of the slower of CSV and NDJSON, over HTTP",
        asked: Asked::AtLeast(200e3),
    },
    Headline {
        key: "file_memory_grown_mb",
        at: "/files/memory_grown_mb",
        unit: "MB of 2^20 bytes that the API held more while it sent 2 M rows",
        asked: Asked::AtMost(32.0),
    },
    Headline {
        key: "readers_faults",
        at: "/readers/faults",
        unit: "answers that were no 200, of 200 readers in a minute",
        asked: Asked::AtMost(0.0),
    },
    Headline {
        key: "readers_memory_grown_mb",
        at: "/readers/memory_grown_mb",
        unit: "MB of 2^20 bytes that the API held more in the last third of that minute than in the second",
        asked: Asked::AtMost(10.0),
    },
];

/// Prints the headlines and writes the part `api` of `benches/results/latest.json`.
pub fn write(machine: Value, commit: Option<String>, minutes: f64, cases: &Value) -> Result<()> {
    let mut report = json!({
        "date": Clock::system().now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "commit": commit,
        "machine": machine,
        "minutes": (minutes * 10.0).round() / 10.0,
    });
    headline::tell(&HEADLINES, cases, &mut report);
    let mut all = headline::known();
    all["api"] = report;
    headline::save(&all)?;
    println!(
        "{minutes:.1} minutes; all figures in benches/results/latest.json, their meaning in docs/src/measurements.md"
    );
    Ok(())
}
