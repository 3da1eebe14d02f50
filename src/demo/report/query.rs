//! Reads the rows to report from the views of the read model.

use sqlx::{PgPool, Row as _};

use super::{Facts, Row, TopicCost};
use crate::demo::Tenant;
use crate::domain::{Amount, Day};

const ROWS: &str = "
WITH who AS (SELECT DISTINCT ON (identity_id) identity_id, display_name, identity_type
             FROM identities WHERE tenant_id = $1 ORDER BY identity_id, day DESC),
     what AS (SELECT DISTINCT ON (resource_id) resource_id, display_name, resource_type
              FROM resources WHERE tenant_id = $1 ORDER BY resource_id, day DESC)
SELECT c.day, c.target, c.identity_id, who.display_name AS identity_name, who.identity_type, c.cost_type,
       c.resource_id, what.display_name AS resource_name, what.resource_type, env.display_name AS environment,
       c.product_type, c.allocation_detail AS detail, c.amount::text AS amount
FROM chargebacks c
LEFT JOIN who ON who.identity_id = c.identity_id AND c.target = 'identity'
LEFT JOIN what ON what.resource_id = c.resource_id
LEFT JOIN what env ON env.resource_id = c.env_id
WHERE c.tenant_id = $1 AND c.day >= $2 AND c.day < $3
ORDER BY c.day";

const TOPICS: &str = "
WITH what AS (SELECT DISTINCT ON (resource_id) resource_id, display_name
              FROM resources WHERE tenant_id = $1 ORDER BY resource_id, day DESC)
SELECT a.topic_name, coalesce(what.display_name, a.cluster_resource_id) AS cluster, env.display_name AS environment,
       a.product_type, sum(a.amount)::text AS amount
FROM topic_attributions a
LEFT JOIN what ON what.resource_id = a.cluster_resource_id
LEFT JOIN what env ON env.resource_id = a.env_id
WHERE a.tenant_id = $1 AND a.day >= $2 AND a.day < $3
GROUP BY 1, 2, 3, 4";

const BILL: &str = "
SELECT coalesce(sum(amount), 0)::text AS amount, count(*) AS lines, coalesce(max(currency), 'USD') AS currency
FROM billing WHERE tenant_id = $1 AND day >= $2 AND day < $3";

/// Reads a tenant's rows and bill, to be told under its title, of the days `[from, to)` from the views of the read model.
///
/// # Errors
/// If the database does not answer or its views are not the expected ones.
pub async fn read(pool: &PgPool, tenant: &Tenant, from: Day, to: Day) -> Result<Facts, sqlx::Error> {
    let tenant_id = tenant.name;
    let mut rows = Vec::new();
    for row in sqlx::query(ROWS).bind(tenant_id).bind(from.date()).bind(to.date()).fetch_all(pool).await? {
        rows.push(Row {
            day: Day::from(row.try_get::<chrono::NaiveDate, _>("day")?),
            target: row.try_get("target")?,
            identity_id: row.try_get("identity_id")?,
            identity_name: row.try_get("identity_name")?,
            identity_type: row.try_get("identity_type")?,
            cost_type: row.try_get("cost_type")?,
            resource_id: row.try_get("resource_id")?,
            resource_name: row.try_get("resource_name")?,
            resource_type: row.try_get("resource_type")?,
            environment: row.try_get("environment")?,
            product_type: row.try_get("product_type")?,
            detail: row.try_get("detail")?,
            amount: amount(row.try_get("amount")?)?,
        });
    }
    let mut topics = Vec::new();
    for row in sqlx::query(TOPICS).bind(tenant_id).bind(from.date()).bind(to.date()).fetch_all(pool).await? {
        topics.push(TopicCost {
            topic: row.try_get("topic_name")?,
            cluster: row.try_get("cluster")?,
            environment: row.try_get("environment")?,
            product_type: row.try_get("product_type")?,
            amount: amount(row.try_get("amount")?)?,
        });
    }
    let bill = sqlx::query(BILL).bind(tenant_id).bind(from.date()).bind(to.date()).fetch_one(pool).await?;
    let lines: i64 = bill.try_get("lines")?;
    Ok(Facts {
        title: tenant.title,
        rows,
        topics,
        billed: amount(bill.try_get("amount")?)?,
        billing_lines: lines.unsigned_abs(),
        currency: bill.try_get("currency")?,
    })
}

fn amount(text: &str) -> Result<Amount, sqlx::Error> {
    Amount::parse(text).map_err(|e| sqlx::Error::Decode(e.into()))
}
