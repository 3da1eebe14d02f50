//! Confluent Cloud.

pub mod rules;
