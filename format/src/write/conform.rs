//! A batch of the caller's made to fit the table's schema, or refused by column.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, SchemaRef};
use arrow_select::filter::filter;

use crate::error::{Error, Result};
use crate::scan::adapt::{Adapter, Origin, UNKNOWN_HINT, position, read_schema};
use crate::schema::{DataType, StructField, StructType, to_arrow};

/// `batch` in the table's columns, order and Arrow types. Columns are found by name, ignoring case; a missing nullable
/// one is null; values are cast where none can be lost, except that timestamps finer than a microsecond are floored.
///
/// # Errors
/// `Invalid`, naming the columns: unknown or missing ones, a type that does not fit, nulls where NOT NULL is declared.
pub fn conform(batch: &RecordBatch, schema: &StructType) -> Result<RecordBatch> {
    Conformer::new(schema)?.conform(batch, schema)
}

/// The Arrow forms of one schema, worked out once for many batches.
#[derive(Clone, Debug)]
pub(super) struct Conformer {
    /// The table's own.
    strict: SchemaRef,
    /// The same, nullable throughout.
    free: SchemaRef,
}

impl Conformer {
    pub(super) fn new(schema: &StructType) -> Result<Self> {
        Ok(Self { strict: to_arrow(schema)?, free: read_schema(schema)? })
    }

    pub(super) fn conform(&self, batch: &RecordBatch, schema: &StructType) -> Result<RecordBatch> {
        self.finish(self.adapt(batch, schema, &[])?, schema, batch.num_rows())
    }

    /// The batch's columns in the table's order and nullable types; those that it lacks are null. Only columns named in
    /// `computed` may be missing though the table declares them NOT NULL.
    pub(super) fn adapt(&self, batch: &RecordBatch, schema: &StructType, computed: &[&str]) -> Result<Vec<ArrayRef>> {
        let found = find_columns(batch, schema, computed)?;
        let mut columns = Vec::with_capacity(schema.fields.len());
        for ((field, found), free) in schema.fields.iter().zip(found).zip(self.free.fields()) {
            columns.push(match found {
                Some(at) => {
                    let mut adapter = Adapter::new(Origin::Input);
                    adapter.column(&field.name, batch.column(at), &field.data_type, free.data_type())?
                }
                None => new_null_array(free.data_type(), batch.num_rows()),
            });
        }
        Ok(columns)
    }

    /// Adapted columns as a batch, nulls wherever they are.
    pub(super) fn loose(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.free), columns, &options)
            .map_err(|e| Error::internal("adapted columns do not hold together").with_source(e))
    }

    /// The nullable type of the table's column at `position`.
    pub(super) fn loose_type(&self, position: usize) -> ArrowType {
        self.free.field(position).data_type().clone()
    }

    /// Adapted columns as rows of the table, nulls only where it allows them.
    pub(super) fn finish(&self, columns: Vec<ArrayRef>, schema: &StructType, rows: usize) -> Result<RecordBatch> {
        check_nulls(schema, &columns)?;
        let strict = columns.iter().zip(self.strict.fields());
        let columns: Result<Vec<ArrayRef>> = strict
            .map(|(array, field)| {
                retype(array, field.data_type(), None).map_err(|e| {
                    Error::internal("nested nulls could not be told apart")
                        .with_object(format!("column {}", field.name()))
                        .with_source(e)
                })
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.strict), columns?, &options)
            .map_err(|e| Error::internal("a conformed batch does not hold together").with_source(e))
    }
}

/// Position in the batch of each of the table's columns.
fn find_columns(batch: &RecordBatch, schema: &StructType, computed: &[&str]) -> Result<Vec<Option<usize>>> {
    let given = batch.schema_ref().fields();
    let mut used = vec![false; given.len()];
    let (mut found, mut missing) = (Vec::with_capacity(schema.fields.len()), Vec::new());
    for field in &schema.fields {
        let at = position(given, &field.name).map_err(|count| {
            let message = format!("{count} columns of the input are called {:?} when case is ignored", field.name);
            Error::invalid(message).with_object(format!("column {}", field.name))
        })?;
        match at {
            Some(at) => used[at] = true,
            None if !field.nullable && !computed.contains(&field.name.as_str()) => missing.push(field.name.as_str()),
            None => {}
        }
        found.push(at);
    }
    let unknown: Vec<&str> =
        used.iter().zip(given).filter(|(used, _)| !**used).map(|(_, field)| field.name().as_str()).collect();
    if !unknown.is_empty() {
        return Err(Error::invalid(format!("the table has no column {}", quoted(&unknown)))
            .with_object(unknown.join(", "))
            .with_hint(UNKNOWN_HINT));
    }
    if !missing.is_empty() {
        return Err(Error::invalid(format!("the input lacks {}, which the table declares NOT NULL", quoted(&missing)))
            .with_object(missing.join(", ")));
    }
    Ok(found)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn check_nulls(schema: &StructType, columns: &[ArrayRef]) -> Result<()> {
    let mut broken = Vec::new();
    for (field, array) in schema.fields.iter().zip(columns) {
        find_nulls(array, &field.data_type, field.nullable, &field.name, None, &mut broken);
    }
    let Some((first, _)) = broken.first() else { return Ok(()) };
    let list: Vec<String> = broken
        .iter()
        .map(|(column, rows)| format!("{column} is null in {rows} {}", if *rows == 1 { "row" } else { "rows" }))
        .collect();
    Err(Error::invalid(format!("NOT NULL is declared, and {}", list.join("; "))).with_object(format!("column {first}")))
}

/// From an item of a nested array to its row; `None` while items are rows.
type Owners<'a> = Option<&'a [u32]>;

/// Collects the NOT NULL places of a column that hold nulls, with the number of rows concerned. A null inside a null
/// struct, list or map does not count: there is nothing that could hold a value.
fn find_nulls(
    array: &ArrayRef,
    data_type: &DataType,
    nullable: bool,
    path: &str,
    outer: Option<(&NullBuffer, Owners<'_>)>,
    broken: &mut Vec<(String, usize)>,
) {
    let present = outer.map(|(nulls, _)| nulls);
    let owners = outer.and_then(|(_, owners)| owners);
    if !nullable && array.logical_null_count() > 0 {
        let nulls = array.logical_nulls();
        let is_null = |i: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(i));
        let bad = (0..array.len()).filter(|&i| is_null(i) && present.is_none_or(|present| present.is_valid(i)));
        let rows = count_rows(bad, owners);
        if rows > 0 {
            broken.push((path.to_owned(), rows));
        }
    }
    if !has_not_null(data_type) {
        return;
    }
    let valid = NullBuffer::union(present, array.nulls());
    let valid = valid.unwrap_or_else(|| NullBuffer::new_valid(array.len()));
    match data_type {
        DataType::Struct(fields) => {
            let Some(given) = array.as_struct_opt() else { return };
            for (field, child) in fields.fields.iter().zip(given.columns()) {
                let inner = format!("{path}.{}", field.name);
                find_nulls(child, &field.data_type, field.nullable, &inner, Some((&valid, owners)), broken);
            }
        }
        DataType::Array(list) => {
            let Some(given) = array.as_list_opt::<i32>() else { return };
            let (present, owners) = items(given.offsets(), given.values().len(), &valid, owners);
            let inner = Some((&present, Some(owners.as_slice())));
            let path = format!("{path}.element");
            find_nulls(given.values(), &list.element_type, list.contains_null, &path, inner, broken);
        }
        DataType::Map(map) => {
            let Some(given) = array.as_map_opt() else { return };
            let (present, owners) = items(given.offsets(), given.keys().len(), &valid, owners);
            let inner = Some((&present, Some(owners.as_slice())));
            find_nulls(given.keys(), &map.key_type, true, &format!("{path}.key"), inner, broken);
            let value = format!("{path}.value");
            find_nulls(given.values(), &map.value_type, map.value_contains_null, &value, inner, broken);
        }
        _ => {}
    }
}

fn count_rows(items: impl Iterator<Item = usize>, owners: Owners<'_>) -> usize {
    let Some(owners) = owners else { return items.count() };
    let (mut rows, mut last) = (0, None);
    for owner in items.map(|item| owners[item]) {
        rows += usize::from(last != Some(owner));
        last = Some(owner);
    }
    rows
}

/// Which of a list's items belong to a list that is there, and to which row.
fn items(offsets: &OffsetBuffer<i32>, count: usize, lists: &NullBuffer, owners: Owners<'_>) -> (NullBuffer, Vec<u32>) {
    let mut present = vec![false; count];
    let mut rows = vec![0_u32; count];
    for (list, range) in ranges(offsets) {
        if lists.is_valid(list) {
            let row = owners.map_or_else(|| u32::try_from(list).unwrap_or(u32::MAX), |owners| owners[list]);
            present[range.clone()].fill(true);
            rows[range].fill(row);
        }
    }
    (NullBuffer::from(present), rows)
}

fn ranges(offsets: &OffsetBuffer<i32>) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    // Offsets are never negative and never fall: Arrow checks that when the buffer is made.
    let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
    offsets.windows(2).map(move |pair| at(pair[0])..at(pair[1])).enumerate()
}

fn has_not_null(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => {
            fields.fields.iter().any(|StructField { nullable, data_type, .. }| !nullable || has_not_null(data_type))
        }
        DataType::Array(list) => !list.contains_null || has_not_null(&list.element_type),
        DataType::Map(map) => !map.value_contains_null || has_not_null(&map.key_type) || has_not_null(&map.value_type),
        _ => false,
    }
}

/// The array with the nullability that `target` declares. `outer` marks where the surrounding value is there: nulls
/// are pushed down to it, and items of absent lists are dropped, so that Arrow's own checks see what we checked.
fn retype(array: &ArrayRef, target: &ArrowType, outer: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    let nulls = NullBuffer::union(outer, array.nulls());
    Ok(match target {
        ArrowType::Struct(fields) => {
            let given = array.as_struct();
            let columns = given.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| retype(column, field.data_type(), nulls.as_ref()));
            Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, nulls)?)
        }
        ArrowType::List(element) => {
            let given = array.as_list::<i32>();
            let (offsets, values) = present_items(given.offsets(), given.values(), nulls.as_ref())?;
            let values = retype(&values, element.data_type(), None)?;
            Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls)?)
        }
        ArrowType::Map(entries, sorted) => {
            let given = array.as_map();
            let pairs: ArrayRef = Arc::new(given.entries().clone());
            let (offsets, pairs) = present_items(given.offsets(), &pairs, nulls.as_ref())?;
            let pairs = retype(&pairs, entries.data_type(), None)?;
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs.as_struct().clone(), nulls, *sorted)?)
        }
        _ => Arc::clone(array),
    })
}

/// Items of the lists that are there, alone, and their offsets.
fn present_items(
    offsets: &OffsetBuffer<i32>,
    values: &ArrayRef,
    lists: Option<&NullBuffer>,
) -> Result<(OffsetBuffer<i32>, ArrayRef), ArrowError> {
    let is_there = |list: usize| lists.is_none_or(|lists| lists.is_valid(list));
    let kept: usize = ranges(offsets).filter(|(list, _)| is_there(*list)).map(|(_, range)| range.len()).sum();
    if kept == values.len() && offsets.first() == Some(&0) {
        return Ok((offsets.clone(), Arc::clone(values)));
    }
    let mut present = vec![false; values.len()];
    let lengths = ranges(offsets).map(|(list, range)| {
        if is_there(list) {
            present[range.clone()].fill(true);
            range.len()
        } else {
            0
        }
    });
    let offsets = OffsetBuffer::from_lengths(lengths.collect::<Vec<_>>());
    Ok((offsets, filter(values, &BooleanArray::from(present))?))
}
