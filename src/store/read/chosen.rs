//! Pages of chargebacks under conditions, where few dimensions fulfil them.
//!
//! Conditions are about dimensions and their tags. So those are looked at once, and rows are found by key in the index that
//! pages are in the order of; not by looking at every row of every day for the few that fit.

use sqlx::{Postgres, QueryBuilder};

use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};

/// Where more dimensions fit, so do so many rows that a page is soon full when days are read in order. Where a day has rows of
/// few of them, so many keys are looked up in vain.
const MOST: i64 = 1000;

impl Reader {
    /// The keys of all dimensions that fulfil the conditions; `None` if they are too many to look rows up by.
    pub(super) async fn fitting(&mut self, of: &Selection) -> Result<Option<Vec<i64>>, StoreError> {
        let dataset = Dataset::Chargebacks;
        let mut query = QueryBuilder::new("SELECT d.dimension_key FROM chargeback_dimensions d");
        dataset.push_joined(&mut query, of.conditions.iter().map(|condition| &condition.field));
        query.push(" WHERE d.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ");
        query.push_bind(of.tenant.clone()).push(")");
        of.conditions.iter().for_each(|condition| condition.push(dataset, &mut query));
        query.push(" LIMIT ").push_bind(MOST + 1);
        let keys: Vec<(i64,)> = self.all(query).await?;
        Ok((keys.len() as i64 <= MOST).then(|| keys.into_iter().map(|(key,)| key).collect()))
    }

    /// The part of the tenant's dimensions that fulfil the conditions, 0 to 1.
    pub(super) async fn fitting_part(&mut self, of: &Selection) -> Result<f64, StoreError> {
        let dataset = Dataset::Chargebacks;
        let mut query = QueryBuilder::new("SELECT count(*) FILTER (WHERE true");
        of.conditions.iter().for_each(|condition| condition.push(dataset, &mut query));
        query.push("), count(*) FROM chargeback_dimensions d");
        dataset.push_joined(&mut query, of.conditions.iter().map(|condition| &condition.field));
        query.push(" WHERE d.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ");
        query.push_bind(of.tenant.clone()).push(")");
        let counted: Option<(i64, i64)> = self.one(query).await?;
        Ok(counted.filter(|(_, all)| *all > 0).map_or(1.0, |(some, all)| some as f64 / all as f64))
    }
}

/// `FROM …`: of the rows of these dimensions at most `limit` for which `and` holds, as `f`, and their dimensions as `d`. Days
/// are gone through one by one until there are enough.
pub(super) fn push_by_key(
    query: &mut QueryBuilder<Postgres>,
    of: &Selection,
    keys: &[i64],
    limit: u32,
    and: impl FnOnce(&mut QueryBuilder<Postgres>),
) {
    let limit = i64::from(limit);
    query.push(
        " FROM (SELECT f.* FROM slices s CROSS JOIN LATERAL (SELECT * FROM chargeback_facts f
          WHERE f.tenant_key = s.tenant_key AND f.day = s.day AND f.revision = s.revision AND f.day >= ",
    );
    query.push_bind(of.from.date()).push(" AND f.day < ").push_bind(of.to.date());
    query.push(" AND f.dimension_key = ANY(").push_bind(keys.to_vec()).push(")");
    and(query);
    query.push(" ORDER BY f.dimension_key LIMIT ").push_bind(limit);
    query.push(
        ") f WHERE s.projection = 'chargebacks' AND s.complete
          AND s.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ",
    );
    query.push_bind(of.tenant.clone()).push(") AND s.day >= ").push_bind(of.from.date());
    query.push(" AND s.day < ").push_bind(of.to.date());
    query.push(" ORDER BY s.day, f.dimension_key LIMIT ").push_bind(limit);
    query.push(") f JOIN chargeback_dimensions d ON d.dimension_key = f.dimension_key");
}
