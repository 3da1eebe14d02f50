//! How fast one core allocates a large day, and what memory it takes.
//!
//! `cargo bench --bench allocation_core [-- CLUSTERS PRINCIPALS]`. Made-up clusters, each used by so many principals in
//! both directions and billed for six products. Timed: collecting the facts; allocating, which includes sorting,
//! resolving, splitting, checking and hashing; reading the rows. The baseline in the same run is the arithmetic
//! alone: the same splits of the same amounts by plain arrays of weights.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use tributary::allocate::{OpenDay, RuleBooks, allocate};
use tributary::domain::split::{Splitter, Step, evenly};
use tributary::domain::{Amount, BillingLine, Day, DaySealed, MetricValueRef, Reason, Subject, TenantDay};
use tributary::ecosystem::confluent_cloud::rules::rule_book;

const PRODUCTS: [&str; 6] =
    ["KAFKA_NUM_CKU", "KAFKA_NETWORK_READ", "KAFKA_NETWORK_WRITE", "KAFKA_PARTITION", "KAFKA_BASE", "KAFKA_STORAGE"];
const METRICS: [&str; 2] = ["bytes_in", "bytes_out"];
const ROUNDS: usize = 5;

struct Size {
    clusters: u32,
    principals: u32,
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let size = Size { clusters: numbers.next().unwrap_or(1500), principals: numbers.next().unwrap_or(100) };
    let mut best = f64::INFINITY;
    println!("{} clusters, {} principals each", size.clusters, size.principals);
    for round in 0..ROUNDS {
        let began = Instant::now();
        let day = collect(&size);
        let collecting = began.elapsed().as_secs_f64();
        let bytes = day.bytes();
        let began = Instant::now();
        let allocation = allocate(day, &mut RuleBooks::default()).expect("the made-up day is sound");
        let allocating = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let read: usize = allocation.iter().map(|row| black_box(row).identity_id.len()).sum();
        let reading = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let parts = bare(&size);
        let baseline = began.elapsed().as_secs_f64();
        let rows = f64::from(allocation.rows());
        best = best.min((allocating + reading) / rows);
        println!(
            "round {round}: {rows} rows; collect {:.0} ms ({:.2} M records/s, {} MB); allocate {:.2} M rows/s; \
             read {:.1} M rows/s; arithmetic alone {:.2} M parts/s; allocate+read / arithmetic = {:.2}; peak {} MB",
            collecting * 1e3,
            f64::from(size.clusters * (size.principals * 2 + 6)) / collecting / 1e6,
            bytes >> 20,
            rows / allocating / 1e6,
            rows / reading / 1e6,
            parts as f64 / baseline / 1e6,
            (allocating + reading) / rows / (baseline / parts as f64),
            peak_mb(),
        );
        black_box(read);
    }
    println!("best: {:.2} M rows/s allocated and read on one core", 1e-6 / best);
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

/// The most memory the process ever held.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let kb = fields.get("VmHWM").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}
