//! Gauges: what each day cost, as series that Prometheus scrapes, each point at the midnight its day begins with.
//!
//! In: the tables. Out: OpenMetrics, or the older text format, over HTTP; the same series for a file. Everything is read
//! from the tables, so a restart shows what was shown before, and days within the lookback stay.
//!
//! The names and labels of series are Chitragupta's (and those of the Confluent Billing Portal for the hourly one), so
//! that dashboards go on; the currency is one more label, because sums over currencies mean nothing.

mod exposition;
mod fold;
mod hours;
mod server;
mod text;

pub use exposition::Exposition;
pub use hours::hourly;
pub use text::{Format, Line, header, labels};

use crate::domain::EmittedRows;
use crate::store::read::GaugeFamily;

/// How gauges are shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    /// How names begin, `chitragupta` unless said otherwise.
    pub prefix: String,
    /// Series of one family and tenant at most, at least 1; the cheapest are shown as one.
    pub max_series: u32,
}

/// The families made of these rows.
pub fn families(dataset: EmittedRows) -> &'static [GaugeFamily] {
    match dataset {
        EmittedRows::Chargebacks => &[
            GaugeFamily::Chargeback,
            GaugeFamily::Billing,
            GaugeFamily::Resource,
            GaugeFamily::Identity,
            GaugeFamily::HourlyUsd,
        ],
        EmittedRows::TopicAttributions => &[GaugeFamily::Topic],
    }
}

/// A family's name.
pub fn name(family: GaugeFamily, prefix: &str) -> String {
    let rest = match family {
        GaugeFamily::Chargeback => "chargeback_amount",
        GaugeFamily::Billing => "billing_amount",
        GaugeFamily::Resource => "resource_active",
        GaugeFamily::Identity => "identity_active",
        GaugeFamily::Topic => "topic_attribution_amount",
        GaugeFamily::HourlyUsd => return "ccloud_cost_usd_hourly".to_owned(),
    };
    format!("{prefix}_{rest}")
}

/// A family's help text.
pub fn help(family: GaugeFamily) -> &'static str {
    match family {
        GaugeFamily::Chargeback => "Part of the bill that an identity caused in the period beginning at the timestamp.",
        GaugeFamily::Billing => "What was charged in the period beginning at the timestamp.",
        GaugeFamily::Resource => "1 for each resource that existed at the timestamp.",
        GaugeFamily::Identity => "1 for each identity that existed at the timestamp.",
        GaugeFamily::Topic => {
            "Part of its cluster's bill that a topic caused in the period beginning at the timestamp."
        }
        GaugeFamily::HourlyUsd => "Cost of an hour in USD: a 24th of what the day cost.",
    }
}

/// Labels that say whose and which money it is: series are never added up over them.
pub fn is_kept(label: &str) -> bool {
    ["tenant_id", "org_id", "ecosystem", "currency"].contains(&label)
}

/// The value of the other labels of series that are shown as one.
pub const OTHER: &str = "__other__";
