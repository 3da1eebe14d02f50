//! Tributary: Kafka-native cost allocation. ARCHITECTURE.md is the map of this crate.

pub mod allocate;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod ecosystem;
pub mod embedded;
pub mod emit;
pub mod gather;
pub mod health;
pub mod journal;
pub mod kafka_properties;
pub mod meter;
pub mod notify;
pub mod project;
pub mod secret;
pub mod service;
pub mod shutdown;
pub mod spreadsheet;
pub mod store;
pub mod telemetry;
pub mod unfinished;
pub mod upkeep;
pub mod wording;
