//! Where the catalog's records are kept: the port that every store implements, and its records.

#[cfg(test)]
mod conformance;
mod memory;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use lake_catalog_api::{Contract, Layer, Scope};
use lake_format::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// A catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRecord {
    /// Identity.
    pub id: Uuid,
    /// Name, in the case it was made with.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Free-form properties.
    pub properties: BTreeMap<String, String>,
    /// 1 when made, one more with each change.
    pub revision: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRecord {
    /// Identity.
    pub id: Uuid,
    /// Its catalog.
    pub catalog_id: Uuid,
    /// Name, in the case it was made with.
    pub name: String,
    /// Layer; never changes.
    pub layer: Layer,
    /// Free text.
    pub description: Option<String>,
    /// Free-form properties.
    pub properties: BTreeMap<String, String>,
    /// 1 when made, one more with each change.
    pub revision: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// A schema and the name of its catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaEntry {
    /// Name of the catalog.
    pub catalog: String,
    /// The schema.
    pub record: SchemaRecord,
}

/// A table that another is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Identity, which outlives a rename.
    pub table_id: Uuid,
    /// Full name it had when it was given.
    pub name: String,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRecord {
    /// Identity.
    pub id: Uuid,
    /// Its schema.
    pub schema_id: Uuid,
    /// Name, in the case it was made with.
    pub name: String,
    /// Where it is, as users write it.
    pub location: String,
    /// The same in one spelling, with a slash at the end.
    pub location_key: String,
    /// Free text.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Tables it is made from.
    pub upstreams: Vec<Upstream>,
    /// What its commits must keep.
    pub contract: Option<Contract>,
    /// 1 when made, one more with each change.
    pub revision: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

/// A table with the names and the layer around it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableEntry {
    /// Name of the catalog.
    pub catalog: String,
    /// Name of the schema.
    pub schema: String,
    /// Layer of the schema.
    pub layer: Layer,
    /// The table.
    pub record: TableRecord,
}

impl TableEntry {
    /// Full name.
    pub fn full_name(&self) -> String {
        format!("{}.{}.{}", self.catalog, self.schema, self.record.name)
    }
}

/// A token. The secret itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Identity.
    pub id: Uuid,
    /// Name, for people.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch from which on it is refused.
    pub expires_ms: Option<i64>,
}

/// Part of a list that is sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Starts behind this name, whatever its case.
    pub after: Option<String>,
    /// Most entries.
    pub limit: u32,
}

/// Keeps the records. Every method is one transaction: it happens wholly or not at all, and once it has answered it
/// outlives a crash. Names are looked up and are unique ignoring case.
///
/// Errors everywhere: `Unavailable` when the store can't answer now, `Corrupt` for a record that can't be read.
#[async_trait]
pub trait CatalogStore: Debug + Send + Sync + 'static {
    /// Adds a catalog; `AlreadyExists` for a name in use.
    async fn create_catalog(&self, record: &CatalogRecord) -> Result<()>;
    /// The catalog of that name.
    async fn catalog(&self, name: &str) -> Result<Option<CatalogRecord>>;
    /// Catalogs, by name.
    async fn catalogs(&self, page: &Page) -> Result<Vec<CatalogRecord>>;
    /// Replaces description and properties if the stored revision is one below the record's, else `Conflict`.
    async fn update_catalog(&self, record: &CatalogRecord) -> Result<()>;
    /// Removes a catalog; `Conflict` when it has a schema, `NotFound` when it is not there.
    async fn delete_catalog(&self, id: Uuid) -> Result<()>;

    /// Adds a schema; `AlreadyExists` for a name in use, `NotFound` when its catalog is gone.
    async fn create_schema(&self, record: &SchemaRecord) -> Result<()>;
    /// The schema of that name.
    async fn schema(&self, catalog: &str, name: &str) -> Result<Option<SchemaEntry>>;
    /// Schemas of a catalog, by name.
    async fn schemas(&self, catalog_id: Uuid, page: &Page) -> Result<Vec<SchemaRecord>>;
    /// Replaces description and properties if the stored revision is one below the record's, else `Conflict`.
    async fn update_schema(&self, record: &SchemaRecord) -> Result<()>;
    /// Removes a schema; `Conflict` when it has a table, `NotFound` when it is not there.
    async fn delete_schema(&self, id: Uuid) -> Result<()>;

    /// Adds a table; `AlreadyExists` for a name in use or a location that is, holds or lies in another table's,
    /// `NotFound` when its schema is gone.
    async fn create_table(&self, record: &TableRecord) -> Result<()>;
    /// The table of that name.
    async fn table(&self, catalog: &str, schema: &str, name: &str) -> Result<Option<TableEntry>>;
    /// The tables of these identities that are there, in any order.
    async fn tables_by_id(&self, ids: &[Uuid]) -> Result<Vec<TableEntry>>;
    /// Tables of a schema, by name.
    async fn tables(&self, schema_id: Uuid, page: &Page) -> Result<Vec<TableRecord>>;
    /// A table whose location is, holds or lies in the one with this key.
    async fn overlapping(&self, location_key: &str) -> Result<Option<TableEntry>>;
    /// Replaces everything but identity, schema, location and time of creation if the stored revision is one below the
    /// record's, else `Conflict`; `AlreadyExists` for a new name in use.
    async fn update_table(&self, record: &TableRecord) -> Result<()>;
    /// Removes a table's record; `NotFound` when it is not there.
    async fn delete_table(&self, id: Uuid) -> Result<()>;

    /// Adds a token; `AlreadyExists` for a name in use.
    async fn create_token(&self, record: &TokenRecord) -> Result<()>;
    /// Tokens, by name.
    async fn tokens(&self) -> Result<Vec<TokenRecord>>;
    /// Tokens whose hash starts with these bytes: none or one, but for chance.
    async fn tokens_by_hash_head(&self, head: [u8; 8]) -> Result<Vec<TokenRecord>>;
    /// Removes a token; `NotFound` when it is not there.
    async fn delete_token(&self, id: Uuid) -> Result<()>;

    /// Writes and reads one record, to prove that the store works.
    async fn check(&self, now_ms: i64) -> Result<()>;
    /// Finishes what is under way and closes. Later calls fail.
    async fn close(&self);
}

/// A name as it is compared.
pub(crate) fn name_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The keys of all folders around `location_key`, itself included.
fn folders_around(location_key: &str) -> Vec<&str> {
    location_key.match_indices('/').map(|(i, _)| &location_key[..=i]).collect()
}

/// The first key behind all keys that lie in `location_key`: its last slash becomes the next character.
fn behind(location_key: &str) -> String {
    format!("{}0", location_key.strip_suffix('/').unwrap_or(location_key))
}

fn name_taken(what: &str, name: &str) -> Error {
    Error::already_exists(format!("a {what} of that name is there already"))
        .with_object(name.to_owned())
        .with_hint("choose another name; names that differ in case alone are the same")
}

fn location_taken(location: &str, holder: &str) -> Error {
    Error::already_exists(format!("the location is, holds or lies in that of the table {holder}"))
        .with_object(location.to_owned())
        .with_hint("tables may not share files: choose another location, or drop the other table first")
}

fn gone(what: &str) -> Error {
    Error::not_found(format!("the {what} is not there"))
}

fn not_empty(what: &str, content: &str) -> Error {
    Error::conflict(format!("the {what} still has a {content}"))
        .with_hint(format!("nothing was deleted; remove every {content} in it first"))
}

fn changed_meanwhile(what: &str) -> Error {
    Error::conflict(format!("the {what} was changed by another request meanwhile"))
        .with_hint("nothing was changed; read it again and repeat the change")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_folder_is_a_range_of_keys() {
        let key = "file:///a/b/";
        for inside in ["file:///a/b/", "file:///a/b/c/", "file:///a/b/~/"] {
            assert!(inside >= key && inside < behind(key).as_str(), "{inside}");
        }
        for outside in ["file:///a/", "file:///a/bc/", "file:///a/b-c/", "file:///a/b!/", "file:///a/c/"] {
            assert!(!(outside >= key && outside < behind(key).as_str()), "{outside}");
        }
        assert_eq!(folders_around("s3://b/p/"), ["s3:/", "s3://", "s3://b/", "s3://b/p/"]);
    }
}
