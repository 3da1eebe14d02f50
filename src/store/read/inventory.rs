//! Resources and identities, each as it was on the last of the days asked for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::super::Projection;
use super::{Reader, StoreError};
use crate::domain::{Day, TagKey};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceOrIdentity {
    Resource,
    Identity,
}

/// What a list is sorted by; those that are alike in it by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntityOrder {
    #[default]
    Id,
    /// Letter case aside; those without a name are as if it were empty.
    Name,
    Type,
    /// What exists before what is deleted.
    Status,
}

/// What to list.
#[derive(Debug, Clone)]
pub struct InventoryQuery {
    pub kind: ResourceOrIdentity,
    pub tenant: String,
    /// Entities of the days `[from, to)`.
    pub from: Day,
    pub to: Day,
    /// Only what existed at this moment, as the newest of these days that is there tells it.
    pub alive_at: Option<DateTime<Utc>>,
    /// Only of this type.
    pub entity_type: Option<String>,
    /// Only those that exist (`true`) or are deleted (`false`).
    pub active: Option<bool>,
    /// Only those whose id or name contains this text, letter case aside.
    pub search: String,
    /// Only this one.
    pub id: Option<String>,
    /// Only those with this tag, of this value where one is given.
    pub tag: Option<(TagKey, Option<String>)>,
    pub order: EntityOrder,
    /// Backwards.
    pub descending: bool,
}

/// Where an entity stands in its list: what it is sorted by, its id.
pub type EntityPlace = (String, String);

/// A resource or identity.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct EntityRow {
    pub ecosystem: String,
    pub id: String,
    pub entity_type: String,
    pub display_name: Option<String>,
    /// Resources only.
    pub parent_id: Option<String>,
    pub owner_id: Option<String>,
    /// API keys only: the resource the key opens.
    pub resource_id: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The last day that names it.
    pub last_day: NaiveDate,
    pub attributes: serde_json::Value,
    /// What the list is sorted by.
    pub sorted_by: String,
}

impl EntityRow {
    /// Where it stands in its list.
    pub fn place(&self) -> EntityPlace {
        (self.sorted_by.clone(), self.id.clone())
    }
}

/// How many entities of a type there are.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct EntityCount {
    pub entity_type: String,
    pub active: i64,
    pub deleted: i64,
}

impl EntityOrder {
    fn sql(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "lower(coalesce(display_name, ''))",
            Self::Type => "entity_type",
            Self::Status => "CASE WHEN deleted_at IS NULL THEN 'active' ELSE 'deleted' END",
        }
    }
}

impl ResourceOrIdentity {
    fn newest(self) -> &'static str {
        match self {
            Self::Resource => {
                "SELECT DISTINCT ON (resource_id COLLATE \"C\") ecosystem, resource_id AS id, resource_type AS entity_type,
                        display_name, parent_id, owner_id, NULL::text AS resource_id, created_at, deleted_at,
                        day AS last_day, attributes FROM resources"
            }
            Self::Identity => {
                "SELECT DISTINCT ON (identity_id COLLATE \"C\") ecosystem, identity_id AS id, identity_type AS entity_type,
                        display_name, NULL::text AS parent_id, owner_id, resource_id, created_at, deleted_at,
                        day AS last_day, attributes FROM identities"
            }
        }
    }

    /// The projection that writes them.
    pub fn projection(self) -> Projection {
        match self {
            Self::Resource => Projection::Resources,
            Self::Identity => Projection::Identities,
        }
    }

    /// As tags name it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Identity => "identity",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Resource => "resource_id",
            Self::Identity => "identity_id",
        }
    }
}

impl InventoryQuery {
    fn push(&self, query: &mut QueryBuilder<sqlx::Postgres>) {
        let id = self.kind.id();
        query.push(format_args!(" FROM ({} WHERE tenant_id = ", self.kind.newest())).push_bind(self.tenant.clone());
        query.push(" AND day >= ").push_bind(self.from.date()).push(" AND day < ").push_bind(self.to.date());
        if let Some(one) = &self.id {
            query.push(format_args!(" AND {id} = ")).push_bind(one.clone());
        }
        if let Some(moment) = self.alive_at {
            query.push(format_args!(
                " AND day = (SELECT max(s.day) FROM slices s JOIN tenants t USING (tenant_key)
                             WHERE s.projection = '{}' AND s.complete AND t.tenant_id = ",
                self.kind.projection().name()
            ));
            query.push_bind(self.tenant.clone()).push(" AND s.day >= ").push_bind(self.from.date());
            query.push(" AND s.day < ").push_bind(self.to.date()).push(")");
            query.push(" AND (created_at IS NULL OR created_at <= ").push_bind(moment);
            query.push(") AND (deleted_at IS NULL OR deleted_at > ").push_bind(moment).push(")");
        }
        query.push(format_args!(" ORDER BY {id} COLLATE \"C\", day DESC) e WHERE true"));
        if let Some(entity_type) = &self.entity_type {
            query.push(" AND entity_type = ").push_bind(entity_type.clone());
        }
        match self.active {
            Some(true) => query.push(" AND deleted_at IS NULL"),
            Some(false) => query.push(" AND deleted_at IS NOT NULL"),
            None => query,
        };
        if let Some((key, value)) = &self.tag {
            query.push(" AND EXISTS (SELECT FROM tags g WHERE g.entity_id = e.id AND g.tenant_id = ");
            query.push_bind(self.tenant.clone()).push(" AND g.entity_type = ").push_bind(self.kind.as_str());
            query.push(" AND g.key = ").push_bind(key.as_str().to_owned());
            if let Some(value) = value {
                query.push(" AND g.value = ").push_bind(value.clone());
            }
            query.push(")");
        }
        if !self.search.is_empty() {
            query.push(" AND (strpos(lower(id), lower(").push_bind(self.search.clone());
            query.push(")) > 0 OR strpos(lower(coalesce(display_name, '')), lower(").push_bind(self.search.clone());
            query.push(")) > 0)");
        }
    }
}

impl Reader {
    /// The entities after the place `after`, in their order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn inventory(
        &mut self,
        ask: &InventoryQuery,
        after: Option<&EntityPlace>,
        limit: u32,
    ) -> Result<Vec<EntityRow>, StoreError> {
        let by = ask.order.sql();
        let (direction, beyond) = if ask.descending { ("DESC", "<") } else { ("ASC", ">") };
        let mut query = QueryBuilder::new(format!("SELECT *, {by} AS sorted_by"));
        ask.push(&mut query);
        if let Some((sorted_by, id)) = after {
            query.push(format_args!(" AND (({by}) COLLATE \"C\", id COLLATE \"C\") {beyond} ("));
            query.push_bind(sorted_by.clone()).push(", ").push_bind(id.clone()).push(")");
        }
        query.push(format_args!(" ORDER BY ({by}) COLLATE \"C\" {direction}, id COLLATE \"C\" {direction} LIMIT "));
        query.push_bind(i64::from(limit));
        self.all(query).await
    }

    /// How many there are of each type.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn inventory_counts(&mut self, ask: &InventoryQuery) -> Result<Vec<EntityCount>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT entity_type, count(*) FILTER (WHERE deleted_at IS NULL) AS active,
                    count(*) FILTER (WHERE deleted_at IS NOT NULL) AS deleted",
        );
        ask.push(&mut query);
        query.push(" GROUP BY entity_type ORDER BY entity_type COLLATE \"C\"");
        self.all(query).await
    }
}
