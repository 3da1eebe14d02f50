//! The doors to what is billed: vendors' APIs and metrics.
//!
//! In: credentials and a period. Out: plain domain values (bills, inventory, usage) and a rule book.
//! Absent: Kafka as our log, Postgres, state between calls. Gather sees a [`Source`], allocate a
//! [`RuleBook`](crate::domain::RuleBook); neither knows a vendor.

pub mod confluent_cloud;
pub mod generic_metrics;
pub mod http;
pub mod metered;
pub mod prometheus;
pub mod self_managed_kafka;
pub mod source;
pub mod topics;

pub use crate::secret::Secret;
pub use source::{BadRow, Bill, DayBill, Gap, Inventory, Listing, Source, SourceError, UsageNeed, UsageOf};
