//! From a table's name to its files.

use std::sync::Arc;

use lake_catalog_api::{LoadedTable, NameProblem, StorageHints, TableName};
use lake_format::store::Secret;
use lake_format::transaction::Committer;
use lake_format::{Error, Result, StoreOptions, TableRoot};

use crate::client::CatalogClient;
use crate::commit::CatalogCommitter;

/// A table of the catalog, and how to reach it from here.
#[derive(Clone, Debug)]
pub struct TableLocation {
    /// Full name, as the catalog spells it.
    pub name: TableName,
    /// Where its log and files are.
    pub root: TableRoot,
    /// How to reach them.
    pub options: StoreOptions,
    /// The table as the server sees it.
    pub loaded: LoadedTable,
}

impl CatalogClient {
    /// The table called `name`, `[catalog.]schema.table`. What `own` settings leave open is taken from the server.
    ///
    /// # Errors
    /// `Invalid` for a text that is not a table's name, and those of [`CatalogClient::load_table`].
    pub async fn locate(&self, name: &str, own: &StoreOptions) -> Result<TableLocation> {
        let name = parse_name(name)?;
        let loaded = self.load_table(&name).await?;
        TableLocation::of(loaded, own)
    }
}

impl TableLocation {
    /// Where the table is that the server has made or loaded.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` for a location that can't be reached from this build.
    pub fn of(loaded: LoadedTable, own: &StoreOptions) -> Result<Self> {
        let options = own.clone().or(options_of(&loaded.storage));
        let root = TableRoot::open(&loaded.table.location, &options)?;
        let name = TableName {
            catalog: loaded.table.catalog.clone(),
            schema: loaded.table.schema.clone(),
            table: loaded.table.name.clone(),
        };
        Ok(Self { name, root, options, loaded })
    }

    /// The committer for this table: every version goes through the server.
    pub fn committer(&self, client: &CatalogClient) -> Arc<dyn Committer> {
        Arc::new(CatalogCommitter::new(client.clone(), self.name.clone()).for_table(&self.loaded.table.id))
    }
}

/// Takes `[catalog.]schema.table` apart.
fn parse_name(name: &str) -> Result<TableName> {
    TableName::parse(name).map_err(|problem| {
        Error::invalid(problem.to_string()).with_object(name.to_owned()).with_hint(NameProblem::HINT)
    })
}

fn options_of(hints: &StorageHints) -> StoreOptions {
    StoreOptions {
        endpoint: hints.endpoint.clone(),
        region: hints.region.clone(),
        path_style: hints.path_style,
        access_key_id: hints.read_keys.as_ref().map(|keys| keys.access_key_id.clone()),
        secret_access_key: hints.read_keys.as_ref().map(|keys| Secret::new(keys.secret_access_key.clone())),
        ..StoreOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_catalog_api::{StaticKeys, StoreKind};

    #[test]
    fn own_settings_come_before_those_of_the_server() {
        let hints = StorageHints {
            kind: StoreKind::S3,
            endpoint: Some("http://server:9000".into()),
            region: Some("eu".into()),
            path_style: Some(true),
            read_keys: Some(StaticKeys { access_key_id: "reader".into(), secret_access_key: "r".into() }),
        };
        let own = StoreOptions {
            endpoint: Some("http://here:9000".into()),
            access_key_id: Some("own".into()),
            secret_access_key: Some(Secret::new("o")),
            ..StoreOptions::default()
        };
        let both = own.or(options_of(&hints));
        assert_eq!((both.endpoint.as_deref(), both.region.as_deref()), (Some("http://here:9000"), Some("eu")));
        assert_eq!(both.access_key_id.as_deref(), Some("own"));
        assert_eq!(StoreOptions::default().or(options_of(&hints)).access_key_id.as_deref(), Some("reader"));
    }

    #[test]
    fn a_bad_name_is_refused_here() {
        for bad in ["t", "a.b.c.d", "a..b", "a.b c", "../a.b"] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_name("gold.sales").expect("name").to_string(), "lake.gold.sales");
    }
}
