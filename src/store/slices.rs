//! Revisions of tenants' days: which are here, and how much of them.

use std::collections::BTreeMap;

use super::Ordinals;
use crate::domain::Day;

/// A tenant's day, narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DayKey {
    /// Key in table `tenants`.
    pub tenant: i32,
    pub day: Day,
}

/// A revision that is not whole yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// How many records it has.
    pub expected: u32,
    /// Those that arrived.
    pub received: Ordinals,
}

/// What a projection has of a tenant's day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaySlices {
    /// The revision that readers see.
    pub complete: Option<u32>,
    /// Later ones that are not whole yet.
    pub open: BTreeMap<u32, Slice>,
}
