//! One binary over real services: Apache Kafka and PostgreSQL, started by the program's own code.

mod harness;

mod api;
mod architecture;
mod bad_input;
mod crash;
mod cut;
mod embedded;
mod external;
mod operations;
mod outage;
mod quarantine;
mod rebalance;
mod road;
mod roles;
mod rules;
mod tenants;
mod topics;
mod worlds;
