//! What a statement is run with, and what it gives.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use futures::stream::BoxStream;
use lake_format::{Result, WriteOutcome};

use crate::resolver::TableResolver;

/// The catalog and schema of names that are neither; users never see them.
pub(crate) const DEFAULT_CATALOG: &str = "lake session";
pub(crate) const DEFAULT_SCHEMA: &str = "lake session";

/// Tables, limits and settings.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// Opens and creates tables.
    pub(crate) resolver: Arc<dyn TableResolver>,
    /// Memory and spilling.
    pub(crate) runtime: Arc<RuntimeEnv>,
    /// The engine's settings.
    pub(crate) config: SessionConfig,
    /// Memory for the files of a write.
    pub(crate) write_bytes: usize,
}

/// What a statement gave.
pub enum SqlAnswer {
    /// Rows, as they are computed. Dropping the stream ends the query.
    Rows {
        /// Schema of every batch.
        schema: SchemaRef,
        /// The rows. An error ends them.
        stream: BoxStream<'static, Result<RecordBatch>>,
    },
    /// A write. Its outcome may be unknown: see [`WriteOutcome`].
    Written(WriteOutcome),
    /// Nothing was to be done; the text says why.
    Unchanged(String),
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { schema, .. } => f.debug_struct("Rows").field("schema", schema).finish_non_exhaustive(),
            Self::Written(outcome) => f.debug_tuple("Written").field(outcome).finish(),
            Self::Unchanged(why) => f.debug_tuple("Unchanged").field(why).finish(),
        }
    }
}
