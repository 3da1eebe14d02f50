//! What was emitted before, and the way into the log for what is emitted now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{EmitError, Emitter};
use crate::domain::{Aggregation, Day, Emission, EmissionOutcome, EmittedRows};
use crate::journal::{Codec, Connection, JournalError, Topic, TransactionalProducer, scan};

/// Tenant, dataset, emitter, aggregation.
type Key = (String, EmittedRows, String, Aggregation);

/// What became of each period, as the log has it.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<Key, BTreeMap<Day, Emission>>);

impl Memory {
    /// What is known of an emitter, by the first day of each period.
    pub fn of(&self, emitter: &Emitter) -> Option<&BTreeMap<Day, Emission>> {
        self.0.get(&(emitter.tenant.clone(), emitter.dataset, emitter.name.clone(), emitter.aggregation))
    }

    /// Has the last attempt at any of its periods failed?
    pub fn has_failures(&self, emitter: &Emitter) -> bool {
        self.of(emitter).is_some_and(|known| known.values().any(|last| last.outcome == EmissionOutcome::Failed))
    }

    /// Remembers the latest of a period.
    pub fn note(&mut self, emission: Emission) {
        let key = (emission.tenant.clone(), emission.dataset, emission.emitter.clone(), emission.aggregation);
        self.0.entry(key).or_default().insert(emission.day, emission);
    }
}

/// Writes records of the role. There is one at a time: a successor puts it out.
#[derive(Debug)]
pub struct Recorder {
    producer: TransactionalProducer,
    codec: Arc<Codec>,
}

impl Recorder {
    /// Takes over from whoever emitted before, and reads what is remembered. Blocks.
    ///
    /// # Errors
    /// [`EmitError`] if the log does not answer or holds what cannot be read.
    pub fn open(connection: &Connection, codec: &Arc<Codec>) -> Result<(Self, Memory), EmitError> {
        // Before the topic is read: afterwards nobody else can add to it.
        let producer = TransactionalProducer::patient(&connection.as_instance("emitters"), "emit")?;
        let (mut latest, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
        scan(connection, Topic::Emissions, None, |record| {
            let key = record.key.unwrap_or_default().to_vec();
            unreadable.remove(&key);
            match record.payload.map(|payload| codec.decode::<Emission>(payload)) {
                Some(Ok(emission)) => drop(latest.insert(key, emission)),
                Some(Err(source)) => drop(unreadable.insert(key, (record.partition, record.offset, source))),
                None => drop(latest.remove(&key)),
            }
        })?;
        if let Some((_, (partition, offset, source))) = unreadable.pop_first() {
            // What was emitted before is not known, and to emit everything again would be wrong.
            let place = format!("{}[{partition}]@{offset}", connection.topic(Topic::Emissions));
            return Err(JournalError::Unreadable { place, source: Box::new(source) }.into());
        }
        let mut memory = Memory::default();
        latest.into_values().for_each(|emission| memory.note(emission));
        Ok((Self { producer, codec: Arc::clone(codec) }, memory))
    }

    /// Writes these records, all or none. Blocks.
    ///
    /// # Errors
    /// [`EmitError`]; open a new recorder, it finds out what was written.
    pub fn record(&mut self, emissions: &[Emission]) -> Result<(), EmitError> {
        self.producer.begin()?;
        let mut bytes = Vec::new();
        for emission in emissions {
            bytes.clear();
            self.codec.encode(emission, &mut bytes)?;
            self.producer.send(Topic::Emissions, None, emission.key().as_bytes(), Some(&bytes))?;
        }
        Ok(self.producer.commit()?)
    }
}
