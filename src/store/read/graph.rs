//! What a graph of costs needs besides sums: what hangs on what, what things are called, which things fit a text.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{Reader, ResourceOrIdentity, StoreError};
use crate::domain::Day;
use crate::domain::attribution::TOPIC;

/// What is known of a thing on the last day that names it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ThingRow {
    pub id: String,
    pub entity_type: String,
    pub display_name: Option<String>,
    /// Resources only.
    pub parent_id: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A thing that fits a text.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct FoundRow {
    pub is_resource: bool,
    pub id: String,
    pub entity_type: String,
    pub display_name: Option<String>,
    pub parent_id: Option<String>,
    pub parent_name: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Of a tenant, on the days `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within<'a> {
    pub tenant: &'a str,
    pub from: Day,
    pub to: Day,
}

impl Within<'_> {
    /// ` AND …` after a condition.
    fn push(&self, query: &mut QueryBuilder<sqlx::Postgres>) {
        query.push(" AND tenant_id = ").push_bind(self.tenant.to_owned());
        query.push(" AND day >= ").push_bind(self.from.date()).push(" AND day < ").push_bind(self.to.date());
    }
}

const RESOURCE: &str = "SELECT DISTINCT ON (resource_id COLLATE \"C\") resource_id AS id, resource_type AS entity_type, \
     display_name, parent_id, created_at, deleted_at FROM resources WHERE ";
const IDENTITY: &str = "SELECT DISTINCT ON (identity_id COLLATE \"C\") identity_id AS id, identity_type AS entity_type, \
     display_name, NULL::text AS parent_id, created_at, deleted_at FROM identities WHERE ";

impl Reader {
    /// All resources but topics, by id, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn kin(&mut self, of: &Within<'_>, limit: u32) -> Result<Vec<ThingRow>, StoreError> {
        let mut query = QueryBuilder::new(RESOURCE);
        query.push("resource_type <> ").push_bind(TOPIC);
        of.push(&mut query);
        query.push(" ORDER BY resource_id COLLATE \"C\", day DESC LIMIT ").push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The topics of a cluster, by id, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn topics(&mut self, of: &Within<'_>, cluster: &str, limit: u32) -> Result<Vec<ThingRow>, StoreError> {
        let mut query = QueryBuilder::new(RESOURCE);
        query.push("resource_type = ").push_bind(TOPIC).push(" AND parent_id = ").push_bind(cluster.to_owned());
        of.push(&mut query);
        query.push(" ORDER BY resource_id COLLATE \"C\", day DESC LIMIT ").push_bind(i64::from(limit));
        self.all(query).await
    }

    /// Those of these ids that are known, by id.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn things(
        &mut self,
        of: &Within<'_>,
        kind: ResourceOrIdentity,
        ids: &[String],
    ) -> Result<Vec<ThingRow>, StoreError> {
        let (select, id) = match kind {
            ResourceOrIdentity::Resource => (RESOURCE, "resource_id"),
            ResourceOrIdentity::Identity => (IDENTITY, "identity_id"),
        };
        let mut query = QueryBuilder::new(select);
        query.push(format_args!("{id} = ANY(")).push_bind(ids.to_vec()).push(")");
        of.push(&mut query);
        query.push(format_args!(" ORDER BY {id} COLLATE \"C\", day DESC"));
        self.all(query).await
    }

    /// Resources and identities whose id or name contains the text, letter case aside: what is it exactly, then what begins
    /// with it, then by name; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn search(&mut self, of: &Within<'_>, text: &str, limit: u32) -> Result<Vec<FoundRow>, StoreError> {
        let mut query = QueryBuilder::new("WITH typed AS (SELECT lower(");
        query.push_bind(text.to_owned()).push(") AS q), found AS (SELECT true AS is_resource, r.* FROM (");
        fits(&mut query, RESOURCE, "resource_id", of);
        query.push(") r UNION ALL SELECT false, i.* FROM (");
        fits(&mut query, IDENTITY, "identity_id", of);
        query.push(
            ") i)
             SELECT f.is_resource, f.id, f.entity_type, f.display_name, f.parent_id, f.deleted_at,
                    (SELECT p.display_name FROM resources p WHERE p.resource_id = f.parent_id",
        );
        of.push(&mut query);
        query.push(
            " ORDER BY p.day DESC LIMIT 1) AS parent_name
             FROM (SELECT f.*, CASE WHEN q IN (lower(id), lower(display_name)) THEN 0
                                    WHEN starts_with(lower(id), q) OR starts_with(lower(display_name), q) THEN 1
                                    ELSE 2 END AS rank
                   FROM found f, typed
                   ORDER BY rank, lower(coalesce(display_name, id)) COLLATE \"C\", is_resource DESC, id COLLATE \"C\" LIMIT ",
        );
        query.push_bind(i64::from(limit));
        query.push(
            ") f ORDER BY rank, lower(coalesce(display_name, id)) COLLATE \"C\", is_resource DESC, id COLLATE \"C\"",
        );
        self.all(query).await
    }
}

/// The things whose id or name contains `typed.q`. What had the text in its name on some day only is found by that name.
fn fits(query: &mut QueryBuilder<sqlx::Postgres>, select: &str, id: &str, of: &Within<'_>) {
    query.push(select);
    query.push(format_args!(
        "(strpos(lower({id}), (SELECT q FROM typed)) > 0 OR strpos(lower(display_name), (SELECT q FROM typed)) > 0)"
    ));
    of.push(query);
    query.push(format_args!(" ORDER BY {id} COLLATE \"C\", day DESC"));
}
