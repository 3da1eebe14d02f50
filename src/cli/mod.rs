//! The command line: builds the parts, starts the roles, ends them.

pub mod args;
pub mod config;
pub mod export;
pub mod progress;
pub mod quarantine;
pub mod rebuild;
pub mod schema;
pub mod sources;
pub mod stack;
pub mod status;
pub mod topology;
