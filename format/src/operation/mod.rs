//! The verbs, one file each: recipes over scan, write and transaction.

mod alter;
mod append;
mod change;
mod check;
mod create;
mod delete;
mod domain;
mod leave;
mod overwrite;
mod replace;
mod restore;
mod save;
mod sequence;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use uuid::Uuid;

pub use alter::{add_columns, alter_schema, set_properties};
pub use append::{AppendOptions, append};
pub use change::{RowChange, RowPlaces, change_rows};
pub use check::{CheckOptions, CheckReport, Finding, Severity, check};
pub use create::{CreateOptions, Profile, create};
pub use delete::{DeleteOptions, delete};
pub use domain::{remove_domain, set_domain};
pub use overwrite::{OverwriteOptions, overwrite};
pub use replace::Replace;
pub use restore::restore;
pub use save::{SaveMode, SaveOptions, save};
pub use sequence::AppTxn;
pub use settle::{Settlement, settle};

use crate::action::{Action, Metadata};
use crate::clock::ClockRef;
use crate::error::{ErrorKind, Result};
use crate::expr::EvaluatorRef;
use crate::planted::{Defect, planted};
use crate::protocol::TableProperties;
use crate::schema::mapping::{self, MAX_ID_PROPERTY};
use crate::schema::{MappingMode, StructType};
use crate::snapshot::Snapshot;
use crate::store::{TableRoot, Unsynced};
use crate::transaction::{
    Base, Committed, Committer, Operation, Outcome, Staged, Unresolved, check_deadline, transact_behind,
};
use crate::write::{DataWriter, WriteContext, Written};

/// Rows to be written: their schema, and the batches as they come.
pub struct Input {
    /// Schema of every batch.
    pub schema: SchemaRef,
    /// The batches. An error ends the write; nothing is committed.
    pub batches: BoxStream<'static, Result<RecordBatch>>,
    /// Bytes of rows and pages that the writer may hold, by estimate; 256 MiB when `None`.
    pub memory_bytes: Option<usize>,
}

impl Input {
    /// Batches as they come.
    pub fn new(schema: SchemaRef, batches: BoxStream<'static, Result<RecordBatch>>) -> Self {
        Self { schema, batches, memory_bytes: None }
    }

    /// Batches that are in memory.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self::new(schema, futures::stream::iter(batches.into_iter().map(Ok)).boxed())
    }

    /// The same, written within that much memory.
    #[must_use]
    pub fn within(mut self, memory_bytes: usize) -> Self {
        self.memory_bytes = Some(memory_bytes);
        self
    }
}

/// What a write did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// The version that it became.
    pub version: u64,
    /// Identity of the commit.
    pub txn_id: Uuid,
    /// Rows written.
    pub rows: u64,
    /// Data files that joined the table.
    pub files_added: u64,
    /// Data files that left the table.
    pub files_removed: u64,
    /// Bytes of the data files written.
    pub bytes_written: u64,
    /// Rows that left the table, as far as the write counts them: a delete does.
    pub rows_deleted: u64,
}

/// How a write ended. A certain failure is an error instead.
#[derive(Debug)]
pub enum WriteOutcome {
    /// It is a version of the table.
    Committed(WriteReport, Committed),
    /// Nothing was to be done, and nothing was written.
    Unchanged(Unchanged),
    /// It may be one; the files are kept. [`settle`] tells later.
    Unknown(Unresolved),
}

/// Why a write had nothing to do.
#[derive(Clone, Debug)]
pub enum Unchanged {
    /// The application had applied this sequence number, or a later one, before (COM-11).
    AlreadyApplied {
        /// The version that it was applied by, when known.
        version: Option<u64>,
        /// A version of the table that has it.
        snapshot: Arc<Snapshot>,
    },
    /// No row of the table was concerned.
    NoRows(Arc<Snapshot>),
    /// The table was there already, and what is there was to be left alone ([`SaveMode::Ignore`]).
    Exists(Arc<Snapshot>),
}

fn report(outcome: Outcome, written: &Written, files_added: u64, files_removed: u64) -> WriteOutcome {
    match outcome {
        Outcome::Unknown(unresolved) => WriteOutcome::Unknown(unresolved),
        Outcome::Committed(committed) => {
            let report = WriteReport {
                version: committed.version,
                txn_id: committed.txn_id,
                rows: written.rows,
                files_added,
                files_removed,
                bytes_written: written.bytes,
                rows_deleted: 0,
            };
            WriteOutcome::Committed(report, committed)
        }
    }
}

/// `outcome` with what its operation knows better of its files and rows.
fn amended(outcome: WriteOutcome, amend: impl FnOnce(&mut WriteReport)) -> WriteOutcome {
    match outcome {
        WriteOutcome::Committed(mut report, committed) => {
            amend(&mut report);
            WriteOutcome::Committed(report, committed)
        }
        other => other,
    }
}

/// How data files are written into `snapshot`, whose schema becomes `schema`.
fn context_on(snapshot: &Snapshot, schema: &Arc<StructType>) -> WriteContext {
    let mut context = WriteContext::new(
        snapshot.root().clone(),
        Arc::clone(schema),
        snapshot.partition_columns().to_vec(),
        snapshot.properties().clone(),
        Arc::clone(snapshot.clock()),
    );
    context.clustering_columns = snapshot.clustering_columns();
    context.rules = snapshot.rules();
    context
}

/// Whether new rows of the table can be judged (RUL-2).
fn check_judged(snapshot: &Snapshot, evaluator: Option<&EvaluatorRef>) -> Result<()> {
    let checked = snapshot.rules().check_enforceable(evaluator.is_some());
    checked.map_err(|e| e.with_object(snapshot.root().display()))
}

/// Writes all of `input` as data files. After an error the files are gone again.
async fn write_files(context: WriteContext, input: Input) -> Result<Written> {
    taken(context, input).await?.finish().await
}

/// As [`write_files`], but the newest files are still to be synced: along with the commit.
async fn write_unsynced(context: WriteContext, input: Input) -> Result<(Written, Unsynced)> {
    taken(context, input).await?.finish_unsynced().await
}

async fn taken(mut context: WriteContext, mut input: Input) -> Result<DataWriter> {
    context.max_buffered_bytes = input.memory_bytes.unwrap_or(context.max_buffered_bytes);
    let mut writer = DataWriter::new(context)?;
    while let Some(batch) = input.batches.next().await {
        let taken = match batch {
            Ok(batch) => writer.write(batch).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            writer.abort().await;
            return Err(error);
        }
    }
    Ok(writer)
}

/// Commits a write whose files are there. After a certain rejection the files are gone again (COM-4); when it was
/// rejected because another attempt applied the same `txn`, that is the answer (COM-11).
async fn commit_written(
    base: Base,
    staged: Staged,
    committer: &dyn Committer,
    written: &Written,
    started_ms: i64,
    txn: Option<&AppTxn>,
) -> Result<WriteOutcome> {
    commit_unsynced(base, staged, committer, (written, Unsynced::default()), started_ms, txn).await
}

/// As [`commit_written`], where some of the files are still to be synced.
async fn commit_unsynced(
    base: Base,
    staged: Staged,
    committer: &dyn Committer,
    (written, unsynced): (&Written, Unsynced),
    started_ms: i64,
    txn: Option<&AppTxn>,
) -> Result<WriteOutcome> {
    let removed = staged.actions.iter().filter(|action| matches!(action, Action::Remove(_))).count() as u64;
    let (root, snapshot, in_time) = match &base {
        Base::New(root, _) => (root.clone(), None, Ok(())),
        Base::On(snapshot) => {
            (snapshot.root().clone(), Some(Arc::clone(snapshot)), check_deadline(snapshot, started_ms))
        }
    };
    let committed = match in_time {
        Ok(()) => transact_behind(base, staged, committer, unsynced).await,
        Err(error) => Err(error),
    };
    let error = match committed {
        Ok(outcome) => {
            if planted(Defect::DiscardedUnknown) && matches!(outcome, Outcome::Unknown(_)) {
                discard(&root, written).await;
            }
            return Ok(report(outcome, written, written.adds.len() as u64, removed));
        }
        Err(error) => error,
    };
    discard(&root, written).await;
    match (snapshot, txn) {
        (Some(snapshot), Some(txn)) if error.kind() == ErrorKind::Conflict => {
            sequence::applied_since(&snapshot, txn).await.ok_or(error)
        }
        _ => Err(error),
    }
}

/// What a write says of its files.
fn counted(operation: Operation, written: &Written) -> Operation {
    operation
        .counting("numFiles", written.adds.len() as u64)
        .counting("numOutputRows", written.rows)
        .counting("numOutputBytes", written.bytes)
}

/// Deletes the data files of a write that was certainly rejected, and the vectors written for them. What can't be
/// deleted is left to vacuum.
async fn discard(root: &TableRoot, written: &Written) {
    for add in &written.adds {
        let vector = add.deletion_vector.as_ref().and_then(|vector| vector.log_path().ok().flatten());
        for log_path in [Some(add.path.clone()), vector].into_iter().flatten() {
            let deleted = match root.resolve(&log_path) {
                Ok(path) => root.delete(&path).await,
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::warn!(file = %log_path, %error, "a file of a rejected write stays until vacuum");
            }
        }
    }
    for name in &written.vector_files {
        let deleted = match root.child(name) {
            Ok(path) => root.delete(&path).await,
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            tracing::warn!(file = %name, %error, "a file of a rejected write stays until vacuum");
        }
    }
}

fn add_actions(written: &Written) -> Vec<Action> {
    written.adds.iter().map(|add| Action::Add(Box::new(add.clone()))).collect()
}

/// `metadata` with another schema, and the highest column id raised to what it uses (MAP-3).
fn with_schema(metadata: &Metadata, schema: &StructType) -> Metadata {
    let mut metadata = Metadata { schema_string: crate::schema::write_schema(schema), ..metadata.clone() };
    if TableProperties::parse(&metadata.configuration).column_mapping.is_on() {
        let highest = highest_id(&metadata.configuration).max(mapping::max_id(schema));
        metadata.configuration.insert(MAX_ID_PROPERTY.to_owned(), highest.to_string());
    }
    metadata
}

/// The highest column id that a table has given out.
fn highest_id(configuration: &BTreeMap<String, String>) -> i64 {
    configuration.get(MAX_ID_PROPERTY).and_then(|id| id.parse().ok()).unwrap_or(0)
}

/// `schema` with ids and physical names for the fields that have none, where columns are mapped.
fn mapped(snapshot: &Snapshot, schema: StructType) -> Result<StructType> {
    map_new(snapshot.mapping(), highest_id(&snapshot.metadata().configuration), snapshot.clock(), schema)
}

fn map_new(mode: MappingMode, highest: i64, clock: &ClockRef, schema: StructType) -> Result<StructType> {
    if !mode.is_on() {
        return Ok(schema);
    }
    let (schema, _) = mapping::complete(&schema, highest, &mut || format!("col-{}", clock.new_id()))?;
    Ok(schema)
}

#[cfg(test)]
mod tests;
