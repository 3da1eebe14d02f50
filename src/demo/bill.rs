//! Prices, and billing rows as the costs API answers them.
//!
//! In: what was used on a day. Out: rows in which amount = price × quantity − discount, to the eighth decimal,
//! price tiers counted by calendar month. Absent: floats; every number is a decimal from its text to the JSON.

use std::collections::BTreeMap;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::shape::hash;
use crate::domain::Day;

/// Something with a price. Tiers: up to which quantity a month, at which price (mantissa, decimals).
#[derive(Debug)]
pub struct Sku {
    product: &'static str,
    line_type: &'static str,
    unit: &'static str,
    tiers: &'static [(u64, i64, u32)],
    /// Percent off, by contract.
    discount: i64,
}

const ALL: u64 = u64::MAX;

const fn sku(
    product: &'static str,
    line_type: &'static str,
    unit: &'static str,
    tiers: &'static [(u64, i64, u32)],
    discount: i64,
) -> Sku {
    Sku { product, line_type, unit, tiers, discount }
}

pub const CKU: Sku = sku("KAFKA", "KAFKA_NUM_CKUS", "CKU-hour", &[(ALL, 224, 2)], 12);
pub const BASE: Sku = sku("KAFKA", "KAFKA_BASE", "Hour", &[(ALL, 15, 1)], 0);
pub const BASE_FREE: Sku = sku("KAFKA", "KAFKA_BASE", "Hour", &[(ALL, 0, 0)], 0);
pub const PARTITION: Sku = sku("KAFKA", "KAFKA_PARTITION", "Partition-hour", &[(ALL, 15, 4)], 0);
pub const WRITE: Sku = sku("KAFKA", "KAFKA_NETWORK_WRITE", "GB", &[(15_000, 40, 3), (ALL, 34, 3)], 5);
pub const READ: Sku = sku("KAFKA", "KAFKA_NETWORK_READ", "GB", &[(25_000, 38, 3), (ALL, 31, 3)], 5);
pub const STORAGE: Sku = sku("KAFKA", "KAFKA_STORAGE", "GB-hour", &[(ALL, 10_959, 8)], 0);
pub const REST: Sku = sku("KAFKA", "KAFKA_REST_PRODUCE", "Request", &[(ALL, 31, 7)], 0);
pub const LINK: Sku = sku("CLUSTER_LINK", "CLUSTER_LINKING_PER_LINK", "Hour", &[(ALL, 25, 2)], 0);
pub const LINK_READ: Sku = sku("CLUSTER_LINK", "CLUSTER_LINKING_READ", "GB", &[(ALL, 25, 3)], 0);
pub const TABLEFLOW: Sku = sku("TABLEFLOW", "TABLEFLOW_NUM_TOPICS", "Topic-hour", &[(ALL, 1, 1)], 0);
pub const TABLEFLOW_DATA: Sku = sku("TABLEFLOW", "TABLEFLOW_DATA_PROCESSED", "GB", &[(ALL, 4, 2)], 0);
pub const CONNECT_TASKS: Sku = sku("CONNECT", "CONNECT_NUM_TASKS", "Task-hour", &[(ALL, 1389, 4)], 0);
pub const CONNECT_DATA: Sku = sku("CONNECT", "CONNECT_THROUGHPUT", "GB", &[(ALL, 25, 3)], 0);
pub const KSQL: Sku = sku("KSQL", "KSQL_NUM_CSUS", "CSU-hour", &[(ALL, 23, 2)], 0);
pub const FLINK: Sku = sku("FLINK", "FLINK_NUM_CFUS", "CFU-minute", &[(ALL, 35, 4)], 10);
pub const GOVERNANCE: Sku = sku("STREAM_GOVERNANCE", "GOVERNANCE_BASE", "Hour", &[(ALL, 1, 0)], 0);
pub const SCHEMAS: Sku = sku("STREAM_GOVERNANCE", "SCHEMA_REGISTRY", "Schema-hour", &[(ALL, 2, 3)], 0);
pub const RULES: Sku = sku("STREAM_GOVERNANCE", "NUM_RULES", "Rule-hour", &[(40_000, 2, 3), (ALL, 3, 3)], 0);
pub const AUDIT: Sku = sku("AUDIT_LOG", "AUDIT_LOG_READ", "GB", &[(ALL, 5, 2)], 0);
pub const SUPPORT: Sku = sku("SUPPORT_CLOUD_BUSINESS", "SUPPORT", "Day", &[(ALL, 3333, 2)], 0);

/// The thing a row is about.
#[derive(Debug, Clone)]
pub struct Billed {
    pub id: String,
    pub name: String,
    pub env: String,
}

/// One row of the costs API.
#[derive(Debug, Clone, PartialEq)]
pub struct CostRow {
    pub day: Day,
    pub body: Value,
}

/// Rows so far, and how much of each tiered thing the month has seen.
#[derive(Debug, Default)]
pub struct Ledger {
    seed: u64,
    rows: Vec<CostRow>,
    months: BTreeMap<(String, &'static str, String), Decimal>,
}

impl Ledger {
    /// Nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Charges a quantity: one row for each price tier it falls into.
    pub fn charge(&mut self, day: Day, sku: &'static Sku, quantity: Decimal, on: Option<&Billed>) {
        let resource = on.map(|b| b.id.clone()).unwrap_or_default();
        let month = self.months.entry((day.date().format("%Y-%m").to_string(), sku.line_type, resource)).or_default();
        let (from, to) = (*month, *month + quantity);
        *month = to;
        let mut floor = Decimal::ZERO;
        for (i, (limit, mantissa, scale)) in sku.tiers.iter().enumerate() {
            let ceiling = Decimal::from(*limit);
            let part = to.min(ceiling) - from.max(floor);
            if part > Decimal::ZERO {
                self.push(day, sku, (i, Decimal::new(*mantissa, *scale)), part, on);
            }
            floor = ceiling;
        }
    }

    fn push(&mut self, day: Day, sku: &Sku, (tier, price): (usize, Decimal), quantity: Decimal, on: Option<&Billed>) {
        let original = (price * quantity).round_dp(8);
        let discount = (original * Decimal::new(sku.discount, 2)).round_dp(8);
        let mut row = self.row(day, sku.product, sku.line_type, sku.unit);
        row.insert("price".into(), number(price));
        row.insert("quantity".into(), number(quantity));
        row.insert("original_amount".into(), number(original));
        row.insert("discount_amount".into(), number(discount));
        row.insert("amount".into(), number(original - discount));
        if sku.tiers.len() > 1 {
            row.insert("description".into(), json!(format!("price tier {}", tier + 1)));
        }
        if let Some(b) = on {
            let resource = json!({"id": b.id, "display_name": b.name, "environment": {"id": b.env}});
            row.insert("resource".into(), resource);
        }
        self.rows.push(CostRow { day, body: Value::Object(row) });
    }

    /// A promotional credit: no quantity, no resource, money back.
    pub fn credit(&mut self, day: Day, amount: Decimal) {
        let mut row = self.row(day, "KAFKA", "PROMO_CREDIT", "");
        for (name, value) in
            [("price", Decimal::ZERO), ("quantity", Decimal::ZERO), ("original_amount", -amount), ("amount", -amount)]
        {
            row.insert(name.into(), number(value));
        }
        row.insert("discount_amount".into(), number(Decimal::ZERO));
        self.rows.push(CostRow { day, body: Value::Object(row) });
    }

    fn row(&self, day: Day, product: &str, line_type: &str, unit: &str) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("id".into(), json!(uuid(self.seed, "cost", self.rows.len() as u64)));
        row.insert("start_date".into(), json!(day.to_string()));
        row.insert("end_date".into(), json!(day.plus(1).to_string()));
        row.insert("granularity".into(), json!("DAILY"));
        row.insert("network_access_type".into(), json!("INTERNET"));
        row.insert("product".into(), json!(product));
        row.insert("line_type".into(), json!(line_type));
        row.insert("unit".into(), json!(unit));
        row
    }

    /// All rows, by day.
    pub fn rows(mut self) -> Vec<CostRow> {
        self.rows.sort_by_key(|row| row.day);
        self.rows
    }
}

/// A decimal as a JSON number with exactly its digits.
fn number(value: Decimal) -> Value {
    Number::from_str(&value.normalize().to_string()).map_or(Value::Null, Value::Number)
}

/// Bytes as gigabytes, exactly.
pub fn gigabytes(bytes: u64) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(bytes), 9)
}

/// An id in the form of a UUID.
pub fn uuid(seed: u64, name: &str, n: u64) -> String {
    let (a, b) = (hash(seed, name, n), hash(!seed, name, n));
    let (time, version) = ((a >> 16) & 0xffff, 0x4000 | (a & 0x0fff));
    format!("{:08x}-{time:04x}-{version:04x}-{:04x}-{:012x}", a >> 32, 0x8000 | (b >> 50), b & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(row: &'a CostRow, field: &str) -> &'a str {
        match &row.body[field] {
            Value::Number(n) => n.as_str(),
            other => panic!("{field} is {other}"),
        }
    }

    #[test]
    fn a_quantity_is_cut_at_the_border_of_a_price_tier_and_the_month_starts_anew() {
        let mut ledger = Ledger::new(1);
        let last: Day = "2026-01-31".parse().unwrap();
        ledger.charge(last, &WRITE, Decimal::from(14_000), None);
        ledger.charge(last, &WRITE, Decimal::from(3_000), None);
        ledger.charge(last.plus(1), &WRITE, Decimal::from(500), None);
        let seen: Vec<_> =
            ledger.rows().iter().map(|r| (text(r, "price").to_owned(), text(r, "quantity").to_owned())).collect();
        let expected = [("0.04", "14000"), ("0.04", "1000"), ("0.034", "2000"), ("0.04", "500")];
        assert_eq!(seen, expected.map(|(p, q)| (p.to_owned(), q.to_owned())));
    }

    #[test]
    fn a_discount_leaves_the_amount() {
        let mut ledger = Ledger::new(1);
        ledger.charge("2026-01-05".parse().unwrap(), &CKU, Decimal::from(96), None);
        let rows = ledger.rows();
        assert_eq!(text(&rows[0], "original_amount"), "215.04");
        assert_eq!(text(&rows[0], "discount_amount"), "25.8048");
        assert_eq!(text(&rows[0], "amount"), "189.2352");
    }

    #[test]
    fn ids_look_like_uuids() {
        let id = uuid(1, "cost", 2);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
