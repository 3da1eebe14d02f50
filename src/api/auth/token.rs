//! Tokens: what they look like, how they are made, and who has one.
//!
//! `trib_` + 12 hex digits is the id, which is no secret and stands in lists and logs; behind it, after another `_`, are 256
//! random bits. Kept is only the SHA-256 of the whole: with that many bits a slow hash would add nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::domain::{ApiToken, Scope};
use crate::secret::Secret;
use crate::store::{Store, StoreError, TokenRow};

/// By this a token is recognised, also by programs that look for secrets where none should be.
pub(super) const PREFIX: &str = "trib_";
/// How long a token that was found is not looked up again: so long one that was taken back still lets somebody in.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Tokens in mind at most.
const MOST: usize = 10_000;
/// A name may have so many characters.
const LONGEST_NAME: usize = 200;
/// No token is longer.
const LONGEST: usize = 128;

/// What somebody wants a token for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// Ids of tenants; none: all of them.
    pub tenants: Option<BTreeSet<String>>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The name of a token as it is kept, without blanks around it.
///
/// # Errors
/// What is wrong with it: names are shown on terminals.
pub fn token_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(format!("a name has 1 to {LONGEST_NAME} characters, and no control characters"))
}

/// Makes a token: the secret, to be shown once, and what is kept.
pub fn make(new: NewToken, created_by: &str, now: DateTime<Utc>) -> (Secret, ApiToken) {
    let id = format!("{PREFIX}{}", hex(&rand::random::<[u8; 6]>()));
    let secret = format!("{id}_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let kept = ApiToken {
        id,
        name: new.name,
        hash: hash(&secret),
        scopes: new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        tenants: new.tenants.map(|tenants| tenants.into_iter().collect()),
        created_at: now,
        created_by: created_by.to_owned(),
        expires_at: new.expires_at,
    };
    (Secret::new(secret), kept)
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The tokens of the table, those that were used last in mind.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: Mutex<HashMap<String, (Instant, TokenRow)>>,
}

impl Tokens {
    /// The token with this secret, unless it has expired.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer and the token is not in mind.
    pub async fn find(&self, store: &Store, secret: &str, now: DateTime<Utc>) -> Result<Option<TokenRow>, StoreError> {
        if secret.len() > LONGEST {
            return Ok(None);
        }
        // Found by its hash: how long that takes says nothing about how near a guess was.
        let hash = hash(secret);
        let lives = |token: &TokenRow| token.expires_at.is_none_or(|ends| now < ends);
        if let Some(token) = self.remembered(&hash, Instant::now()) {
            return Ok(Some(token).filter(lives));
        }
        let found = store.token_by_hash(&hash).await?;
        if let Some(token) = &found {
            self.remember(hash, token.clone(), Instant::now());
        }
        Ok(found.filter(lives))
    }

    fn remembered(&self, hash: &str, now: Instant) -> Option<TokenRow> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|(since, _)| now.duration_since(*since) < REMEMBERED).map(|(_, token)| token.clone())
    }

    fn remember(&self, hash: String, token: TokenRow, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (since, _)| now.duration_since(*since) < REMEMBERED);
        }
        if known.len() < MOST {
            known.insert(hash, (now, token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> (Secret, ApiToken) {
        let scopes = BTreeSet::from([Scope::TagsWrite, Scope::CostsRead]);
        let wanted = NewToken { name: "CI".into(), scopes, tenants: None, expires_at: None };
        make(wanted, "cli:root", "2026-03-02T04:05:06Z".parse().unwrap())
    }

    #[test]
    fn a_token_shows_its_id_and_keeps_its_secret_nowhere() {
        let (secret, kept) = new();
        let text = secret.expose();
        assert!(text.starts_with(&format!("{}_", kept.id)) && kept.id.starts_with(PREFIX), "{}", kept.id);
        assert_eq!((text.len(), kept.hash.len()), (5 + 12 + 1 + 43, 64));
        let behind = &text[kept.id.len() + 1..];
        assert!(!format!("{kept:?} {secret:?}").contains(behind));
        assert_eq!(kept.scopes, ["costs:read", "tags:write"]);
        assert_ne!(new().0.expose(), text);
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_token_is_looked_up_again_after_seconds() {
        let (tokens, (_, kept)) = (Tokens::default(), new());
        let since = Instant::now();
        tokens.remember("h".into(), TokenRow::from(&kept), since);
        assert!(tokens.remembered("h", since + REMEMBERED / 2).is_some());
        assert!(tokens.remembered("h", since + REMEMBERED).is_none());
    }
}
