//! Pages of rows, as people turn them.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::fill::{SHAPE, principal};
use super::server::Server;
use super::timed::{self, Times};

/// Answers of each kind.
const TIMES: u32 = 200;
/// Pages of a thousand rows before the deep ones.
const DEEP: usize = 100;
const RANGE: &str = "from=2026-03-01&to=2026-04-01";

pub async fn measure(server: &Server) -> Result<Value> {
    let (mut told, mut worst) = (json!({}), 0.0_f64);
    let kinds: [(&str, String); 5] = [
        ("first page of a month", RANGE.to_owned()),
        ("first page of half a year", "from=2026-01-01&to=2026-07-01".to_owned()),
        ("first page, one product", format!("{RANGE}&filter=product_type:eq:KAFKA_STORAGE")),
        ("first page, one identity", format!("{RANGE}&filter=identity_id:eq:{}", principal(77))),
        ("first page, one team (tag)", format!("{RANGE}&filter=tag.team:eq:team-7")),
    ];
    let mut keep = |name: &str, times: Times| {
        worst = worst.max(times.at(0.99));
        told[name] = times.told();
    };
    for (name, question) in &kinds {
        let asked = |n: u32| (n % SHAPE.tenants, format!("chargebacks?{question}"));
        keep(name, timed::measure(server, name, TIMES, asked).await?);
    }
    for (name, more) in [("deep pages", ""), ("deep pages, one product", "&filter=product_type:eq:KAFKA_STORAGE")] {
        let question = format!("chargebacks?{RANGE}{more}");
        let depth = if more.is_empty() { DEEP } else { DEEP / 10 };
        let cursor = deep(server, &question, depth).await?;
        let asked = |_| (0, format!("{question}&cursor={cursor}"));
        keep(name, timed::measure(server, name, TIMES, asked).await?);
    }
    told["p99_ms"] = ((worst * 10.0).round() / 10.0).into();
    Ok(told)
}

/// Turns so many pages of a thousand rows.
async fn deep(server: &Server, question: &str, pages: usize) -> Result<String> {
    let mut cursor: Option<String> = None;
    for _ in 0..pages {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer: Value = serde_json::from_str(&server.text(0, 0, &format!("{question}&limit=1000{after}")).await?)?;
        cursor = Some(answer["next_cursor"].as_str().context("there are more rows")?.to_owned());
    }
    cursor.context("a page was turned")
}
