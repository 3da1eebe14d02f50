//! What requests were answered that must not be done twice.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::FromRow;

use super::{Store, StoreError};

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// A request that must not be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceKey {
    /// Who asks, as in the audit.
    pub caller: String,
    /// What the caller calls the request.
    pub key: String,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// None: it held a secret and was not kept.
    pub body: Option<Vec<u8>>,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing: it is this one's to do.
    Ours,
    /// Another request has this key.
    Other,
    /// It is under way, or its process ended in the middle of it: the id of the request that began it.
    Begun(String),
    Done(KeptAnswer),
}

#[derive(FromRow)]
struct Row {
    digest: String,
    request_id: String,
    status: Option<i32>,
    headers: Option<Vec<String>>,
    body: Option<Vec<u8>>,
}

impl Store {
    /// Takes the key for a request, if nobody had it within a day.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer; the request must not be done then.
    pub async fn claim_request(
        &self,
        of: &OnceKey,
        digest: &str,
        request_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Claimed, StoreError> {
        let claimed = async {
            sqlx::query("DELETE FROM request_answers WHERE at < $1").bind(now - KEPT).execute(self.pool()).await?;
            let insert = sqlx::query(
                "INSERT INTO request_answers (caller, key, digest, request_id, at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING",
            );
            let insert = insert.bind(&of.caller).bind(&of.key).bind(digest).bind(request_id).bind(now);
            if insert.execute(self.pool()).await?.rows_affected() == 1 {
                return Ok(Some(Claimed::Ours));
            }
            let known = sqlx::query_as::<_, Row>(
                "SELECT digest, request_id, status, headers, body FROM request_answers WHERE caller = $1 AND key = $2",
            );
            let known = known.bind(&of.caller).bind(&of.key).fetch_optional(self.pool()).await?;
            Ok(known.map(|known| known.of(digest)))
        };
        // Given back between the two statements: whoever asks again will have it.
        let claimed: Option<Claimed> = claimed.await.map_err(|error| self.sort(error))?;
        Ok(claimed.unwrap_or_else(|| Claimed::Begun(request_id.to_owned())))
    }

    /// Keeps what a request was answered.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn keep_answer(&self, of: &OnceKey, answer: &KeptAnswer) -> Result<(), StoreError> {
        let headers: Vec<&str> =
            answer.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
        let kept = sqlx::query(
            "UPDATE request_answers SET status = $3, headers = $4, body = $5 WHERE caller = $1 AND key = $2",
        );
        let kept = kept.bind(&of.caller).bind(&of.key).bind(i32::from(answer.status)).bind(headers).bind(&answer.body);
        kept.execute(self.pool()).await.map(drop).map_err(|error| self.sort(error))
    }

    /// Gives a key back: its request did nothing.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn give_back(&self, of: &OnceKey) -> Result<(), StoreError> {
        let given = sqlx::query("DELETE FROM request_answers WHERE caller = $1 AND key = $2 AND status IS NULL");
        given.bind(&of.caller).bind(&of.key).execute(self.pool()).await.map(drop).map_err(|error| self.sort(error))
    }
}

impl Row {
    fn of(self, digest: &str) -> Claimed {
        let Some(status) = self.status.and_then(|status| u16::try_from(status).ok()) else {
            return if self.digest == digest { Claimed::Begun(self.request_id) } else { Claimed::Other };
        };
        if self.digest != digest {
            return Claimed::Other;
        }
        let headers = self.headers.unwrap_or_default();
        let headers = headers.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Claimed::Done(KeptAnswer { status, headers, body: self.body })
    }
}
