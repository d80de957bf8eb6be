//! The lakehouse that the quickstart works in: a server of its own on its folder, or one that runs already.

use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::Parser;
use futures::StreamExt;
use lake_catalog_api::{NameProblem, TableName};
use lake_catalog_server::{Config, Server};
use lake_format::{Error, ErrorKind, Result, Table, TableRoot, WriteReport};
use lake_query::{Session, SqlAnswer, TableRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::checksum::Checksum;
use super::model::{DESCRIPTION, TABLES, TableSpec};
use crate::command::{import, report};
use crate::context::{CatalogAccess, Context, read_secret_file};
use crate::error::CliError;

/// Folder of our own server's records.
pub const SERVER_DIR: &str = "server";

/// A catalog to work in, and what it takes to reach it.
#[derive(Debug)]
pub struct House {
    context: Context,
    session: Session,
    server: Option<OwnServer>,
    url: String,
}

/// A server inside this process.
#[derive(Debug)]
struct OwnServer {
    warehouse: String,
    token_file: Option<PathBuf>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<()>>,
}

impl House {
    /// Starts a server on `state_dir`, on a free port of loopback.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn start(state_dir: &Path, warehouse: Option<&str>, context: &Context) -> Result<Self> {
        let mut config = Config::new(state_dir);
        config.listen.set_port(0);
        config.warehouse = warehouse.map(str::to_owned);
        config.store = context.store().clone();
        config.clock = context.clock().clone();
        let server = Server::bind(config).await?;
        let token_file = server.token_file().map(Path::to_owned);
        let token = token_file.as_deref().map(read_secret_file).transpose()?;
        let (url, warehouse) = (server.url(), server.warehouse().to_owned());
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(server.run(async {
            // A sender that is gone means the same as one that sends.
            let _ = stopped.await;
        }));
        let context = context.with_catalog(CatalogAccess { url: url.clone(), token });
        let session = context.session()?;
        Ok(Self { context, session, server: Some(OwnServer { warehouse, token_file, stop, done }), url })
    }

    /// Uses the server that the settings name.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(access: &CatalogAccess, context: &Context) -> Result<Self> {
        context.client()?.session().await?;
        Ok(Self { context: context.clone(), session: context.session()?, server: None, url: access.url.clone() })
    }

    /// Stops a server of our own, once what is under way is done.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub async fn stop(self) -> Result<()> {
        let Some(server) = self.server else { return Ok(()) };
        let _ = server.stop.send(());
        server.done.await.map_err(|e| Error::internal("the server was cut short").with_source(e))?
    }

    /// Address of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where a server of our own puts new tables.
    pub fn warehouse(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.warehouse.as_str())
    }

    /// File of the token of a server of our own.
    pub fn token_file(&self) -> Option<&Path> {
        self.server.as_ref()?.token_file.as_deref()
    }

    /// Drops the tables of an earlier run, with their files. Gives the number of tables.
    ///
    /// # Errors
    /// `AlreadyExists` when one of the names is taken by a table of someone else; nothing is dropped then.
    pub async fn clear(&self) -> Result<u64> {
        let client = self.context.client()?;
        let mut found = Vec::new();
        for spec in TABLES {
            let name = catalog_name(&spec.full_name())?;
            match client.get_table(&name).await {
                Ok(table) if table.description.as_deref() == Some(DESCRIPTION) => found.push((name, table.location)),
                Ok(_) => {
                    return Err(Error::already_exists("a table of this name is there, and not by the quickstart")
                        .with_object(spec.full_name())
                        .with_hint("nothing was changed; name another folder with --dir, or another catalog"));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // Those that are made from others go first.
        for (name, location) in found.iter().rev() {
            client.drop_table(name).await?;
            self.delete_files(location).await?;
        }
        Ok(found.len() as u64)
    }

    /// Deletes the files of a table that is ours and no longer in the catalog.
    async fn delete_files(&self, location: &str) -> Result<()> {
        let root = TableRoot::open(location, self.context.store())?;
        for object in root.list("").await? {
            root.delete(&object.path).await?;
        }
        if !location.contains("://") || location.starts_with("file://") {
            // Only folders are left; one that holds something after all stays, and so does what is in it.
            remove_empty_folders(Path::new(&root.display()));
        }
        Ok(())
    }

    /// Makes an empty table.
    ///
    /// # Errors
    /// As `lake create`.
    pub async fn create(&self, spec: &TableSpec, properties: &[(String, String)]) -> Result<(), CliError> {
        let name = spec.full_name();
        let (options, governance) = spec.creation(properties)?;
        let place = TableRef::parse(&name)?.place;
        report::settled(self.context.resolver().create_empty(&place, options, governance).await?, &name)?;
        Ok(())
    }

    /// Imports a file, or the files of a folder.
    ///
    /// # Errors
    /// As `lake import`.
    pub async fn import(&self, table: &str, path: &Path) -> Result<WriteReport, CliError> {
        let line = [Path::new("lake import").as_os_str(), table.as_ref(), path.as_os_str()];
        let ImportLine { args } = ImportLine::try_parse_from(line)
            .map_err(|e| Error::internal("the import is not understood").with_source(e))?;
        let (report, _) = import::import(&args, &self.context).await?;
        let none = || Error::invalid("there is no row to import").with_object(path.display().to_string());
        report.ok_or_else(|| none().into())
    }

    /// Opens a table at its newest version.
    ///
    /// # Errors
    /// As opening does.
    pub async fn table(&self, name: &str) -> Result<Table> {
        self.context.table(&TableRef::parse(name)?).await
    }

    /// Runs a statement that writes.
    ///
    /// # Errors
    /// As `lake sql`.
    pub async fn write(&self, sql: &str, table: &str) -> Result<WriteReport, CliError> {
        match self.session.run(sql).await? {
            SqlAnswer::Written(outcome) => report::settled(outcome, table),
            _ => Err(Error::internal("a statement that should write did not").with_object(table).into()),
        }
    }

    /// Runs a query and gives its rows as text; null is `NULL`.
    ///
    /// # Errors
    /// As `lake sql`.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        for batch in self.batches(sql).await? {
            let options = FormatOptions::new().with_null("NULL");
            let unprintable = |e| Error::internal("a value can't be written as text").with_source(e);
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).map_err(unprintable))
                .collect::<Result<Vec<_>>>()?;
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>()),
            );
        }
        Ok(rows)
    }

    /// The one value of a query.
    ///
    /// # Errors
    /// As `lake sql`; `Internal` when it is not one value.
    pub async fn value(&self, sql: &str) -> Result<String> {
        let mut rows = self.rows(sql).await?;
        match rows.pop().and_then(|mut row| row.pop()) {
            Some(value) if rows.is_empty() => Ok(value),
            _ => Err(Error::internal("a query for one value gave none or many").with_object(sql.to_owned())),
        }
    }

    /// The one whole number of a query.
    ///
    /// # Errors
    /// As [`House::value`].
    pub async fn number(&self, sql: &str) -> Result<u64> {
        let value = self.value(sql).await?;
        value
            .parse()
            .map_err(|_| Error::internal(format!("a query for a number gave {value:?}")).with_object(sql.to_owned()))
    }

    /// The checksum of all rows of a table.
    ///
    /// # Errors
    /// As `lake sql`.
    pub async fn checksum(&self, table: &str) -> Result<Checksum, CliError> {
        let mut sum = Checksum::default();
        match self.session.run(&format!("SELECT * FROM {table}")).await? {
            SqlAnswer::Rows { mut stream, .. } => {
                while let Some(batch) = stream.next().await {
                    sum.add(&batch?)?;
                }
            }
            _ => return Err(Error::internal("a query gave no rows").with_object(table.to_owned()).into()),
        }
        Ok(sum)
    }

    async fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let SqlAnswer::Rows { mut stream, .. } = self.session.run(sql).await? else {
            return Err(Error::internal("a query gave no rows").with_object(sql.to_owned()));
        };
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// The command line of an import.
#[derive(Debug, Parser)]
struct ImportLine {
    #[command(flatten)]
    args: import::Args,
}

fn catalog_name(name: &str) -> Result<TableName> {
    TableName::parse(name).map_err(|e: NameProblem| Error::internal(e.to_string()).with_object(name.to_owned()))
}

fn remove_empty_folders(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        // A link is never followed: what it leads to is not ours.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_folders(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
