//! Where the columns of one file come from, and a decoded batch made into the scan's own.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_select::filter::filter_record_batch;

use super::ScanFile;
use super::adapt::{Adapter, Origin, stored_id, stored_position};
use super::prune::partition_text;
use super::shared::Shared;
use crate::action::partition_value;
use crate::error::{Error, Result};
use crate::expr::{Scalar, constant_array, evaluate};
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, MappingMode};
use crate::store::parquet::ParquetFile;

/// Where the needed columns of one file come from.
pub(super) struct Layout {
    /// One per needed column.
    pub(super) columns: Vec<Stored>,
    /// Top-level columns of the file to be decoded, ascending.
    pub(super) roots: Vec<usize>,
}

/// Where one column comes from.
pub(super) enum Stored {
    /// A top-level column of the file.
    Root(usize),
    /// The log: a partition value.
    Constant(Scalar),
    /// Nowhere: the file is older than the column. Null.
    Missing,
}

impl Layout {
    /// Looks each needed column up in the file and in the log.
    pub(super) fn new(shared: &Shared, file: &ScanFile, parquet: &ParquetFile) -> Result<Self> {
        let mode = shared.table.mapping;
        let stored = parquet.arrow_schema().fields();
        if mode == MappingMode::Id && !stored.is_empty() && stored.iter().all(|field| stored_id(field).is_none()) {
            return Err(Error::corrupt("the table's columns are mapped by id, and a data file has no field ids")
                .with_object(parquet.name()));
        }
        let mut columns = Vec::with_capacity(shared.needed.len());
        for &at in &shared.needed {
            let field = &shared.table.schema.fields[at];
            columns.push(match &field.data_type {
                DataType::Primitive(primitive) if shared.is_partition(at) => {
                    let text = partition_text(&file.partition_values, physical_name(field, mode));
                    let value = partition_value::parse(text, primitive);
                    Stored::Constant(value.map_err(|e| e.with_object(format!("{} of {}", field.name, file.path)))?)
                }
                DataType::Void => Stored::Missing,
                _ => match stored_position(stored, field, mode) {
                    Ok(Some(root)) => Stored::Root(root),
                    Ok(None) => Stored::Missing,
                    Err(count) => {
                        let message = format!("{count} columns of a data file are called {:?}", field.name);
                        return Err(Error::corrupt(message).with_object(parquet.name()));
                    }
                },
            });
        }
        let stored = columns.iter().filter_map(|column| match column {
            Stored::Root(root) => Some(*root),
            _ => None,
        });
        let mut roots: Vec<usize> = stored.collect();
        roots.sort_unstable();
        roots.dedup();
        Ok(Self { columns, roots })
    }

    /// A decoded batch as the scan's own: columns in place and of the table's types, row ids behind them, rows filtered.
    pub(super) fn finish(
        &self,
        shared: &Shared,
        name: &str,
        batch: &RecordBatch,
        row_ids: Vec<ArrayRef>,
        filter: bool,
    ) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for ((stored, &at), target) in self.columns.iter().zip(&shared.needed).zip(shared.needed_schema.fields()) {
            let field = &shared.table.schema.fields[at];
            columns.push(match stored {
                Stored::Constant(value) => constant_array(value, target.data_type(), rows)?,
                Stored::Missing => new_null_array(target.data_type(), rows),
                Stored::Root(root) => {
                    let Ok(at) = self.roots.binary_search(root) else {
                        return Err(Error::internal("a column was not decoded").with_object(name));
                    };
                    let mut adapter = Adapter::new(Origin::File(name, shared.table.mapping));
                    adapter.column(&field.name, batch.column(at), &field.data_type, target.data_type())?
                }
            });
        }
        columns.extend(row_ids);
        let whole = build(&shared.needed_schema, columns, rows, name)?;
        let kept = match &shared.predicate {
            Some(predicate) if filter => {
                let mask = evaluate(predicate, &whole)?;
                filter_record_batch(&whole, &mask)
                    .map_err(|e| Error::internal("rows could not be filtered").with_source(e))?
            }
            _ => whole,
        };
        if shared.output.fields().len() == kept.num_columns() {
            return Ok(kept);
        }
        let wanted = shared.output.fields().len() - shared.row_ids.len();
        let columns = [&kept.columns()[..wanted], &kept.columns()[shared.needed.len()..]].concat();
        build(&shared.output, columns, kept.num_rows(), name)
    }
}

fn build(schema: &arrow_schema::SchemaRef, columns: Vec<ArrayRef>, rows: usize, name: &str) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::corrupt("a data file's columns do not fit together").with_object(name).with_source(e))
}
