//! `sidecar` and `checkpointMetadata`: what only a V2 checkpoint holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metadata::null_as_default;

/// A file beside a V2 checkpoint that holds a part of its file actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// Name of the file in `_delta_log/_sidecars`, percent-encoded.
    pub path: String,
    /// Bytes.
    pub size_in_bytes: i64,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub modification_time: i64,
}

/// What a V2 checkpoint says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointMetadata {
    /// Its version.
    pub version: i64,
    /// Free-form labels.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: BTreeMap<String, String>,
}
