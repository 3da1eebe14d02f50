//! One binary over real services: Apache Kafka and PostgreSQL, started by the program's own code.

mod harness;

mod architecture;
mod bad_input;
mod crash;
mod embedded;
mod metered;
mod outage;
mod quarantine;
mod real_system;
mod rebalance;
mod road;
mod roles;
mod worlds;
