//! Delete: the rows of a condition leave, in one commit.

use std::sync::Arc;

use serde_json::json;

use super::leave::{Leaving, leave};
use super::sequence::{self, AppTxn};
use super::{Unchanged, WriteOutcome, add_actions, amended, commit_written, discard};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Predicate, evaluate};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged, check_rows_may_leave};
use crate::write::Written;

/// States of the table that a delete is tried on.
const ATTEMPTS: u32 = 10;

/// How to delete.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteOptions {
    /// The rows for which this is true leave.
    pub rows: Predicate,
    /// How the user wrote the condition, for the history.
    pub text: Option<String>,
    /// Applied once: a sequence number that the table has seen from this application is answered
    /// [`Unchanged`](super::Unchanged) (COM-11).
    pub txn: Option<AppTxn>,
}

impl DeleteOptions {
    /// Deletes the rows for which `rows` is true.
    pub fn of(rows: Predicate) -> Self {
        Self { rows, text: None, txn: None }
    }
}

/// Deletes the rows for which a condition is true. A file without another row leaves whole, and nothing of it is read
/// where the log proves it; of other files the rows are marked by deletion vectors where the table has these on, else the
/// rows that stay are written again. When another commit touches what was read, the delete begins again on the newest
/// version.
///
/// # Errors
/// `Invalid` and `NotFound` for a condition that does not fit the table, `Unsupported` for a table that only takes
/// appends or whose files can't be split, `Conflict` when others were faster again and again. The table is as they left it
/// then.
pub async fn delete(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &DeleteOptions,
) -> Result<WriteOutcome> {
    let mut snapshot = Arc::clone(snapshot);
    for attempt in 1.. {
        match attempted(&snapshot, committer, options).await {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < ATTEMPTS => {
                tracing::info!(table = %snapshot.root().display(), %error, "the delete begins again");
                snapshot = snapshot.refreshed().await?;
            }
            done => return done,
        }
    }
    Err(Error::internal("a delete ended without an answer"))
}

async fn attempted(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &DeleteOptions,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if let Some(answer) = sequence::applied(snapshot, options.txn.as_ref())? {
        return Ok(answer);
    }
    check_rows_may_leave(snapshot)?;
    let columns = crate::scan::read_schema(snapshot.schema())?;
    evaluate(&options.rows, &arrow_array::RecordBatch::new_empty(columns))?;
    let started_ms = snapshot.clock().now_ms();
    let mut written = Written::default();
    let leaving = match leave(snapshot, snapshot.schema(), &options.rows, &mut written).await {
        Ok(leaving) => leaving,
        Err(error) => {
            discard(snapshot.root(), &written).await;
            return Err(error);
        }
    };
    if leaving.files.is_empty() && leaving.marked.is_empty() && options.txn.is_none() {
        return Ok(WriteOutcome::Unchanged(Unchanged::NoRows(Arc::clone(snapshot))));
    }
    let (files, rows) = (leaving.files.len() as u64, leaving.rows);
    let staged = stage(snapshot, options, leaving, &written);
    let base = Base::On(Arc::clone(snapshot));
    let outcome = commit_written(base, staged, committer, &written, started_ms, options.txn.as_ref()).await?;
    Ok(amended(outcome, |report| (report.files_removed, report.rows_deleted) = (files, rows)))
}

fn stage(snapshot: &Snapshot, options: &DeleteOptions, leaving: Leaving, written: &Written) -> Staged {
    let now_ms = snapshot.clock().now_ms();
    let text = options.text.clone().unwrap_or_else(|| json!(options.rows).to_string());
    let operation = Operation::new("DELETE").with("predicate", json!([text]).to_string());
    let operation = leaving.counted(operation, written).counting("numDeletedRows", leaving.rows);
    let mut actions: Vec<_> = sequence::mark(options.txn.as_ref(), now_ms).into_iter().collect();
    actions.extend(leaving.actions(now_ms));
    actions.extend(add_actions(written));
    Staged { operation, actions, reads: leaving.reads }
}
