//! Overwrite: all rows replaced, in one commit.

use std::sync::Arc;

use serde_json::json;

use super::append::{check_evolved, merged_schema};
use super::{Input, WriteOutcome, add_actions, commit_written, counted, with_schema, write_files};
use crate::action::{Action, Remove};
use crate::conflict::Reads;
use crate::error::Result;
use crate::schema::from_arrow;
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged};

/// How to overwrite.
#[derive(Clone, Debug, Default)]
pub struct OverwriteOptions {
    /// Columns that the table lacks are added to it, instead of being refused.
    pub merge_schema: bool,
    /// The input's schema replaces the table's.
    pub overwrite_schema: bool,
}

/// Replaces all rows by those of `input`. Older versions keep theirs.
///
/// # Errors
/// As for an append, and `Conflict` when anyone else changed the table since `snapshot`.
pub async fn overwrite(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &OverwriteOptions,
    input: Input,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    let started_ms = snapshot.clock().now_ms();
    let schema = if options.overwrite_schema {
        let schema = from_arrow(&input.schema)?;
        check_evolved(snapshot, &schema)?;
        (schema != **snapshot.schema()).then(|| Arc::new(schema))
    } else {
        merged_schema(snapshot, options.merge_schema, &input)?
    };
    let written = write_files(
        snapshot.root(),
        snapshot.clock(),
        schema.as_ref().unwrap_or(snapshot.schema()),
        snapshot.partition_columns(),
        &snapshot.metadata().configuration,
        input,
    )
    .await?;
    let now_ms = snapshot.clock().now_ms();
    let mut actions = Vec::new();
    if let Some(schema) = &schema {
        actions.push(Action::Metadata(Box::new(with_schema(snapshot.metadata(), schema))));
    }
    let files = snapshot.files().await?;
    let removed = files.len() as u64;
    actions.extend(files.iter().map(|add| Action::Remove(Box::new(Remove::of(&add, now_ms, true)))));
    actions.extend(add_actions(&written));
    let operation = Operation::new("WRITE")
        .with("mode", "Overwrite")
        .with("partitionBy", json!(snapshot.partition_columns()).to_string())
        .counting("numRemovedFiles", removed);
    let operation = counted(operation, &written);
    let staged = Staged { operation, actions, reads: Reads::WholeTable };
    commit_written(Base::On(Arc::clone(snapshot)), staged, committer, &written, started_ms).await
}
