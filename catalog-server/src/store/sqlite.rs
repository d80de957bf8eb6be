//! The embedded store: one SQLite file, one writer, every answer on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use lake_catalog_api::{Layer, Scope};
use lake_format::{Error, ErrorKind, Result};
use sqlx::error::ErrorKind as DbKind;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};
use uuid::Uuid;

use super::{
    CatalogRecord, CatalogStore, Page, SchemaEntry, SchemaRecord, TableEntry, TableRecord, TokenRecord, behind,
    changed_meanwhile, folders_around, gone, location_taken, name_key, name_taken, not_empty,
};

/// Older libraries lose data when a write-ahead log is reset while another connection checkpoints.
const LEAST_SQLITE: [u32; 3] = [3, 51, 3];
const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(5);

/// Records in one SQLite file. Writes go through one connection, so they never wait for a lock of our own.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens `file`, made if it is missing, and brings it to the newest layout.
    ///
    /// # Errors
    /// `Unsupported` for a file of a newer Lake or a SQLite library with a known defect, `Corrupt` for a file that is
    /// not a catalog's, `Unavailable` when it can't be opened.
    pub async fn open(file: &Path) -> Result<Self> {
        let named = |error: Error| error.with_object(file.display().to_string());
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let pool = |connections: u32| {
            SqlitePoolOptions::new().max_connections(connections).min_connections(1).acquire_timeout(2 * BUSY)
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(|e| named(failed(e)))?;
        check_library(&writer).await.map_err(named)?;
        sqlx::migrate!("./migrations").run(&writer).await.map_err(|e| named(migration_failed(e)))?;
        let reading = options.create_if_missing(false).pragma("query_only", "true");
        let readers = pool(READERS).connect_with(reading).await.map_err(|e| named(failed(e)))?;
        Ok(Self { writer, readers })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }
}

async fn check_library(pool: &SqlitePool) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await.map_err(failed)?;
    if !at_least(&version, LEAST_SQLITE) {
        let [a, b, c] = LEAST_SQLITE;
        return Err(Error::unsupported(format!("the SQLite library {version} can lose data; {a}.{b}.{c} is needed")));
    }
    Ok(())
}

fn at_least(version: &str, least: [u32; 3]) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = [(); 3].map(|()| parts.next().unwrap_or(0));
    found >= least
}

fn migration_failed(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            Error::unsupported("the catalog's database was made by a newer version of Lake")
                .with_hint("start that version, or restore a backup made before the upgrade")
        }
        MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => {
            Error::corrupt("the layout of the catalog's database is not the one that Lake made").with_source(error)
        }
        MigrateError::Execute(inner) => failed(inner),
        other => Error::internal("the catalog's database can't be brought to the newest layout").with_source(other),
    }
}

fn failed(error: sqlx::Error) -> Error {
    use sqlx::Error as E;
    let kind = match &error {
        E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => ErrorKind::Unavailable,
        E::ColumnDecode { .. } | E::Decode(_) => ErrorKind::Corrupt,
        E::Database(inner) => match inner.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            // BUSY, LOCKED, IOERR, FULL, CANTOPEN, READONLY
            Some(5 | 6 | 10 | 13 | 14 | 8) => ErrorKind::Unavailable,
            // CORRUPT, NOTADB
            Some(11 | 26) => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        },
        _ => ErrorKind::Internal,
    };
    let message = match kind {
        ErrorKind::Corrupt => "the catalog's database holds something else than Lake wrote",
        ErrorKind::Unavailable => "the catalog's database can't answer now",
        _ => "the catalog's database refused a statement",
    };
    Error::new(kind, message).with_source(error)
}

/// `failed`, but for a violated rule of the layout, which means what `unique` or `foreign` says.
fn violated(error: sqlx::Error, unique: impl FnOnce() -> Error, foreign: impl FnOnce() -> Error) -> Error {
    match error.as_database_error().map(|inner| inner.kind()) {
        Some(DbKind::UniqueViolation) => unique(),
        Some(DbKind::ForeignKeyViolation) => foreign(),
        _ => failed(error),
    }
}

fn unreadable(what: &str) -> Error {
    Error::corrupt(format!("the catalog's database holds an unreadable {what}"))
}

fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("a record can't be written as JSON").with_source(e))
}

fn get<'r, T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(failed)
}

fn get_id(row: &SqliteRow, column: &str) -> Result<Uuid> {
    get::<&str>(row, column)?.parse().map_err(|_| unreadable("identity"))
}

fn get_json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T> {
    serde_json::from_str(get::<&str>(row, column)?).map_err(|e| unreadable(column).with_source(e))
}

fn get_revision(row: &SqliteRow) -> Result<u64> {
    u64::try_from(get::<i64>(row, "revision")?).map_err(|_| unreadable("revision"))
}

fn catalog_of(row: &SqliteRow) -> Result<CatalogRecord> {
    Ok(CatalogRecord {
        id: get_id(row, "id")?,
        name: get(row, "name")?,
        description: get(row, "description")?,
        properties: get_json::<BTreeMap<String, String>>(row, "properties")?,
        revision: get_revision(row)?,
        created_ms: get(row, "created_ms")?,
        updated_ms: get(row, "updated_ms")?,
    })
}

fn get_layer(row: &SqliteRow) -> Result<Layer> {
    Layer::parse(get(row, "layer")?).ok_or_else(|| unreadable("layer"))
}

fn schema_of(row: &SqliteRow) -> Result<SchemaRecord> {
    Ok(SchemaRecord {
        id: get_id(row, "id")?,
        catalog_id: get_id(row, "catalog_id")?,
        name: get(row, "name")?,
        layer: get_layer(row)?,
        description: get(row, "description")?,
        properties: get_json(row, "properties")?,
        revision: get_revision(row)?,
        created_ms: get(row, "created_ms")?,
        updated_ms: get(row, "updated_ms")?,
    })
}

fn table_of(row: &SqliteRow) -> Result<TableRecord> {
    let contract: Option<&str> = get(row, "contract")?;
    Ok(TableRecord {
        id: get_id(row, "id")?,
        schema_id: get_id(row, "schema_id")?,
        name: get(row, "name")?,
        location: get(row, "location")?,
        location_key: get(row, "location_key")?,
        description: get(row, "description")?,
        owner: get(row, "owner")?,
        upstreams: get_json(row, "upstreams")?,
        contract: contract.map(serde_json::from_str).transpose().map_err(|e| unreadable("contract").with_source(e))?,
        revision: get_revision(row)?,
        created_ms: get(row, "created_ms")?,
        updated_ms: get(row, "updated_ms")?,
    })
}

fn entry_of(row: &SqliteRow) -> Result<TableEntry> {
    Ok(TableEntry {
        catalog: get(row, "catalog_name")?,
        schema: get(row, "schema_name")?,
        layer: get_layer(row)?,
        record: table_of(row)?,
    })
}

fn token_of(row: &SqliteRow) -> Result<TokenRecord> {
    let scopes = get::<&str>(row, "scopes")?.split(',').map(Scope::parse).collect::<Option<Vec<_>>>();
    Ok(TokenRecord {
        id: get_id(row, "id")?,
        name: get(row, "name")?,
        hash: get::<&[u8]>(row, "hash")?.try_into().map_err(|_| unreadable("token"))?,
        scopes: scopes.ok_or_else(|| unreadable("scope"))?,
        created_ms: get(row, "created_ms")?,
        expires_ms: get(row, "expires_ms")?,
    })
}

/// The columns of a [`TableEntry`].
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT t.*, s.name AS schema_name, s.layer, c.name AS catalog_name FROM tables t \
             JOIN schemas s ON s.id = t.schema_id JOIN catalogs c ON c.id = s.catalog_id WHERE ",
            $rest
        )
    };
}

const OVERLAPPING: &str = entries!(
    "(t.location_key IN (SELECT value FROM json_each(?1)) OR (t.location_key >= ?2 AND t.location_key < ?3)) LIMIT 1"
);

/// A page starts behind this key; the empty text is before every name.
fn after(page: &Page) -> String {
    page.after.as_deref().map(name_key).unwrap_or_default()
}

/// One row changed, or else the record was changed meanwhile or is gone.
async fn changed_one(
    changed: u64,
    transaction: &mut Transaction<'static, Sqlite>,
    exists: &'static str,
    id: Uuid,
    what: &str,
) -> Result<()> {
    if changed == 1 {
        return Ok(());
    }
    let found: Option<i64> =
        sqlx::query_scalar(exists).bind(id.to_string()).fetch_optional(&mut **transaction).await.map_err(failed)?;
    Err(if found.is_some() { changed_meanwhile(what) } else { gone(what) })
}

#[async_trait]
impl CatalogStore for SqliteStore {
    async fn create_catalog(&self, record: &CatalogRecord) -> Result<()> {
        sqlx::query("INSERT INTO catalogs VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(record.id.to_string())
            .bind(&record.name)
            .bind(name_key(&record.name))
            .bind(&record.description)
            .bind(text(&record.properties)?)
            .bind(signed(record.revision))
            .bind(record.created_ms)
            .bind(record.updated_ms)
            .execute(&self.writer)
            .await
            .map_err(|e| violated(e, || name_taken("catalog", &record.name), || gone("catalog")))?;
        Ok(())
    }

    async fn catalog(&self, name: &str) -> Result<Option<CatalogRecord>> {
        let query = sqlx::query("SELECT * FROM catalogs WHERE name_key = ?").bind(name_key(name));
        query.fetch_optional(&self.readers).await.map_err(failed)?.as_ref().map(catalog_of).transpose()
    }

    async fn catalogs(&self, page: &Page) -> Result<Vec<CatalogRecord>> {
        let query = sqlx::query("SELECT * FROM catalogs WHERE name_key > ? ORDER BY name_key LIMIT ?");
        let rows = query.bind(after(page)).bind(page.limit).fetch_all(&self.readers).await.map_err(failed)?;
        rows.iter().map(catalog_of).collect()
    }

    async fn update_catalog(&self, record: &CatalogRecord) -> Result<()> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE catalogs SET description = ?, properties = ?, revision = ?, updated_ms = ? \
             WHERE id = ? AND revision = ? - 1",
        )
        .bind(&record.description)
        .bind(text(&record.properties)?)
        .bind(signed(record.revision))
        .bind(record.updated_ms)
        .bind(record.id.to_string())
        .bind(signed(record.revision))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        const EXISTS: &str = "SELECT 1 FROM catalogs WHERE id = ?";
        changed_one(done.rows_affected(), &mut transaction, EXISTS, record.id, "catalog").await?;
        transaction.commit().await.map_err(failed)
    }

    async fn delete_catalog(&self, id: Uuid) -> Result<()> {
        let done = sqlx::query("DELETE FROM catalogs WHERE id = ?").bind(id.to_string()).execute(&self.writer).await;
        let done = done.map_err(|e| violated(e, || gone("catalog"), || not_empty("catalog", "schema")))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(gone("catalog")) }
    }

    async fn create_schema(&self, record: &SchemaRecord) -> Result<()> {
        sqlx::query("INSERT INTO schemas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(record.id.to_string())
            .bind(record.catalog_id.to_string())
            .bind(&record.name)
            .bind(name_key(&record.name))
            .bind(record.layer.as_str())
            .bind(&record.description)
            .bind(text(&record.properties)?)
            .bind(signed(record.revision))
            .bind(record.created_ms)
            .bind(record.updated_ms)
            .execute(&self.writer)
            .await
            .map_err(|e| violated(e, || name_taken("schema", &record.name), || gone("catalog")))?;
        Ok(())
    }

    async fn schema(&self, catalog: &str, name: &str) -> Result<Option<SchemaEntry>> {
        let query = sqlx::query(
            "SELECT s.*, c.name AS catalog_name FROM schemas s JOIN catalogs c ON c.id = s.catalog_id \
             WHERE c.name_key = ? AND s.name_key = ?",
        );
        let query = query.bind(name_key(catalog)).bind(name_key(name));
        let row = query.fetch_optional(&self.readers).await.map_err(failed)?;
        row.map(|row| Ok(SchemaEntry { catalog: get(&row, "catalog_name")?, record: schema_of(&row)? })).transpose()
    }

    async fn schemas(&self, catalog_id: Uuid, page: &Page) -> Result<Vec<SchemaRecord>> {
        let rows = sqlx::query("SELECT * FROM schemas WHERE catalog_id = ? AND name_key > ? ORDER BY name_key LIMIT ?")
            .bind(catalog_id.to_string())
            .bind(after(page))
            .bind(page.limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed)?;
        rows.iter().map(schema_of).collect()
    }

    async fn update_schema(&self, record: &SchemaRecord) -> Result<()> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE schemas SET description = ?, properties = ?, revision = ?, updated_ms = ? \
             WHERE id = ? AND revision = ? - 1",
        )
        .bind(&record.description)
        .bind(text(&record.properties)?)
        .bind(signed(record.revision))
        .bind(record.updated_ms)
        .bind(record.id.to_string())
        .bind(signed(record.revision))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        const EXISTS: &str = "SELECT 1 FROM schemas WHERE id = ?";
        changed_one(done.rows_affected(), &mut transaction, EXISTS, record.id, "schema").await?;
        transaction.commit().await.map_err(failed)
    }

    async fn delete_schema(&self, id: Uuid) -> Result<()> {
        let done = sqlx::query("DELETE FROM schemas WHERE id = ?").bind(id.to_string()).execute(&self.writer).await;
        let done = done.map_err(|e| violated(e, || gone("schema"), || not_empty("schema", "table")))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(gone("schema")) }
    }

    async fn create_table(&self, record: &TableRecord) -> Result<()> {
        let mut transaction = self.begin().await?;
        let held = sqlx::query(OVERLAPPING)
            .bind(text(&folders_around(&record.location_key))?)
            .bind(&record.location_key)
            .bind(behind(&record.location_key))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let twin: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tables WHERE schema_id = ? AND name_key = ?")
            .bind(record.schema_id.to_string())
            .bind(name_key(&record.name))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        if twin.is_some() {
            return Err(name_taken("table", &record.name));
        }
        if let Some(holder) = held {
            return Err(location_taken(&record.location, &entry_of(&holder)?.full_name()));
        }
        sqlx::query("INSERT INTO tables VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(record.id.to_string())
            .bind(record.schema_id.to_string())
            .bind(&record.name)
            .bind(name_key(&record.name))
            .bind(&record.location)
            .bind(&record.location_key)
            .bind(&record.description)
            .bind(&record.owner)
            .bind(text(&record.upstreams)?)
            .bind(record.contract.as_ref().map(text).transpose()?)
            .bind(signed(record.revision))
            .bind(record.created_ms)
            .bind(record.updated_ms)
            .execute(&mut *transaction)
            .await
            .map_err(|e| violated(e, || name_taken("table", &record.name), || gone("schema")))?;
        transaction.commit().await.map_err(failed)
    }

    async fn table(&self, catalog: &str, schema: &str, name: &str) -> Result<Option<TableEntry>> {
        let row = sqlx::query(entries!("c.name_key = ? AND s.name_key = ? AND t.name_key = ?"))
            .bind(name_key(catalog))
            .bind(name_key(schema))
            .bind(name_key(name))
            .fetch_optional(&self.readers)
            .await
            .map_err(failed)?;
        row.as_ref().map(entry_of).transpose()
    }

    async fn tables_by_id(&self, ids: &[Uuid]) -> Result<Vec<TableEntry>> {
        let query = sqlx::query(entries!("t.id IN (SELECT value FROM json_each(?))"));
        let rows = query.bind(text(&ids)?).fetch_all(&self.readers).await.map_err(failed)?;
        rows.iter().map(entry_of).collect()
    }

    async fn tables(&self, schema_id: Uuid, page: &Page) -> Result<Vec<TableRecord>> {
        let rows = sqlx::query("SELECT * FROM tables WHERE schema_id = ? AND name_key > ? ORDER BY name_key LIMIT ?")
            .bind(schema_id.to_string())
            .bind(after(page))
            .bind(page.limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed)?;
        rows.iter().map(table_of).collect()
    }

    async fn overlapping(&self, location_key: &str) -> Result<Option<TableEntry>> {
        let row = sqlx::query(OVERLAPPING)
            .bind(text(&folders_around(location_key))?)
            .bind(location_key)
            .bind(behind(location_key))
            .fetch_optional(&self.readers)
            .await
            .map_err(failed)?;
        row.as_ref().map(entry_of).transpose()
    }

    async fn update_table(&self, record: &TableRecord) -> Result<()> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tables SET name = ?, name_key = ?, description = ?, owner = ?, upstreams = ?, contract = ?, \
             revision = ?, updated_ms = ? WHERE id = ? AND revision = ? - 1",
        )
        .bind(&record.name)
        .bind(name_key(&record.name))
        .bind(&record.description)
        .bind(&record.owner)
        .bind(text(&record.upstreams)?)
        .bind(record.contract.as_ref().map(text).transpose()?)
        .bind(signed(record.revision))
        .bind(record.updated_ms)
        .bind(record.id.to_string())
        .bind(signed(record.revision))
        .execute(&mut *transaction)
        .await
        .map_err(|e| violated(e, || name_taken("table", &record.name), || gone("schema")))?;
        const EXISTS: &str = "SELECT 1 FROM tables WHERE id = ?";
        changed_one(done.rows_affected(), &mut transaction, EXISTS, record.id, "table").await?;
        transaction.commit().await.map_err(failed)
    }

    async fn delete_table(&self, id: Uuid) -> Result<()> {
        let query = sqlx::query("DELETE FROM tables WHERE id = ?").bind(id.to_string());
        let done = query.execute(&self.writer).await.map_err(failed)?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(gone("table")) }
    }

    async fn create_token(&self, record: &TokenRecord) -> Result<()> {
        let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
        sqlx::query("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(record.id.to_string())
            .bind(&record.name)
            .bind(name_key(&record.name))
            .bind(&record.hash[..8])
            .bind(&record.hash[..])
            .bind(scopes.join(","))
            .bind(record.created_ms)
            .bind(record.expires_ms)
            .execute(&self.writer)
            .await
            .map_err(|e| violated(e, || name_taken("token", &record.name), || gone("token")))?;
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        let query = sqlx::query("SELECT * FROM tokens ORDER BY name_key");
        query.fetch_all(&self.readers).await.map_err(failed)?.iter().map(token_of).collect()
    }

    async fn tokens_by_hash_head(&self, head: [u8; 8]) -> Result<Vec<TokenRecord>> {
        let query = sqlx::query("SELECT * FROM tokens WHERE hash_head = ?").bind(&head[..]);
        query.fetch_all(&self.readers).await.map_err(failed)?.iter().map(token_of).collect()
    }

    async fn delete_token(&self, id: Uuid) -> Result<()> {
        let query = sqlx::query("DELETE FROM tokens WHERE id = ?").bind(id.to_string());
        let done = query.execute(&self.writer).await.map_err(failed)?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(gone("token")) }
    }

    async fn check(&self, now_ms: i64) -> Result<()> {
        let write = sqlx::query(
            "INSERT INTO canary VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET touched_ms = excluded.touched_ms",
        );
        write.bind(now_ms).execute(&self.writer).await.map_err(failed)?;
        let read = sqlx::query_scalar::<_, i64>("SELECT touched_ms FROM canary WHERE id = 1");
        read.fetch_one(&self.readers).await.map_err(failed).map(|_| ())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (SqliteStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("folder");
        (SqliteStore::open(&folder.path().join("catalog.db")).await.expect("open"), folder)
    }

    super::super::conformance::suite!(fresh);

    #[test]
    fn versions_are_compared_by_number() {
        for (version, enough) in
            [("3.51.3", true), ("3.51.10", true), ("3.100.0", true), ("4.0", true), ("3.51.2", false), ("3.9.9", false)]
        {
            assert_eq!(at_least(version, LEAST_SQLITE), enough, "{version}");
        }
    }

    #[tokio::test]
    async fn records_outlive_the_store_and_writes_are_synced() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("catalog.db");
        let store = SqliteStore::open(&file).await.expect("open");
        let catalog = super::super::conformance::catalog("lake");
        store.create_catalog(&catalog).await.expect("create");
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.writer).await.expect("synchronous");
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.expect("journal");
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
        store.close().await;
        assert_eq!(store.catalog("lake").await.expect_err("closed").kind(), ErrorKind::Unavailable);
        let again = SqliteStore::open(&file).await.expect("open again");
        assert_eq!(again.catalog("LAKE").await.expect("read"), Some(catalog));
    }

    #[tokio::test]
    async fn a_newer_layout_and_a_foreign_file_are_refused() {
        let (store, folder) = fresh().await;
        sqlx::query("INSERT INTO _sqlx_migrations VALUES (99, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)")
            .execute(&store.writer)
            .await
            .expect("pretend");
        store.close().await;
        let error = SqliteStore::open(&folder.path().join("catalog.db")).await.expect_err("newer");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");

        let foreign = folder.path().join("foreign.db");
        std::fs::write(&foreign, vec![7_u8; 8192]).expect("write");
        let error = SqliteStore::open(&foreign).await.expect_err("foreign");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_corrupt_not_a_panic() {
        let (store, _folder) = fresh().await;
        store.create_catalog(&super::super::conformance::catalog("lake")).await.expect("create");
        sqlx::query("UPDATE catalogs SET properties = '{'").execute(&store.writer).await.expect("damage");
        assert_eq!(store.catalog("lake").await.expect_err("damaged").kind(), ErrorKind::Corrupt);
    }
}
