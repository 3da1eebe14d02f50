//! Tokens of the API, as a table: what they may, never what they are.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;

use super::facts::check_moment;
use super::text::storable;
use super::{FactCheck, ProjectionTx, Store, StoreError};
use crate::domain::ApiToken;

/// A token as the table has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct TokenRow {
    pub id: String,
    pub name: String,
    /// SHA-256 of the whole token, hex.
    pub hash: String,
    pub scopes: Vec<String>,
    /// Ids of tenants; none: all of them.
    pub tenants: Option<Vec<String>>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub expires_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "id, name, hash, scopes, tenants, created_at, created_by, expires_at";

/// Does a token fit the table?
///
/// # Errors
/// [`FactCheck`]: set it aside.
pub fn check_token(token: &ApiToken) -> Result<(), FactCheck> {
    check_moment("created_at", Some(token.created_at))?;
    check_moment("expires_at", token.expires_at)?;
    let digits = token.hash.len() == 64 && token.hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digits { Ok(()) } else { Err(FactCheck::NoHash) }
}

impl From<TokenRow> for ApiToken {
    fn from(row: TokenRow) -> Self {
        let TokenRow { id, name, hash, scopes, tenants, created_at, created_by, expires_at } = row;
        Self { id, name, hash, scopes, tenants, created_at, created_by, expires_at }
    }
}

impl From<&ApiToken> for TokenRow {
    fn from(token: &ApiToken) -> Self {
        let all = |texts: &[String]| texts.iter().map(|text| storable(text).into_owned()).collect();
        Self {
            id: storable(&token.id).into_owned(),
            name: storable(&token.name).into_owned(),
            hash: token.hash.clone(),
            scopes: all(&token.scopes),
            tenants: token.tenants.as_deref().map(all),
            created_at: token.created_at,
            created_by: storable(&token.created_by).into_owned(),
            expires_at: token.expires_at,
        }
    }
}

impl ProjectionTx {
    /// Deletes the tokens of these ids, and writes the others, at most one of an id.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is lost.
    pub async fn save_tokens(&mut self, kept: &[ApiToken], gone: &[String]) -> Result<(), StoreError> {
        let deleted = sqlx::query("DELETE FROM api_tokens WHERE id = ANY($1)").bind(gone).execute(&mut *self.tx).await;
        deleted.map_err(|error| self.store.sort(error))?;
        if kept.is_empty() {
            return Ok(());
        }
        let rows: Vec<TokenRow> = kept.iter().map(TokenRow::from).collect();
        let written = sqlx::query(
            "INSERT INTO api_tokens (id, name, hash, scopes, tenants, created_at, created_by, expires_at)
             SELECT id, name, hash, scopes, tenants, created_at, created_by, expires_at
             FROM jsonb_to_recordset($1::jsonb) AS given (id text, name text, hash text, scopes text[], tenants text[],
                 created_at timestamptz, created_by text, expires_at timestamptz)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, scopes = excluded.scopes,
                 tenants = excluded.tenants, created_at = excluded.created_at, created_by = excluded.created_by,
                 expires_at = excluded.expires_at",
        )
        .bind(serde_json::to_string(&rows).expect("rows are plain data"))
        .execute(&mut *self.tx)
        .await;
        written.map(drop).map_err(|error| self.store.sort(error))
    }
}

impl Store {
    /// The token with this hash (64 hex digits), expired or not.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<TokenRow>, StoreError> {
        let found =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM api_tokens WHERE hash = $1 LIMIT 1")));
        found.bind(hash).fetch_optional(self.pool()).await.map_err(|error| self.sort(error))
    }

    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let found =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM api_tokens ORDER BY created_at, id")));
        found.fetch_all(self.pool()).await.map_err(|error| self.sort(error))
    }
}
