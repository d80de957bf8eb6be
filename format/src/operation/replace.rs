//! Which files an overwrite replaces, and the rows of them that stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::{StreamExt, TryStreamExt};

use super::{Input, context_on};
use crate::action::{Add, partition_value};
use crate::conflict::{Ground, judge_file};
use crate::error::{Error, Result};
use crate::expr::{ColumnPath, CompareOp, Predicate, Verdict, evaluate};
use crate::protocol::{Rules, is_supported};
use crate::scan::{ReadOptions, ScanPlan, ScanRequest};
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, PrimitiveType, StructType};
use crate::snapshot::Snapshot;
use crate::transaction::{ReadSet, Reads};
use crate::write::{DataWriter, Written, conform};

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

/// What an overwrite takes from the table.
pub(super) struct Replaced {
    /// Files that leave.
    pub(super) files: Vec<Arc<Add>>,
    /// What was read to find them.
    pub(super) reads: Reads,
    /// Rows that were written again because they stay.
    pub(super) copied_rows: u64,
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
    ) -> Result<Replaced> {
        match self {
            Self::All => {
                let files = snapshot.files().await?.iter().collect();
                Ok(Replaced { files, reads: Reads::WholeTable, copied_rows: 0 })
            }
            Self::Partitions => partitions(snapshot, &written.adds).await,
            Self::Where(predicate) => matching(snapshot, schema, predicate, written).await,
        }
    }
}

/// All files of the partitions that `adds` are in.
async fn partitions(snapshot: &Snapshot, adds: &[Add]) -> Result<Replaced> {
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
    Ok(Replaced { files, reads: reads.matching(Predicate::Or(parts)).into(), copied_rows: 0 })
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

/// The files with rows for which `predicate` is true. Those with other rows as well are written again without them
/// (OVW-2).
async fn matching(
    snapshot: &Snapshot,
    schema: &Arc<StructType>,
    predicate: &Predicate,
    written: &mut Written,
) -> Result<Replaced> {
    let home = snapshot.root().home();
    let ground = Ground {
        protocol: snapshot.protocol(),
        metadata: snapshot.metadata(),
        schema: snapshot.schema(),
        isolation: snapshot.properties().isolation_level,
        home: &home,
    };
    let mut reads = ReadSet::default().matching(predicate.clone());
    let (mut files, mut mixed) = (Vec::new(), Vec::new());
    for add in snapshot.files().await?.iter() {
        match judge_file(predicate, &add, ground) {
            Verdict::NoneTrue => continue,
            Verdict::AllTrue => files.push(Arc::clone(&add)),
            Verdict::Unknown => mixed.push(Arc::clone(&add)),
        }
        reads.file(&add, &home);
    }
    let mut copied_rows = 0;
    if !mixed.is_empty() {
        let columns = predicate.columns().into_iter().filter_map(|path| path.0.first().cloned());
        let columns: BTreeSet<String> = columns.collect();
        let request = ScanRequest {
            columns: Some(columns.into_iter().collect()),
            predicate: Some(predicate.clone()),
            limit: Some(1),
            ..ScanRequest::default()
        };
        let (hits, all) = (snapshot.plan_scan(&request).await?, snapshot.plan_scan(&ScanRequest::default()).await?);
        for add in mixed {
            if holds_a_row(&hits, &add).await? {
                check_splittable(snapshot, &add)?;
                copied_rows += copy_others(snapshot, schema, predicate, (&all, &add), written).await?;
                files.push(add);
            }
        }
    }
    Ok(Replaced { files, reads: reads.into(), copied_rows })
}

/// Whether a file holds a row that the plan wants.
async fn holds_a_row(plan: &ScanPlan, add: &Add) -> Result<bool> {
    let Some(file) = plan.files.iter().find(|file| file.path() == add.path) else { return Ok(false) };
    let mut batches = plan.stream_file(&file.to_file(), ReadOptions::default());
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies are new files: a row's id and its change would have to be written along, which is not done yet.
fn check_splittable(snapshot: &Snapshot, add: &Add) -> Result<()> {
    let feed = snapshot.metadata().configuration.get("delta.enableChangeDataFeed");
    let feeds = feed.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        && is_supported(snapshot.protocol(), "changeDataFeed");
    let tracks = snapshot.properties().row_tracking && is_supported(snapshot.protocol(), "rowTracking");
    let reason = match (tracks, feeds) {
        (true, _) => "\"rowTracking\"",
        (false, true) => "\"changeDataFeed\"",
        (false, false) => return Ok(()),
    };
    Err(Error::unsupported(format!(
        "a file holds rows that are replaced and rows that stay; on a table that uses the feature {reason} this version \
         of Lake does not split it"
    ))
    .with_object(add.path.clone())
    .with_hint("nothing was changed; choose a condition that covers whole files, such as one on partition columns"))
}

/// Writes the rows of a file that stay, and counts them.
async fn copy_others(
    snapshot: &Snapshot,
    schema: &Arc<StructType>,
    predicate: &Predicate,
    (plan, add): (&ScanPlan, &Add),
    written: &mut Written,
) -> Result<u64> {
    let missing = || Error::internal("a live file is not in the plan of all files").with_object(add.path.clone());
    let file = plan.files.iter().find(|file| file.path() == add.path).ok_or_else(missing)?;
    let mut context = context_on(snapshot, schema);
    // These rows were in the table before: nobody judges them again (RUL-3).
    context.rules = Rules::default();
    let mut writer = DataWriter::new(context)?;
    let mut batches = plan.stream_file(&file.to_file(), ReadOptions::default());
    loop {
        let taken = match batches.try_next().await {
            Ok(None) => break,
            Ok(Some(batch)) => match staying(predicate, &batch) {
                Ok(batch) => writer.write(batch).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            writer.abort().await;
            return Err(error);
        }
    }
    let copies = writer.finish().await?;
    written.bytes += copies.bytes;
    written.adds.extend(copies.adds);
    Ok(copies.rows)
}

/// The rows for which the condition is false or unknown.
fn staying(predicate: &Predicate, batch: &RecordBatch) -> Result<RecordBatch> {
    let answers = evaluate(predicate, batch)?;
    let stays: BooleanArray = answers.iter().map(|answer| Some(answer != Some(true))).collect();
    filter_record_batch(batch, &stays).map_err(|e| Error::internal("rows could not be picked").with_source(e))
}
