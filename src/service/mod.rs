//! The service: its roles, when each tenant is gathered, and what happens when something fails.
//!
//! In: connected parts, tenants with their sources and rules. Out: running roles; for `--once` a report of each tenant.
//! Absent: the command line, the configuration file, the embedded services; what is printed.

mod cycle;
mod emitting;
mod gathering;
pub mod lag;
mod listening;
mod offsets;
mod once;
pub mod outcome;
mod progress;
mod roles;
pub mod schedule;
mod settle;
mod tenant;
mod upkeep;
mod watch;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use emitting::{emit_once, emitting};
pub use gathering::{GROUP, Gathering, gathering};
pub use listening::listening;
pub use once::{Report, gather_all};
pub use progress::Say;
pub use roles::{Role, projecting_parts, start};
pub use settle::{settle, visible};
pub use tenant::Tenant;
pub use upkeep::daily;
pub use watch::watch;

use crate::clock::Clock;
use crate::health::Health;
use crate::journal::{Codec, Connection};
use crate::store::Store;

/// What a wait says that was ended by a signal.
const INTERRUPTED: &str = "interrupted; the next run goes on from here";

/// The parts that roles share.
#[derive(Debug, Clone)]
pub struct Parts {
    pub connection: Connection,
    pub codec: Arc<Codec>,
    pub store: Store,
    pub clock: Clock,
    pub stop: CancellationToken,
    /// Told whenever an outcome or a slice became visible: by roles of this process, and by those of others where
    /// [`listening`] runs.
    pub moved: Arc<Notify>,
    pub say: Say,
    /// What this process says of itself to supervisors.
    pub health: Health,
}
