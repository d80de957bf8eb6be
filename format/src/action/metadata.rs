//! `metaData`: schema, partition columns and properties of the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The table's own description. The newest one wins whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Identity of the table, the same in every version.
    pub id: String,
    /// Name given by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description given by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Format of the data files.
    #[serde(default, deserialize_with = "null_as_default")]
    pub format: TableFormat,
    /// The schema as JSON text. Empty in some very old logs, where a later action replaces it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub schema_string: String,
    /// Logical names of the partition columns, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_columns: Vec<String>,
    /// Milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
    /// Table properties.
    #[serde(default, deserialize_with = "null_as_default")]
    pub configuration: BTreeMap<String, String>,
}

/// Format of the data files: Parquet, always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableFormat {
    /// `parquet`.
    pub provider: String,
    /// Empty in practice.
    #[serde(default, deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

impl Default for TableFormat {
    fn default() -> Self {
        Self { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// Reads JSON `null` as the default value.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
