//! The bytes of a commit: `commitInfo` first, then the actions, one line each.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::stamp::{Ground, stamp};
use super::{CommitBody, Staged};
use crate::action::{Action, CommitInfo};
use crate::conflict::{Mine, is_blind_append, isolation};
use crate::error::{Error, Result};
use crate::log::ACTION_COUNT_KEY;

/// The writing program, as `commitInfo.engineInfo` names it.
const ENGINE: &str = concat!("Lake/", env!("CARGO_PKG_VERSION"));

/// The commit of `staged` as one version, and its actions as others will read them (COM-5, COM-9, COM-10).
pub(super) fn build(
    staged: &Staged,
    ground: Ground<'_>,
    read_version: Option<u64>,
    txn_id: Uuid,
) -> Result<(CommitBody, Vec<Action>)> {
    let mine = Mine { actions: &staged.actions, reads: &staged.reads };
    let level = isolation(mine, ground.head.map(|head| head.properties().isolation_level).unwrap_or_default());
    let stamped = stamp(&staged.actions, ground)?;
    let mut info = CommitInfo {
        in_commit_timestamp: stamped.in_commit_ms,
        timestamp: Some(stamped.in_commit_ms.unwrap_or(ground.now_ms)),
        operation: Some(staged.operation.name.to_owned()),
        operation_parameters: Some(staged.operation.parameters.clone()),
        read_version: read_version.and_then(|version| i64::try_from(version).ok()),
        isolation_level: Some(level.as_str().to_owned()),
        is_blind_append: Some(is_blind_append(mine)),
        operation_metrics: Some(staged.operation.metrics.clone()),
        engine_info: Some(ENGINE.to_owned()),
        txn_id: Some(txn_id.to_string()),
        ..CommitInfo::default()
    };
    info.other.insert(ACTION_COUNT_KEY.to_owned(), Value::from(stamped.actions.len()));
    let mut actions = vec![Action::CommitInfo(Box::new(info))];
    actions.extend(stamped.actions);
    let mut text = Vec::with_capacity(512 * actions.len());
    for action in &actions {
        serde_json::to_writer(&mut text, action)
            .map_err(|e| Error::internal("a commit can't be written as JSON").with_source(e))?;
        text.push(b'\n');
    }
    Ok((CommitBody { version: ground.version, txn_id, bytes: Bytes::from(text) }, actions))
}
