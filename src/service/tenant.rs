//! A tenant as the service works with it.

use std::time::Duration;

use super::schedule::Rhythm;
use crate::domain::RuleBook;
use crate::ecosystem::Source;
use crate::gather::TenantSettings;

/// A tenant with its source, its rules and its limits.
#[derive(Debug)]
pub struct Tenant {
    /// For people: the name in the configuration.
    pub name: String,
    pub settings: TenantSettings,
    pub source: Source,
    pub rules: RuleBook,
    /// How long one cycle may take; `None`: as long as it takes.
    pub limit: Option<Duration>,
    pub rhythm: Rhythm,
    /// Cycles in a row that bring nothing before it is suspended.
    pub failure_threshold: u32,
    /// Names the tenant's configuration, secrets included, without giving any of it away.
    pub digest: String,
}
