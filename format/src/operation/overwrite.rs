//! Overwrite: rows replaced, in one commit: all of them, those of a condition, or those of the partitions written.

use std::sync::Arc;

use serde_json::json;

use super::append::{check_evolved, merged_schema};
use super::leave::Leaving;
use super::replace::Replace;
use super::sequence::{self, AppTxn};
use super::{
    Input, WriteOutcome, add_actions, amended, check_judged, commit_written, context_on, counted, discard, mapped,
    with_schema, write_files,
};
use crate::action::Action;
use crate::error::{Error, Result};
use crate::expr::EvaluatorRef;
use crate::schema::mapping::{adopt, logical_path};
use crate::schema::{StructType, from_arrow};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged};
use crate::write::Written;

/// How to overwrite.
#[derive(Clone, Debug, Default)]
pub struct OverwriteOptions {
    /// Columns that the table lacks are added to it, instead of being refused.
    pub merge_schema: bool,
    /// The input's schema replaces the table's. Only when all rows are replaced.
    pub overwrite_schema: bool,
    /// Which rows give way.
    pub replace: Replace,
    /// Applied once: a sequence number that the table has seen from this application is answered
    /// [`Unchanged`](super::Unchanged) (COM-11).
    pub txn: Option<AppTxn>,
    /// Works out the SQL expressions of the table's rules. Without it, a table that has any is refused.
    pub evaluator: Option<EvaluatorRef>,
}

/// Replaces rows by those of `input`. Older versions keep theirs.
///
/// With a condition, every row of the input must satisfy it (OVW-1). In files that hold rows of both kinds those that
/// leave are marked where the table has deletion vectors on, else the others are written again (OVW-2).
///
/// # Errors
/// As for an append; `Invalid` for a row that does not satisfy the condition, naming how many; `Unsupported` naming a file
/// that can't be split, where row tracking or the change feed is on; `Conflict` when anyone changed what was read since
/// `snapshot`.
pub async fn overwrite(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &OverwriteOptions,
    input: Input,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if let Some(answer) = sequence::applied(snapshot, options.txn.as_ref())? {
        return Ok(answer);
    }
    check_judged(snapshot, options.evaluator.as_ref())?;
    if options.overwrite_schema && options.replace != Replace::All {
        return Err(Error::invalid("the schema can't be replaced where rows of the old one stay")
            .with_object(snapshot.root().display())
            .with_hint("nothing was written; replace all rows, or merge the schema"));
    }
    let started_ms = snapshot.clock().now_ms();
    let new_schema = new_schema(snapshot, options, &input)?;
    let schema = Arc::clone(new_schema.as_ref().unwrap_or(snapshot.schema()));
    options.replace.check(snapshot)?;
    let input = options.replace.checked(input, &schema);
    let mut context = context_on(snapshot, &schema);
    context.evaluator.clone_from(&options.evaluator);
    let mut written = write_files(context, input).await?;
    let rows = written.rows;
    let replaced = match options.replace.replaced(snapshot, &schema, &mut written).await {
        Ok(replaced) => replaced,
        Err(error) => {
            discard(snapshot.root(), &written).await;
            return Err(error);
        }
    };
    // Rows that were copied were in the table before.
    written.rows = rows;
    let files = replaced.files.len() as u64;
    let staged = stage(snapshot, options, new_schema.as_deref(), replaced, &written);
    let base = Base::On(Arc::clone(snapshot));
    let outcome = commit_written(base, staged, committer, &written, started_ms, options.txn.as_ref()).await?;
    Ok(amended(outcome, |report| report.files_removed = files))
}

fn new_schema(snapshot: &Snapshot, options: &OverwriteOptions, input: &Input) -> Result<Option<Arc<StructType>>> {
    if !options.overwrite_schema {
        return merged_schema(snapshot, options.merge_schema, input);
    }
    // Columns that stay what they were keep their ids and physical names.
    let schema = adopt(snapshot.schema(), from_arrow(&input.schema)?);
    let schema = mapped(snapshot, schema)?;
    check_evolved(snapshot, &schema)?;
    let lost = snapshot
        .clustering_columns()
        .into_iter()
        .find(|path| logical_path(&schema, snapshot.mapping(), path).is_none());
    if let Some(path) = lost {
        return Err(Error::unsupported("the new schema lacks a column that the table is clustered by")
            .with_object(format!("column {}", path.join(".")))
            .with_hint("nothing was written; keep the column, or change the clustering with the engine that set it"));
    }
    Ok((schema != **snapshot.schema()).then(|| Arc::new(schema)))
}

fn stage(
    snapshot: &Snapshot,
    options: &OverwriteOptions,
    schema: Option<&StructType>,
    replaced: Leaving,
    written: &Written,
) -> Staged {
    let now_ms = snapshot.clock().now_ms();
    let mut actions = Vec::new();
    if let Some(schema) = schema {
        actions.push(Action::Metadata(Box::new(with_schema(snapshot.metadata(), schema))));
    }
    actions.extend(sequence::mark(options.txn.as_ref(), now_ms));
    let removed = replaced.files.len() as u64;
    actions.extend(replaced.actions(now_ms));
    actions.extend(add_actions(written));
    let mut operation = Operation::new("WRITE")
        .with("mode", "Overwrite")
        .with("partitionBy", json!(snapshot.partition_columns()).to_string())
        .counting("numRemovedFiles", removed);
    match &options.replace {
        Replace::All => {}
        Replace::Where(predicate) => {
            operation = operation
                .with("predicate", json!(predicate).to_string())
                .counting("numCopiedRows", replaced.copied_rows)
                .counting("numDeletedRows", replaced.rows);
        }
        Replace::Partitions => operation = operation.with("isDynamicPartitionOverwrite", true),
    }
    Staged { operation: counted(operation, written), actions, reads: replaced.reads }
}
