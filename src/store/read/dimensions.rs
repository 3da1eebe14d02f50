//! The values a field takes, for people who type.

use sqlx::{FromRow, QueryBuilder};

use super::dataset::{Dataset, Field};
use super::{Reader, Selection, StoreError};

/// A value, and how much hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DimensionValue {
    pub value: String,
    /// The name people know it by, of a resource or identity.
    pub display_name: Option<String>,
    pub row_count: i64,
}

impl Reader {
    /// The values of `field` whose text or name contains `typed`, most frequent first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn values(
        &mut self,
        dataset: Dataset,
        field: &Field,
        of: &Selection,
        typed: &str,
        limit: u32,
    ) -> Result<Vec<DimensionValue>, StoreError> {
        let mut query = QueryBuilder::new(format!(
            "SELECT v.value, n.display_name, v.row_count FROM (SELECT {} AS value, count(*) AS row_count",
            field.sql(dataset)
        ));
        dataset.push_from_with(&mut query, of, std::slice::from_ref(field));
        query.push(" GROUP BY 1) v LEFT JOIN LATERAL (");
        query.push(
            "SELECT display_name FROM (
               SELECT resource_id AS id, display_name, tenant_key, day FROM resource_facts
               UNION ALL SELECT identity_id, display_name, tenant_key, day FROM identity_facts) e
             WHERE e.id = v.value AND e.day >= ",
        );
        query.push_bind(of.from.date()).push(" AND e.day < ").push_bind(of.to.date());
        query.push(" AND e.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ");
        query.push_bind(of.tenant.clone());
        query.push(") ORDER BY e.day DESC LIMIT 1) n ON ").push_bind(field.names_entities());
        query.push(" WHERE v.value <> '' AND (");
        query.push_bind(typed.to_owned()).push(" = '' OR strpos(lower(v.value), lower(");
        query.push_bind(typed.to_owned()).push(")) > 0 OR strpos(lower(coalesce(n.display_name, '')), lower(");
        query.push_bind(typed.to_owned()).push(")) > 0) ORDER BY v.row_count DESC, v.value COLLATE \"C\" LIMIT ");
        query.push_bind(i64::from(limit));
        self.all(query).await
    }
}

impl Field {
    /// Are its values ids of resources or identities, which have names?
    fn names_entities(&self) -> bool {
        matches!(self, Self::Column { name: "resource_id" | "identity_id" | "env_id", .. })
    }
}
