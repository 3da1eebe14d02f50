//! Sums over any dimensions and periods, exact to the last digit.

use chrono::NaiveDate;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, QueryBuilder, Row};

use super::dataset::{Dataset, Field};
use super::span::Span;
use super::{Reader, Selection, StoreError, amount};
use crate::domain::Amount;

/// The length of a period that sums are made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// All days together.
    None,
    Day,
    /// ISO weeks, from Monday.
    Week,
    Month,
    Quarter,
    Year,
}

/// What to add up.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub dataset: Dataset,
    pub of: Selection,
    pub group_by: Vec<Field>,
    pub bucket: Bucket,
    /// Keep the so many largest groups and add up the rest as one. Groups are ranked by the sum of their amounts over all
    /// periods and currencies; equal ones by their values.
    pub top: Option<u32>,
    /// More cells than this are not fetched.
    pub limit: u32,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// First day of the period; `None` for [`Bucket::None`].
    pub start: Option<NaiveDate>,
    /// In the order of `group_by`; a missing value is `None`. The sum of all groups that are not kept: `None` as a whole.
    pub group: Option<Vec<Option<String>>>,
    pub currency: String,
    pub amount: Amount,
    /// Of it, what was charged because of use; only of chargebacks.
    pub usage_amount: Option<Amount>,
    pub rows: u64,
}

impl Bucket {
    /// The day a period begins on, as SQL; `day` is a column with a day in it.
    fn start(self, day: &str) -> String {
        let period = match self {
            Self::None => return "NULL::date".to_owned(),
            Self::Day => return day.to_owned(),
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        };
        format!("date_trunc('{period}', {day})::date")
    }
}

/// A row of the answer, its amounts still as Postgres prints them.
struct Sums {
    start: Option<NaiveDate>,
    group: Option<Vec<Option<String>>>,
    currency: String,
    amount: String,
    usage_amount: Option<String>,
    rows: i64,
}

impl FromRow<'_, PgRow> for Sums {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kept: bool = row.try_get(5)?;
        let values = (6..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
        Ok(Self {
            start: row.try_get(0)?,
            currency: row.try_get(1)?,
            amount: row.try_get(2)?,
            usage_amount: row.try_get(3)?,
            rows: row.try_get(4)?,
            group: kept.then_some(values),
        })
    }
}

impl Reader {
    /// The sums, by period, then by the values in the order asked, then by currency.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn aggregate(&mut self, ask: &Aggregate) -> Result<Vec<Cell>, StoreError> {
        let span = match ask.dataset {
            Dataset::Chargebacks => self.span(&ask.of, ask.bucket).await?,
            Dataset::Billing | Dataset::TopicCosts => None,
        };
        let rows: Vec<Sums> = self.all(query(ask, span.as_ref())).await?;
        let table = ask.dataset.name();
        let cell = |sums: Sums| {
            Ok(Cell {
                amount: amount(table, &sums.amount)?,
                usage_amount: sums.usage_amount.map(|text| amount(table, &text)).transpose()?,
                rows: sums.rows as u64,
                start: sums.start,
                group: sums.group,
                currency: sums.currency,
            })
        };
        rows.into_iter().map(cell).collect()
    }
}

fn query(ask: &Aggregate, span: Option<&Span>) -> QueryBuilder<sqlx::Postgres> {
    let names: Vec<String> = (0..ask.group_by.len()).map(|n| format!("v{n}")).collect();
    let after = |first: &str, form: &dyn Fn(&str) -> String| {
        let parts = std::iter::once(first.to_owned()).chain(names.iter().map(|name| form(name)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let ordered = |name: &str| format!("{name} COLLATE \"C\" NULLS FIRST");
    let mut query = QueryBuilder::new("");
    match ask.top {
        None => {
            let fields = after("true", &str::to_owned);
            query.push(format_args!("SELECT start, currency, amount::text, usage::text, rows, {fields} FROM ("));
            push_cells(&mut query, ask, span);
            query.push(format_args!(") cells ORDER BY {}, currency", after("start", &ordered)));
        }
        // Ranked by Postgres, so that only what is kept and one rest is fetched, however many groups there are.
        Some(top) => {
            let partition = if names.is_empty() { String::new() } else { format!("PARTITION BY {}", names.join(", ")) };
            query.push(format_args!(
                "SELECT start, currency, sum(amount)::text, sum(usage)::text, sum(rows)::bigint, {} FROM (
                 SELECT start, currency, amount, usage, rows, {} FROM (
                 SELECT *, dense_rank() OVER (ORDER BY {}) <= ",
                after("kept", &str::to_owned),
                after("kept", &|name| format!("CASE WHEN kept THEN {name} END AS {name}")),
                after("total DESC", &ordered),
            ));
            query.push_bind(i64::from(top));
            query.push(format_args!(" AS kept FROM (SELECT *, sum(amount) OVER ({partition}) AS total FROM ("));
            push_cells(&mut query, ask, span);
            query.push(format_args!(
                ") cells) totalled) ranked) folded GROUP BY {} ORDER BY {}, currency",
                after("start, currency, kept", &str::to_owned),
                after("start, kept DESC", &ordered),
            ));
        }
    }
    query.push(" LIMIT ").push_bind(i64::from(ask.limit));
    query
}

/// All sums: `start`, `currency`, `amount`, `usage`, `rows`, and the fields as `v0`, `v1`, ….
fn push_cells(query: &mut QueryBuilder<sqlx::Postgres>, ask: &Aggregate, span: Option<&Span>) {
    match ask.dataset {
        Dataset::Billing | Dataset::TopicCosts => {
            query.push(format_args!(
                "SELECT {} AS start, f.currency, sum(f.amount) AS amount, NULL::numeric AS usage, count(*) AS rows",
                ask.bucket.start("f.day")
            ));
            push_fields(query, ask);
            ask.dataset.push_from_with(query, &ask.of, &ask.group_by);
        }
        Dataset::Chargebacks => {
            query.push(
                "SELECT g.start, d.currency, sum(g.amount) AS amount,
                 coalesce(sum(g.amount) FILTER (WHERE d.cost_type = 'usage'), 0) AS usage, sum(g.rows)::bigint AS rows",
            );
            push_fields(query, ask);
            query.push(" FROM (");
            push_by_dimension(query, ask, span);
            query.push(") g JOIN chargeback_dimensions d ON d.dimension_key = g.dimension_key");
            let conditions = ask.of.conditions.iter().map(|condition| &condition.field);
            ask.dataset.push_joined(query, ask.group_by.iter().chain(conditions));
            query.push(" WHERE true");
            ask.of.conditions.iter().for_each(|condition| condition.push(ask.dataset, query));
        }
    }
    let fields: String = (0..ask.group_by.len()).map(|n| format!(", {}", 6 + n)).collect();
    query.push(format_args!(" GROUP BY 1, 2{fields}"));
}

/// Chargebacks by narrow keys, so that texts are looked at once for each dimension and not once for each row. All conditions
/// are about dimensions and their tags.
fn push_by_dimension(query: &mut QueryBuilder<sqlx::Postgres>, ask: &Aggregate, span: Option<&Span>) {
    let tenant = "(SELECT tenant_key FROM tenants WHERE tenant_id = ";
    if let Some(span) = span {
        query.push(format_args!(
            "SELECT {} AS start, f.dimension_key, f.amount, f.rows FROM chargeback_sums f WHERE f.tenant_key = {tenant}",
            ask.bucket.start("f.month")
        ));
        query.push_bind(ask.of.tenant.clone()).push(") AND f.month = ANY(").push_bind(span.months.clone());
        query.push(") UNION ALL ");
    }
    query.push(format_args!(
        "SELECT {} AS start, f.dimension_key, sum(f.amount) AS amount, count(*) AS rows
         FROM chargeback_facts f JOIN slices s ON s.projection = 'chargebacks' AND s.tenant_key = f.tenant_key
         AND s.day = f.day AND s.revision = f.revision AND s.complete WHERE f.tenant_key = {tenant}",
        ask.bucket.start("f.day")
    ));
    query.push_bind(ask.of.tenant.clone());
    match span {
        Some(span) => query.push(") AND f.day = ANY(").push_bind(span.days.clone()).push(")"),
        None => {
            query.push(") AND f.day >= ").push_bind(ask.of.from.date());
            query.push(" AND f.day < ").push_bind(ask.of.to.date())
        }
    };
    query.push(" GROUP BY 1, 2");
}

fn push_fields(query: &mut QueryBuilder<sqlx::Postgres>, ask: &Aggregate) {
    for (n, field) in ask.group_by.iter().enumerate() {
        query.push(format_args!(", {} AS v{n}", field.grouped(ask.dataset)));
    }
}
