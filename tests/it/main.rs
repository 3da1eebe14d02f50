//! One binary over real services: Apache Kafka and PostgreSQL, started by the program's own code.

mod harness;

mod api;
mod architecture;
mod as_of;
mod auth;
mod bad_input;
mod book;
mod contract;
mod corrections;
mod crash;
mod cut;
mod embedded;
mod emit;
mod examples;
mod explanations;
mod external;
mod metered;
mod operations;
mod outage;
mod pipe;
mod poison;
mod quarantine;
mod real_system;
mod rebalance;
mod road;
mod roles;
mod rules;
mod service;
mod tenants;
mod topics;
mod worlds;
mod writes;
