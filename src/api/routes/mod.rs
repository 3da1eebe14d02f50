//! The routes, one file for each kind of thing.

pub(super) mod aggregate;
pub(super) mod billing;
pub(super) mod chargebacks;
pub(super) mod days;
pub(super) mod dimensions;
pub(super) mod entity;
pub(super) mod events;
pub(super) mod explanation;
pub(super) mod exports;
pub(super) mod graph;
mod graph_of;
pub(super) mod inventory;
pub(super) mod lists;
pub(super) mod operations;
pub(super) mod readiness;
pub(super) mod runs;
pub(super) mod tag_sets;
pub(super) mod tags;
pub(super) mod tenants;
pub(super) mod tokens;
pub(super) mod topics;

use std::time::Duration;

use super::problem::{Code, Problem};
use super::{Api, server};
use crate::store::read::Reader;

impl Api {
    /// The tenant of that name.
    ///
    /// # Errors
    /// A [`Problem`] if there is none.
    pub(super) fn tenant(&self, name: &str) -> Result<&server::Tenant, Problem> {
        let found = self.settings.tenants.iter().find(|tenant| tenant.name == name);
        found.ok_or_else(|| Problem::not_found("tenant", name))
    }

    /// A view of the tables, once it is this request's turn.
    ///
    /// # Errors
    /// A [`Problem`] if others keep all turns for longer than the request may take, or Postgres does not answer.
    pub(super) async fn reader(&self) -> Result<(Reader, tokio::sync::OwnedSemaphorePermit), Problem> {
        let turn = tokio::time::timeout(self.patience(), std::sync::Arc::clone(&self.turns).acquire_owned()).await;
        let busy = || Problem::new(Code::Busy, "too many requests are being answered; try again shortly");
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let limit = Duration::from_secs(u64::from(self.settings.request_timeout_seconds));
        Ok((self.store.reader(limit).await?, turn))
    }

    /// How long a request waits for its turn.
    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.request_timeout_seconds)) / 2
    }
}
