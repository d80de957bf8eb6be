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
    if let Some(begun) = snapshot.begin_checkpoint().await {
        return Arc::new(begun);
    }
    match snapshot.write_checkpoint().await {
        Ok(mut standing) => {
            standing.clean_log_told().await;
            Arc::new(standing)
        }
        Err(error) => {
            tracing::warn!(table, version, %error, "no checkpoint after this commit");
            snapshot
        }
    }
}
