//! A made-up organisation, so that `tributary demo` needs no account: Confluent Cloud, a Kafka of its own, a PostgreSQL and
//! GPUs.
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
mod measured;
pub mod organisation;
pub mod prometheus;
pub mod promql;
pub mod report;
pub mod server;
mod shape;

pub use organisation::Organisation;
pub use server::{Running, serve};

/// The tenant with the bill of Confluent Cloud: name and id in the demo's configuration.
pub const TENANT: &str = "acme";

/// A bill of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Tenant {
    /// Name and id in the demo's configuration.
    pub name: &'static str,
    ecosystem: &'static str,
    /// What it is, for people.
    pub title: &'static str,
}

/// All bills, in the order in which they are told.
pub const TENANTS: [Tenant; 3] = [
    Tenant { name: TENANT, ecosystem: "confluent_cloud", title: "Acme's Confluent Cloud bill" },
    Tenant { name: "factory", ecosystem: "self_managed_kafka", title: "The factory's own Kafka, by a rate card" },
    Tenant {
        name: "warehouse",
        ecosystem: "generic_metrics_only",
        title: "PostgreSQL and GPUs, as Prometheus measures them",
    },
];

/// The bill is this many days behind.
const CUTOFF_DAYS: u32 = 1;

/// The first of `days` days that end where the bill ends, if it is `now`.
pub fn first_day(now: DateTime<Utc>, days: u32) -> Day {
    Day::of(now).minus(u64::from(days + CUTOFF_DAYS))
}

/// An ordinary configuration file that gathers the served organisation's three bills of the whole period, if it is `now`.
pub fn config_yaml(running: &Running, now: DateTime<Utc>) -> String {
    let ago = |day: Day| (Day::of(now).date() - day.date()).num_days().max(1);
    let org = &running.organisation;
    let (lookback, cutoff) = (ago(org.first_day), ago(org.end()));
    let server::Login { user, password } = &running.prometheus;
    let metrics = format!(
        "
      metrics:
        type: prometheus
        url: \"{}\"
        auth_type: basic
        username: \"{user}\"
        password: \"{password}\"",
        running.base_url
    );
    let settings = [confluent_cloud(running), measured::FACTORY.to_owned(), measured::WAREHOUSE.to_owned()];
    let tenant = |(Tenant { name, ecosystem, .. }, settings): (&Tenant, String)| {
        format!(
            "
  {name}:
    ecosystem: {ecosystem}
    tenant_id: {name}
    lookback_days: {lookback}
    cutoff_days: {cutoff}
    retention_days: 250
    plugin_settings:
      min_refresh_gap_seconds: 0{metrics}{settings}"
        )
    };
    let tenants: String = TENANTS.iter().zip(settings).map(tenant).collect();
    format!("tenants:{tenants}\n")
}

/// The plugin settings of the organisation in Confluent Cloud, without `metrics`.
fn confluent_cloud(running: &Running) -> String {
    let server::Login { user, password } = &running.cloud;
    let region = |(region, base_url, login): &(&str, String, server::Login)| {
        let (key, secret) = (&login.user, &login.password);
        format!("\n        - {{region_id: {region}, key: \"{key}\", secret: \"{secret}\", base_url: \"{base_url}\"}}")
    };
    let flink: String = running.flink.iter().map(region).collect();
    format!(
        "
      ccloud_api:
        key: \"{user}\"
        secret: \"{password}\"
        base_url: \"{}\"
      billing_api:
        days_per_query: 15
      topic_attribution: {{enabled: true}}
      flink:{flink}",
        running.base_url
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::Amount;
    use crate::ecosystem::confluent_cloud::{ConfluentCloud, FlinkRegion, Settings};
    use crate::ecosystem::http::{Auth, Http, Limits};
    use crate::ecosystem::{Secret, UsageNeed, prometheus};

    const NOW: &str = "2026-02-10T06:30:00Z";

    async fn running() -> Running {
        let _ = rustls::crypto::ring::default_provider().install_default();
        serve(Organisation::generate(7, first_day(NOW.parse().unwrap(), 30), 30)).await.unwrap()
    }

    fn client(running: &Running) -> ConfluentCloud {
        let region = |(region, base_url, login): &(&str, String, server::Login)| FlinkRegion {
            region_id: (*region).to_owned(),
            key: login.user.clone(),
            secret: Secret::new(&login.password),
            base_url: Some(base_url.clone()),
        };
        let server::Login { user, password } = running.prometheus.clone();
        let auth = Auth::Basic { username: user, password: Secret::new(password) };
        let settings = Settings {
            key: running.cloud.user.clone(),
            secret: Secret::new(&running.cloud.password),
            base_url: running.base_url.clone(),
            days_per_query: 15,
            metrics: Some(prometheus::Settings {
                url: running.base_url.clone(),
                auth,
                headers: vec![],
                tls: Default::default(),
            }),
            renamed_metrics: Default::default(),
            granularities: Default::default(),
            metrics_workers: 4,
            flink: running.flink.iter().map(region).collect(),
        };
        ConfluentCloud::new(&Http::new(Limits::default()).unwrap(), settings).unwrap()
    }

    #[tokio::test]
    async fn the_ordinary_client_gathers_the_whole_bill() {
        let running = running().await;
        let org = &running.organisation;
        let bill = client(&running).bill(org.first_day, org.end()).await.unwrap();
        let gathered: Amount = bill.days.values().flat_map(|day| &day.lines).map(|line| line.amount).sum();
        let made = org.costs.iter().map(|row| Amount::parse(&row.body["amount"].to_string()).unwrap()).sum();
        assert_eq!(gathered, made);
        assert_eq!(bill.days.len(), 30);
        assert!(bill.undated.is_empty() && bill.days.values().all(|day| day.bad.is_empty()));
    }

    #[tokio::test]
    async fn the_ordinary_client_lists_everything_that_is_billed() {
        let running = running().await;
        let inventory = client(&running).inventory().await.unwrap();
        assert!(inventory.listings.iter().all(|listing| listing.outcome.is_ok()), "{:#?}", inventory.listings);
        let known: BTreeSet<&str> = inventory.resources.iter().map(|r| r.resource_id.as_str()).collect();
        let billed = running.organisation.costs.iter().filter_map(|row| row.body["resource"]["id"].as_str());
        assert_eq!(billed.filter(|id| !known.contains(id)).collect::<Vec<_>>(), Vec::<&str>::new());
        let statements = inventory.resources.iter().filter(|r| r.resource_type == "flink_statement");
        assert_eq!(statements.count(), estate::STATEMENTS.len());
        let accounts = inventory.identities.iter().filter(|i| i.identity_type == "service_account");
        assert_eq!(accounts.count(), estate::ACCOUNTS.len());
    }

    #[tokio::test]
    async fn the_ordinary_client_reads_the_usage_that_was_billed() {
        let running = running().await;
        let org = &running.organisation;
        let written = |row: &&bill::CostRow| row.body["line_type"] == "KAFKA_NETWORK_WRITE";
        let row = org.costs.iter().find(written).unwrap();
        let resource_id = row.body["resource"]["id"].as_str().unwrap().to_owned();
        let need = UsageNeed { resource_id, metrics: vec!["bytes_in".into()] };
        let answers = client(&running).usage(row.day, &[need]).await;
        let bytes: f64 = answers[0].values.as_ref().unwrap().iter().map(|v| v.value).sum();
        assert_eq!(bytes / 1e9, row.body["quantity"].to_string().parse::<f64>().unwrap());
    }

    #[tokio::test]
    async fn the_configuration_is_an_ordinary_one() {
        let running = running().await;
        let loaded = crate::config::parse(&config_yaml(&running, NOW.parse().unwrap()), &|_| None).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let told = loaded.config.tenants.iter().map(|t| (t.name.as_str(), t.lookback_days, t.cutoff_days));
        assert_eq!(told.collect::<Vec<_>>(), TENANTS.map(|tenant| (tenant.name, 31, 1)));
    }

    #[tokio::test]
    async fn what_acme_runs_itself_is_measured_whole() {
        let running = running().await;
        let now: DateTime<Utc> = NOW.parse().unwrap();
        let config = crate::config::parse(&config_yaml(&running, now), &|_| None).unwrap().config;
        let (first, end) = (running.organisation.first_day, running.organisation.end());
        for (tenant, lines_a_day) in config.tenants[1..].iter().zip([4, 4]) {
            let http = Http::new(Limits::default()).unwrap();
            let (source, rules) =
                crate::cli::sources::of(tenant, &http, crate::clock::Clock::starting_at(now)).unwrap();
            let bill = source.bill(first, end).await.unwrap();
            assert_eq!(bill.days.len(), 30);
            for (day, bill) in bill.days {
                assert_eq!((bill.gap, bill.lines.len(), bill.bad.len()), (None, lines_a_day, 0), "{day}");
                assert!(bill.lines.iter().all(|line| line.amount > Amount::ZERO), "{day}");
            }
            let inventory = source.inventory().await.unwrap();
            assert!(inventory.listings.iter().all(|listing| listing.outcome.is_ok()), "{:#?}", inventory.listings);
            let known: BTreeSet<_> = inventory.identities.into_iter().map(|identity| identity.identity_id).collect();
            let metrics = rules.products.values().flat_map(|product| product.metrics.clone()).collect::<BTreeSet<_>>();
            for metric in metrics {
                let need = UsageNeed { resource_id: "any".into(), metrics: vec![metric.clone()] };
                let used = source.usage(first, &[need]).await.remove(0).values.unwrap();
                assert!(used.iter().any(|value| value.value > 0.0), "{metric}");
                let unknown: Vec<_> = used.iter().filter(|value| !known.contains(&value.subject)).collect();
                assert!(unknown.is_empty(), "{metric}: {unknown:?}");
            }
        }
    }
}
