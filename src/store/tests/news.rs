//! Who listens is told of each commit that moves positions, and of nothing that is taken back.

use tokio::sync::mpsc;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn next(heard: &mut mpsc::UnboundedReceiver<()>) {
    tokio::time::timeout(PATIENCE, heard.recv()).await.expect("told in time").expect("it listens");
}

#[tokio::test]
async fn whoever_listens_is_told_of_commits_in_other_connections_also_after_it_was_cut_off() {
    let store = store("news").await;
    let (tell, mut heard) = mpsc::unbounded_channel();
    let listener = store.clone();
    let listening = tokio::spawn(async move { listener.listen(|| _ = tell.send(())).await });
    next(&mut heard).await;

    let mut table = Table::of(&store).await;
    table.write(&[], &[]).await.unwrap();
    next(&mut heard).await;

    // A connection that is lost may have missed something.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(cut).fetch_one(store.pool()).await.unwrap(), 1);
    next(&mut heard).await;
    table.write(&[], &[]).await.unwrap();
    next(&mut heard).await;

    // What is not committed is told to nobody: the next word is that of the commit after it.
    let ends = at(table.next + 1);
    let taken_back = store.advance(Projection::Chargebacks, table.generation, &at(table.next), &ends).await.unwrap();
    drop(taken_back);
    assert!(heard.try_recv().is_err());
    table.write(&[], &[]).await.unwrap();
    next(&mut heard).await;
    assert!(heard.try_recv().is_err());
    assert!(!listening.is_finished());
    listening.abort();
}
