//! Writes how far each tenant's day has come: its seals, allocations and refusals.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::facts::{check_moment, check_place, whole};
use super::text::storable;
use super::{FactCheck, ProjectionTx, StoreError};
use crate::domain::{DayAllocated, DaySealed, Outcome, Reason};

/// Does a seal fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_seal(seal: &DaySealed) -> Result<(), FactCheck> {
    check_place(&seal.tenant, seal.day, seal.revision)?;
    check_moment("gathered_at", Some(seal.gathered_at))?;
    let counts = [
        ("billing_lines", seal.billing_lines),
        ("resources", seal.resources),
        ("identities", seal.identities),
        ("metrics", seal.metrics),
        ("quarantined", seal.quarantined),
    ];
    counts.iter().try_for_each(|(name, count)| whole(name, *count))
}

/// Does an allocation fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_allocation(allocated: &DayAllocated) -> Result<(), FactCheck> {
    check_place(&allocated.tenant, allocated.day, allocated.revision)?;
    check_moment("allocated_at", Some(allocated.allocated_at))?;
    whole("topic_rows", allocated.topic_rows.unwrap_or(0))?;
    whole("rows", allocated.rows)
}

pub(super) fn reason(seal: &DaySealed) -> &'static str {
    if seal.requested.is_some() {
        return "requested";
    }
    match seal.reason {
        Reason::New => "new",
        Reason::Bill => "bill",
        Reason::Inventory => "inventory",
        Reason::Usage => "usage",
    }
}

impl ProjectionTx {
    /// Writes seals with their tenants' keys, at most one of a tenant's day. A lower or known revision changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_seals(&mut self, seals: &[(i32, &DaySealed)]) -> Result<(), StoreError> {
        if seals.is_empty() {
            return Ok(());
        }
        let int = |of: fn(&DaySealed) -> u32| seals.iter().map(|(_, s)| of(s) as i32).collect::<Vec<i32>>();
        let text = |of: fn(&DaySealed) -> &str| {
            seals.iter().map(|(_, s)| storable(of(s)).into_owned()).collect::<Vec<String>>()
        };
        let failed = seals.iter().map(|(_, s)| s.metrics_failed.iter().map(|id| storable(id)).collect::<Vec<_>>());
        let failed = failed.map(|ids| serde_json::to_string(&ids).unwrap_or("[]".into()));
        let digests = self.save_rule_books(seals).await?;
        let written = sqlx::query(
            "INSERT INTO day_facts AS d
                (tenant_key, day, ecosystem, sealed_revision, seal_digest, seal_reason, gathered_at, billing_lines,
                 resources, identities, metrics, quarantined, metrics_failed, rules_digest)
             SELECT tenant_key, day, ecosystem, revision, digest, reason, gathered_at, billing_lines, resources,
                 identities, metrics, quarantined, ARRAY(SELECT jsonb_array_elements_text(failed::jsonb)), rules_digest
             FROM unnest($1::int[], $2::date[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[],
                 $8::int[], $9::int[], $10::int[], $11::int[], $12::int[], $13::text[], $14::bytea[])
                 AS given (tenant_key, day, ecosystem, revision, digest, reason, gathered_at, billing_lines, resources,
                 identities, metrics, quarantined, failed, rules_digest)
             JOIN tenants USING (tenant_key) WHERE revision > forgotten_revision
             ON CONFLICT (tenant_key, day) DO UPDATE SET
                 ecosystem = excluded.ecosystem, sealed_revision = excluded.sealed_revision,
                 seal_digest = excluded.seal_digest, seal_reason = excluded.seal_reason,
                 gathered_at = excluded.gathered_at, billing_lines = excluded.billing_lines,
                 resources = excluded.resources, identities = excluded.identities, metrics = excluded.metrics,
                 quarantined = excluded.quarantined, metrics_failed = excluded.metrics_failed,
                 rules_digest = excluded.rules_digest
             WHERE d.sealed_revision IS NULL OR d.sealed_revision < excluded.sealed_revision",
        )
        .bind(seals.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(seals.iter().map(|(_, s)| s.day.date()).collect::<Vec<NaiveDate>>())
        .bind(text(|s| &s.ecosystem))
        .bind(int(|s| s.revision))
        .bind(text(|s| &s.digest))
        .bind(text(reason))
        .bind(seals.iter().map(|(_, s)| s.gathered_at).collect::<Vec<DateTime<Utc>>>())
        .bind(int(|s| s.billing_lines))
        .bind(int(|s| s.resources))
        .bind(int(|s| s.identities))
        .bind(int(|s| s.metrics))
        .bind(int(|s| s.quarantined))
        .bind(failed.collect::<Vec<String>>())
        .bind(digests)
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }

    /// Keeps the texts of rules that are new, but for those of forgotten revisions; gives back the digest of each seal's.
    async fn save_rule_books(&mut self, seals: &[(i32, &DaySealed)]) -> Result<Vec<Vec<u8>>, StoreError> {
        let digest = |seal: &DaySealed| blake3::hash(seal.rules.as_bytes());
        let mut digests: Vec<Vec<u8>> = Vec::with_capacity(seals.len());
        let mut books: BTreeMap<(i32, [u8; 32]), (&str, u32)> = BTreeMap::new();
        let mut last: Option<(&str, [u8; 32])> = None;
        for (tenant, seal) in seals {
            // Days beside each other mostly have the same rules.
            let known = last.filter(|(rules, _)| *rules == seal.rules).map(|(_, digest)| digest);
            let digest = known.unwrap_or_else(|| digest(seal).into());
            last = Some((&seal.rules, digest));
            let (_, revision) = books.entry((*tenant, digest)).or_insert((&seal.rules, seal.revision));
            *revision = seal.revision.max(*revision);
            digests.push(digest.to_vec());
        }
        let (tenants, texts): (Vec<i32>, Vec<String>) =
            books.iter().map(|((tenant, _), (rules, _))| (*tenant, storable(rules).into_owned())).unzip();
        let written = sqlx::query(
            "INSERT INTO rule_books (tenant_key, digest, rules)
             SELECT tenant_key, digest, rules
             FROM unnest($1::int[], $2::bytea[], $3::text[], $4::int[]) AS given (tenant_key, digest, rules, revision)
             JOIN tenants USING (tenant_key) WHERE revision > forgotten_revision ON CONFLICT DO NOTHING",
        )
        .bind(tenants)
        .bind(books.keys().map(|(_, digest)| digest.to_vec()).collect::<Vec<_>>())
        .bind(texts)
        .bind(books.values().map(|(_, revision)| *revision as i32).collect::<Vec<i32>>())
        .execute(&mut *self.tx)
        .await;
        written.map(|_| digests).map_err(|error| StoreError::of(error, self.store.address()))
    }

    /// Writes outcomes with their tenants' keys, at most one of a tenant's day and outcome. A lower or known revision
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_allocations(&mut self, outcomes: &[(i32, &DayAllocated)]) -> Result<(), StoreError> {
        let (allocated, refused): (Vec<_>, Vec<_>) =
            outcomes.iter().copied().partition(|(_, day)| day.outcome == Outcome::Allocated);
        self.save_allocated(&allocated).await?;
        self.save_refused(&refused).await
    }

    async fn save_allocated(&mut self, days: &[(i32, &DayAllocated)]) -> Result<(), StoreError> {
        if days.is_empty() {
            return Ok(());
        }
        let text = |of: fn(&DayAllocated) -> &str| {
            days.iter().map(|(_, d)| storable(of(d)).into_owned()).collect::<Vec<String>>()
        };
        let written = sqlx::query(
            "INSERT INTO day_facts AS d
                (tenant_key, day, ecosystem, allocated_revision, rows, amount, facts_digest, rows_digest, allocated_at)
             SELECT tenant_key, day, ecosystem, revision, rows, amount::numeric, facts, digest, allocated_at
             FROM unnest($1::int[], $2::date[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[],
                 $9::timestamptz[])
                 AS given (tenant_key, day, ecosystem, revision, rows, amount, facts, digest, allocated_at)
             JOIN tenants USING (tenant_key) WHERE revision > forgotten_revision
             ON CONFLICT (tenant_key, day) DO UPDATE SET
                 allocated_revision = excluded.allocated_revision, rows = excluded.rows, amount = excluded.amount,
                 facts_digest = excluded.facts_digest, rows_digest = excluded.rows_digest,
                 allocated_at = excluded.allocated_at
             WHERE d.allocated_revision IS NULL OR d.allocated_revision < excluded.allocated_revision",
        )
        .bind(days.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(days.iter().map(|(_, d)| d.day.date()).collect::<Vec<NaiveDate>>())
        .bind(text(|d| &d.ecosystem))
        .bind(days.iter().map(|(_, d)| d.revision as i32).collect::<Vec<i32>>())
        .bind(days.iter().map(|(_, d)| d.rows as i32).collect::<Vec<i32>>())
        .bind(days.iter().map(|(_, d)| d.amount.to_string()).collect::<Vec<String>>())
        .bind(text(|d| &d.facts_digest))
        .bind(text(|d| &d.rows_digest))
        .bind(days.iter().map(|(_, d)| d.allocated_at).collect::<Vec<DateTime<Utc>>>())
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }

    async fn save_refused(&mut self, days: &[(i32, &DayAllocated)]) -> Result<(), StoreError> {
        if days.is_empty() {
            return Ok(());
        }
        let written = sqlx::query(
            "INSERT INTO day_facts AS d (tenant_key, day, ecosystem, refused_revision, refused_reason)
             SELECT tenant_key, day, ecosystem, revision, reason
             FROM unnest($1::int[], $2::date[], $3::text[], $4::int[], $5::text[])
                 AS given (tenant_key, day, ecosystem, revision, reason)
             JOIN tenants USING (tenant_key) WHERE revision > forgotten_revision
             ON CONFLICT (tenant_key, day) DO UPDATE SET
                 refused_revision = excluded.refused_revision, refused_reason = excluded.refused_reason
             WHERE d.refused_revision IS NULL OR d.refused_revision < excluded.refused_revision",
        )
        .bind(days.iter().map(|(tenant, _)| *tenant).collect::<Vec<i32>>())
        .bind(days.iter().map(|(_, d)| d.day.date()).collect::<Vec<NaiveDate>>())
        .bind(days.iter().map(|(_, d)| storable(&d.ecosystem).into_owned()).collect::<Vec<String>>())
        .bind(days.iter().map(|(_, d)| d.revision as i32).collect::<Vec<i32>>())
        .bind(
            days.iter()
                .map(|(_, d)| storable(d.reason.as_deref().unwrap_or_default()).into_owned())
                .collect::<Vec<String>>(),
        )
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| StoreError::of(error, self.store.address()))
    }
}
