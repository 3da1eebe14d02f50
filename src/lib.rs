//! Tributary: Kafka-native cost allocation. ARCHITECTURE.md is the map of this crate.

pub mod allocate;
pub mod clock;
pub mod domain;
pub mod ecosystem;
pub mod journal;
