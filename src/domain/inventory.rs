//! What existed: resources that are billed, identities that cost can go to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Day;

/// A cluster, connector, compute pool, statement, topic… that overlapped the day.
///
/// Topic `resources`, key `<tenant>/<day>`; unique in a revision by `resource_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    pub ordinal: u32,
    pub count: u32,
    pub ecosystem: String,
    pub resource_id: String,
    /// `kafka_cluster`, `connector`, `flink_statement`, …
    pub resource_type: String,
    pub display_name: Option<String>,
    pub parent_id: Option<String>,
    /// The identity that owns it, where the provider says so.
    pub owner_id: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// What else the provider says and a rule or a reader may need.
    pub attributes: BTreeMap<String, String>,
}

/// A service account, user, pool, API key… that overlapped the day.
///
/// Topic `identities`, key `<tenant>/<day>`; unique in a revision by `identity_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    pub ordinal: u32,
    pub count: u32,
    pub ecosystem: String,
    pub identity_id: String,
    /// `service_account`, `user`, `identity_pool`, `api_key`, `identity_provider`, `principal`, …
    pub identity_type: String,
    pub display_name: Option<String>,
    /// API keys: the identity that owns the key.
    pub owner_id: Option<String>,
    /// API keys: the resource the key opens.
    pub resource_id: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub deleted_at: Option<DateTime<Utc>>,
    pub attributes: BTreeMap<String, String>,
}

/// From when to when something existed; an open end is "always" or "still".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lifetime {
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Lifetime {
    /// Did it exist at some moment of the day? Deleted exactly at the day's start still counts
    /// (as in Chitragupta, confluent-cloud §2.3).
    pub fn overlaps(&self, day: Day) -> bool {
        self.created_at.is_none_or(|t| t < day.end()) && self.deleted_at.is_none_or(|t| t >= day.start())
    }
}

/// The target for cost that nobody can be found for.
pub const UNALLOCATED: &str = "UNALLOCATED";
