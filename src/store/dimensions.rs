//! Narrow keys for what repeats in chargeback rows.

use ahash::{AHashMap, AHashSet};
use hashbrown::HashTable;
use sqlx::PgConnection;

use super::copy::CopyRows;
use super::transaction::lock_generation;
use super::{Projection, Store, StoreError};

/// Entries the cache holds at most (about 35 bytes each) before it starts over.
const LIMIT: usize = 500_000;
/// Dimensions looked up and copied at a time.
const CHUNK: usize = 20_000;

/// Entries by which the cache grows.
const STEP: usize = 50_000;

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

fn hash(fingerprint: &Fingerprint) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&fingerprint[..8]);
    u64::from_le_bytes(bytes)
}

/// With its length in front, so that no two lists of texts look the same.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Keys that were looked up already, valid for one generation of the projection.
///
/// A day's rows come in much the same order as those of the day before, so the entry behind the last one is looked at
/// first: most rows need no search in a map that is larger than the processor's caches.
#[derive(Debug, Default)]
pub struct DimensionCache {
    /// In the order in which they were first met.
    keys: Vec<(Fingerprint, i64)>,
    /// Places in `keys`; the fingerprint is a digest and needs no other hash.
    places: HashTable<u32>,
    /// The place behind the last one found.
    next: usize,
}

impl DimensionCache {
    /// The key, if it is known.
    pub fn get(&mut self, fingerprint: &Fingerprint) -> Option<i64> {
        let place = match self.keys.get(self.next) {
            Some((known, _)) if known == fingerprint => self.next,
            _ => self.place(fingerprint)?,
        };
        self.next = place + 1;
        Some(self.keys[place].1)
    }

    fn place(&self, fingerprint: &Fingerprint) -> Option<usize> {
        let is_it = |place: &u32| self.keys[*place as usize].0 == *fingerprint;
        self.places.find(hash(fingerprint), is_it).map(|place| *place as usize)
    }

    fn put(&mut self, fingerprint: Fingerprint, key: i64) {
        if self.place(&fingerprint).is_some() {
            return;
        }
        let place = self.keys.len() as u32; // at most `LIMIT` and one batch
        if self.keys.len() == self.keys.capacity() {
            // By steps: doubled, it would take three times its size for a moment.
            self.keys.reserve_exact(STEP);
        }
        self.keys.push((fingerprint, key));
        let keys = &self.keys;
        self.places.insert_unique(hash(&fingerprint), place, |place| hash(&keys[*place as usize].0));
    }

    /// Forgets everything: after a rebuild the keys mean something else.
    pub fn clear(&mut self) {
        *self = Self::default();
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
        if wanted.is_empty() {
            return Ok(());
        }
        if cache.keys.len() > LIMIT {
            cache.clear();
        }
        // In the order in which they came: so do the rows of later days, and their index grows where it just grew.
        let mut met = AHashSet::new();
        let unknown = |of: &&(Fingerprint, i32, DimensionOf<'_>)| cache.place(&of.0).is_none();
        let missing: Vec<_> = wanted.iter().filter(unknown).filter(|of| met.insert(of.0)).collect();
        let resolved = async {
            let mut tx = self.pool().begin().await?;
            if lock_generation(&mut tx, Projection::Chargebacks).await? != generation {
                return Ok(None);
            }
            // One writer at a time: what is not found stays missing until it is copied. Known dimensions never get here.
            sqlx::query("SELECT pg_advisory_xact_lock('chargeback_dimensions'::regclass::bigint)")
                .execute(&mut *tx)
                .await?;
            let mut keys = AHashMap::with_capacity(missing.len());
            for chunk in missing.chunks(CHUNK) {
                look_up(&mut tx, &mut keys, chunk).await?;
                let new: Vec<_> = chunk.iter().copied().filter(|w| !keys.contains_key(&w.0)).collect();
                if !new.is_empty() {
                    insert(&mut tx, &mut keys, &new).await?;
                }
            }
            tx.commit().await.map(|()| Some(keys))
        };
        // Keys of a transaction that did not commit mean nothing.
        let keys = resolved.await.map_err(|error| self.sort(error))?;
        let keys = keys.ok_or(StoreError::Fenced(Projection::Chargebacks.name()))?;
        for (fingerprint, ..) in wanted {
            if let Some(key) = keys.get(fingerprint) {
                cache.put(*fingerprint, *key);
            }
        }
        Ok(())
    }
}

/// Keys by fingerprint, of one transaction.
type Keys = AHashMap<Fingerprint, i64>;
type Wanted<'a> = &'a (Fingerprint, i32, DimensionOf<'a>);

async fn look_up(tx: &mut PgConnection, keys: &mut Keys, of: &[Wanted<'_>]) -> Result<(), sqlx::Error> {
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
    keys.extend(pairs);
    Ok(())
}

/// Copies dimensions of which none is in the table, under keys reserved for them.
async fn insert(tx: &mut PgConnection, known: &mut Keys, new: &[Wanted<'_>]) -> Result<(), sqlx::Error> {
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
        known.insert(*fingerprint, key);
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
    fn a_key_is_found_whatever_was_asked_before() {
        let mut cache = DimensionCache::default();
        // Two of them share what they are found by.
        let print = |n: u8| [n / 2, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0];
        (1..=4).for_each(|n| cache.put(print(n), i64::from(n)));
        cache.put(print(2), 2);
        for n in [1, 2, 3, 4, 1, 4, 4, 2, 3] {
            assert_eq!(cache.get(&print(n)), Some(i64::from(n)));
        }
        assert_eq!(cache.get(&print(5)), None);
        cache.clear();
        assert_eq!(cache.get(&print(1)), None);
    }

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
