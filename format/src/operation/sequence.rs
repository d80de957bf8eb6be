//! Writes that are applied once: an application's sequence number, looked up before and after.

use std::sync::Arc;

use super::{Unchanged, WriteOutcome};
use crate::action::{Action, Txn};
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// Identity of an application, and the sequence number of one write of it.
pub type AppTxn = (String, i64);

/// The answer to a write whose sequence number the table has seen, by what `snapshot` knows (COM-11).
pub(super) fn applied(snapshot: &Arc<Snapshot>, txn: Option<&AppTxn>) -> Result<Option<WriteOutcome>> {
    let Some((app_id, sequence)) = txn else { return Ok(None) };
    if app_id.is_empty() {
        return Err(Error::invalid("an application needs a name to write under a sequence number"));
    }
    let known = snapshot.txn(app_id).is_some_and(|known| known.version >= *sequence);
    let answer = || Unchanged::AlreadyApplied { version: None, snapshot: Arc::clone(snapshot) };
    Ok(known.then(|| WriteOutcome::Unchanged(answer())))
}

/// Whether another attempt applied the same write since `snapshot`, and as which version. What can't be read now is no
/// answer.
pub(super) async fn applied_since(snapshot: &Arc<Snapshot>, txn: &AppTxn) -> Option<WriteOutcome> {
    let commits = snapshot.commits_since(snapshot.version()).await.ok()?;
    let applies = |action: &Action| matches!(action, Action::Txn(t) if t.app_id == txn.0 && t.version >= txn.1);
    let by = commits.iter().find(|commit| commit.actions.iter().any(applies))?;
    let version = Some(by.version);
    let snapshot = snapshot.refreshed().await.ok()?;
    Some(WriteOutcome::Unchanged(Unchanged::AlreadyApplied { version, snapshot }))
}

/// The mark that a write leaves.
pub(super) fn mark(txn: Option<&AppTxn>, now_ms: i64) -> Option<Action> {
    let (app_id, sequence) = txn?;
    Some(Action::Txn(Txn { app_id: app_id.clone(), version: *sequence, last_updated: Some(now_ms) }))
}
