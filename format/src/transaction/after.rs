//! What follows a landed commit: an aid to readers, never a part of its outcome (COM-4).

use std::sync::Arc;

use uuid::Uuid;

use crate::snapshot::Snapshot;

/// Writes what is due after the commit that made `snapshot`: its checksum file, and a checkpoint every so many versions,
/// behind which old log files go. `in_commit_ms` is the commit's own time. What fails is left for the next writer to do.
pub(super) async fn follow_up(snapshot: Arc<Snapshot>, txn_id: Uuid, in_commit_ms: Option<i64>) -> Arc<Snapshot> {
    let (table, version) = (snapshot.root().display(), snapshot.version());
    if let Err(error) = snapshot.write_checksum(txn_id, in_commit_ms).await {
        tracing::warn!(table, version, %error, "no checksum after this commit");
    }
    let due = version > 0 && version.is_multiple_of(snapshot.properties().checkpoint_interval);
    if !due {
        return snapshot;
    }
    match snapshot.write_checkpoint().await {
        Ok(mut standing) => {
            clean_log(&mut standing).await;
            Arc::new(standing)
        }
        Err(error) => {
            tracing::warn!(table, version, %error, "no checkpoint after this commit");
            snapshot
        }
    }
}

/// Deletes the files of the log that nobody needs any more.
async fn clean_log(snapshot: &mut Snapshot) {
    let (table, version) = (snapshot.root().display(), snapshot.version());
    match snapshot.clean_log_daily().await {
        Ok(done) if done.deleted > 0 => tracing::info!(table, deleted = done.deleted, "old log files are gone"),
        Ok(_) => {}
        Err(error) => tracing::warn!(table, version, %error, "no log clean-up after this commit"),
    }
}
