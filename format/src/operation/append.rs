//! Append: more rows, nothing read, nothing removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::create::needs;
use super::sequence::{self, AppTxn};
use super::{
    Input, WriteOutcome, add_actions, check_judged, commit_unsynced, context_on, counted, mapped, with_schema,
    write_unsynced,
};
use crate::action::Action;
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::expr::EvaluatorRef;
use crate::protocol::{check_write, is_supported};
use crate::schema::{StructType, check_added_names, from_arrow, merge, merge_widening};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged};

/// How to append.
#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// Columns that the table lacks are added to it, instead of being refused; types grow where the table has
    /// `delta.enableTypeWidening`.
    pub merge_schema: bool,
    /// Applied once: a sequence number that the table has seen from this application is answered
    /// [`Unchanged`](super::Unchanged) (COM-11).
    pub txn: Option<AppTxn>,
    /// Works out the SQL expressions of the table's rules. Without it, a table that has any is refused.
    pub evaluator: Option<EvaluatorRef>,
}

/// Appends the rows of `input` in one commit.
///
/// # Errors
/// `Invalid` naming the column for rows that do not fit the schema, `Unsupported` naming a feature that Lake does not
/// write, `Conflict` when the schema or protocol changed meanwhile. The table is as it was then.
pub async fn append(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &AppendOptions,
    input: Input,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if let Some(answer) = sequence::applied(snapshot, options.txn.as_ref())? {
        return Ok(answer);
    }
    check_judged(snapshot, options.evaluator.as_ref())?;
    let started_ms = snapshot.clock().now_ms();
    let merged = merged_schema(snapshot, options.merge_schema, &input)?;
    let schema = merged.as_ref().unwrap_or(snapshot.schema());
    let mut context = context_on(snapshot, schema);
    context.evaluator.clone_from(&options.evaluator);
    let (written, unsynced) = write_unsynced(context, input).await?;
    let operation = Operation::new("WRITE")
        .with("mode", "Append")
        .with("partitionBy", json!(snapshot.partition_columns()).to_string());
    let operation = counted(operation, &written);
    let mut actions = Vec::new();
    if let Some(schema) = &merged {
        actions.push(Action::Metadata(Box::new(with_schema(snapshot.metadata(), schema))));
    }
    actions.extend(sequence::mark(options.txn.as_ref(), started_ms));
    actions.extend(add_actions(&written));
    let staged = Staged { operation, actions, reads: Reads::Nothing };
    let (base, files) = (Base::On(Arc::clone(snapshot)), (&written, unsynced));
    commit_unsynced(base, staged, committer, files, started_ms, options.txn.as_ref()).await
}

/// The table's schema with the input's new columns, when there are any and they are asked for.
pub(super) fn merged_schema(snapshot: &Snapshot, wanted: bool, input: &Input) -> Result<Option<Arc<StructType>>> {
    if !wanted {
        return Ok(None);
    }
    let incoming = from_arrow(&input.schema)?;
    let widen = snapshot.properties().type_widening && is_supported(snapshot.protocol(), "typeWidening");
    let merged = if widen { merge_widening } else { merge }(snapshot.schema(), &incoming)?;
    let merged = mapped(snapshot, merged)?;
    if merged == **snapshot.schema() {
        return Ok(None);
    }
    check_evolved(snapshot, &merged)?;
    Ok(Some(Arc::new(merged)))
}

/// Refuses a new schema that the table's protocol does not cover: an upgrade is asked for, never silent.
pub(super) fn check_evolved(snapshot: &Snapshot, schema: &StructType) -> Result<()> {
    let mut used = BTreeSet::new();
    for field in &schema.fields {
        if snapshot.schema().field(&field.name).is_none_or(|old| old.data_type != field.data_type) {
            needs(&field.data_type, &mut used).map_err(|e| e.with_object(field.name.clone()))?;
        }
    }
    if !snapshot.mapping().is_on() {
        check_added_names(snapshot.schema(), schema)?;
    }
    if let Some(feature) = used.iter().find(|name| !is_supported(snapshot.protocol(), name)) {
        return Err(Error::unsupported(format!(
            "the new columns need the table feature {feature:?}, which this table does not have"
        ))
        .with_object(snapshot.root().display())
        .with_hint(format!("nothing was changed; ask for it first: set delta.feature.{feature}=supported")));
    }
    check_write(snapshot.protocol(), snapshot.metadata(), schema)
}
