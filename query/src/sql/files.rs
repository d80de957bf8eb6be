//! Parquet files read by path, without a table around them.

use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::sql::sqlparser::ast::ObjectName;
use lake_format::{Error, Result};

use crate::error::from_engine;

/// A local file that can be read as rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFile {
    path: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    /// A text whose types would have to be guessed: that is the work of an import.
    Text,
}

const KINDS: &[(&str, Kind)] = &[
    (".parquet", Kind::Parquet),
    (".csv", Kind::Text),
    (".json", Kind::Text),
    (".jsonl", Kind::Text),
    (".ndjson", Kind::Text),
];

impl DataFile {
    /// The file that `name` means: one quoted path with the ending of a data file, and not a directory.
    pub(super) fn of(name: &ObjectName) -> Option<Self> {
        let [part] = name.0.as_slice() else { return None };
        let ident = part.as_ident().filter(|ident| ident.quote_style.is_some())?;
        let path = ident.value.strip_prefix("file://").unwrap_or(&ident.value);
        if path.contains("://") {
            return None;
        }
        let lower = path.to_lowercase();
        let (_, kind) = KINDS.iter().find(|(ending, _)| lower.ends_with(ending))?;
        (!Path::new(path).is_dir()).then(|| Self { path: path.to_owned(), kind: *kind })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The file's name without its ending.
    pub(super) fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or(&self.path)
    }

    /// The file as a table of the engine.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Unsupported` for a text file, `Corrupt` when it is not Parquet.
    pub(super) async fn open(&self, session: &dyn Session) -> Result<Arc<dyn TableProvider>> {
        let named = |error: Error| error.with_object(self.path.clone());
        let absolute = tokio::fs::canonicalize(&self.path).await.map_err(|e| named(Error::from(e)))?;
        let url = url::Url::from_file_path(&absolute).map_err(|()| named(Error::invalid("not the path of a file")))?;
        let url = ListingTableUrl::try_new(url, None).map_err(|e| named(from_engine(&e)))?;
        if self.kind == Kind::Text {
            return Err(named(Error::unsupported("SQL reads tables and Parquet files, not text files"))
                .with_hint("import the file into a table first: `lake import FILE --into TABLE`"));
        }
        let format = ParquetFormat::default().with_force_view_types(false);
        let options = ListingOptions::new(Arc::new(format)).with_file_extension("");
        let schema = options.infer_schema(session, &url).await.map_err(|e| named(from_engine(&e)))?;
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
        let table = ListingTable::try_new(config).map_err(|e| named(from_engine(&e)))?;
        Ok(Arc::new(table))
    }
}
