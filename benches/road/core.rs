//! How fast one core allocates a large day, and what memory it takes.
//!
//! Made-up clusters, each used by a hundred principals in both directions and billed for six products. Timed: allocating,
//! which includes sorting, resolving, splitting, checking and hashing; reading the rows. Beside it in the same round the
//! arithmetic alone: the same splits of the same amounts by plain arrays of weights. The best of some rounds of each.

use std::hint::black_box;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tributary::allocate::{OpenDay, RuleBooks, allocate};
use tributary::domain::split::{Splitter, Step, evenly};
use tributary::domain::{Amount, BillingLine, Day, DaySealed, MetricValueRef, Reason, Subject, TenantDay};
use tributary::ecosystem::confluent_cloud::rules::rule_book;

const PRODUCTS: [&str; 6] =
    ["KAFKA_NUM_CKU", "KAFKA_NETWORK_READ", "KAFKA_NETWORK_WRITE", "KAFKA_PARTITION", "KAFKA_BASE", "KAFKA_STORAGE"];
const METRICS: [&str; 2] = ["bytes_in", "bytes_out"];
const ROUNDS: usize = 10;

#[derive(Debug, Clone, Copy)]
struct Size {
    clusters: u32,
    principals: u32,
}

/// What one core does.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Core {
    pub rows: u64,
    /// Facts collected into an open day.
    pub facts_collected_per_s: f64,
    /// Rows allocated and read.
    pub rows_per_s: f64,
    /// Parts split by the bare arithmetic.
    pub arithmetic_per_s: f64,
}

/// Allocates a day of about a million rows, again and again.
pub fn measure() -> Core {
    let size = Size { clusters: 1_500, principals: 100 };
    let mut best = Core::default();
    for _ in 0..ROUNDS {
        let (day, collecting) = timed(|| collect(&size));
        let (allocation, allocating) =
            timed(|| allocate(day, &mut RuleBooks::default()).expect("the made-up day is sound"));
        let (_, reading) = timed(|| allocation.iter().map(|row| black_box(row).identity_id.len()).sum::<usize>());
        let (parts, arithmetic) = timed(|| bare(&size));
        let facts = f64::from(size.clusters * (size.principals * 2 + 6));
        best = Core {
            rows: u64::from(allocation.rows()),
            facts_collected_per_s: best.facts_collected_per_s.max(facts / collecting),
            rows_per_s: best.rows_per_s.max(f64::from(allocation.rows()) / (allocating + reading)),
            arithmetic_per_s: best.arithmetic_per_s.max(parts as f64 / arithmetic),
        };
    }
    best
}

/// With its seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = Instant::now();
    let done = black_box(work());
    (done, began.elapsed().as_secs_f64())
}

fn day() -> Day {
    "2026-02-01".parse().expect("a date")
}

/// Usage that repeats nowhere.
fn usage(cluster: u32, principal: u32, metric: usize) -> f64 {
    f64::from((cluster * 7919 + principal * 104_729 + metric as u32 * 31) % 1_000_003 + 1) * 1024.0
}

/// Amounts with as many decimals as the vendor's bills have.
fn amount(cluster: u32, product: usize) -> Amount {
    Amount::from_units(i128::from(cluster + 1) * 1_234_567_890_123 + product as i128 * 7)
}

/// Clusters share some of their principals.
fn principal(cluster: u32, number: u32, principals: u32) -> String {
    format!("sa-{:06x}", (cluster * 61 + number) % principals.max(20_000))
}

fn collect(size: &Size) -> OpenDay {
    let (today, tenant) = (day(), "bench".to_owned());
    let key = TenantDay::new("bench", today);
    let mut open = OpenDay::new(key, 1);
    let lines = size.clusters * PRODUCTS.len() as u32;
    let metrics = size.clusters * size.principals * METRICS.len() as u32;
    let (mut ordinal, mut line_ordinal) = (0, 0);
    for cluster in 0..size.clusters {
        let resource_id = format!("lkc-{cluster:06x}");
        for (number, product) in PRODUCTS.iter().enumerate() {
            let line = line(&tenant, &resource_id, product, amount(cluster, number));
            open.add_line(&BillingLine { ordinal: line_ordinal, count: lines, ..line });
            line_ordinal += 1;
        }
        for (number, metric) in METRICS.iter().enumerate() {
            for user in 0..size.principals {
                open.add_metric(MetricValueRef {
                    tenant: &tenant,
                    day: today,
                    revision: 1,
                    ordinal,
                    count: metrics,
                    ecosystem: "confluent_cloud",
                    resource_id: &resource_id,
                    metric,
                    subject_type: Subject::Principal,
                    subject: &principal(cluster, user, size.principals),
                    value: usage(cluster, user, number),
                });
                ordinal += 1;
            }
        }
    }
    open.seal(seal(tenant, lines, metrics));
    assert!(open.is_complete());
    open
}

fn line(tenant: &str, resource_id: &str, product: &str, amount: Amount) -> BillingLine {
    BillingLine {
        tenant: tenant.to_owned(),
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 0,
        ecosystem: "confluent_cloud".into(),
        env_id: "env-1".into(),
        resource_id: resource_id.to_owned(),
        resource_name: None,
        product_category: "KAFKA".into(),
        product_type: product.to_owned(),
        quantity: Amount::ZERO,
        unit_price: Amount::ZERO,
        amount,
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day().start(),
        period_end: day().end(),
        evidence: vec![],
    }
}

fn seal(tenant: String, billing_lines: u32, metrics: u32) -> DaySealed {
    DaySealed {
        tenant,
        day: day(),
        revision: 1,
        ecosystem: "confluent_cloud".into(),
        billing_lines,
        resources: 0,
        identities: 0,
        metrics,
        digest: String::new(),
        rules: serde_json::to_string(&rule_book("0.7", "0.3")).expect("rules are JSON"),
        metrics_failed: vec![],
        quarantined: 0,
        reason: Reason::New,
        requested: None,
        gathered_at: day().end(),
    }
}

/// The same splits on plain arrays: 3 by usage and 4 even ones a cluster. How many parts.
fn bare(size: &Size) -> usize {
    let mut splitter = Splitter::default();
    let mut parts = 0;
    let mut weights = vec![0.0; size.principals as usize];
    for cluster in 0..size.clusters {
        for product in 0..7 {
            let total = amount(cluster, product);
            if product < 3 {
                for (principal, weight) in (0..).zip(&mut weights) {
                    *weight = usage(cluster, principal, product);
                }
                let split = splitter.by_weight(total, Step::of(total), weights.iter().copied());
                parts += black_box(split.expect("weights are weights")).len();
            } else {
                parts += evenly(total, Step::of(total), size.principals).map(black_box).count();
            }
        }
    }
    parts
}
