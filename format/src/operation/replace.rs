//! Which rows an overwrite replaces.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::StreamExt;

use super::Input;
use super::leave::{Leaving, leave};
use crate::action::{Add, partition_value};
use crate::error::{Error, Result};
use crate::expr::{ColumnPath, CompareOp, Predicate, evaluate};
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, PrimitiveType, StructType};
use crate::snapshot::Snapshot;
use crate::transaction::{ReadSet, Reads};
use crate::write::{Written, conform};

/// Which rows of a table an overwrite replaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Replace {
    /// All.
    #[default]
    All,
    /// Those for which the condition is true. The new rows must satisfy it too.
    Where(Predicate),
    /// All rows of every partition that gets a new row. Other partitions stay.
    Partitions,
}

impl Replace {
    /// Refuses what can't be before anything is written.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<()> {
        match self {
            Self::Partitions if snapshot.partition_columns().is_empty() => {
                Err(Error::invalid("a table without partitions can't be overwritten by partition")
                    .with_object(snapshot.root().display())
                    .with_hint("nothing was written; overwrite all of it, or the rows of a condition"))
            }
            Self::Where(predicate) => {
                let columns = crate::scan::read_schema(snapshot.schema())?;
                evaluate(predicate, &RecordBatch::new_empty(columns)).map(drop)
            }
            Self::All | Self::Partitions => Ok(()),
        }
    }

    /// The input, refused at the first batch with a row that the condition does not hold for (OVW-1).
    pub(super) fn checked(&self, input: Input, schema: &Arc<StructType>) -> Input {
        let Self::Where(predicate) = self else { return input };
        let (predicate, schema) = (predicate.clone(), Arc::clone(schema));
        let check = move |batch: RecordBatch| {
            let batch = conform(&batch, &schema)?;
            let outside = evaluate(&predicate, &batch)?.iter().filter(|answer| *answer != Some(true)).count();
            if outside == 0 {
                return Ok(batch);
            }
            let rows = batch.num_rows();
            Err(Error::invalid(format!(
                "{outside} of {rows} rows of the input don't satisfy the overwrite's condition"
            ))
            .with_hint("nothing was changed; leave those rows out, or widen the condition"))
        };
        let batches = input.batches.map(move |batch| batch.and_then(&check)).boxed();
        Input { schema: input.schema, batches, memory_bytes: input.memory_bytes }
    }

    /// The files that leave for `written`, to which copies of rows that stay are added.
    pub(super) async fn replaced(
        &self,
        snapshot: &Snapshot,
        schema: &Arc<StructType>,
        written: &mut Written,
    ) -> Result<Leaving> {
        match self {
            Self::All => {
                let files = snapshot.files().await?.iter().collect();
                Ok(Leaving::whole(files, Reads::WholeTable))
            }
            Self::Partitions => partitions(snapshot, &written.adds).await,
            Self::Where(predicate) => leave(snapshot, schema, predicate, written).await,
        }
    }
}

/// All files of the partitions that `adds` are in.
async fn partitions(snapshot: &Snapshot, adds: &[Add]) -> Result<Leaving> {
    let columns = partition_types(snapshot)?;
    let mut keys = BTreeSet::new();
    let mut parts = Vec::new();
    for add in adds {
        if keys.insert(key_of(add, &columns)?) {
            parts.push(partition_of(add, &columns)?);
        }
    }
    let home = snapshot.root().home();
    let mut reads = ReadSet::default();
    let mut files = Vec::new();
    for add in snapshot.files().await?.iter() {
        if keys.contains(&key_of(&add, &columns)?) {
            reads.file(&add, &home);
            files.push(add);
        }
    }
    Ok(Leaving::whole(files, reads.matching(Predicate::Or(parts)).into()))
}

/// A partition column, as the log and as the table call it.
struct PartitionColumn {
    name: String,
    key: String,
    primitive: PrimitiveType,
}

fn partition_types(snapshot: &Snapshot) -> Result<Vec<PartitionColumn>> {
    let column = |name: &String| match snapshot.schema().field(name).map(|field| (field, &field.data_type)) {
        Some((field, DataType::Primitive(primitive))) => {
            let key = physical_name(field, snapshot.mapping()).to_owned();
            Ok(PartitionColumn { name: name.clone(), key, primitive: *primitive })
        }
        _ => Err(Error::corrupt("a partition column is not a plain column of the table").with_object(name.clone())),
    };
    snapshot.partition_columns().iter().map(column).collect()
}

fn text_of<'a>(add: &'a Add, column: &PartitionColumn) -> Option<&'a str> {
    add.partition_values.get(&column.key).and_then(Option::as_deref)
}

/// A file's partition in one spelling: other writers may spell the same value otherwise.
fn key_of(add: &Add, columns: &[PartitionColumn]) -> Result<Vec<Option<String>>> {
    let one = |column: &PartitionColumn| {
        let value = partition_value::parse(text_of(add, column), &column.primitive)?;
        partition_value::format(&value)
    };
    columns.iter().map(one).collect::<Result<_>>().map_err(|e| e.with_object(add.path.clone()))
}

fn partition_of(add: &Add, columns: &[PartitionColumn]) -> Result<Predicate> {
    let one = |column: &PartitionColumn| {
        let value = partition_value::parse(text_of(add, column), &column.primitive)?;
        let path = ColumnPath::top(column.name.clone());
        Ok(match value.is_null() {
            true => Predicate::IsNull(path),
            false => Predicate::Compare { column: path, op: CompareOp::Eq, value },
        })
    };
    columns.iter().map(one).collect::<Result<_>>().map(Predicate::And)
}
