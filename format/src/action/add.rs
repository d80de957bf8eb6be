//! `add`: a data file joins the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A live data file. Its key is the path with the identity of its deletion vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    /// URI, percent-encoded once; relative to the table's root, or absolute.
    pub path: String,
    /// Partition column to value as text; absent, null and empty text are all null.
    #[serde(default, deserialize_with = "super::metadata::null_as_default")]
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Size of the file in bytes.
    pub size: i64,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub modification_time: i64,
    /// False when the rows were in the table before, as after compaction.
    #[serde(default = "yes")]
    pub data_change: bool,
    /// Statistics as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    /// Free-form labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
    /// Rows of the file that are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<DeletionVectorDescriptor>,
    /// First row id, where row tracking is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_row_id: Option<i64>,
    /// Version that rows without their own commit version belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_row_commit_version: Option<i64>,
    /// Name of the clustering implementation that wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clustering_provider: Option<String>,
}

pub(super) fn yes() -> bool {
    true
}

/// Where the deleted rows of a file are listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionVectorDescriptor {
    /// `u` relative file, `p` absolute file, `i` inline.
    pub storage_type: String,
    /// Encoded location or content.
    pub path_or_inline_dv: String,
    /// Byte offset in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i32>,
    /// Size of the serialised bitmap.
    pub size_in_bytes: i32,
    /// Number of deleted rows.
    pub cardinality: i64,
}

impl DeletionVectorDescriptor {
    /// Identity of the vector, the second part of a file's key.
    pub fn unique_id(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}{}@{offset}", self.storage_type, self.path_or_inline_dv),
            None => format!("{}{}", self.storage_type, self.path_or_inline_dv),
        }
    }
}
