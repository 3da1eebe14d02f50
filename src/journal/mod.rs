//! The door to our event log on Kafka.
//!
//! In: domain records. Out: the same records, in the order of their partition, nothing lost, nothing twice.
//! Absent: SQL, vendors, allocation.

pub mod batch;
pub mod codec;
pub mod consumer;
pub mod ends;
pub mod error;
pub mod evolution;
pub mod plan;
pub mod producer;
pub mod provision;
pub mod registry;
#[cfg(test)]
mod samples;
pub mod scan;
pub mod schema;
pub mod settings;
pub mod topic;
pub mod topology;

pub use batch::{Batch, RecordRef};
pub use codec::{Codec, DecodeError, EncodeError, Record};
pub use consumer::{Assignment, Consumer, Event, Revocation, StartAt};
pub use error::JournalError;
pub use producer::{NextOffset, TransactionalProducer};
pub use registry::{Registry, RegistryError};
pub use scan::{ScanRecord, scan};
pub use settings::Connection;
pub use topic::Topic;
