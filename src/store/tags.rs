//! Tags as a table.

use super::facts::{check_moment, check_tenant};
use super::text::storable;
use super::{FactCheck, ProjectionTx, StoreError};
use crate::domain::Tag;

/// Does a tag fit the table, and every limit of tags?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_tag(tag: &Tag) -> Result<(), FactCheck> {
    check_tenant(&tag.tenant)?;
    check_moment("at", Some(tag.at))?;
    tag.check().map_err(FactCheck::NoTag)
}

impl ProjectionTx {
    /// Deletes the tags of these keys ([`Tag::record_key`]).
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn delete_tags(&mut self, keys: &[String]) -> Result<(), StoreError> {
        // A key that is none has no row.
        let parts: Vec<[String; 4]> = keys.iter().filter_map(|key| serde_json::from_str(key).ok()).collect();
        if parts.is_empty() {
            return Ok(());
        }
        let part = |at: usize| parts.iter().map(|of| storable(&of[at]).into_owned()).collect::<Vec<String>>();
        let deleted = sqlx::query(
            "DELETE FROM tag_facts f USING unnest($1::text[], $2::text[], $3::text[], $4::text[])
                 AS given (tenant_id, entity_type, entity_id, key), tenants t
             WHERE t.tenant_id = given.tenant_id AND f.tenant_key = t.tenant_key
               AND f.entity_type = given.entity_type AND f.entity_id = given.entity_id AND f.key = given.key",
        );
        let deleted = deleted.bind(part(0)).bind(part(1)).bind(part(2)).bind(part(3)).execute(&mut *self.tx).await;
        deleted.map(drop).map_err(|error| self.store.sort(error))
    }

    /// Writes tags with their tenants' keys, at most one of a key. What was forgotten with its tenant does not come back.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_tags(&mut self, tags: &[(i32, &Tag)]) -> Result<(), StoreError> {
        if tags.is_empty() {
            return Ok(());
        }
        let text =
            |of: fn(&Tag) -> &str| tags.iter().map(|(_, tag)| storable(of(tag)).into_owned()).collect::<Vec<String>>();
        let written = sqlx::query(
            "INSERT INTO tag_facts (tenant_key, entity_type, entity_id, key, value, at, by)
             SELECT tenant_key, entity_type, entity_id, key, value, at, by
             FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
                 AS given (tenant_key, entity_type, entity_id, key, value, at, by)
             JOIN tenants USING (tenant_key) WHERE forgotten_at IS NULL OR at > forgotten_at
             ON CONFLICT (tenant_key, entity_type, entity_id, key) DO UPDATE SET
                 value = excluded.value, at = excluded.at, by = excluded.by",
        )
        .bind(tags.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(text(|tag| tag.entity_type.as_str()))
        .bind(text(|tag| &tag.entity_id))
        .bind(text(|tag| &tag.key))
        .bind(text(|tag| &tag.value))
        .bind(tags.iter().map(|(_, tag)| tag.at).collect::<Vec<_>>())
        .bind(text(|tag| &tag.by))
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| self.store.sort(error))
    }
}
