//! What an operator decided.
//!
//! In: a YAML file (Chitragupta's, with a few keys of our own) and the environment. Out: a [`Config`]
//! that needs no further checking, or every fault at once. Absent: Kafka, Postgres, vendors; nothing is contacted.

mod model;
mod secret;

pub use model::*;
pub use secret::Secret;
