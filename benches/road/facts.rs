//! Made-up sealed days: clusters, each billed for six products and used by a hundred principals in both directions.
//!
//! A cluster gives 206 facts about money and usage, one about itself, and 700 rows: three splits by usage, four even
//! ones. Principals are shared between clusters; the same ids come every day and for every tenant, as in life. A day of
//! fewer rows has one cluster with fewer principals.

use chrono::Duration;
use serde::{Deserialize, Serialize};
use tributary::domain::{Amount, BillingLine, Day, DaySealed, Identity, MetricValue, Reason, Resource, Subject};
use tributary::ecosystem::confluent_cloud::rules::rule_book;
use tributary::gather::seal::Revision;

/// Rows that one principal of a cluster gives.
const SPLITS: u32 = 7;
const ECOSYSTEM: &str = "confluent_cloud";
const PRINCIPALS: u32 = 100;
const ALL_PRINCIPALS: u32 = 5_000;
const PRODUCTS: [&str; 6] =
    ["KAFKA_NUM_CKU", "KAFKA_NETWORK_READ", "KAFKA_NETWORK_WRITE", "KAFKA_PARTITION", "KAFKA_BASE", "KAFKA_STORAGE"];
const METRICS: [&str; 2] = ["bytes_in", "bytes_out"];

/// How many days of what size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Shape {
    pub tenants: u32,
    /// Of each tenant.
    pub days: u32,
    /// About so many; see [`Shape::rows`].
    pub rows_per_day: u32,
}

impl Shape {
    /// One tenant.
    pub const fn days(days: u32, rows_per_day: u32) -> Self {
        Self { tenants: 1, days, rows_per_day }
    }

    /// The rows of all days together.
    pub fn rows(&self) -> u64 {
        u64::from(self.tenants * self.days) * u64::from(self.clusters() * self.principals() * SPLITS)
    }

    /// What all days cost together.
    pub fn cost_of_tenant(&self) -> Amount {
        let of_cluster = |cluster| (0..PRODUCTS.len() as u32).map(move |product| amount(cluster, product));
        let day: Amount = (0..self.clusters()).flat_map(of_cluster).sum();
        (0..self.days).map(|_| day).sum()
    }

    /// Every day of every tenant, oldest first; all in one month as far as they fit.
    pub fn sealed(&self) -> impl Iterator<Item = (String, Day)> + use<> {
        let first: Day = "2026-03-01".parse().expect("a date");
        let (days, tenants) = (self.days, self.tenants);
        let day = move |n: u32| Day::from(first.date() + Duration::days(i64::from(n)));
        (0..days).flat_map(move |n| (0..tenants).map(move |tenant| (tenant_id(tenant), day(n))))
    }

    fn principals(&self) -> u32 {
        self.rows_per_day.div_ceil(SPLITS).clamp(1, PRINCIPALS)
    }

    fn clusters(&self) -> u32 {
        self.rows_per_day.div_ceil(SPLITS * self.principals())
    }

    /// Those that use a cluster at all.
    fn identities(&self) -> u32 {
        ((self.clusters() - 1) * 61 + self.principals()).min(ALL_PRINCIPALS)
    }

    /// A sealed day.
    pub fn revision(&self, tenant: &str, day: Day, revision: u32) -> Revision {
        let of = Of { tenant, day, revision };
        let (billing, resources) = (of.lines(self.clusters()), of.resources(self.clusters()));
        let (identities, metrics) = (of.identities(self.identities()), of.usage(self.clusters(), self.principals()));
        let seal = DaySealed {
            tenant: tenant.to_owned(),
            day,
            revision,
            ecosystem: ECOSYSTEM.to_owned(),
            billing_lines: billing.len() as u32,
            resources: resources.len() as u32,
            identities: identities.len() as u32,
            metrics: metrics.len() as u32,
            digest: format!("made up for {day}"),
            rules: serde_json::to_string(&rule_book("0.7", "0.3")).expect("rules are JSON"),
            metrics_failed: vec![],
            quarantined: 0,
            reason: Reason::New,
            requested: None,
            gathered_at: day.end(),
        };
        Revision { billing, resources, identities, metrics, seal }
    }
}

pub fn tenant_id(number: u32) -> String {
    format!("organisation-{number:03}")
}

fn amount(cluster: u32, product: u32) -> Amount {
    Amount::from_units(i128::from(cluster + 1) * 1_234_567_890_123 + i128::from(product) * 7)
}

fn cluster_id(number: u32) -> String {
    format!("lkc-{number:06x}")
}

fn principal_id(number: u32) -> String {
    format!("sa-{number:06x}")
}

/// Whose facts.
#[derive(Clone, Copy)]
struct Of<'a> {
    tenant: &'a str,
    day: Day,
    revision: u32,
}

impl Of<'_> {
    fn lines(self, clusters: u32) -> Vec<BillingLine> {
        let Self { tenant, day, revision } = self;
        let count = clusters * PRODUCTS.len() as u32;
        let line = |ordinal: u32| {
            let (cluster, product) = (ordinal / PRODUCTS.len() as u32, ordinal % PRODUCTS.len() as u32);
            let amount = amount(cluster, product);
            let resource_id = cluster_id(cluster);
            BillingLine {
                tenant: tenant.to_owned(),
                day,
                revision,
                ordinal,
                count,
                ecosystem: ECOSYSTEM.to_owned(),
                env_id: format!("env-{:04x}", cluster / 10),
                evidence: vec![format!("{{\"resource\":{{\"id\":\"{resource_id}\"}},\"amount\":{amount}}}")],
                resource_id,
                resource_name: Some(format!("cluster {cluster}")),
                product_category: "KAFKA".to_owned(),
                product_type: PRODUCTS[product as usize].to_owned(),
                quantity: Amount::whole(24),
                unit_price: Amount::from_units(amount.units() / 24),
                amount,
                original_amount: Some(amount),
                currency: "USD".to_owned(),
                granularity: "daily".to_owned(),
                period_start: day.start(),
                period_end: day.end(),
            }
        };
        (0..count).map(line).collect()
    }

    fn resources(self, clusters: u32) -> Vec<Resource> {
        let Self { tenant, day, revision } = self;
        let resource = |ordinal: u32| Resource {
            tenant: tenant.to_owned(),
            day,
            revision,
            ordinal,
            count: clusters,
            ecosystem: ECOSYSTEM.to_owned(),
            resource_id: cluster_id(ordinal),
            resource_type: "kafka_cluster".to_owned(),
            display_name: Some(format!("cluster {ordinal}")),
            parent_id: Some(format!("env-{:04x}", ordinal / 10)),
            owner_id: None,
            created_at: Some(day.start() - Duration::days(90)),
            deleted_at: None,
            attributes: [("cloud".to_owned(), "aws".to_owned())].into(),
        };
        (0..clusters).map(resource).collect()
    }

    fn identities(self, count: u32) -> Vec<Identity> {
        let Self { tenant, day, revision } = self;
        let identity = |ordinal: u32| Identity {
            tenant: tenant.to_owned(),
            day,
            revision,
            ordinal,
            count,
            ecosystem: ECOSYSTEM.to_owned(),
            identity_id: principal_id(ordinal),
            identity_type: "service_account".to_owned(),
            display_name: Some(format!("service {ordinal}")),
            owner_id: None,
            resource_id: None,
            created_at: Some(day.start() - Duration::days(90)),
            deleted_at: None,
            attributes: Default::default(),
        };
        (0..count).map(identity).collect()
    }

    fn usage(self, clusters: u32, principals: u32) -> Vec<MetricValue> {
        let Self { tenant, day, revision } = self;
        let per_cluster = principals * METRICS.len() as u32;
        let value = |ordinal: u32| {
            let (cluster, rest) = (ordinal / per_cluster, ordinal % per_cluster);
            let (metric, user) = (rest / principals, rest % principals);
            MetricValue {
                tenant: tenant.to_owned(),
                day,
                revision,
                ordinal,
                count: clusters * per_cluster,
                ecosystem: ECOSYSTEM.to_owned(),
                resource_id: cluster_id(cluster),
                metric: METRICS[metric as usize].to_owned(),
                subject_type: Subject::Principal,
                subject: principal_id((cluster * 61 + user) % ALL_PRINCIPALS),
                value: f64::from((cluster * 7_919 + user * 104_729 + metric * 31) % 1_000_003 + 1) * 1024.0,
            }
        };
        (0..clusters * per_cluster).map(value).collect()
    }
}
