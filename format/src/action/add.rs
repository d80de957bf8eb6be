//! `add`: a data file joins the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DeletionVectorDescriptor;

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

impl Add {
    /// Rows in the file, deleted ones included, where its statistics tell. The rest of them is skipped over.
    pub fn num_records(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Count {
            #[serde(rename = "numRecords")]
            num_records: Option<u64>,
        }
        let stats = self.stats.as_deref().filter(|text| text.trim_start().starts_with('{'))?;
        serde_json::from_str::<Count>(stats).ok()?.num_records
    }

    /// Rows of the file that are not deleted, where its statistics tell (DV-4).
    pub fn live_records(&self) -> Option<u64> {
        live(self.num_records(), self.deletion_vector.as_ref())
    }
}

/// What a vector leaves of `rows`. A vector of more rows than there are proves the count wrong.
pub(crate) fn live(rows: Option<u64>, vector: Option<&DeletionVectorDescriptor>) -> Option<u64> {
    let Some(vector) = vector else { return rows };
    rows?.checked_sub(vector.deleted_rows().ok()?)
}

pub(super) fn yes() -> bool {
    true
}
