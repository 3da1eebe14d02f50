//! `tributary quarantine`: look at what was set aside, and send it again.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::status::table;
use crate::domain::Quarantined;
use crate::domain::quarantine::{Stage, Status};
use crate::journal::codec::Codec;
use crate::journal::{Connection, Topic, TransactionalProducer, blocking};
use crate::store::{Store, stage_name, status_name};

/// Entries that a list shows.
const SHOWN: u32 = 200;
/// Bytes of an entry that are printed.
const PRINTED: usize = 16 * 1024;

/// Lists entries, newest first; `all` includes what was sent again.
///
/// # Errors
/// When Postgres does not answer.
pub async fn list(store: &Store, all: bool, mut out: impl Write) -> anyhow::Result<()> {
    let entries = store.quarantine(!all, SHOWN).await?;
    if entries.is_empty() {
        writeln!(out, "nothing is in quarantine")?;
        return Ok(());
    }
    let mut shown = table(&["id", "status", "stage", "tenant", "day", "source", "reason"]);
    for entry in &entries {
        shown.add_row([
            entry.id.chars().take(12).collect(),
            status_name(entry.status).to_owned(),
            stage_name(entry.stage).to_owned(),
            entry.tenant.clone().unwrap_or_default(),
            entry.day.map(|day| day.to_string()).unwrap_or_default(),
            entry.source.clone(),
            entry.reason.clone(),
        ]);
    }
    writeln!(out, "{shown}")?;
    if entries.len() == SHOWN as usize {
        writeln!(out, "these are the newest {SHOWN}")?;
    }
    Ok(())
}

/// Prints one entry: where it came from, what is wrong, its bytes.
///
/// # Errors
/// When there is no such entry, several, or no answer from Postgres.
pub async fn show(store: &Store, id: &str, mut out: impl Write) -> anyhow::Result<()> {
    let entry = the_one(store, id).await?;
    writeln!(out, "id       {}", entry.id)?;
    writeln!(out, "status   {}", status_name(entry.status))?;
    writeln!(out, "stage    {}", stage_name(entry.stage))?;
    writeln!(out, "tenant   {}", entry.tenant.as_deref().unwrap_or("unknown"))?;
    writeln!(out, "day      {}", entry.day.map_or("unknown".to_owned(), |day| day.to_string()))?;
    writeln!(out, "source   {}", entry.source)?;
    writeln!(out, "at       {}", entry.at.format("%Y-%m-%dT%H:%M:%SZ"))?;
    writeln!(out, "reason   {}", entry.reason)?;
    if let Some(key) = &entry.key {
        writeln!(out, "key      {}", readable(key))?;
    }
    writeln!(out, "payload  {} bytes\n{}", entry.payload.len(), readable(&entry.payload))?;
    Ok(())
}

/// Puts records back into their topics and marks the entries, in one Kafka transaction.
///
/// # Errors
/// When an entry is no Kafka record, is unknown, or Kafka or Postgres does not answer; then nothing was sent.
pub async fn resend(
    store: &Store,
    connection: &Connection,
    codec: Arc<Codec>,
    ids: &[String],
    mut out: impl Write,
) -> anyhow::Result<()> {
    let mut records = Vec::new();
    for id in ids {
        let entry = the_one(store, id).await?;
        let record = origin(connection, &entry)?;
        if !records.iter().any(|(known, ..): &(Quarantined, Topic, i32)| known.id == entry.id) {
            records.push((entry, record.0, record.1));
        }
    }
    let told: Vec<String> =
        records.iter().map(|(entry, topic, partition)| format!("{} to {topic}[{partition}]", entry.id)).collect();
    let connection = connection.as_instance(format!("{}-resend", connection.instance()));
    blocking(move || send(&connection, &codec, records)).await?;
    for line in told {
        writeln!(out, "sent {line}")?;
    }
    Ok(())
}

fn send(connection: &Connection, codec: &Codec, records: Vec<(Quarantined, Topic, i32)>) -> anyhow::Result<()> {
    let mut producer = TransactionalProducer::new(connection, "resend")?;
    producer.begin()?;
    for (mut entry, topic, partition) in records {
        producer.send(topic, Some(partition), entry.key.as_deref().unwrap_or_default(), Some(&entry.payload))?;
        entry.status = Status::Resent;
        let mut bytes = Vec::new();
        codec.encode(&entry, &mut bytes)?;
        producer.send(Topic::Quarantine, None, entry.id.as_bytes(), Some(&bytes))?;
    }
    producer.commit().context("nothing was sent")
}

/// Where a record stood.
fn origin(connection: &Connection, entry: &Quarantined) -> anyhow::Result<(Topic, i32)> {
    let Some(name) = &entry.topic else {
        if entry.stage == Stage::Allocate {
            bail!(
                "{} is no record but a whole day that was refused ({}): correct the reason, and the day is allocated with \
                 its next revision",
                entry.id,
                entry.source
            );
        }
        bail!(
            "{} is no Kafka record but a row of the provider ({}): it is read again with each gather of its day, so \
             correct it there",
            entry.id,
            entry.source
        );
    };
    if entry.is_cut() {
        bail!("{} is too large to be kept whole, so it cannot be sent again: write it anew to {name}", entry.id);
    }
    let known = Topic::all().iter().copied().find(|topic| topic.name() == name || connection.topic(*topic) == *name);
    match known.zip(entry.partition) {
        Some(origin) => Ok(origin),
        None => bail!("{} came from {name:?}, which is no topic of this installation", entry.id),
    }
}

async fn the_one(store: &Store, id: &str) -> anyhow::Result<Quarantined> {
    let mut found = store.quarantined(id).await?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => bail!("nothing in quarantine has the id {id:?}; `tributary quarantine list --all` shows what there is"),
        _ => bail!("several ids begin with {id:?}; give more of it"),
    }
}

/// Text if it is text, else hex with the text beside it.
fn readable(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(PRINTED)];
    let cut = if shown.len() < bytes.len() { "\n…" } else { "" };
    let text =
        std::str::from_utf8(shown).ok().filter(|text| !text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)));
    match text {
        Some(text) => format!("{text}{cut}"),
        None => format!("{}{cut}", hex(shown)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            line.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(dump, "{:08x}  {:<47}  {text}", i * 16, digits.join(" "));
    }
    dump.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_text_and_bytes_as_hex() {
        assert_eq!(readable("{\"a\": 1}".as_bytes()), "{\"a\": 1}");
        let shown = readable(b"\x00\x01abc");
        assert!(shown.starts_with("00000000  00 01 61 62 63") && shown.ends_with("..abc"), "{shown}");
    }
}
