//! What a write did: settled, and told alike by every command.

use lake_format::operation::Unchanged;
use lake_format::{WriteOutcome, WriteReport};
use serde_json::Value;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Object};

/// The report of a commit that landed.
///
/// # Errors
/// [`CliError::Unknown`] for one that may have landed.
pub fn settled(outcome: WriteOutcome, table: &str) -> Result<WriteReport, CliError> {
    match outcome {
        WriteOutcome::Committed(report, _) => Ok(report),
        WriteOutcome::Unchanged(Unchanged::AlreadyApplied { version, snapshot }) => {
            Ok(nothing(version.unwrap_or_else(|| snapshot.version())))
        }
        WriteOutcome::Unchanged(Unchanged::NoRows(snapshot) | Unchanged::Exists(snapshot)) => {
            Ok(nothing(snapshot.version()))
        }
        WriteOutcome::Unknown(unresolved) => Err(CliError::unknown(table, unresolved)),
    }
}

/// The report of a write that had nothing to do on a table of that version.
fn nothing(version: u64) -> WriteReport {
    WriteReport { version, ..WriteReport::default() }
}

/// Prints the report; with the number of rows that were left out where rows could be.
///
/// # Errors
/// Where standard output does not take it.
pub fn print(context: &Context, report: &WriteReport, left_out: Option<u64>) -> Result<(), CliError> {
    let mut object = of(report);
    if report.rows_deleted > 0 {
        object = object.with("rows_deleted", Kind::Number, report.rows_deleted);
    }
    if let Some(rows) = left_out {
        object = object.with("rows_left_out", Kind::Number, rows);
    }
    context.output().object(&object)
}

/// Prints that there was nothing to write, with the fields of a report.
///
/// # Errors
/// Where standard output does not take it.
pub fn print_nothing(context: &Context, left_out: Option<u64>) -> Result<(), CliError> {
    let mut object = Object::new()
        .with("version", Kind::Number, Value::Null)
        .with("txn_id", Kind::Text, Value::Null)
        .with("rows", Kind::Number, 0)
        .with("files_added", Kind::Number, 0)
        .with("files_removed", Kind::Number, 0)
        .with("bytes_written", Kind::Number, 0);
    if let Some(rows) = left_out {
        object = object.with("rows_left_out", Kind::Number, rows);
    }
    context.output().object(&object)
}

/// The fields that every write gives.
pub fn of(report: &WriteReport) -> Object {
    Object::new()
        .with("version", Kind::Number, report.version)
        // There is none where there was nothing to commit.
        .with("txn_id", Kind::Text, (!report.txn_id.is_nil()).then(|| report.txn_id.to_string()))
        .with("rows", Kind::Number, report.rows)
        .with("files_added", Kind::Number, report.files_added)
        .with("files_removed", Kind::Number, report.files_removed)
        .with("bytes_written", Kind::Number, report.bytes_written)
}
