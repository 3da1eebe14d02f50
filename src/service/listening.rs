//! Passes on what projectors of any process say, to those of this one who read tables.

use anyhow::Result;

use super::Parts;

/// Listens until it is told to stop; an outage of Postgres is waited for. Nobody depends on being told: readers look again by
/// themselves, a little later.
///
/// # Errors
/// None; it has the form of a role.
pub async fn listening(parts: Parts) -> Result<()> {
    let Parts { store, stop, moved, .. } = parts;
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Err(ended) = store.listen(|| moved.notify_waiters()) => ended,
        };
        if !ended.is_transient() {
            tracing::warn!(error = %ended, "this process is not told what others project, and looks now and then instead");
            // A role that ends unasked ends the service, and nobody depends on this one.
            stop.cancelled().await;
            return Ok(());
        }
        if stop.run_until_cancelled(store.wait_until_back(&ended)).await.is_none() {
            return Ok(());
        }
    }
}
