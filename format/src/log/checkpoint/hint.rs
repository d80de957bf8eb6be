//! `_last_checkpoint`: a hint where to start, never the truth.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::TableRoot;

const NAME: &str = "_delta_log/_last_checkpoint";
const MAX_BYTES: u64 = 16 << 20;

/// What the hint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// Version of the checkpoint.
    pub version: u64,
    /// Its number of actions.
    #[serde(default)]
    pub size: i64,
    /// Its number of files, when more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<i32>,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_in_bytes: Option<u64>,
    /// Its number of live files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_of_add_files: Option<u64>,
}

/// The hint; `None` when it is absent, damaged or out of reach: the log is then listed whole.
pub async fn read_hint(root: &TableRoot) -> Option<Hint> {
    let path = root.child(NAME).ok()?;
    let bytes = root.get_small(&path, MAX_BYTES).await.ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Points to a checkpoint that was written and verified. It is not synced: without it the checkpoint is found by its name.
///
/// # Errors
/// The store's own.
pub async fn write_hint(root: &TableRoot, hint: &Hint) -> Result<()> {
    let text = serde_json::to_vec(hint).map_err(|e| Error::internal("the hint can't be written").with_source(e))?;
    root.put_aid(&root.child(NAME)?, Bytes::from(text)).await
}
