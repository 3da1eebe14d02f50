//! Pages of billing lines and chargeback rows, in a total order that new days do not disturb.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};
use crate::domain::Day;

/// A chargeback row as readers see it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ChargebackRowOf {
    pub day: NaiveDate,
    pub revision: i32,
    pub dimension_key: i64,
    /// Stays the same when tables are rebuilt.
    pub fingerprint: Vec<u8>,
    pub ecosystem: String,
    pub env_id: String,
    pub resource_id: String,
    pub product_category: String,
    pub product_type: String,
    pub identity_id: String,
    pub target: String,
    pub cost_type: String,
    pub allocation_method: String,
    pub allocation_detail: Option<String>,
    /// Plain decimal text.
    pub amount: String,
    pub currency: String,
    pub tier: i32,
    pub share: f64,
    pub usage: Option<f64>,
}

/// A place in the order of chargeback rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargebackKey {
    pub day: Day,
    pub dimension_key: i64,
}

/// A billing line as readers see it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BillingRow {
    pub day: NaiveDate,
    pub revision: i32,
    pub ecosystem: String,
    pub env_id: String,
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub product_category: String,
    pub product_type: String,
    /// Plain decimal text, as the three below.
    pub quantity: String,
    pub unit_price: String,
    pub amount: String,
    pub original_amount: Option<String>,
    pub currency: String,
    pub granularity: String,
    pub period_start: DateTime<Utc>,
    pub period_end: DateTime<Utc>,
    /// The provider's rows behind the line, as received.
    pub evidence: Vec<String>,
}

impl BillingRow {
    /// What tells the line from the others of its tenant, in the order lines are listed in.
    pub fn key(&self) -> BillingKey {
        let texts = [&self.env_id, &self.resource_id, &self.product_category, &self.product_type, &self.currency];
        (Day::from(self.day), texts.map(String::clone))
    }
}

/// A topic's part of a line as readers see it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct TopicRow {
    pub day: NaiveDate,
    pub revision: i32,
    pub ecosystem: String,
    pub env_id: String,
    pub cluster_resource_id: String,
    pub topic_name: String,
    pub product_category: String,
    pub product_type: String,
    pub attribution_method: String,
    /// Plain decimal text.
    pub amount: String,
    pub currency: String,
    pub share: f64,
    pub usage: Option<f64>,
}

/// A place in the order of topic rows: day, environment, cluster, topic, category, type, currency.
pub type TopicKey = (Day, [String; 6]);

impl TopicRow {
    /// What tells the row from the others of its tenant, in the order rows are listed in.
    pub fn key(&self) -> TopicKey {
        let Self { env_id, cluster_resource_id, topic_name, product_category, product_type, currency, .. } = self;
        let texts = [env_id, cluster_resource_id, topic_name, product_category, product_type, currency];
        (Day::from(self.day), texts.map(String::clone))
    }
}

/// A place in the order of billing lines: day, environment, resource, category, type, currency.
pub type BillingKey = (Day, [String; 5]);

pub(super) const CHARGEBACK: &str =
    "SELECT f.day, f.revision, f.dimension_key, d.fingerprint, d.ecosystem, d.env_id, d.resource_id,
    d.product_category, d.product_type, d.identity_id, d.target, d.cost_type, d.allocation_method, d.allocation_detail,
    trim_scale(f.amount)::text AS amount, d.currency, d.tier, f.share, f.usage";

const LINE: &str =
    "SELECT f.day, f.revision, f.ecosystem, f.env_id, f.resource_id, f.resource_name, f.product_category,
    f.product_type, trim_scale(f.quantity)::text AS quantity, trim_scale(f.unit_price)::text AS unit_price,
    trim_scale(f.amount)::text AS amount, trim_scale(f.original_amount)::text AS original_amount, f.currency,
    f.granularity, f.period_start, f.period_end, f.evidence";

/// The order of [`BillingKey`].
const LINE_KEY: &str = "f.day, f.env_id COLLATE \"C\", f.resource_id COLLATE \"C\", f.product_category COLLATE \"C\",
    f.product_type COLLATE \"C\", f.currency COLLATE \"C\"";

const TOPIC: &str = "SELECT f.day, f.revision, f.ecosystem, f.env_id, f.cluster_resource_id, f.topic_name,
    f.product_category, f.product_type, f.attribution_method, trim_scale(f.amount)::text AS amount, f.currency,
    f.share, f.usage";

/// The order of [`TopicKey`].
const TOPIC_KEY: &str = "f.day, f.env_id COLLATE \"C\", f.cluster_resource_id COLLATE \"C\",
    f.topic_name COLLATE \"C\", f.product_category COLLATE \"C\", f.product_type COLLATE \"C\", f.currency COLLATE \"C\"";

impl Reader {
    /// Topic rows after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn topic_costs(
        &mut self,
        of: &Selection,
        after: Option<&TopicKey>,
        limit: u32,
    ) -> Result<Vec<TopicRow>, StoreError> {
        let mut query = QueryBuilder::new(TOPIC);
        let from = after.map_or(of.from, |(day, _)| (*day).max(of.from));
        Dataset::TopicCosts.push_from(&mut query, &Selection { from, ..of.clone() });
        if let Some((day, texts)) = after {
            push_key(&mut query, TOPIC_KEY, " > ", *day, texts);
        }
        query.push(format_args!(" ORDER BY {TOPIC_KEY} LIMIT ")).push_bind(i64::from(limit));
        self.all(query).await
    }

    /// Chargeback rows after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn chargebacks(
        &mut self,
        of: &Selection,
        after: Option<ChargebackKey>,
        limit: u32,
    ) -> Result<Vec<ChargebackRowOf>, StoreError> {
        let mut query = QueryBuilder::new(CHARGEBACK);
        // A page begins on the day of its first row: the days before it need not be read.
        let from = after.map_or(of.from, |after| after.day.max(of.from));
        Dataset::Chargebacks.push_from(&mut query, &Selection { from, ..of.clone() });
        if let Some(after) = after {
            query.push(" AND (f.day, f.dimension_key) > (").push_bind(after.day.date());
            query.push(", ").push_bind(after.dimension_key).push(")");
        }
        query.push(" ORDER BY f.day, f.dimension_key LIMIT ").push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The row of a day with this fingerprint of dimensions.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn chargeback(
        &mut self,
        tenant: &str,
        day: Day,
        fingerprint: &[u8],
    ) -> Result<Option<ChargebackRowOf>, StoreError> {
        let day_of = Selection { tenant: tenant.to_owned(), from: day, to: day.plus(1), conditions: Vec::new() };
        let mut query = QueryBuilder::new(CHARGEBACK);
        Dataset::Chargebacks.push_from(&mut query, &day_of);
        query.push(" AND d.fingerprint = ").push_bind(fingerprint.to_vec());
        self.one(query).await
    }

    /// Billing lines after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn billing(
        &mut self,
        of: &Selection,
        after: Option<&BillingKey>,
        limit: u32,
    ) -> Result<Vec<BillingRow>, StoreError> {
        let mut query = QueryBuilder::new(LINE);
        let from = after.map_or(of.from, |(day, _)| (*day).max(of.from));
        Dataset::Billing.push_from(&mut query, &Selection { from, ..of.clone() });
        if let Some(key) = after {
            push_key(&mut query, LINE_KEY, " > ", key.0, &key.1);
        }
        query.push(format_args!(" ORDER BY {LINE_KEY} LIMIT ")).push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The billing line with this key.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn billing_line(&mut self, tenant: &str, key: &BillingKey) -> Result<Option<BillingRow>, StoreError> {
        let day = key.0;
        let day_of = Selection { tenant: tenant.to_owned(), from: day, to: day.plus(1), conditions: Vec::new() };
        let mut query = QueryBuilder::new(LINE);
        Dataset::Billing.push_from(&mut query, &day_of);
        push_key(&mut query, LINE_KEY, " = ", key.0, &key.1);
        self.one(query).await
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn count(&mut self, dataset: Dataset, of: &Selection) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::new("SELECT count(*)");
        dataset.push_from(&mut query, of);
        let count: Option<(i64,)> = self.one(query).await?;
        Ok(count.map_or(0, |(count,)| count as u64))
    }
}

fn push_key(query: &mut QueryBuilder<sqlx::Postgres>, key: &str, compared: &str, day: Day, texts: &[String]) {
    query.push(format_args!(" AND ({key}){compared}(")).push_bind(day.date());
    for text in texts {
        query.push(", ").push_bind(text.clone());
    }
    query.push(")");
}
