//! Records to bytes and back: Confluent's wire format (a 0 byte, the schema id in 4 bytes big-endian, an Avro datum).
//!
//! In: domain records, bytes from anybody's producer. Out: the same. A datum is read by the schema it was
//! written with, which its id names; a field that the writer lacked gets its serde default. Texts are borrowed
//! from the bytes. Absent: Kafka; IO, except for [`Codec::from_registry`] and [`Codec::learn_missing`], which ask the registry.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::{Arc, PoisonError, RwLock};

use ahash::AHashMap;
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeError, DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::{SerError, SerializerConfig};

use crate::domain::{
    ApiToken, AuditEvent, BillingLine, ChargebackRow, Command, DayAllocated, DaySealed, Emission, GatherState,
    Identity, MetricValue, MetricValueRef, Quarantined, Resource, Run, TenantEvent, TopicAttributionRow,
};

use super::registry::{Registry, RegistryError};
use super::schema;
use super::topic::Topic;

mod rows;

pub use rows::{RowReader, RowWriter};

const MAGIC: u8 = 0;
const HEADER: usize = 5;

/// A value that travels in the log.
pub trait Record {
    /// Its folder in `schemas/`, for example `billing-line`.
    const SCHEMA: &'static str;
}

macro_rules! records {
    ($($type:ty => $schema:literal),* $(,)?) => {
        $(impl Record for $type { const SCHEMA: &'static str = $schema; })*
    };
}

records! {
    BillingLine => "billing-line",
    Resource => "resource",
    Identity => "identity",
    MetricValue => "metric-value",
    MetricValueRef<'_> => "metric-value",
    DaySealed => "day-sealed",
    ChargebackRow<'_> => "chargeback-row",
    TopicAttributionRow<'_> => "topic-attribution-row",
    DayAllocated => "day-allocated",
    GatherState => "gather-state",
    Quarantined => "quarantined",
    Command => "command",
    Run => "run",
    TenantEvent => "tenant-event",
    Emission => "emission",
    AuditEvent => "audit-event",
    ApiToken => "api-token",
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("a value does not fit the schema `{record}`")]
pub struct EncodeError {
    /// The record's folder in `schemas/`.
    pub record: &'static str,
    #[source]
    source: SerError,
}

/// Why bytes are not the record that was expected.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not written by an Avro serializer for Confluent's schema registry.
    #[error(
        "not in Confluent's wire format ({0}); write the topic with a 0 byte, a 4-byte schema id and an Avro datum, as \
         the Avro serializers for Confluent Schema Registry do"
    )]
    NotConfluentFormat(&'static str),
    /// The id may be in the registry: [`Codec::learn_missing`] asks.
    #[error(
        "schema id {0} is unknown; the program's own ids are listed by `tributary schema list`, for those of a schema \
         registry set `schema_registry.url`"
    )]
    UnknownSchema(u32),
    /// Another record than this topic carries.
    #[error("schema id {id} is of `{found}`, and `{expected}` belongs here; send it to the topic of `{found}`")]
    WrongSchema { id: u32, expected: &'static str, found: String },
    /// The datum does not follow the schema that its id names.
    #[error("the bytes do not follow schema id {id} of `{record}`; the writer used another schema than it named")]
    Malformed {
        id: u32,
        record: &'static str,
        #[source]
        source: DeError,
    },
}

/// Writes each record by its newest schema and reads it by the schema it was written with.
pub struct Codec {
    writers: AHashMap<&'static str, Writer>,
    readers: AHashMap<u32, Reader>,
    /// Of other writers, as they were met.
    learned: RwLock<AHashMap<u32, Arc<Reader>>>,
    registry: Option<Registry>,
}

struct Writer {
    header: [u8; HEADER],
    schema: Arc<Schema>,
}

struct Reader {
    /// Its folder in `schemas/`, or the Avro name of a record that is not ours.
    record: String,
    schema: Arc<Schema>,
}

impl Codec {
    /// With the ids of `schemas/released.toml`, for when there is no registry.
    ///
    /// # Panics
    /// Never in a program whose tests passed: they parse every embedded schema.
    pub fn builtin() -> Self {
        let mut codec =
            Self { writers: AHashMap::new(), readers: AHashMap::new(), learned: RwLock::default(), registry: None };
        for version in schema::versions() {
            codec.add(version.file, version.id);
        }
        codec
    }

    /// With the registry's ids: every version of every schema is registered under `<topic>-value`, where
    /// `name` tells the full name of a topic. What was written with the program's own ids stays readable.
    ///
    /// # Errors
    /// [`RegistryError`] if the registry does not answer, or refuses a schema.
    pub async fn from_registry(registry: Registry, name: impl Fn(Topic) -> String) -> Result<Self, RegistryError> {
        let mut codec = Self::builtin();
        for topic in Topic::all() {
            let subject = format!("{}-value", name(*topic));
            registry.ask_backward(&subject).await?;
            for file in schema::FILES.iter().filter(|file| file.record == topic.schema()) {
                let id = registry.register(&subject, file.text).await?;
                codec.add(*file, id);
            }
        }
        codec.registry = Some(registry);
        Ok(codec)
    }

    /// Asks the registry for a schema id that [`Codec::decode`] does not know; the next `decode` does.
    ///
    /// # Errors
    /// [`RegistryError`] if there is no registry, it does not answer, or has no usable schema of that id.
    pub(super) async fn learn(&self, id: u32) -> Result<(), RegistryError> {
        let registry = self.registry.as_ref().ok_or(RegistryError::NoRegistry(id))?;
        let text = registry.schema(id).await?;
        let reader = Reader::foreign(&text).map_err(|why| RegistryError::Unusable { id, why })?;
        self.learned.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(reader));
        Ok(())
    }

    /// Asks the registry about every schema that these payloads name and [`Codec::decode`] does not know.
    ///
    /// A schema that nobody has, or that cannot be read with, is no error here: `decode` tells, record by record.
    ///
    /// # Errors
    /// [`RegistryError`] if the registry cannot be asked; then nothing is known about the records.
    pub async fn learn_missing<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<(), RegistryError> {
        for id in self.missing(payloads) {
            match self.learn(id).await {
                Err(error) if !error.is_about_the_schema() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn learned(&self, id: u32) -> Option<Arc<Reader>> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn missing<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> BTreeSet<u32> {
        let mut missing = BTreeSet::new();
        let mut last = None;
        for (id, _) in payloads.filter_map(|payload| split(payload).ok()) {
            // Records of one writer follow each other.
            if last.replace(id) != Some(id) && !self.readers.contains_key(&id) && self.learned(id).is_none() {
                missing.insert(id);
            }
        }
        missing
    }

    fn add(&mut self, file: schema::SchemaFile<'static>, id: u32) {
        const PARSED: &str = "every embedded schema is parsed by a test";
        let schema: Arc<Schema> = Arc::new(file.text.parse().expect(PARSED));
        self.writers.insert(file.record, Writer { header: header(id), schema });
        let schema = schema::as_read(file.text).parse().expect(PARSED);
        self.readers.insert(id, Reader { record: file.record.to_owned(), schema: Arc::new(schema) });
    }

    /// Appends a record to `out`, header included; on an error `out` is as before.
    ///
    /// # Errors
    /// [`EncodeError`] if a value does not fit, for example an amount beyond `decimal(28,14)`.
    pub fn encode<T: Record + Serialize>(&self, record: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let writer = &self.writers[T::SCHEMA];
        let before = out.len();
        out.extend_from_slice(&writer.header);
        let written = serde_avro_fast::to_datum(record, &mut *out, &mut SerializerConfig::new(&writer.schema));
        written.map(|_| ()).map_err(|source| {
            out.truncate(before);
            EncodeError { record: T::SCHEMA, source }
        })
    }

    /// Reads one record; its texts may borrow from `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] by what is wrong; before `UnknownSchema` is believed, ask [`Codec::learn_missing`].
    pub fn decode<'a, T: Record + Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, DecodeError> {
        let (id, datum) = split(bytes)?;
        if let Some(reader) = self.readers.get(&id) {
            return reader.read(id, datum);
        }
        self.learned(id).ok_or(DecodeError::UnknownSchema(id))?.read(id, datum)
    }
}

impl Reader {
    /// A schema that somebody else registered. As Avro has it, the unqualified name says which record it is.
    fn foreign(text: &str) -> Result<Self, String> {
        let unusable = |error: serde_avro_fast::schema::SchemaError| error.to_string();
        // What is no schema is to be told of the text as it is.
        let _: Schema = text.parse().map_err(unusable)?;
        let schema: Schema = schema::as_read(text).parse().map_err(unusable)?;
        let name = schema::record_name(text).ok_or("it is no record")?;
        let ours = schema::records().find(|record| {
            let newest = schema::newest(record).and_then(|file| schema::record_name(file.text));
            newest.as_deref() == Some(name.as_str())
        });
        Ok(Self { record: ours.map_or(name, str::to_owned), schema: Arc::new(schema) })
    }

    fn read<'a, T: Record + Deserialize<'a>>(&self, id: u32, datum: &'a [u8]) -> Result<T, DecodeError> {
        if self.record != T::SCHEMA {
            return Err(DecodeError::WrongSchema { id, expected: T::SCHEMA, found: self.record.clone() });
        }
        let malformed = |source| DecodeError::Malformed { id, record: T::SCHEMA, source };
        let mut config = DeserializerConfig::new(&self.schema);
        // An element takes a byte at least; a longer sequence is a lie that would fill the memory.
        config.max_seq_size = datum.len();
        let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
        let value = T::deserialize(state.deserializer()).map_err(malformed)?;
        let mut rest = state.into_reader();
        match rest.fill_buf() {
            Ok([]) => Ok(value),
            _ => Err(malformed(serde::de::Error::custom("bytes are left over after the last field"))),
        }
    }
}

fn header(id: u32) -> [u8; HEADER] {
    let id = id.to_be_bytes();
    [MAGIC, id[0], id[1], id[2], id[3]]
}

fn split(bytes: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match bytes {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [MAGIC, ..] => Err(DecodeError::NotConfluentFormat("shorter than 5 bytes")),
        [] => Err(DecodeError::NotConfluentFormat("empty")),
        _ => Err(DecodeError::NotConfluentFormat("the first byte is not 0")),
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("ids", &self.readers.len()).finish()
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
