//! A made-up Confluent Cloud organisation, so that `tributary demo` needs no account.
//!
//! In: a seed and a period. Out: the organisation behind HTTP ([`server`]), the configuration by which the
//! ordinary pipeline gathers it ([`config_yaml`]), and tables of what came out ([`report`]). Absent: any short
//! cut into the pipeline; everything goes through the same clients as a real organisation.

use chrono::{DateTime, Utc};

use crate::domain::Day;

mod api;
mod bill;
mod estate;
mod inventory;
pub mod organisation;
pub mod prometheus;
pub mod report;
pub mod server;
mod shape;

pub use organisation::Organisation;
pub use server::{Running, serve};

/// The tenant's name and id in the demo's configuration.
pub const TENANT: &str = "acme";
/// The bill is this many days behind.
const CUTOFF_DAYS: u32 = 1;

/// The first of `days` days that end where the bill ends, if it is `now`.
pub fn first_day(now: DateTime<Utc>, days: u32) -> Day {
    Day::of(now).minus(u64::from(days + CUTOFF_DAYS))
}

/// An ordinary configuration file that gathers the served organisation's whole period, if it is `now`.
pub fn config_yaml(running: &Running, now: DateTime<Utc>) -> String {
    let ago = |day: Day| (Day::of(now).date() - day.date()).num_days().max(1);
    let org = &running.organisation;
    let (lookback, cutoff) = (ago(org.first_day), ago(org.end()));
    let (url, cloud, metrics) = (&running.base_url, &running.cloud, &running.prometheus);
    let flink: String = running
        .flink
        .iter()
        .map(|(region, base_url, login)| {
            let (key, secret) = (&login.user, &login.password);
            format!(
                "        - {{region_id: {region}, key: \"{key}\", secret: \"{secret}\", base_url: \"{base_url}\"}}\n"
            )
        })
        .collect();
    format!(
        "\
tenants:
  {TENANT}:
    ecosystem: confluent_cloud
    tenant_id: {TENANT}
    lookback_days: {lookback}
    cutoff_days: {cutoff}
    retention_days: 250
    plugin_settings:
      ccloud_api:
        key: \"{key}\"
        secret: \"{secret}\"
        base_url: \"{url}\"
      billing_api:
        days_per_query: 15
      min_refresh_gap_seconds: 0
      metrics:
        type: prometheus
        url: \"{url}\"
        auth_type: basic
        username: \"{user}\"
        password: \"{password}\"
      flink:
{flink}",
        key = cloud.user,
        secret = cloud.password,
        user = metrics.user,
        password = metrics.password,
    )
}
