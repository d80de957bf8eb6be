//! `commitInfo`: where a commit came from. Not part of the table's state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Provenance of one commit. Foreign writers put anything here; unknown fields are kept in `other`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitInfo {
    /// Time of the commit that the protocol vouches for, where in-commit timestamps are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_commit_timestamp: Option<i64>,
    /// Milliseconds since the epoch, by the writer's clock.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub timestamp: Option<i64>,
    /// Name of the operation, as `WRITE` or `OPTIMIZE`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub operation: Option<String>,
    /// Its parameters, of any JSON type.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub operation_parameters: Option<BTreeMap<String, Value>>,
    /// Version that the writer had read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub read_version: Option<i64>,
    /// Isolation level of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub isolation_level: Option<String>,
    /// True when the commit only adds and read nothing. Absent counts as false.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub is_blind_append: Option<bool>,
    /// Counts of what was done.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub operation_metrics: Option<BTreeMap<String, Value>>,
    /// The writing program.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub engine_info: Option<String>,
    /// Identity of the logical commit, made before its first PUT.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub txn_id: Option<String>,
    /// Whatever else was there.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A field of an unexpected type counts as absent: nothing here is state.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
