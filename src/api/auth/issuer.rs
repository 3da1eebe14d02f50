//! An issuer of access tokens (OpenID Connect): where it is, its keys, and who a token of it is.
//!
//! Keys are asked for once, and again when a token names one that is unknown, or after an hour: so a rotation is noticed with
//! the first token of the new key. No more often than every few seconds, whatever tokens are sent. While the issuer is away
//! its known keys hold; a token of an unknown key is then answered by 503 and not by 401, because nobody can say whether
//! it is good, and a client that is told 401 would throw it away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Caller;
use super::claims::Claims;
use super::jwt::{Jwt, Key, keys};
use crate::api::problem::{Code, Problem};
use crate::wording::chain;

/// How long the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are older are asked for again.
const FRESH: Duration = Duration::from_secs(3600);
/// Between two attempts to ask.
const PAUSE: Duration = Duration::from_secs(5);
/// No discovery document and no key set is larger.
const LARGEST: usize = 1 << 20;

/// An issuer. Its keys are shared by all requests.
#[derive(Debug)]
pub struct Issuer {
    claims: Claims,
    http: reqwest::Client,
    keys: Mutex<Known>,
    /// Held by whoever asks, so that nobody else does at the same time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    /// When they came.
    since: Option<Instant>,
    /// When they were asked for last, and whether that went well.
    asked: Option<(Instant, bool)>,
}

impl Issuer {
    /// An issuer that nobody has asked yet.
    ///
    /// # Errors
    /// If the system's certificates cannot be used.
    pub fn new(claims: Claims) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { claims, http, keys: Mutex::default(), asking: tokio::sync::Mutex::default() })
    }

    /// Who has this token?
    ///
    /// # Errors
    /// A [`Problem`]: 401 if the token lets nobody in, 503 if that cannot be said now.
    pub(super) async fn caller(&self, token: &str, now: DateTime<Utc>) -> Result<Caller, Problem> {
        let bad = |why: &str| Problem::new(Code::BadToken, why);
        let jwt = Jwt::parse(token).ok_or_else(|| bad("this is no token that this service takes"))?;
        let mut known = self.known();
        if known.since.is_none_or(|since| since.elapsed() > FRESH) || !known.has(&jwt) {
            known = self.ask_again().await;
        }
        if !known.has(&jwt) {
            return Err(match known.asked {
                Some((_, true)) => bad("the token is signed by a key that is not its issuer's"),
                _ => Problem::new(Code::Unavailable, "the issuer of the token does not answer now; try again shortly"),
            });
        }
        let claims = known.candidates(&jwt).find_map(|key| jwt.verified(key));
        let claims = claims.ok_or_else(|| bad("the token's signature does not hold"))?;
        self.claims.caller(&claims, now).map_err(|why| bad(&why))
    }

    fn known(&self) -> Known {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the keys, unless somebody has just done so.
    async fn ask_again(&self) -> Known {
        let _alone = self.asking.lock().await;
        let mut known = self.known();
        if known.asked.is_some_and(|(at, _)| at.elapsed() < PAUSE) {
            return known;
        }
        match self.fetch().await {
            Ok(keys) => {
                known =
                    Known { keys: Arc::new(keys), since: Some(Instant::now()), asked: Some((Instant::now(), true)) };
            }
            Err(error) => {
                tracing::warn!(issuer = self.claims.issuer, error, "the keys of the issuer cannot be had");
                known.asked = Some((Instant::now(), false));
            }
        }
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        known
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let issuer = self.claims.issuer.trim_end_matches('/');
        let about = self.document(&format!("{issuer}/.well-known/openid-configuration")).await?;
        let says = about["issuer"].as_str().unwrap_or_default().trim_end_matches('/');
        if says != issuer {
            return Err(format!(
                "it says that it is {says:?}; set auth.oidc.issuer to that, if it is the one you mean"
            ));
        }
        let place = about["jwks_uri"].as_str().ok_or("it does not say where its keys are (jwks_uri)")?;
        let set = self.document(place).await?;
        let keys = keys(&set);
        if keys.is_empty() { Err("it has no key of a kind that is known here".to_owned()) } else { Ok(keys) }
    }

    async fn document(&self, address: &str) -> Result<Value, String> {
        let told = |error: reqwest::Error| chain(&error);
        let mut response = self.http.get(address).send().await.and_then(|r| r.error_for_status()).map_err(told)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(told)? {
            body.extend_from_slice(&part);
            if body.len() > LARGEST {
                return Err(format!("{address} answers more than {LARGEST} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|error| format!("{address} does not answer JSON: {error}"))
    }
}

impl Known {
    /// The keys that may have signed a token: the one it names, or all that could have.
    fn candidates<'a>(&'a self, jwt: &'a Jwt<'_>) -> impl Iterator<Item = &'a Key> {
        let named = |key: &&Key| jwt.kid.is_none() || key.kid == jwt.kid;
        self.keys.iter().filter(|key| key.fits(jwt.algorithm)).filter(named)
    }

    fn has(&self, jwt: &Jwt<'_>) -> bool {
        self.candidates(jwt).next().is_some()
    }
}
