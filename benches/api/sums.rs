//! Sums, as dashboards ask for them.

use anyhow::Result;
use serde_json::{Value, json};

use super::fill::SHAPE;
use super::server::Server;
use super::timed;

/// What is asked for, how often, and does it count for the figure that has a limit?
const KINDS: [(&str, &str, u32, bool); 9] = [
    (
        "a month by identity and product",
        "from=2026-03-01&to=2026-04-01&group_by=identity_id&group_by=product_type",
        100,
        true,
    ),
    (
        "a month by environment and product",
        "from=2026-03-01&to=2026-04-01&group_by=env_id&group_by=product_type",
        100,
        true,
    ),
    (
        "a month by cluster and identity",
        "from=2026-03-01&to=2026-04-01&group_by=resource_id&group_by=identity_id",
        100,
        true,
    ),
    (
        "a month by team (tag) and product",
        "from=2026-03-01&to=2026-04-01&group_by=tag.team&group_by=product_type",
        100,
        false,
    ),
    (
        "a month of one cluster by identity",
        "from=2026-03-01&to=2026-04-01&group_by=identity_id&group_by=cost_type&filter=resource_id:eq:lkc-000003",
        100,
        true,
    ),
    (
        "thirty days by identity and product",
        "from=2026-03-12&to=2026-04-11&group_by=identity_id&group_by=product_type",
        50,
        false,
    ),
    (
        "half a year, month by month, by product",
        "from=2026-01-01&to=2026-07-01&bucket=month&group_by=product_type&group_by=cost_type",
        50,
        false,
    ),
    ("a month, day by day, by product", "from=2026-03-01&to=2026-04-01&bucket=day&group_by=product_type", 20, false),
    (
        "half a year, week by week, by environment",
        "from=2026-01-01&to=2026-07-01&bucket=week&group_by=env_id",
        10,
        false,
    ),
];

pub async fn measure(server: &Server) -> Result<Value> {
    let (mut told, mut worst) = (json!({}), 0.0_f64);
    for (name, question, times, counts) in KINDS {
        let asked = |n: u32| (n % SHAPE.tenants, format!("costs/aggregate?{question}"));
        let times = timed::measure(server, name, times, asked).await?;
        if counts {
            worst = worst.max(times.at(0.99));
        }
        told[name] = times.told();
    }
    told["p99_ms"] = ((worst * 10.0).round() / 10.0).into();
    Ok(told)
}
