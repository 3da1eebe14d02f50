//! The words of cost allocation and the arithmetic on them.
//!
//! In: nothing but the standard library, decimals and dates. Out: the values every stage speaks in.
//! Absent: clocks, sockets, tables, topics, vendors, `async`.
//!
//! * A **tenant** is one bill to explain; a **day** is one UTC calendar date of it, the unit of all work.
//! * A **revision** of a day is everything needed to allocate it, numbered, replacing the one before.
//! * A **billing line** is what was charged; **resources** and **identities** are the inventory that
//!   overlapped the day; a **metric value** is usage summed over the whole day.
//! * A **rule book** says, for each product type, whom to ask and how to split.
//! * A **chargeback row** is one identity's part of one billing line, with the reason.

pub mod amount;
pub mod attribution;
pub mod audit;
pub mod billing;
pub mod chargeback;
pub mod command;
pub mod day;
pub mod emission;
pub mod explanation;
pub mod gathered;
pub mod glob;
pub mod granularity;
pub mod inventory;
pub mod promql;
pub mod quarantine;
pub mod reach;
pub mod rule;
pub mod run;
pub mod seal;
pub mod split;
pub mod tag;
pub mod tenant;
pub mod token;
pub mod usage;

pub use amount::{Amount, AmountError};
pub use attribution::{TopicAttributionRow, TopicRules};
pub use audit::AuditEvent;
pub use billing::BillingLine;
pub use chargeback::{ChargebackRow, CostType, DayAllocated, Outcome, Target};
pub use command::{Command, CommandKind};
pub use day::{Day, Misplaced, TOPICS_KEEP_DAYS, TenantDay, check_key};
pub use emission::{Aggregation, Emission, EmissionOutcome, EmittedRows};
pub use gathered::{EntityKind, GatherState, GatheredDay, GatheredEntity, GatheredListing, GatheredTenant};
pub use granularity::Granularities;
pub use inventory::{Identity, Lifetime, Resource};
pub use quarantine::Quarantined;
pub use reach::Reach;
pub use rule::{RuleBook, Usage};
pub use run::{Run, RunStatus};
pub use seal::{DaySealed, Reason};
pub use tag::{EntityType, NoTag, Tag, TagKey};
pub use tenant::{TenantEvent, TenantEventKind};
pub use token::{ApiToken, NoScope, Scope};
pub use usage::{MetricValue, MetricValueRef, Subject};
