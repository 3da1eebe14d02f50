//! The routes, one file for each kind of thing.

pub(super) mod aggregate;
mod as_of;
pub(super) mod billing;
mod bodies;
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
pub(super) mod line_revisions;
pub(super) mod lists;
pub(super) mod operations;
pub(super) mod readiness;
pub(super) mod runs;
pub(super) mod tag_lists;
pub(super) mod tag_sets;
pub(super) mod tags;
pub(super) mod tenants;
pub(super) mod tokens;
pub(super) mod topics;

pub use bodies::read_body;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

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

    /// A view of one tenant's rows (`tenant` is its id), once it is this request's turn. Rows of others are not in it, also
    /// where a question forgets to leave them out.
    ///
    /// # Errors
    /// A [`Problem`] if others keep all turns for longer than the request may take, or Postgres does not answer.
    pub(super) async fn reader(&self, tenant: &str) -> Result<(Reader, OwnedSemaphorePermit), Problem> {
        let turn = self.turn().await?;
        Ok((self.store.reader_of(tenant, self.limit()).await?, turn))
    }

    /// A view of all tenants' rows, for questions that are about several or about none.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub(super) async fn reader_of_all(&self) -> Result<(Reader, OwnedSemaphorePermit), Problem> {
        let turn = self.turn().await?;
        Ok((self.store.reader(self.limit()).await?, turn))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(self.patience(), Arc::clone(&self.turns).acquire_owned()).await;
        let busy = || Problem::new(Code::Busy, "too many requests are being answered; try again shortly");
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// How long one question may take.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.request_timeout_seconds))
    }

    /// How long a request waits for its turn.
    fn patience(&self) -> Duration {
        self.limit() / 2
    }
}
