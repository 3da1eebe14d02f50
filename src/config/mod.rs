//! What an operator decided.
//!
//! In: a YAML file (Chitragupta's, with a few keys of our own) and the environment. Out: a [`Config`]
//! that needs no further checking, or every fault at once. Absent: Kafka, Postgres, vendors; nothing is
//! contacted.
//!
//! `yaml` turns text into a tree with lines, `read` describes each section once with the words of
//! `section`, `kind`, `scalar`, `text`, `number` and `address`, and that one description both reads files and writes the
//! JSON Schema.

mod address;
mod digest;
pub mod dotenv;
mod fault;
mod kind;
mod load;
pub mod metered;
mod model;
mod number;
mod read;
mod reader;
mod reference;
mod scalar;
mod section;
mod show;
mod substitute;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

pub use crate::secret::Secret;
pub use fault::{Fault, Faults, Warning};
pub use load::{Loaded, load, parse, schema};
pub use metered::{GenericMetrics, SelfManagedKafka};
pub use model::*;
pub use read::{CONFLUENT_WORDS, EXTERNAL_WORDS, SELF_MANAGED_WORDS, Vocabulary, map_file};
pub use reference::reference;
pub use show::show;
