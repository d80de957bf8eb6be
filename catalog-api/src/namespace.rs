//! Catalogs and schemas on the wire.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Layer of a schema: the rules that commits to its tables obey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Raw data: append-only.
    Bronze,
    /// Cleaned data: declared types, NOT NULL and ranges hold.
    Silver,
    /// Published data: has an owner and upstreams, none of them in bronze.
    Gold,
    /// No rules.
    #[default]
    None,
}

impl Layer {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
            Self::None => "none",
        }
    }

    /// The layer with that lower-case name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bronze, Self::Silver, Self::Gold, Self::None].into_iter().find(|layer| layer.as_str() == text)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A catalog: the top of the names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Catalog {
    /// Identity, for life.
    pub id: String,
    /// Name, in the case it was made with.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free-form properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// One page of catalogs, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogList {
    /// The page.
    pub catalogs: Vec<Catalog>,
    /// Given to `page_token` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Makes a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCatalog {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free-form properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// Changes a catalog; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCatalog {
    /// Free text; null removes it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Properties to set; a null value removes one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Option<String>>,
}

/// A schema: tables of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schema {
    /// Identity, for life.
    pub id: String,
    /// Name of the catalog.
    pub catalog: String,
    /// Name, in the case it was made with.
    pub name: String,
    /// Layer, for life.
    pub layer: Layer,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free-form properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// One page of schemas, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchemaList {
    /// The page.
    pub schemas: Vec<Schema>,
    /// Given to `page_token` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Makes a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchema {
    /// Name.
    pub name: String,
    /// Layer; `none` when absent.
    #[serde(default)]
    pub layer: Layer,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free-form properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// Changes a schema; what is absent stays. The layer never changes: tables hold what its rules let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSchema {
    /// Free text; null removes it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Properties to set; a null value removes one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Option<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_lower_case_words() {
        for layer in [Layer::Bronze, Layer::Silver, Layer::Gold, Layer::None] {
            assert_eq!(Layer::parse(layer.as_str()), Some(layer));
            assert_eq!(serde_json::to_string(&layer).expect("json"), format!("\"{layer}\""));
        }
        assert_eq!(Layer::parse("Gold"), None);
    }

    #[test]
    fn null_and_absent_differ() {
        let absent: UpdateSchema = serde_json::from_str("{}").expect("absent");
        let null: UpdateSchema = serde_json::from_str(r#"{"description":null}"#).expect("null");
        assert_eq!((absent.description, null.description.clone()), (None, Some(None)));
        assert_eq!(serde_json::to_string(&null).expect("json"), r#"{"description":null}"#);
    }
}
