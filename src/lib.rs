//! Tributary: Kafka-native cost allocation. ARCHITECTURE.md is the map of this crate.

pub mod clock;
pub mod config;
pub mod domain;
pub mod ecosystem;
pub mod journal;
