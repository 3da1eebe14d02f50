//! The door to our event log on Kafka.
//!
//! In: domain records. Out: the same records, in the order of their partition, nothing lost, nothing twice.
//! Absent: SQL, vendors, allocation.

pub mod batch;
pub mod codec;
pub mod consumer;
mod end_watch;
pub mod ends;
pub mod error;
pub mod evolution;
mod members;
pub mod partitioner;
pub mod plan;
mod poller;
pub mod producer;
pub mod provision;
pub mod registry;
#[cfg(test)]
pub(crate) mod samples;
pub mod scan;
pub mod schema;
pub mod settings;
mod tenants;
mod tokens;
pub mod topic;
pub mod topology;
pub mod writer;

/// Runs calls of this door that block on a thread where they may.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being ended, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

pub use batch::{Batch, RecordRef};
pub use codec::{Codec, DecodeError, EncodeError, Record};
pub use consumer::{Assignment, Consumer, Event, Revocation, StartAt};
pub use end_watch::EndWatch;
pub use error::JournalError;
pub use members::members;
pub use partitioner::partition_of;
pub use producer::{NextOffset, TransactionalProducer};
pub use registry::{Registry, RegistryError};
pub use scan::{ScanRecord, scan};
pub use settings::Connection;
pub use tenants::tenant_events;
pub use tokens::tokens;
pub use topic::Topic;
pub use writer::{EventWriter, Outgoing, WriteError, Written};
