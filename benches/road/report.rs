//! What a run says at its end: headline figures against what is asked for, and a file with all of them.

use anyhow::Result;
use serde_json::{Value, json};
use tributary::clock::Clock;

use super::headline::{self, Asked, Headline};

const HEADLINES: [Headline; 7] = [
    Headline {
        key: "allocation_core_rows_per_core_s",
        at: "/core/rows_per_s",
        unit: "rows a second of one core: allocated and read",
        asked: Asked::AtLeast(1e6),
    },
    Headline {
        key: "allocate_share_of_limit",
        at: "/steady/allocate_share_of_limit",
        unit: "speed of the allocate role / speed of the same bytes read and written in transactions",
        asked: Asked::AtLeast(0.6),
    },
    Headline {
        key: "project_share_of_copy",
        at: "/many/project_share_of_copy",
        unit: "speed of the project role / speed of a raw COPY of the same rows into the same tables",
        asked: Asked::AtLeast(0.7),
    },
    Headline {
        key: "road_rows_per_s",
        at: "/many/road/rows_per_s",
        unit: "rows a second from sealed facts in Kafka to visible rows in Postgres",
        asked: Asked::AtLeast(120e3),
    },
    Headline {
        key: "latency_p99_ms",
        at: "/latency/p99_ms",
        unit: "milliseconds from a seal to its visible rows, idle",
        asked: Asked::AtMost(1000.0),
    },
    Headline {
        key: "peak_rss_mb_1m_day",
        at: "/one/road/peak_mb",
        unit: "MB of 2^20 bytes: the most one process with all roles held for a day of 1 M rows",
        asked: Asked::AtMost(300.0),
    },
    Headline {
        key: "growth_cost_ratio",
        at: "/growth/cost_ratio",
        unit: "processor time a row of 10 M rows / of 1 M rows, broker and database included",
        asked: Asked::AtMost(1.2),
    },
];

/// Prints the headlines and writes `benches/results/latest.json`.
pub fn write(machine: Value, commit: Option<String>, minutes: f64, cases: &Value) -> Result<()> {
    let mut report = json!({
        "format": 1,
        "date": Clock::system().now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "commit": commit,
        "machine": machine,
        "minutes": (minutes * 10.0).round() / 10.0,
    });
    headline::tell(&HEADLINES, cases, &mut report);
    // What another benchmark found stays.
    if let Some(api) = headline::known().get("api") {
        report["api"] = api.clone();
    }
    headline::save(&report)?;
    println!(
        "{minutes:.1} minutes; all figures in benches/results/latest.json, their meaning in docs/src/measurements.md"
    );
    Ok(())
}
