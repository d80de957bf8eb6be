//! The engine set up within its limits: memory, spilling, cores; and one statement run by it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use lake_format::{Error, Result};
use tokio::sync::oneshot;

use crate::error::from_engine;
use crate::reference::TableRef;
use crate::resolver::{PathResolver, TableResolver};
use crate::sql::{self, Condition, DEFAULT_CATALOG, DEFAULT_SCHEMA, Engine, SqlAnswer};

/// Consumers of memory named in the error when there is too little.
const NAMED_CONSUMERS: usize = 3;
/// What a sort keeps for merging its spilled runs, at most: the engine's own default.
const MERGE_RESERVE_BYTES: u64 = 10 << 20;
/// Address space of a statement's stack; memory is taken as it is used. Unoptimised builds need much of it.
const STACK_BYTES: usize = 256 << 20;
/// What the files of a write may hold at most, by estimate.
const WRITE_BYTES: u64 = 256 << 20;
/// Less can't hold even one batch of each operator.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;

/// Runs SQL over Lake tables. Cheap to clone; clones share the memory limit.
#[derive(Clone, Debug)]
pub struct Session {
    engine: Engine,
}

/// Settings of a [`Session`].
#[derive(Clone, Debug, Default)]
pub struct SessionBuilder {
    memory_limit_bytes: Option<u64>,
    spill_dir: Option<PathBuf>,
    target_partitions: Option<usize>,
    resolver: Option<Arc<dyn TableResolver>>,
}

impl SessionBuilder {
    /// Memory that sorts, joins and aggregates may hold, in bytes; over it they spill. Without one there is no limit.
    #[must_use]
    pub fn memory_limit_bytes(mut self, bytes: Option<u64>) -> Self {
        self.memory_limit_bytes = bytes;
        self
    }

    /// Where to spill; the system's directory for temporary files when `None`.
    #[must_use]
    pub fn spill_dir(mut self, directory: Option<PathBuf>) -> Self {
        self.spill_dir = directory;
        self
    }

    /// How many parts of a query run at once; the number of cores unless set.
    #[must_use]
    pub fn target_partitions(mut self, partitions: usize) -> Self {
        self.target_partitions = Some(partitions);
        self
    }

    /// Opens and creates tables; one for paths and URLs alone unless set.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn TableResolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// The session.
    ///
    /// # Errors
    /// `Invalid` for a limit below 1 MiB, and the file system's own for a spill directory that can't be used.
    pub fn build(self) -> Result<Session> {
        if self.memory_limit_bytes.is_some_and(|bytes| bytes < LEAST_MEMORY_BYTES) {
            return Err(Error::invalid("a memory limit below 1 MiB is too small for any query")
                .with_hint("raise it with --memory, for example 256MiB"));
        }
        let mode = match self.spill_dir {
            Some(directory) => DiskManagerMode::Directories(vec![directory]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let mut runtime =
            RuntimeEnvBuilder::new().with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode));
        if let Some(bytes) = self.memory_limit_bytes {
            let pool = FairSpillPool::new(usize::try_from(bytes).unwrap_or(usize::MAX));
            let named = NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(NonZeroUsize::MIN);
            runtime = runtime.with_memory_pool(Arc::new(TrackConsumersPool::new(pool, named)));
        }
        let runtime = runtime.build_arc().map_err(|error| from_engine(&error))?;
        let partitions = self.target_partitions.map(|count| count.max(1));
        let config = configure(self.memory_limit_bytes, partitions);
        let resolver = self.resolver.unwrap_or_else(|| Arc::new(PathResolver::default()));
        // The query that a write reads from works meanwhile, within a limit of its own.
        let write_bytes = self.memory_limit_bytes.map_or(WRITE_BYTES, |bytes| WRITE_BYTES.min(bytes / 4));
        let write_bytes = usize::try_from(write_bytes).unwrap_or(usize::MAX);
        Ok(Session { engine: Engine { resolver, runtime, config, write_bytes } })
    }
}

fn configure(memory_bytes: Option<u64>, partitions: Option<usize>) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(DEFAULT_CATALOG, DEFAULT_SCHEMA)
        .with_information_schema(false);
    if let Some(partitions) = partitions {
        config = config.with_target_partitions(partitions);
    }
    let options = config.options_mut();
    // Positions in the text, for errors.
    options.sql_parser.collect_spans = true;
    // Text is Utf8 throughout, as in the tables.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    if let Some(bytes) = memory_bytes {
        let parts = options.execution.target_partitions.max(1) as u64;
        // Of a small limit the reserves of all sorts at once may not take more than a part.
        let reserve = MERGE_RESERVE_BYTES.min(bytes / 8 / parts);
        options.execution.sort_spill_reservation_bytes = usize::try_from(reserve).unwrap_or(usize::MAX);
    }
    config
}

/// Runs `work` on a thread of its own: parsers and planners go down into a statement by calling themselves, deeper than
/// the stack of a common thread. Dropping the future ends the work.
async fn with_deep_stack<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|error| Error::internal("SQL is run inside a tokio runtime").with_source(error))?;
    let (answer, answered) = oneshot::channel();
    let (wanted, unwanted) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("lake-sql".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let done = runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                _ = unwanted => None,
            }
        });
        if let Some(done) = done {
            // Nobody waits any more: nobody needs the answer either.
            let _ = answer.send(done);
        }
    });
    thread.map_err(|error| Error::unavailable("no thread could be started for the statement").with_source(error))?;
    let done = answered.await;
    drop(wanted);
    done.unwrap_or_else(|_| Err(Error::internal("the thread of the statement broke off")))
}

impl Session {
    /// Settings to start from.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Runs one statement: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, CREATE TABLE, INSERT, DELETE, UPDATE or MERGE. Tables
    /// are read at one version each, found when the statement starts. A write is one commit, done when this returns; its rows stream
    /// from the query into the files.
    ///
    /// # Errors
    /// `Invalid` with line and column for SQL that can't be read or planned, `Unsupported` naming a statement that is
    /// never run, `Unavailable` when the memory limit can't be kept, and whatever opening, reading and writing tables
    /// can end in. After an error nothing was written.
    pub async fn run(&self, statement: &str) -> Result<SqlAnswer> {
        let (engine, statement) = (self.engine.clone(), statement.to_owned());
        with_deep_stack(async move { sql::run(&engine, &statement).await }).await
    }

    /// Reads a condition on the rows of `table`, as it stands behind WHERE in SQL.
    ///
    /// # Errors
    /// `Invalid` with line and column for text that is no condition, `Unsupported` for more than one on the rows of one
    /// table, and whatever opening the table can end in.
    pub async fn condition(&self, table: &TableRef, condition: &str) -> Result<Condition> {
        let (engine, table, condition) = (self.engine.clone(), table.clone(), condition.to_owned());
        with_deep_stack(async move { sql::condition(&engine, &table, &condition).await }).await
    }
}

#[cfg(test)]
mod tests;
