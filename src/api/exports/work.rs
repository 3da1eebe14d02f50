//! Makes the file of one export.

use std::io::{self, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::document::{Document, State, Whole};
use crate::api::Api;
use crate::api::flow::{self, Cut};
use crate::api::params::conditions;
use crate::api::table::Table;
use crate::store::read::{Column, Dataset, Selection};
use crate::unfinished::Unfinished;
use crate::wording::chain;

/// Chunks of bytes that wait for the disk.
const WAITING: usize = 4;

/// Waits for its turn, makes the file, and says in the document how that went.
pub(crate) async fn make(api: Api, document: Document) {
    let Some(shelf) = api.shelf.clone() else { return };
    let stop = api.stop.clone();
    let running = Document { state: State::Running, ..document };
    let made = async {
        let _turn = api.files.clone().acquire_owned().await.map_err(|error| error.to_string())?;
        shelf.put(running.clone()).map_err(|error| error.to_string())?;
        written(&api, &running, shelf.file(&running)).await
    };
    let how = tokio::select! {
        how = made => how,
        () = stop.cancelled() => Err("the service was stopped before the file was whole; ask for the export again".to_owned()),
    };
    if let Err(error) = &how {
        tracing::warn!(export = running.id, error, "an export failed");
    }
    let id = running.id.clone();
    if let Err(error) = shelf.put(running.ended(how, api.clock.now(), shelf.keep())) {
        // It is under way until the next start, which shows it as failed.
        tracing::error!(%error, export = id, "the end of an export could not be written down");
    }
}

async fn written(api: &Api, document: &Document, path: PathBuf) -> Result<Whole, String> {
    let (dataset, of, columns) = asked(document)?;
    let mut reader = api.store.reader_of(&of.tenant, flow::LIMIT).await.map_err(|error| chain(&error))?;
    let (taker, bytes) = mpsc::channel(WAITING);
    let table = Table::begin(document.wish.format, &columns).map_err(|error| chain(&error))?;
    let file = tokio::task::spawn_blocking(move || write(path, bytes));
    let poured = flow::pour(&mut reader, dataset, &of, &columns, table, &taker).await;
    let end = match &poured {
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(io::Error::other(chain(error))),
    };
    // The writer finishes the file only after this.
    let told = taker.send(end).await;
    drop(taker);
    let file = file.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error));
    match poured {
        Ok(rows) => file.map(|(bytes, sha256)| Whole { rows, bytes, sha256 }),
        // The writer left first: its reason is the reason.
        Err(Cut::Gone) if told.is_err() => Err(file.err().unwrap_or_else(|| Cut::Gone.to_string())),
        Err(error) => Err(chain(&error)),
    }
}

/// What a document asks for. It was checked when it was written; a later version may know other names.
fn asked(document: &Document) -> Result<(Dataset, Selection, Vec<Column>), String> {
    let wish = &document.wish;
    let dataset = Dataset::ALL.into_iter().find(|dataset| dataset.name() == wish.dataset);
    let dataset = dataset.ok_or_else(|| format!("there is no dataset {:?}", wish.dataset))?;
    let conditions = conditions(dataset, &wish.filters).map_err(|problem| problem.detail)?;
    let column = |name: &String| {
        let found = dataset.columns().iter().find(|column| column.name == name).copied();
        found.ok_or_else(|| format!("{} have no column {name:?}", dataset.name()))
    };
    let columns = wish.columns.iter().map(column).collect::<Result<_, _>>()?;
    let tenant = document.tenant.clone();
    Ok((dataset, Selection { tenant, from: wish.from, to: wish.to, conditions, as_of: None }, columns))
}

/// Writes the bytes as they come, up to an empty chunk; returns how many there were and their digest. Blocks.
fn write(path: PathBuf, mut bytes: mpsc::Receiver<flow::Bytes>) -> io::Result<(u64, String)> {
    let mut file = Unfinished::begin(path)?;
    let (mut hasher, mut count) = (Sha256::new(), 0);
    while let Some(chunk) = bytes.blocking_recv() {
        let chunk = chunk?;
        if chunk.is_empty() {
            file.finish()?;
            return Ok((count, hex(&hasher.finalize())));
        }
        hasher.update(&chunk);
        file.write_all(&chunk)?;
        count += chunk.len() as u64;
    }
    Err(io::Error::other("the rows ended before their end"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: Vec<flow::Bytes>) -> (io::Result<(u64, String)>, Option<String>) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.csv");
        let (taker, bytes) = mpsc::channel(8);
        chunks.into_iter().for_each(|chunk| taker.blocking_send(chunk).unwrap());
        drop(taker);
        let written = write(path.clone(), bytes);
        (written, std::fs::read_to_string(path).ok())
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let (written, text) = file(vec![Ok(b"ab".to_vec()), Ok(b"c".to_vec()), Ok(Vec::new())]);
        let (count, digest) = written.unwrap();
        assert_eq!((count, text.as_deref()), (3, Some("abc")));
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let (cut, text) = file(vec![Ok(b"ab".to_vec())]);
        assert!(cut.is_err() && text.is_none());
        let (cut, text) = file(vec![Ok(b"ab".to_vec()), Err(io::Error::other("away"))]);
        assert!(cut.is_err() && text.is_none());
    }
}
