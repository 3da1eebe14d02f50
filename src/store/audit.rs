//! Who changed what, as a table.

use super::facts::check_moment;
use super::text::storable;
use super::{FactCheck, ProjectionTx, StoreError};
use crate::domain::AuditEvent;

/// Does an event fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_audit_event(event: &AuditEvent) -> Result<(), FactCheck> {
    if event.tenant.as_deref().is_some_and(|tenant| tenant.contains('\0')) {
        return Err(FactCheck::ZeroByte);
    }
    check_moment("at", Some(event.at))
}

impl ProjectionTx {
    /// Writes events with their offsets and their tenants' keys. What a tenant did before it was forgotten stays away.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_audit(&mut self, events: &[(i64, Option<i32>, &AuditEvent)]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let text = |of: fn(&AuditEvent) -> Option<&str>| {
            events.iter().map(|(.., e)| of(e).map(|text| storable(text).into_owned())).collect::<Vec<_>>()
        };
        let written = sqlx::query(
            "INSERT INTO audit_facts
                (seq, tenant_key, at, id, actor, action, entity_type, entity_id, before, after, request_id)
             SELECT given.* FROM unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                AS given (seq, tenant_key, at, id, actor, action, entity_type, entity_id, before, after, request_id)
             LEFT JOIN tenants t USING (tenant_key)
             WHERE t.forgotten_at IS NULL OR given.at > t.forgotten_at
             ON CONFLICT (seq) DO NOTHING",
        )
        .bind(events.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, tenant, _)| *tenant).collect::<Vec<_>>())
        .bind(events.iter().map(|(.., e)| e.at).collect::<Vec<_>>())
        .bind(text(|e| Some(&e.id)))
        .bind(text(|e| Some(&e.actor)))
        .bind(text(|e| Some(&e.action)))
        .bind(text(|e| Some(&e.entity_type)))
        .bind(text(|e| Some(&e.entity_id)))
        .bind(text(|e| e.before.as_deref()))
        .bind(text(|e| e.after.as_deref()))
        .bind(text(|e| Some(&e.request_id)))
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| self.store.sort(error))
    }
}
