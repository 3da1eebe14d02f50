//! One cycle of every tenant, whoever owns it otherwise: `run --once`.

use futures_util::{StreamExt, stream};

use super::cycle;
use super::schedule::Order;
use super::{Gathering, Parts};
use crate::domain::run::Trigger;
use crate::gather::{CycleReport, GatherError};

/// A tenant's name and what its cycle did, or why it could not end.
pub type Report = (String, Result<CycleReport, String>);

/// One cycle of every tenant, some at a time.
///
/// # Errors
/// [`GatherError`] if the tenants' memories cannot be read.
pub async fn gather_all(gathering: &Gathering, parts: &Parts) -> Result<Vec<Report>, GatherError> {
    let tenants: Vec<_> = gathering.tenants.iter().map(AsRef::as_ref).collect();
    let gatherers = cycle::open(parts, &tenants).await?;
    let order = Order::Gather { trigger: Trigger::Once, asked: Vec::new(), from: None, to: None, resume: false };
    let turns = gathering.tenants.iter().zip(gatherers).map(|(tenant, gatherer)| {
        let order = &order;
        let (run, stop) = (cycle::run_id(parts.clock.now()), cycle::Stop::with(&parts.stop));
        async move {
            let turn = cycle::turn(parts, tenant, Some(gatherer), (order, &run), &stop).await;
            (tenant.name.clone(), turn.report)
        }
    });
    Ok(stream::iter(turns).buffered(gathering.at_once.max(1)).collect().await)
}
