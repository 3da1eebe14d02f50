//! Pages of rows, in a total order that new days do not disturb.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Postgres, QueryBuilder};

use super::chosen::push_by_key;
use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};
use crate::domain::Day;

macro_rules! line_id {
    () => {
        "f.day::text || '-' || left(encode(sha256(convert_to(json_build_array(f.env_id, f.resource_id,
         f.product_category, f.product_type, f.currency)::text, 'UTF8')), 'hex'), 32)"
    };
}

/// All tags of a row as a JSON object: those of its resource before those of its identity.
macro_rules! tags {
    ($of:literal, $entities:literal) => {
        concat!(
            "coalesce((SELECT jsonb_object_agg(t.key, t.value ORDER BY t.entity_type) FROM tag_facts t WHERE t.tenant_key = ",
            $of,
            ".tenant_key AND (t.entity_type, t.entity_id) IN (",
            $entities,
            ")), '{}')::text"
        )
    };
}

/// The cloud or region of a resource, as the field of that name joins it.
macro_rules! place {
    ($column:literal, $of:literal, $id:literal) => {
        concat!(
            "(SELECT nullif(p.",
            $column,
            ", '') FROM resource_places p WHERE p.tenant_key = ",
            $of,
            ".tenant_key AND md5(p.resource_id) = md5(",
            $id,
            ") AND p.resource_id = ",
            $id,
            " ORDER BY p.day DESC, p.revision DESC, p.cloud DESC, p.region DESC LIMIT 1)"
        )
    };
}

pub(super) const LINE_CLOUD: &str = place!("cloud", "f", "f.resource_id");
pub(super) const LINE_REGION: &str = place!("region", "f", "f.resource_id");
pub(super) const CHARGEBACK_CLOUD: &str = place!("cloud", "d", "d.resource_id");
pub(super) const CHARGEBACK_REGION: &str = place!("region", "d", "d.resource_id");
pub(super) const TOPIC_CLOUD: &str = place!("cloud", "f", "f.cluster_resource_id");
pub(super) const TOPIC_REGION: &str = place!("region", "f", "f.cluster_resource_id");

/// How well a row's share is founded. `high`: on usage that was measured for its target, or the rule names the target. `medium`: on
/// usage that was inferred or whose principal is not known, or it is the product's rule to split evenly. `low`: a stand-in was
/// taken, or nobody was found.
macro_rules! confidence {
    () => {
        "CASE WHEN d.target = 'unallocated' OR d.allocation_detail = 'metrics_fetch_failed' THEN 'low'
              WHEN d.allocation_detail IN ('inferred_usage_ratio', 'unresolved_principal') THEN 'medium'
              WHEN d.allocation_method IN ('usage_ratio', 'direct_owner') THEN 'high'
              WHEN d.tier > 0 THEN 'low' WHEN d.allocation_method = 'even_split' THEN 'medium' ELSE 'high' END"
    };
}

pub(super) const CHARGEBACK_CONFIDENCE: &str = confidence!();

pub(super) const LINE_TAGS: &str = tags!("f", "('resource', f.resource_id)");
pub(super) const CHARGEBACK_TAGS: &str = tags!("d", "('identity', d.identity_id), ('resource', d.resource_id)");
pub(super) const TOPIC_TAGS: &str = tags!("f", "('resource', f.cluster_resource_id || ':topic:' || f.topic_name)");

/// Rows that are counted rather than estimated.
const COUNTED: i64 = 20_000;

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
    /// `high`, `medium` or `low`.
    pub confidence: String,
    /// Of the resource, where its provider says so.
    pub cloud: Option<String>,
    pub region: Option<String>,
    /// A JSON object.
    pub tags: String,
}

/// A billing line as readers see it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BillingRow {
    /// Stays the same when tables are rebuilt.
    pub id: String,
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
    /// Of the resource, where its provider says so.
    pub cloud: Option<String>,
    pub region: Option<String>,
    /// A JSON object.
    pub tags: String,
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
    /// Of the cluster, where its provider says so.
    pub cloud: Option<String>,
    pub region: Option<String>,
    /// A JSON object.
    pub tags: String,
}

pub(super) const CHARGEBACK: &str = concat!(
    "SELECT f.day, f.revision, f.dimension_key, d.fingerprint, d.ecosystem, d.env_id, d.resource_id,
    d.product_category, d.product_type, d.identity_id, d.target, d.cost_type, d.allocation_method, d.allocation_detail,
    trim_scale(f.amount)::text AS amount, d.currency, d.tier, f.share, f.usage, ",
    confidence!(),
    " AS confidence, ",
    place!("cloud", "d", "d.resource_id"),
    " AS cloud, ",
    place!("region", "d", "d.resource_id"),
    " AS region, ",
    tags!("d", "('identity', d.identity_id), ('resource', d.resource_id)"),
    " AS tags"
);

/// A billing line's id: its day, and a digest of what tells it from the others of the day.
pub(in crate::store) const LINE_ID: &str = line_id!();

const LINE: &str = concat!(
    "SELECT ",
    line_id!(),
    " AS id, f.day, f.revision, f.ecosystem, f.env_id, f.resource_id, f.resource_name, f.product_category,
    f.product_type, trim_scale(f.quantity)::text AS quantity, trim_scale(f.unit_price)::text AS unit_price,
    trim_scale(f.amount)::text AS amount, trim_scale(f.original_amount)::text AS original_amount, f.currency,
    f.granularity, f.period_start, f.period_end, f.evidence, ",
    place!("cloud", "f", "f.resource_id"),
    " AS cloud, ",
    place!("region", "f", "f.resource_id"),
    " AS region, ",
    tags!("f", "('resource', f.resource_id)"),
    " AS tags"
);

const TOPIC: &str = concat!(
    "SELECT f.day, f.revision, f.ecosystem, f.env_id, f.cluster_resource_id, f.topic_name,
    f.product_category, f.product_type, f.attribution_method, trim_scale(f.amount)::text AS amount, f.currency,
    f.share, f.usage, ",
    place!("cloud", "f", "f.cluster_resource_id"),
    " AS cloud, ",
    place!("region", "f", "f.cluster_resource_id"),
    " AS region, ",
    tags!("f", "('resource', f.cluster_resource_id || ':topic:' || f.topic_name)"),
    " AS tags"
);

/// A kind of rows that is listed page by page.
pub trait Listed: Send + Unpin + for<'r> FromRow<'r, PgRow> {
    const DATASET: Dataset;
    /// What is read of each.
    const SELECT: &'static str;
    /// What tells a row from the others of its day, in the order in which they are listed.
    type Key: Send;

    /// Where the row stands.
    fn place(&self) -> Place<Self::Key>;

    /// `, $1, $2`: the key as values.
    fn push(key: &Self::Key, query: &mut QueryBuilder<Postgres>);
}

/// A place in the order of rows.
pub type Place<K> = (NaiveDate, K);

impl Listed for ChargebackRowOf {
    const DATASET: Dataset = Dataset::Chargebacks;
    const SELECT: &'static str = CHARGEBACK;
    type Key = i64;

    fn place(&self) -> Place<i64> {
        (self.day, self.dimension_key)
    }

    fn push(key: &i64, query: &mut QueryBuilder<Postgres>) {
        query.push(", ").push_bind(*key);
    }
}

impl Listed for BillingRow {
    const DATASET: Dataset = Dataset::Billing;
    const SELECT: &'static str = LINE;
    /// Environment, resource, category, type, currency.
    type Key = [String; 5];

    fn place(&self) -> Place<[String; 5]> {
        let texts = [&self.env_id, &self.resource_id, &self.product_category, &self.product_type, &self.currency];
        (self.day, texts.map(String::clone))
    }

    fn push(key: &[String; 5], query: &mut QueryBuilder<Postgres>) {
        push_texts(key, query);
    }
}

impl Listed for TopicRow {
    const DATASET: Dataset = Dataset::TopicCosts;
    const SELECT: &'static str = TOPIC;
    /// Environment, cluster, topic, category, type, currency.
    type Key = [String; 6];

    fn place(&self) -> Place<[String; 6]> {
        let Self { env_id, cluster_resource_id, topic_name, product_category, product_type, currency, .. } = self;
        let texts = [env_id, cluster_resource_id, topic_name, product_category, product_type, currency];
        (self.day, texts.map(String::clone))
    }

    fn push(key: &[String; 6], query: &mut QueryBuilder<Postgres>) {
        push_texts(key, query);
    }
}

impl Dataset {
    /// The total order in which its rows are listed.
    pub(super) fn order(self) -> &'static str {
        match self {
            Self::Chargebacks => "f.day, f.dimension_key",
            Self::Billing => {
                "f.day, f.env_id COLLATE \"C\", f.resource_id COLLATE \"C\", f.product_category COLLATE \"C\",
                 f.product_type COLLATE \"C\", f.currency COLLATE \"C\""
            }
            Self::TopicCosts => {
                "f.day, f.env_id COLLATE \"C\", f.cluster_resource_id COLLATE \"C\", f.topic_name COLLATE \"C\",
                 f.product_category COLLATE \"C\", f.product_type COLLATE \"C\", f.currency COLLATE \"C\""
            }
        }
    }
}

impl Reader {
    /// The chosen rows after the place `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn page<R: Listed>(
        &mut self,
        of: &Selection,
        after: Option<&Place<R::Key>>,
        limit: u32,
    ) -> Result<Vec<R>, StoreError> {
        // A page begins on the day of its first row: the days before it need not be read.
        let from = after.map_or(of.from, |(day, _)| Day::from(*day).max(of.from));
        let rest = Selection { from, ..of.clone() };
        let mut query = QueryBuilder::new(R::SELECT);
        let place = after.map(|(day, key)| (*day, key));
        if R::DATASET == Dataset::Chargebacks
            && !of.conditions.is_empty()
            && let Some(keys) = self.fitting(of).await?
        {
            push_by_key(&mut query, &rest, &keys, limit, |query| push_after::<R>(place, query));
        } else {
            R::DATASET.push_from(&mut query, &rest);
            push_after::<R>(place, &mut query);
        }
        query.push(format_args!(" ORDER BY {} LIMIT ", R::DATASET.order())).push_bind(i64::from(limit));
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
        let mut query = QueryBuilder::new(CHARGEBACK);
        Dataset::Chargebacks.push_from(&mut query, &Selection::of_day(tenant, day));
        query.push(" AND d.fingerprint = ").push_bind(fingerprint.to_vec());
        self.one(query).await
    }

    /// The billing line with this id among the chosen ones; choose its day.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn billing_line(&mut self, of: &Selection, id: &str) -> Result<Option<BillingRow>, StoreError> {
        let mut query = QueryBuilder::new(LINE);
        Dataset::Billing.push_from(&mut query, of);
        query.push(format_args!(" AND {LINE_ID} = ")).push_bind(id.to_owned());
        self.one(query).await
    }

    /// The billing line that a chargeback row is a part of.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub(super) async fn line_of(
        &mut self,
        tenant: &str,
        row: &ChargebackRowOf,
    ) -> Result<Option<BillingRow>, StoreError> {
        let mut query = QueryBuilder::new(LINE);
        Dataset::Billing.push_from(&mut query, &Selection::of_day(tenant, row.day.into()));
        query.push(" AND (f.day, f.env_id, f.resource_id, f.product_category, f.product_type, f.currency) = (");
        query.push_bind(row.day);
        let texts = [&row.env_id, &row.resource_id, &row.product_category, &row.product_type, &row.currency];
        push_texts(&texts.map(String::clone), &mut query);
        query.push(")");
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

impl Reader {
    /// About how many rows there are, without reading all of them: exact without conditions and up to 20,000; of more, the
    /// part of dimensions that fulfil the conditions, or Postgres' guess. Exact of lines as they were known once.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn estimate(&mut self, dataset: Dataset, of: &Selection) -> Result<u64, StoreError> {
        if of.as_of.is_some() {
            return self.count(dataset, of).await;
        }
        let days = self.available(dataset, &of.tenant, of.from, of.to).await?;
        let all: i64 = days.iter().map(|day| i64::from(day.rows)).sum();
        if of.conditions.is_empty() {
            return Ok(all.unsigned_abs());
        }
        let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT f.day");
        dataset.push_from(&mut query, of);
        query.push(" LIMIT ").push_bind(COUNTED + 1).push(") counted");
        let counted: Option<(i64,)> = self.one(query).await?;
        let counted = counted.map_or(0, |(count,)| count);
        if counted <= COUNTED {
            return Ok(counted.unsigned_abs());
        }
        let part = match dataset {
            Dataset::Chargebacks => self.fitting_part(of).await?,
            Dataset::Billing | Dataset::TopicCosts => {
                let every = Selection { conditions: Vec::new(), ..of.clone() };
                let (some, every) = (self.guess(dataset, of).await?, self.guess(dataset, &every).await?);
                if every > 0.0 { (some / every).min(1.0) } else { 1.0 }
            }
        };
        Ok(((all as f64 * part).round() as i64).clamp(counted, all.max(counted)).unsigned_abs())
    }

    /// The rows that Postgres expects.
    async fn guess(&mut self, dataset: Dataset, of: &Selection) -> Result<f64, StoreError> {
        let mut query = QueryBuilder::new("EXPLAIN (FORMAT JSON) SELECT f.day");
        dataset.push_from(&mut query, of);
        let plan: Option<(serde_json::Value,)> = self.one(query).await?;
        Ok(plan.and_then(|(plan,)| plan[0]["Plan"]["Plan Rows"].as_f64()).unwrap_or_default())
    }

    /// The chosen rows, those of the largest amounts first, then by day, resource, product and identity; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn largest(&mut self, of: &Selection, limit: u32) -> Result<Vec<ChargebackRowOf>, StoreError> {
        let mut query = QueryBuilder::new(CHARGEBACK);
        Dataset::Chargebacks.push_from(&mut query, of);
        // The same order after a rebuild, too.
        let order = "abs(f.amount) DESC, f.day, d.resource_id COLLATE \"C\", d.product_type COLLATE \"C\",
                     d.identity_id COLLATE \"C\", d.fingerprint";
        query.push(format_args!(" ORDER BY {order} LIMIT ")).push_bind(i64::from(limit));
        self.all(query).await
    }
}

/// ` AND …`: what comes after the place.
fn push_after<R: Listed>(place: Option<(NaiveDate, &R::Key)>, query: &mut QueryBuilder<Postgres>) {
    let Some((day, key)) = place else { return };
    query.push(format_args!(" AND ({}) > (", R::DATASET.order())).push_bind(day);
    R::push(key, query);
    query.push(")");
}

fn push_texts(texts: &[String], query: &mut QueryBuilder<Postgres>) {
    for text in texts {
        query.push(", ").push_bind(text.clone());
    }
}
