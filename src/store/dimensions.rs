//! Narrow keys for what repeats in chargeback rows.

use ahash::AHashMap;
use sqlx::PgConnection;

use super::copy::CopyRows;
use super::transaction::lock_generation;
use super::{Projection, Store, StoreError};

/// Entries the cache holds at most (about 50 bytes each) before it starts over.
const LIMIT: usize = 500_000;
/// Dimensions looked up and copied at a time.
const CHUNK: usize = 20_000;

/// 16 bytes of a digest over all columns.
pub type Fingerprint = [u8; 16];

/// The columns of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DimensionOf<'a> {
    pub ecosystem: &'a str,
    pub env_id: &'a str,
    pub resource_id: &'a str,
    pub product_category: &'a str,
    pub product_type: &'a str,
    pub identity_id: &'a str,
    pub target: &'a str,
    pub cost_type: &'a str,
    pub allocation_method: &'a str,
    pub allocation_detail: Option<&'a str>,
    pub currency: &'a str,
    pub tier: u32,
}

/// Takes fingerprints of dimensions that mostly follow each other by billing line.
///
/// What the rows of a line share is digested once: the digest of all texts was a tenth of a projector's work.
#[derive(Debug, Default)]
pub struct Fingerprints {
    line: Vec<u8>,
    digest: Option<blake3::Hash>,
    scratch: Vec<u8>,
}

impl Fingerprints {
    /// Equal for equal columns of the same tenant only, whatever came before.
    pub fn of(&mut self, tenant_key: i32, dimension: &DimensionOf<'_>) -> Fingerprint {
        let of = dimension;
        self.scratch.clear();
        self.scratch.extend_from_slice(&tenant_key.to_le_bytes());
        self.scratch.extend_from_slice(&of.tier.to_le_bytes());
        self.scratch.push(u8::from(of.allocation_detail.is_some()));
        let texts = [
            of.ecosystem,
            of.env_id,
            of.resource_id,
            of.product_category,
            of.product_type,
            of.cost_type,
            of.allocation_method,
            of.allocation_detail.unwrap_or_default(),
            of.currency,
        ];
        texts.iter().for_each(|text| put_text(&mut self.scratch, text));
        let digest = match self.digest {
            Some(digest) if self.line == self.scratch => digest,
            _ => {
                std::mem::swap(&mut self.line, &mut self.scratch);
                *self.digest.insert(blake3::hash(&self.line))
            }
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(digest.as_bytes());
        put_text(&mut self.scratch, of.target);
        put_text(&mut self.scratch, of.identity_id);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&blake3::hash(&self.scratch).as_bytes()[..16]);
        fingerprint
    }
}

/// With its length in front, so that no two lists of texts look the same.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Keys that were looked up already, valid for one generation of the projection.
#[derive(Debug, Default)]
pub struct DimensionCache {
    known: AHashMap<Fingerprint, i64>,
}

impl DimensionCache {
    /// The key, if it is known.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<i64> {
        self.known.get(fingerprint).copied()
    }

    /// Forgets everything: after a rebuild the keys mean something else.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

impl Store {
    /// Fills the cache with the keys of `wanted` (tenant key, dimension), making those that are missing.
    ///
    /// Done before the batch's own transaction, so that processes with dimensions in common do not wait for each
    /// other's batches; a dimension without rows does no harm.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the projection was rebuilt since `generation` was read.
    pub async fn resolve_dimensions(
        &self,
        cache: &mut DimensionCache,
        generation: i32,
        wanted: &[(Fingerprint, i32, DimensionOf<'_>)],
    ) -> Result<(), StoreError> {
        if cache.known.len() > LIMIT {
            cache.clear();
        }
        let mut missing: Vec<&(Fingerprint, i32, DimensionOf<'_>)> =
            wanted.iter().filter(|(fingerprint, ..)| !cache.known.contains_key(fingerprint)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two writers cannot wait for each other.
        missing.sort_unstable_by_key(|(fingerprint, ..)| *fingerprint);
        missing.dedup_by_key(|(fingerprint, ..)| *fingerprint);
        let resolved = async {
            let mut tx = self.pool().begin().await?;
            if lock_generation(&mut tx, Projection::Chargebacks).await? != generation {
                return Ok(false);
            }
            // One writer at a time: what is not found stays missing until it is copied. Known dimensions never get here.
            sqlx::query("SELECT pg_advisory_xact_lock('chargeback_dimensions'::regclass::bigint)")
                .execute(&mut *tx)
                .await?;
            for chunk in missing.chunks(CHUNK) {
                look_up(&mut tx, cache, chunk).await?;
                let new: Vec<_> = chunk.iter().copied().filter(|w| !cache.known.contains_key(&w.0)).collect();
                if !new.is_empty() {
                    insert(&mut tx, cache, &new).await?;
                }
            }
            tx.commit().await.map(|()| true)
        };
        let resolved = resolved.await;
        if !matches!(resolved, Ok(true)) {
            // Keys of a transaction that did not commit mean nothing.
            cache.clear();
        }
        match resolved {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Fenced(Projection::Chargebacks.name())),
            Err(error) => Err(self.sort(error)),
        }
    }
}

type Wanted<'a> = &'a (Fingerprint, i32, DimensionOf<'a>);

async fn look_up(tx: &mut PgConnection, cache: &mut DimensionCache, of: &[Wanted<'_>]) -> Result<(), sqlx::Error> {
    let fingerprints: Vec<&[u8]> = of.iter().map(|(fingerprint, ..)| fingerprint.as_slice()).collect();
    // Each by the index: a plain join is planned as a pass over the whole table once the list is long.
    let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
        "SELECT given.fingerprint, d.dimension_key FROM unnest($1::bytea[]) AS given (fingerprint)
         CROSS JOIN LATERAL (SELECT dimension_key FROM chargeback_dimensions
                             WHERE fingerprint = given.fingerprint LIMIT 1) AS d",
    )
    .bind(&fingerprints)
    .fetch_all(tx)
    .await?;
    let pairs = rows.into_iter().filter_map(|(fingerprint, key)| Some((fingerprint.try_into().ok()?, key)));
    cache.known.extend(pairs);
    Ok(())
}

/// Copies dimensions of which none is in the table, under keys reserved for them.
async fn insert(tx: &mut PgConnection, cache: &mut DimensionCache, new: &[Wanted<'_>]) -> Result<(), sqlx::Error> {
    let last: i64 = sqlx::query_scalar(
        "SELECT setval(keys::regclass, nextval(keys::regclass) + $1 - 1)
         FROM pg_get_serial_sequence('chargeback_dimensions', 'dimension_key') AS keys",
    )
    .bind(new.len() as i64)
    .fetch_one(&mut *tx)
    .await?;
    let mut rows = CopyRows::default();
    let keys = last + 1 - new.len() as i64..=last;
    for (key, (fingerprint, tenant, of)) in keys.zip(new) {
        rows.row(15).bigint(key).bytes(fingerprint).int(*tenant);
        rows.text(of.ecosystem).text(of.env_id).text(of.resource_id).text(of.product_category).text(of.product_type);
        rows.text(of.identity_id).text(of.target).text(of.cost_type).text(of.allocation_method);
        rows.maybe_text(of.allocation_detail).text(of.currency).int(of.tier as i32);
        cache.known.insert(*fingerprint, key);
    }
    let statement =
        "COPY chargeback_dimensions (dimension_key, fingerprint, tenant_key, ecosystem, env_id, resource_id,
        product_category, product_type, identity_id, target, cost_type, allocation_method, allocation_detail, currency,
        tier) FROM STDIN (FORMAT binary)";
    rows.send(tx, statement).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_neighbouring_columns_and_nothing_from_empty_apart() {
        let one = DimensionOf {
            ecosystem: "e",
            env_id: "ab",
            resource_id: "c",
            product_category: "",
            product_type: "",
            identity_id: "",
            target: "",
            cost_type: "",
            allocation_method: "",
            allocation_detail: None,
            currency: "USD",
            tier: 0,
        };
        let moved = DimensionOf { env_id: "a", resource_id: "bc", ..one };
        let empty = DimensionOf { allocation_detail: Some(""), ..one };
        let other = DimensionOf { identity_id: "x", ..one };
        let mut fingerprints = Fingerprints::default();
        let all = [(1, one), (2, one), (1, moved), (1, empty), (1, other)].map(|(t, of)| fingerprints.of(t, &of));
        for (i, fingerprint) in all.iter().enumerate() {
            assert!(!all[..i].contains(fingerprint), "{i}");
        }
        assert_eq!(fingerprints.of(1, &one), all[0]);
    }
}
