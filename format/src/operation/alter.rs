//! Alter: the table's description changes, its files do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::append::check_evolved;
use super::{WriteOutcome, report, with_schema};
use crate::action::{Action, Metadata};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::protocol::check_property_change;
use crate::schema::{self, StructField, StructType, write_schema};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged, transact};
use crate::write::Written;

/// Adds nullable columns at the end. Rows that are there read as null.
///
/// # Errors
/// `AlreadyExists` for a name that is taken, `Invalid` for a column that can't be added, `Unsupported` for a type whose
/// feature the table does not have, `Conflict` when the description changed meanwhile.
pub async fn add_columns(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    columns: Vec<StructField>,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    let added = write_schema(&StructType::new(columns.clone()));
    let schema = schema::add_columns(snapshot.schema(), columns)?;
    check_evolved(snapshot, &schema)?;
    let operation = Operation::new("ADD COLUMNS").with("columns", added);
    redefine(snapshot, committer, operation, with_schema(snapshot.metadata(), &schema)).await
}

/// Sets properties, or with `None` removes them.
///
/// # Errors
/// `Unsupported` or `Invalid` naming the property, `NotFound` for one to be removed that is not set.
pub async fn set_properties(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if changes.is_empty() {
        return Err(Error::invalid("no property to change was given"));
    }
    let mut metadata = snapshot.metadata().clone();
    for (key, value) in changes {
        match value {
            Some(value) => {
                metadata.configuration.insert(check_property_change(key, value)?, value.clone());
            }
            None => {
                let stored = metadata.configuration.keys().find(|stored| stored.eq_ignore_ascii_case(key)).cloned();
                let Some(stored) = stored else {
                    return Err(Error::not_found("the table has no such property").with_object(key.clone()));
                };
                if stored.starts_with("delta.") {
                    check_property_change(&stored, &metadata.configuration[&stored])?;
                }
                metadata.configuration.remove(&stored);
            }
        }
    }
    let operation = Operation::new("SET TBLPROPERTIES").with("properties", json!(changes).to_string());
    redefine(snapshot, committer, operation, metadata).await
}

async fn redefine(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    operation: Operation,
    metadata: Metadata,
) -> Result<WriteOutcome> {
    let actions = vec![Action::Metadata(Box::new(metadata))];
    let staged = Staged { operation, actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(Arc::clone(snapshot)), staged, committer).await?;
    Ok(report(outcome, &Written::default(), 0, 0))
}
