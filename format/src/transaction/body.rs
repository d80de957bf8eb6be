//! The bytes of a commit: `commitInfo` first, then the actions, one line each.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::{CommitBody, Staged};
use crate::action::{Action, CommitInfo};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::log::ACTION_COUNT_KEY;

/// The writing program, as `commitInfo.engineInfo` names it.
const ENGINE: &str = concat!("Lake/", env!("CARGO_PKG_VERSION"));

/// The commit of `staged` as `version`, and its actions as others will read them (COM-5).
pub(super) fn build(
    staged: &Staged,
    version: u64,
    read_version: Option<u64>,
    txn_id: Uuid,
    now_ms: i64,
) -> Result<(CommitBody, Vec<Action>)> {
    let blind = staged.reads == Reads::Nothing && only_adds(&staged.actions);
    let isolation = if staged.reads == Reads::OwnFiles { "SnapshotIsolation" } else { "Serializable" };
    let mut info = CommitInfo {
        timestamp: Some(now_ms),
        operation: Some(staged.operation.name.to_owned()),
        operation_parameters: Some(staged.operation.parameters.clone()),
        read_version: read_version.and_then(|version| i64::try_from(version).ok()),
        isolation_level: Some(isolation.to_owned()),
        is_blind_append: Some(blind),
        operation_metrics: Some(staged.operation.metrics.clone()),
        engine_info: Some(ENGINE.to_owned()),
        txn_id: Some(txn_id.to_string()),
        ..CommitInfo::default()
    };
    info.other.insert(ACTION_COUNT_KEY.to_owned(), Value::from(staged.actions.len()));
    let mut actions = vec![Action::CommitInfo(Box::new(info))];
    actions.extend(staged.actions.iter().cloned());
    let mut text = Vec::with_capacity(512 * actions.len());
    for action in &actions {
        serde_json::to_writer(&mut text, action)
            .map_err(|e| Error::internal("a commit can't be written as JSON").with_source(e))?;
        text.push(b'\n');
    }
    Ok((CommitBody { version, txn_id, bytes: Bytes::from(text) }, actions))
}

fn only_adds(actions: &[Action]) -> bool {
    actions.iter().all(|action| matches!(action, Action::Add(_) | Action::Txn(_) | Action::Domain(_)))
}
