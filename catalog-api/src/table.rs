//! Tables on the wire: the record, its contract, and what a client needs to read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema as OpenApiSchema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::Layer;

/// A table's entry in the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Table {
    /// Identity, for life, whatever the name.
    pub id: String,
    /// Name of the catalog.
    pub catalog: String,
    /// Name of the schema.
    pub schema: String,
    /// Name, in the case it was made with.
    pub name: String,
    /// Layer of the schema.
    pub layer: Layer,
    /// Where its log and files are.
    pub location: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Full names of the tables it is made from.
    #[serde(default)]
    pub upstreams: Vec<String>,
    /// What its commits must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Counts changes of this entry.
    pub revision: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// One page of tables, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TableList {
    /// The page.
    pub tables: Vec<Table>,
    /// Given to `page_token` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What commits to a silver table must keep. In other layers it is kept but not judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Rules, by column.
    pub columns: Vec<ColumnRule>,
}

/// What one column must keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnRule {
    /// Name; parts of a nested one are joined by dots.
    pub name: String,
    /// Its type must stay this, as `decimal(10,2)`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// `false`: the statistics of every new file prove that no value is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// The statistics of every new file prove that no value is below this. A number, or text as `2024-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound>,
    /// The statistics of every new file prove that no value is above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound>,
}

/// End of a range, read by the column's type. Exact decimals are given as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Bound {
    /// A number.
    Number(serde_json::Number),
    /// Text, a date, a timestamp, or a number with all its digits.
    Text(String),
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => Ok(Self::Number(number)),
            serde_json::Value::String(text) => Ok(Self::Text(text)),
            other => Err(serde::de::Error::custom(format!("the end of a range is a number or text, not {other}"))),
        }
    }
}

impl PartialSchema for Bound {
    fn schema() -> RefOr<OpenApiSchema> {
        let types = SchemaType::from_iter([Type::Number, Type::String]);
        let about = "End of a range, read by the column's type. Exact decimals are given as text.";
        ObjectBuilder::new().schema_type(types).description(Some(about)).into()
    }
}

impl ToSchema for Bound {}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One column of a new table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name.
    pub name: String,
    /// Type, as `long`, `decimal(10,2)` or `array<string>`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether rows may hold null; `true` when absent.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Comment, kept in the column's metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

fn yes() -> bool {
    true
}

/// Makes a Delta table and its entry. Exactly one of `columns` and `schema_string` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTable {
    /// Name.
    pub name: String,
    /// The columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnSpec>,
    /// The columns as the JSON text of a Delta schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_string: Option<String>,
    /// Names of the partition columns, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_columns: Vec<String>,
    /// Properties of the Delta table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Where to put it; a fresh folder of the warehouse when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Names of the tables it is made from, `[catalog.]schema.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<String>,
    /// What its commits must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
}

/// Makes an entry for a Delta table that is there already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterTable {
    /// Name.
    pub name: String,
    /// Where the table is.
    pub location: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Names of the tables it is made from, `[catalog.]schema.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<String>,
    /// What its commits must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
}

/// Changes a table's entry; what is absent stays. Columns and Delta properties change by a commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTable {
    /// New name, in the same schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text; null removes it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Who answers for it; null removes it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Option<String>>,
    /// Names of the tables it is made from; replaces the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<String>>,
    /// What its commits must keep; replaces the contract, null removes it. To change or remove one that is there needs
    /// the scope `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    #[schema(value_type = Option<Contract>)]
    pub contract: Option<Option<Contract>>,
    /// Refuse the change unless the entry still has this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// The entry is gone; the data is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedTable {
    /// Full name it had.
    pub name: String,
    /// Where its log and files still are.
    pub location: String,
    /// What that means.
    pub note: String,
}

/// A table at its newest version, and how to reach its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadedTable {
    /// The entry.
    pub table: Table,
    /// Newest version.
    pub version: u64,
    /// When that version was made, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// What readers and writers must know.
    pub protocol: TableProtocol,
    /// Identity of the Delta table.
    pub delta_id: String,
    /// The columns as the JSON text of a Delta schema.
    pub schema_string: String,
    /// Names of the partition columns, in order.
    pub partition_columns: Vec<String>,
    /// Properties of the Delta table.
    pub properties: BTreeMap<String, String>,
    /// How to reach the files.
    pub storage: StorageHints,
}

/// Versions and features of the Delta protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableProtocol {
    /// Least reader version.
    pub min_reader_version: i32,
    /// Least writer version.
    pub min_writer_version: i32,
    /// Features a reader must know.
    #[serde(default)]
    pub reader_features: Vec<String>,
    /// Features a writer must know.
    #[serde(default)]
    pub writer_features: Vec<String>,
}

/// Kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A folder of the machine that the server runs on.
    Local,
    /// An S3-compatible store.
    S3,
}

/// How to reach a table's files. Keys come only from a server that is told to hand out read keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageHints {
    /// Kind of the store.
    pub kind: StoreKind,
    /// Base address of the service; AWS itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Bucket in the path instead of the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Keys that may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_keys: Option<StaticKeys>,
}

/// A pair of access keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StaticKeys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_refused() {
        let error = serde_json::from_str::<UpdateTable>(r#"{"ownr":"x"}"#).expect_err("unknown field");
        assert!(error.to_string().contains("ownr"), "{error}");
    }

    #[test]
    fn a_column_may_be_null_unless_it_says_otherwise() {
        let column: ColumnSpec = serde_json::from_str(r#"{"name":"id","type":"long"}"#).expect("column");
        assert!(column.nullable);
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = StaticKeys { access_key_id: "id".into(), secret_access_key: "hunter2".into() };
        assert!(!format!("{keys:?}").contains("hunter2"));
    }
}
