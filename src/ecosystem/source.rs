//! What a source of cost answers, as plain values.
//!
//! Values are drafts: `tenant`, `day`, `revision`, `ordinal` and `count` of a record are filled in by
//! gather when it seals the day.

use std::collections::BTreeMap;

use super::confluent_cloud::{self, ConfluentCloud};
use super::generic_metrics::{self, GenericMetrics};
use super::self_managed_kafka::{self, SelfManagedKafka};
use crate::domain::{BillingLine, Day, Identity, MetricValue, Resource};

/// A provider's bill over a period.
#[derive(Debug, Default)]
pub struct Bill {
    /// Each day that has at least one row, good or bad.
    pub days: BTreeMap<Day, DayBill>,
    /// Rows without a usable date.
    pub undated: Vec<BadRow>,
}

/// What was charged for one day.
#[derive(Debug, Default)]
pub struct DayBill {
    /// Lines with price tiers added up, in a stable order that depends on content only.
    pub lines: Vec<BillingLine>,
    pub bad: Vec<BadRow>,
    /// Of a bill made from measurements: what is missing. A provider's bill has no gap.
    pub gap: Option<Gap>,
}

/// Why a bill made from measurements is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Nothing was measured on this day nor on any earlier one of the period: measuring may have begun later.
    Before,
    /// Too little was measured, and more may still come.
    Open(String),
    /// Too little was measured, and no more is waited for: the lines say what was measured.
    Final(String),
}

/// A provider's row that is not booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The row's JSON as received.
    pub bytes: Vec<u8>,
    /// What is wrong with it and what to do, one sentence.
    pub reason: String,
    /// The request it came from, without secrets.
    pub source: String,
}

/// Everything that exists now, as far as it could be listed.
#[derive(Debug, Default)]
pub struct Inventory {
    pub resources: Vec<Resource>,
    pub identities: Vec<Identity>,
    pub listings: Vec<Listing>,
}

/// One family of listings: what it covers, and whether it is complete.
#[derive(Debug)]
pub struct Listing {
    /// `kafka`, `connector`, `flink`, `identities`, …
    pub name: String,
    /// The resource or identity types whose absence from a complete listing means deletion.
    pub types: Vec<String>,
    /// `Err` if any request of the family failed for good; what it yielded before is kept.
    pub outcome: Result<(), SourceError>,
}

/// Usage asked for: these metrics of this resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageNeed {
    pub resource_id: String,
    /// Names as in the rule book, sorted, without repetition.
    pub metrics: Vec<String>,
}

/// The answer to one [`UsageNeed`]; if any of its queries fails, the whole need fails.
#[derive(Debug)]
pub struct UsageOf {
    pub need: UsageNeed,
    pub values: Result<Vec<MetricValue>, SourceError>,
}

/// Why a source did not answer, by what the caller does next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// Wrong credentials or rights: an operator has to act, retrying does not help.
    #[error("{0}")]
    Denied(String),
    /// The provider did not answer usably after all retries; a later cycle may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The request or its answer makes no sense: wrong address, not the API that was expected.
    #[error("{0}")]
    Unusable(String),
}

/// A source of cost, of any kind.
#[derive(Debug, Clone)]
pub enum Source {
    ConfluentCloud(Box<ConfluentCloud>),
    SelfManagedKafka(Box<SelfManagedKafka>),
    GenericMetrics(Box<GenericMetrics>),
}

impl Source {
    /// Name of the kind, as in facts and rows.
    pub fn ecosystem(&self) -> &'static str {
        match self {
            Self::ConfluentCloud(_) => confluent_cloud::ECOSYSTEM,
            Self::SelfManagedKafka(_) => self_managed_kafka::ECOSYSTEM,
            Self::GenericMetrics(_) => generic_metrics::ECOSYSTEM,
        }
    }

    /// Is the bill made from measurements? Stores forget them: a day that is settled is not measured again.
    pub fn is_measured(&self) -> bool {
        match self {
            Self::ConfluentCloud(_) => false,
            Self::SelfManagedKafka(_) | Self::GenericMetrics(_) => true,
        }
    }

    /// The bill of `[from, until)`.
    ///
    /// # Errors
    /// [`SourceError`] if any part of it could not be had: a bill is whole or an error.
    pub async fn bill(&self, from: Day, until: Day) -> Result<Bill, SourceError> {
        match self {
            Self::ConfluentCloud(cloud) => cloud.bill(from, until).await,
            Self::SelfManagedKafka(cluster) => cluster.bill(from, until).await,
            Self::GenericMetrics(system) => system.bill(from, until).await,
        }
    }

    /// Everything that exists now.
    ///
    /// # Errors
    /// [`SourceError`] if nothing could be listed; of single families a failure is in [`Inventory::listings`].
    pub async fn inventory(&self) -> Result<Inventory, SourceError> {
        match self {
            Self::ConfluentCloud(cloud) => cloud.inventory().await,
            Self::SelfManagedKafka(cluster) => cluster.inventory().await,
            Self::GenericMetrics(system) => system.inventory().await,
        }
    }

    /// The usage of a day: an answer to each need, in their order.
    pub async fn usage(&self, day: Day, needs: &[UsageNeed]) -> Vec<UsageOf> {
        match self {
            Self::ConfluentCloud(cloud) => cloud.usage(day, needs).await,
            Self::SelfManagedKafka(cluster) => cluster.usage(day, needs).await,
            Self::GenericMetrics(system) => system.usage(day, needs).await,
        }
    }
}
