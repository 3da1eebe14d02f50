//! Made-up sealed days: clusters, each billed for six products and used by a hundred principals in both directions.
//!
//! A cluster gives 206 facts about money and usage, one about itself, and 700 rows: three splits by usage, four even
//! ones. Principals are shared between clusters; the same ids come every day, as in life.

use chrono::Duration;
use tributary::domain::{Amount, BillingLine, Day, DaySealed, Identity, MetricValue, Reason, Resource, Subject};
use tributary::ecosystem::confluent_cloud::rules::rule_book;
use tributary::gather::seal::Revision;

pub const TENANT: &str = "bench-organisation";
pub const ROWS_PER_CLUSTER: u32 = 700;
const ECOSYSTEM: &str = "confluent_cloud";
const PRINCIPALS: u32 = 100;
const ALL_PRINCIPALS: u32 = 5_000;
const PRODUCTS: [&str; 6] =
    ["KAFKA_NUM_CKU", "KAFKA_NETWORK_READ", "KAFKA_NETWORK_WRITE", "KAFKA_PARTITION", "KAFKA_BASE", "KAFKA_STORAGE"];
const METRICS: [&str; 2] = ["bytes_in", "bytes_out"];

/// The days, oldest first; all in one month as far as they fit.
pub fn days(count: u32) -> impl Iterator<Item = Day> {
    let first: Day = "2026-03-01".parse().expect("a date");
    (0..count).map(move |n| (first.date() + Duration::days(i64::from(n))).into())
}

/// A sealed day of about so many rows, and what it costs.
pub fn sealed(day: Day, revision: u32, rows: u32) -> (Revision, Amount) {
    let clusters = rows.div_ceil(ROWS_PER_CLUSTER);
    let billing = lines(day, revision, clusters);
    let cost = billing.iter().map(|line| line.amount).sum();
    let (resources, identities, metrics) =
        (resources(day, revision, clusters), identities(day, revision), usage(day, revision, clusters));
    let seal = DaySealed {
        tenant: TENANT.to_owned(),
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
        gathered_at: day.end(),
    };
    (Revision { billing, resources, identities, metrics, seal }, cost)
}

fn cluster_id(number: u32) -> String {
    format!("lkc-{number:06x}")
}

fn principal_id(number: u32) -> String {
    format!("sa-{number:06x}")
}

fn lines(day: Day, revision: u32, clusters: u32) -> Vec<BillingLine> {
    let count = clusters * PRODUCTS.len() as u32;
    let line = |ordinal: u32| {
        let (cluster, product) = (ordinal / PRODUCTS.len() as u32, ordinal % PRODUCTS.len() as u32);
        let amount = Amount::from_units(i128::from(cluster + 1) * 1_234_567_890_123 + i128::from(product) * 7);
        let resource_id = cluster_id(cluster);
        BillingLine {
            tenant: TENANT.to_owned(),
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

fn resources(day: Day, revision: u32, clusters: u32) -> Vec<Resource> {
    let resource = |ordinal: u32| Resource {
        tenant: TENANT.to_owned(),
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

fn identities(day: Day, revision: u32) -> Vec<Identity> {
    let identity = |ordinal: u32| Identity {
        tenant: TENANT.to_owned(),
        day,
        revision,
        ordinal,
        count: ALL_PRINCIPALS,
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
    (0..ALL_PRINCIPALS).map(identity).collect()
}

fn usage(day: Day, revision: u32, clusters: u32) -> Vec<MetricValue> {
    let per_cluster = PRINCIPALS * METRICS.len() as u32;
    let value = |ordinal: u32| {
        let (cluster, rest) = (ordinal / per_cluster, ordinal % per_cluster);
        let (metric, user) = (rest / PRINCIPALS, rest % PRINCIPALS);
        MetricValue {
            tenant: TENANT.to_owned(),
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
