//! A made-up organisation: its Confluent Cloud inventory, hourly usage and the bill that follows from it, and what
//! Prometheus measures of the systems that it runs itself.
//!
//! In: a seed and a period. Out: what its APIs answer, the same for the same input whenever it is made.
//! Absent: sockets and clocks. The bill is what the usage costs: network lines are the bytes of the series,
//! storage is what the topics retained, Flink lines are the CFU-minutes of the statements.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::bill::{self, Billed, CostRow, Ledger};
use super::estate::{self, Cluster};
use super::inventory::{self, Ids, Listing};
use super::measured;
use super::shape::{Shape, noise};
use crate::domain::Day;

/// Usage of one thing, one number an hour from the organisation's first day on.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub metric: &'static str,
    pub labels: BTreeMap<&'static str, String>,
    pub hours: Vec<u64>,
}

/// Everything its APIs know. Nothing in it ever changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Organisation {
    pub seed: u64,
    pub first_day: Day,
    pub days: u32,
    /// By the path they are asked for under.
    pub listings: BTreeMap<String, Listing>,
    pub series: Vec<Series>,
    /// By day.
    pub costs: Vec<CostRow>,
}

impl Organisation {
    /// Makes the organisation of a seed, with usage and costs on `days` days from `first_day` on.
    pub fn generate(seed: u64, first_day: Day, days: u32) -> Self {
        let ids = Ids { seed, first_day };
        let traffic = Traffic { seed, first_day, days };
        let kafka = kafka_series(&traffic, &ids);
        let flink = flink_series(&traffic, &ids);
        let costs = costs(&traffic, &ids, &kafka, &flink);
        // Metrics go on where the bill is not yet written: who is there now is asked for now.
        let measured = measured::series(&Traffic { days: days + UNBILLED_DAYS, ..traffic });
        let series = kafka.into_iter().chain(flink).chain(measured).collect();
        Self { seed, first_day, days, listings: inventory::listings(&ids), series, costs }
    }

    /// The day after the last one.
    pub fn end(&self) -> Day {
        self.first_day.plus(u64::from(self.days))
    }
}

/// The bill is a day behind, and today is not over.
const UNBILLED_DAYS: u32 = 2;

/// Makes hourly numbers.
pub(super) struct Traffic {
    seed: u64,
    first_day: Day,
    days: u32,
}

impl Traffic {
    /// Each day with its place in the period.
    fn each_day(&self) -> impl Iterator<Item = (u32, Day)> {
        (0..self.days).zip(self.first_day.until(self.first_day.plus(u64::from(self.days))))
    }

    /// About `per_hour` an hour in the given rhythm, nothing before the hour `born`.
    pub(super) fn hours(&self, name: &str, per_hour: u64, shape: Shape, born: usize) -> Vec<u64> {
        let hours = self.each_day().flat_map(|(n, day)| (0..24).map(move |hour| (n, day, hour)));
        let value = |(at, (n, day, hour)): (usize, (u32, Day, usize))| {
            let factor = shape.factor(day, n, hour) * noise(self.seed, name, at as u64, 0.18);
            if at < born { 0 } else { (per_hour as f64 * factor) as u64 }
        };
        hours.enumerate().map(value).collect()
    }
}

/// The hour of the period in which a cluster was created.
fn birth(cluster: &Cluster) -> usize {
    if cluster.born == 0 { 0 } else { cluster.born as usize * 24 + 9 }
}

const REQUEST_BYTES: &str = "confluent_kafka_server_request_bytes";
const RESPONSE_BYTES: &str = "confluent_kafka_server_response_bytes";
const RECEIVED_BYTES: &str = "confluent_kafka_server_received_bytes";
const SENT_BYTES: &str = "confluent_kafka_server_sent_bytes";
const RETAINED_BYTES: &str = "confluent_kafka_server_retained_bytes";
const CFU_MINUTES: &str = "confluent_flink_num_cfu";

/// Topics keep three days.
const RETENTION_HOURS: usize = 72;

/// Bytes by principal and by topic, both summed from the same flows, and what the topics retain.
fn kafka_series(traffic: &Traffic, ids: &Ids) -> Vec<Series> {
    let mut sums: BTreeMap<(&'static str, String, &'static str, String), Vec<u64>> = BTreeMap::new();
    for estate::Flow(cluster, principal, topic, written, read, shape) in &estate::FLOWS {
        let born = estate::CLUSTERS.iter().find(|c| c.name == *cluster).map_or(0, birth);
        let (lkc, who) = (ids.of("lkc", cluster), ids.principal(principal));
        for (megabytes, by_principal, by_topic) in
            [(written, REQUEST_BYTES, RECEIVED_BYTES), (read, RESPONSE_BYTES, SENT_BYTES)]
        {
            if *megabytes == 0 {
                continue;
            }
            let name = format!("{cluster}/{principal}/{topic}/{by_topic}");
            let hours = traffic.hours(&name, u64::from(*megabytes) * 1_000_000, *shape, born);
            let keys = [(by_principal, "principal_id", who.clone()), (by_topic, "topic", (*topic).to_owned())];
            for (metric, label, value) in keys {
                add(sums.entry((metric, lkc.clone(), label, value)).or_default(), &hours);
            }
        }
    }
    let retained: Vec<_> = sums
        .iter()
        .filter(|((metric, ..), _)| *metric == RECEIVED_BYTES)
        .map(|((_, lkc, label, topic), hours)| ((RETAINED_BYTES, lkc.clone(), *label, topic.clone()), retain(hours)))
        .collect();
    let labelled = |((metric, lkc, label, value), hours)| Series {
        metric,
        labels: BTreeMap::from([("kafka_id", lkc), (label, value)]),
        hours,
    };
    sums.into_iter().chain(retained).map(labelled).collect()
}

pub(super) fn add(sum: &mut Vec<u64>, hours: &[u64]) {
    sum.resize(hours.len(), 0);
    sum.iter_mut().zip(hours).for_each(|(sum, more)| *sum += more);
}

/// What was written in the retention time before each hour; before the period, as on its first days.
pub(super) fn retain(written: &[u64]) -> Vec<u64> {
    let window = RETENTION_HOURS.min(written.len());
    let mut held: u64 = written.iter().take(window).sum();
    let mut at = Vec::with_capacity(written.len());
    for (hour, bytes) in written.iter().enumerate() {
        if hour >= window {
            held = held + bytes - written[hour - window];
        }
        at.push(held);
    }
    at
}

fn flink_series(traffic: &Traffic, ids: &Ids) -> Vec<Series> {
    let running = estate::STATEMENTS.iter().filter(|s| s.3 > 0);
    let series = running.map(|estate::Statement(pool, name, _, minutes, shape)| Series {
        metric: CFU_MINUTES,
        labels: BTreeMap::from([
            ("compute_pool_id", ids.of("lfcp", pool)),
            ("flink_statement_name", (*name).to_owned()),
        ]),
        hours: traffic.hours(name, u64::from(*minutes), *shape, 0),
    });
    series.collect()
}

/// What the series of a metric with this label value add up to on the `n`th day.
fn on_day(series: &[Series], metric: &str, label: &str, value: &str, n: u32) -> u64 {
    let from = n as usize * 24;
    let wanted = series.iter().filter(|s| s.metric == metric && s.labels.get(label).is_some_and(|v| v == value));
    wanted.map(|s| s.hours[from..from + 24].iter().sum::<u64>()).sum()
}

fn costs(traffic: &Traffic, ids: &Ids, kafka: &[Series], flink: &[Series]) -> Vec<CostRow> {
    let mut ledger = Ledger::new(traffic.seed);
    for (n, day) in traffic.each_day() {
        for cluster in &estate::CLUSTERS {
            charge_cluster(&mut ledger, ids, kafka, cluster, (n, day));
        }
        charge_services(&mut ledger, traffic, ids, (n, day));
        for (env, _, name) in &estate::FLINK_POOLS {
            let pool = ids.billed("lfcp", name, env);
            let minutes = on_day(flink, CFU_MINUTES, "compute_pool_id", &pool.id, n);
            ledger.charge(day, &bill::FLINK, minutes.into(), Some(&pool));
        }
        let audited = traffic.seed % 50 + 180 + u64::from(n);
        ledger.charge(day, &bill::AUDIT, audited.into(), None);
        ledger.charge(day, &bill::SUPPORT, Decimal::ONE, None);
        if n == 9 {
            ledger.credit(day, Decimal::from(500));
        }
    }
    ledger.rows()
}

fn charge_cluster(ledger: &mut Ledger, ids: &Ids, kafka: &[Series], cluster: &Cluster, (n, day): (u32, Day)) {
    let alive = (24 * (n as usize + 1)).saturating_sub(birth(cluster)).min(24) as u32;
    if alive == 0 {
        return;
    }
    let on = ids.billed("lkc", cluster.name, cluster.env);
    let bytes = |metric| on_day(kafka, metric, "kafka_id", &on.id, n);
    let mut charge = |sku, quantity| ledger.charge(day, sku, quantity, Some(&on));
    let ckus = cluster.ckus.iter().rev().find(|(from, _)| *from <= n).map_or(0, |(_, ckus)| *ckus);
    match cluster.kind {
        "Dedicated" => charge(&bill::CKU, Decimal::from(ckus * alive)),
        kind => {
            charge(if kind == "Basic" { &bill::BASE_FREE } else { &bill::BASE }, Decimal::from(alive));
            charge(&bill::PARTITION, Decimal::from(cluster.partitions * alive));
        }
    }
    charge(&bill::WRITE, bill::gigabytes(bytes(REQUEST_BYTES)));
    charge(&bill::READ, bill::gigabytes(bytes(RESPONSE_BYTES)));
    charge(&bill::STORAGE, bill::gigabytes(bytes(RETAINED_BYTES)));
    match cluster.name {
        "payments" => {
            charge(&bill::LINK, Decimal::from(alive));
            charge(&bill::LINK_READ, bill::gigabytes(bytes(RESPONSE_BYTES) / 20));
        }
        "clickstream" => {
            charge(&bill::TABLEFLOW, Decimal::from(3 * alive));
            charge(&bill::TABLEFLOW_DATA, bill::gigabytes(bytes(REQUEST_BYTES) / 8));
        }
        "dev" => charge(&bill::REST, Decimal::from(bytes(REQUEST_BYTES) / 20_000)),
        _ => {}
    }
}

fn charge_services(ledger: &mut Ledger, traffic: &Traffic, ids: &Ids, (n, day): (u32, Day)) {
    for estate::Connector(cluster, name, _, _, tasks, megabytes) in &estate::CONNECTORS {
        let on: Billed = ids.billed("lcc", name, estate::env_of(cluster));
        ledger.charge(day, &bill::CONNECT_TASKS, Decimal::from(tasks * 24), Some(&on));
        let bytes = f64::from(*megabytes) * 24e6 * noise(traffic.seed, name, n.into(), 0.1);
        ledger.charge(day, &bill::CONNECT_DATA, bill::gigabytes(bytes as u64), Some(&on));
    }
    for (cluster, name, _, csus) in &estate::KSQLDBS {
        let on = ids.billed("lksqlc", name, estate::env_of(cluster));
        ledger.charge(day, &bill::KSQL, Decimal::from(csus * 24), Some(&on));
    }
    for (env, package) in &estate::ENVIRONMENTS {
        let on = Billed { name: inventory::GOVERNANCE.to_owned(), ..ids.billed("lsrc", env, env) };
        let schemas = if *package == "ADVANCED" { 260 + n } else { 60 };
        ledger.charge(day, &bill::SCHEMAS, Decimal::from(schemas * 24), Some(&on));
        if *package == "ADVANCED" {
            ledger.charge(day, &bill::GOVERNANCE, Decimal::from(24), Some(&on));
            ledger.charge(day, &bill::RULES, Decimal::from(84 * 24), Some(&on));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::str::FromStr;

    use super::*;

    fn made(seed: u64) -> Organisation {
        Organisation::generate(seed, "2026-01-10".parse().unwrap(), 30)
    }

    fn decimal(row: &CostRow, field: &str) -> Decimal {
        Decimal::from_str(&row.body[field].to_string()).unwrap()
    }

    #[test]
    fn the_same_seed_makes_the_same_organisation_and_another_another() {
        assert_eq!(made(1), made(1));
        assert_ne!(made(1).costs, made(2).costs);
    }

    #[test]
    fn a_later_period_has_the_same_inventory_ids() {
        let later = Organisation::generate(1, "2026-05-01".parse().unwrap(), 30);
        assert!(later.listings.keys().eq(made(1).listings.keys()));
    }

    #[test]
    fn every_billing_row_is_what_was_used_times_its_price() {
        let org = made(1);
        let mut ids = BTreeSet::new();
        for row in &org.costs {
            let [price, quantity, original, discount, amount] =
                ["price", "quantity", "original_amount", "discount_amount", "amount"].map(|f| decimal(row, f));
            assert!(org.first_day <= row.day && row.day < org.end());
            assert_eq!(row.body["start_date"], row.day.to_string());
            assert!(ids.insert(row.body["id"].to_string()), "one id twice");
            assert_eq!(amount, original - discount);
            if row.body["line_type"] == "PROMO_CREDIT" {
                assert!(amount < Decimal::ZERO);
            } else {
                assert_eq!(original, (price * quantity).round_dp(8));
                assert!(quantity > Decimal::ZERO && amount >= Decimal::ZERO);
            }
        }
        let days: BTreeSet<Day> = org.costs.iter().map(|row| row.day).collect();
        assert_eq!(days.len(), 30);
    }

    #[test]
    fn network_lines_are_the_bytes_of_the_principals_and_of_the_topics() {
        let org = made(3);
        for cluster in &estate::CLUSTERS {
            let id = Ids { seed: 3, first_day: org.first_day }.of("lkc", cluster.name);
            let rows = org
                .costs
                .iter()
                .filter(|r| r.body["line_type"] == "KAFKA_NETWORK_WRITE" && r.body["resource"]["id"] == id.as_str());
            let billed: Decimal = rows.map(|r| decimal(r, "quantity")).sum();
            let bytes = |metric| (0..30).map(|n| on_day(&org.series, metric, "kafka_id", &id, n)).sum();
            assert_eq!(billed, bill::gigabytes(bytes(REQUEST_BYTES)));
            assert_eq!(billed, bill::gigabytes(bytes(RECEIVED_BYTES)));
        }
    }

    #[test]
    fn a_cluster_costs_nothing_before_it_exists() {
        let org = made(1);
        let mut sandbox = org.costs.iter().filter(|r| r.body["resource"]["display_name"] == "sandbox");
        assert_eq!(sandbox.next().map(|r| r.day), Some(org.first_day.plus(12)));
    }
}
