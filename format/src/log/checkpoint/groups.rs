//! What the footer of a checkpoint says of a whole group of files.

use ::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use ::parquet::basic::{ColumnOrder, Type as PhysicalType};
use ::parquet::file::metadata::RowGroupMetaData;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::read::leaves;
use crate::action::columnar::{FactColumns, Facts};
use crate::store::parquet::ParquetFile;

/// Facts that hold for all files of a row group.
pub(super) struct GroupFacts {
    pub(super) facts: Facts,
    /// How many files.
    pub(super) files: u64,
}

/// Where a checkpoint keeps the bounds that a sieve looks at.
pub(super) struct EndLeaves {
    path_leaf: usize,
    /// Each column with the leaves of its least and its greatest values.
    ends: Vec<(Vec<String>, usize, usize)>,
}

impl EndLeaves {
    pub(super) fn find(file: &ParquetFile, path_leaf: usize, looks_at: &FactColumns) -> Self {
        let find = |section: &str, column: &[String]| {
            let whole = |path: &[String]| {
                path.len() == 3 + column.len()
                    && (path[0].as_str(), path[1].as_str(), path[2].as_str()) == ("add", "stats_parsed", section)
                    && path[3..] == *column
            };
            leaves(file.metadata(), whole).first().copied()
        };
        let ends = looks_at.stats.columns().iter().filter_map(|column| {
            let column = &column.path.0;
            Some((column.clone(), find("minValues", column)?, find("maxValues", column)?))
        });
        Self { path_leaf, ends: ends.collect() }
    }

    /// What the footer says of the files in a row group; `None` when it says nothing. A column counts only where every
    /// file has a bound in it.
    pub(super) fn facts(&self, file: &ParquetFile, group: &RowGroupMetaData) -> Option<GroupFacts> {
        let nulls = |leaf: usize| group.column(leaf).statistics()?.null_count_opt();
        let no_file = nulls(self.path_leaf)?;
        let whole = |leaf: usize| nulls(leaf) == Some(no_file);
        let ends =
            self.ends.iter().filter(|(_, min, max)| whole(*min) && whole(*max)).filter_map(|(column, min, max)| {
                let (min, max) = (end(file, group, *min, Side::Min)?, end(file, group, *max, Side::Max)?);
                Some((column.clone(), min, max))
            });
        let ends: Vec<(Vec<String>, ArrayRef, ArrayRef)> = ends.collect();
        let rows = u64::try_from(group.num_rows()).ok()?;
        (!ends.is_empty()).then(|| GroupFacts { facts: Facts::of_group(ends), files: rows.saturating_sub(no_file) })
    }
}

#[derive(Clone, Copy)]
enum Side {
    Min,
    Max,
}

fn end(file: &ParquetFile, group: &RowGroupMetaData, leaf: usize, side: Side) -> Option<ArrayRef> {
    let metadata = file.metadata().file_metadata();
    let schema = metadata.schema_descr();
    if group.column(leaf).statistics()?.is_min_max_deprecated() {
        return None;
    }
    let descriptor = schema.column(leaf);
    let field = field_at(file.arrow_schema().fields(), descriptor.path().parts())?;
    let text_ordered = matches!(metadata.column_order(leaf), ColumnOrder::TYPE_DEFINED_ORDER(_));
    let ordered = match (descriptor.physical_type(), field.data_type()) {
        (PhysicalType::INT32 | PhysicalType::INT64, DataType::Int32 | DataType::Int64 | DataType::Date32) => true,
        (PhysicalType::INT64, DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
        (PhysicalType::BYTE_ARRAY, DataType::Utf8) => text_ordered,
        // Not floats: a bound that is NaN is an unknown bound, and these statistics leave it out.
        _ => false,
    };
    let converter = ordered.then(|| StatisticsConverter::from_column_index(leaf, field, schema).ok())??;
    let array = match side {
        Side::Min => converter.row_group_mins([group]),
        Side::Max => converter.row_group_maxes([group]),
    };
    array.ok().filter(|array| array.len() == 1 && array.is_valid(0))
}

fn field_at<'a>(fields: &'a Fields, path: &[String]) -> Option<&'a Field> {
    let (first, rest) = path.split_first()?;
    let (_, field) = fields.find(first)?;
    match field.data_type() {
        DataType::Struct(inner) => field_at(inner, rest),
        _ => rest.is_empty().then_some(field.as_ref()),
    }
}
