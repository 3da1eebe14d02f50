//! Tags: of one thing, of all, which keys and values there are, and which things rows are about.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::dataset::Dataset;
use super::{Reader, Selection, StoreError};
use crate::domain::EntityType;

/// A tag as the table has it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TagRow {
    pub entity_type: String,
    pub entity_id: String,
    pub key: String,
    pub value: String,
    pub at: DateTime<Utc>,
    pub by: String,
}

/// What tells a tag from the others of its tenant: kind and id of the thing, key.
pub type TagPlace = (String, String, String);

/// Which tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagQuery {
    pub tenant: String,
    pub entity_type: Option<EntityType>,
    pub entity_id: Option<String>,
    pub key: Option<String>,
    pub value: Option<String>,
}

/// A key or value, and on how many things it is.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TagCount {
    pub text: String,
    pub entities: i64,
}

impl TagQuery {
    fn push(&self, query: &mut QueryBuilder<sqlx::Postgres>) {
        query.push(" FROM tags WHERE tenant_id = ").push_bind(self.tenant.clone());
        let wanted = [
            ("entity_type", self.entity_type.map(|kind| kind.as_str().to_owned())),
            ("entity_id", self.entity_id.clone()),
            ("key", self.key.clone()),
            ("value", self.value.clone()),
        ];
        for (column, wanted) in wanted.into_iter().filter_map(|(column, wanted)| Some((column, wanted?))) {
            query.push(format_args!(" AND {column} = ")).push_bind(wanted);
        }
    }
}

impl Reader {
    /// Tags after `after`, by kind, id and key, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tags(
        &mut self,
        of: &TagQuery,
        after: Option<&TagPlace>,
        limit: u32,
    ) -> Result<Vec<TagRow>, StoreError> {
        let mut query = QueryBuilder::new("SELECT entity_type, entity_id, key, value, at, by");
        of.push(&mut query);
        let order = "entity_type COLLATE \"C\", entity_id COLLATE \"C\", key COLLATE \"C\"";
        if let Some((kind, id, key)) = after {
            query.push(format_args!(" AND ({order}) > (")).push_bind(kind.clone());
            query.push(", ").push_bind(id.clone()).push(", ").push_bind(key.clone()).push(")");
        }
        query.push(format_args!(" ORDER BY {order} LIMIT ")).push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The values that these tags have now; one that is not there is left out.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tags_at(&mut self, tenant: &str, places: &[TagPlace]) -> Result<Vec<TagRow>, StoreError> {
        let part = |of: fn(&TagPlace) -> &String| places.iter().map(|place| of(place).clone()).collect::<Vec<_>>();
        let mut query =
            QueryBuilder::new("SELECT f.entity_type, f.entity_id, f.key, f.value, f.at, f.by FROM tags f JOIN unnest(");
        query.push_bind(part(|place| &place.0)).push("::text[], ").push_bind(part(|place| &place.1));
        query.push("::text[], ").push_bind(part(|place| &place.2));
        query.push(
            "::text[]) AS given (entity_type, entity_id, key) ON f.entity_type = given.entity_type
             AND f.entity_id = given.entity_id AND f.key = given.key WHERE f.tenant_id = ",
        );
        query.push_bind(tenant.to_owned());
        self.all(query).await
    }

    /// All tags of these things, kind and id of each; by thing and key.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tags_of(&mut self, tenant: &str, things: &[(String, String)]) -> Result<Vec<TagRow>, StoreError> {
        let (kinds, ids): (Vec<String>, Vec<String>) = things.iter().cloned().unzip();
        let mut query =
            QueryBuilder::new("SELECT f.entity_type, f.entity_id, f.key, f.value, f.at, f.by FROM tags f JOIN unnest(");
        query.push_bind(kinds).push("::text[], ").push_bind(ids);
        query.push(
            "::text[]) AS given (entity_type, entity_id) ON f.entity_type = given.entity_type
             AND f.entity_id = given.entity_id WHERE f.tenant_id = ",
        );
        query.push_bind(tenant.to_owned());
        query.push(" ORDER BY f.entity_type COLLATE \"C\", f.entity_id COLLATE \"C\", f.key COLLATE \"C\"");
        self.all(query).await
    }

    /// The keys there are behind `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tag_keys(
        &mut self,
        of: &TagQuery,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TagCount>, StoreError> {
        let mut query = QueryBuilder::new("SELECT key AS text, count(*) AS entities");
        of.push(&mut query);
        if let Some(after) = after {
            query.push(" AND key COLLATE \"C\" > ").push_bind(after.to_owned());
        }
        query.push(" GROUP BY key ORDER BY key COLLATE \"C\" LIMIT ").push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The values there are that contain `typed` (letter case aside), the most frequent first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn tag_values(&mut self, of: &TagQuery, typed: &str, limit: u32) -> Result<Vec<TagCount>, StoreError> {
        let mut query = QueryBuilder::new("SELECT value AS text, count(*) AS entities");
        of.push(&mut query);
        query.push(" AND strpos(lower(value), lower(").push_bind(typed.to_owned());
        query.push(")) > 0 GROUP BY value ORDER BY count(*) DESC, value COLLATE \"C\" LIMIT ");
        query.push_bind(i64::from(limit));
        self.all(query).await
    }

    /// The ids of the resources or identities that the chosen chargeback rows are about, in order, at most `limit`. What is
    /// charged to no identity names none.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn entities_of(
        &mut self,
        of: &Selection,
        kind: EntityType,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let column = match kind {
            EntityType::Resource => "d.resource_id",
            EntityType::Identity => "d.identity_id",
        };
        let mut query = QueryBuilder::new(format!("SELECT DISTINCT {column} COLLATE \"C\" AS id"));
        Dataset::Chargebacks.push_from(&mut query, of);
        query.push(format_args!(" AND {column} <> ''"));
        if kind == EntityType::Identity {
            query.push(" AND d.target = 'identity'");
        }
        query.push(" ORDER BY 1 LIMIT ").push_bind(i64::from(limit));
        let ids: Vec<(String,)> = self.all(query).await?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }
}
