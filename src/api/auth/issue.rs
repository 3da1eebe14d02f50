//! Makes tokens and takes them back, for whoever asks: a caller of the API, the command line, the first start.

use serde_json::json;

use super::token::{NewToken, make};
use crate::api::write::{By, Change, EventPosition, Ledger, LedgerError};
use crate::domain::ApiToken;
use crate::journal::Topic;
use crate::secret::Secret;

/// The kind of thing a token is, in the audit.
const KIND: &str = "token";

/// Makes a token. The secret is known only now.
///
/// # Errors
/// [`LedgerError`] tells whether anything can have been written; the token is of no use then.
pub async fn issue(ledger: &Ledger, by: &By, new: NewToken) -> Result<(Secret, ApiToken, EventPosition), LedgerError> {
    let (secret, token) = make(new, &by.actor, ledger.now());
    let change = Change::put(ledger, Topic::Tokens, &token.id, &token)?;
    let change = change.of("token.created", KIND, &token.id).to(&remembered(&token));
    let position = ledger.write(by, None, vec![change]).await?;
    Ok((secret, token, position))
}

/// Takes a token back.
///
/// # Errors
/// [`LedgerError`] tells whether anything can have been written.
pub async fn revoke(ledger: &Ledger, by: &By, token: &ApiToken) -> Result<EventPosition, LedgerError> {
    let change = Change::remove(Topic::Tokens, &token.id).of("token.revoked", KIND, &token.id);
    ledger.write(by, None, vec![change.from(&remembered(token))]).await
}

/// What the audit says of a token: all but the hash.
fn remembered(token: &ApiToken) -> serde_json::Value {
    json!({
        "name": token.name, "scopes": token.scopes, "tenants": token.tenants, "created_at": token.created_at,
        "created_by": token.created_by, "expires_at": token.expires_at,
    })
}
