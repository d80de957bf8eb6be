//! What a few columns of a checkpoint say of its files, so that the others need not be read for most of them.

use std::collections::HashMap;
use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StructArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::parsed::{ParsedStats, RawColumn};
use super::stats_text::StatsShape;
use crate::expr::BoundsColumn;
use crate::schema::PrimitiveType;

/// Tells files that are not wanted by facts about many of them.
pub trait Sieve: fmt::Debug + Send + Sync {
    /// The facts that it looks at.
    fn looks_at(&self) -> &FactColumns;

    /// Which of the files may be wanted.
    fn wanted(&self, facts: &Facts) -> BooleanBuffer;

    /// Is told how many files were left out.
    fn left_out(&self, files: u64);

    /// How many were.
    fn files_left_out(&self) -> u64;
}

/// Which facts a [`Sieve`] looks at, by physical names.
#[derive(Clone, Debug, Default)]
pub struct FactColumns {
    /// Columns whose statistics.
    pub stats: StatsShape,
    /// Partition columns whose values.
    pub partitions: Vec<String>,
}

/// Facts about some files, one row each.
#[derive(Debug)]
pub struct Facts {
    files: usize,
    columns: HashMap<Vec<String>, RawColumn>,
    num_records: Option<Int64Array>,
    partitions: Option<StructArray>,
}

impl Facts {
    /// The facts in a batch of a checkpoint's column `add`, and which of its rows are files; `None` when the batch has no
    /// such column.
    pub fn read(batch: &RecordBatch, wanted: &FactColumns) -> Option<(Self, Option<NullBuffer>)> {
        let adds = batch.column_by_name("add")?.as_struct_opt()?;
        let stats = adds.column_by_name("stats_parsed").and_then(|stats| stats.as_struct_opt());
        let stats = match stats {
            Some(stats) => Some(ParsedStats::new(stats.clone())),
            None => {
                let texts = adds.column_by_name("stats").and_then(|texts| texts.as_string_opt::<i32>());
                texts.and_then(|texts| wanted.stats.read(texts).ok())
            }
        };
        let paths = wanted.stats.columns().iter().map(|column| &column.path.0);
        let columns = stats.iter().flat_map(|stats| paths.clone().map(|path| (path.clone(), stats.raw(path))));
        let num_records = stats.as_ref().and_then(ParsedStats::all_num_records);
        let partitions = adds.column_by_name("partitionValues_parsed").and_then(|values| values.as_struct_opt());
        let facts =
            Self { files: adds.len(), columns: columns.collect(), num_records, partitions: partitions.cloned() };
        Some((facts, adds.nulls().cloned()))
    }

    /// Facts that hold for a whole group of files: the least of their minima and the greatest of their maxima.
    pub fn of_group(ends: impl IntoIterator<Item = (Vec<String>, ArrayRef, ArrayRef)>) -> Self {
        let columns = ends.into_iter().map(|(path, min, max)| (path, RawColumn::of_bounds(min, max)));
        Self { files: 1, columns: columns.collect(), num_records: None, partitions: None }
    }

    /// How many files.
    pub fn len(&self) -> usize {
        self.files
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files == 0
    }

    /// What is known of a data column.
    pub fn bounds(&self, path: &[String], data_type: PrimitiveType) -> Option<BoundsColumn> {
        let column = self.columns.get(path)?.typed(data_type);
        Some(column.into_bounds_column(self.num_records.clone()))
    }

    /// What is known of a partition column whose values a checkpoint holds typed.
    pub fn partition(&self, name: &str) -> Option<BoundsColumn> {
        let values = self.partitions.as_ref()?.column_by_name(name)?;
        let texts = values.as_string_opt::<i32>();
        // An empty text stands for null in the log, and may stand for either here.
        let is_empty = |row: usize| texts.is_some_and(|texts| texts.is_valid(row) && texts.value(row).is_empty());
        let nulls = |row: usize| (!is_empty(row)).then(|| i64::from(values.is_null(row)));
        let null_count: Int64Array = (0..values.len()).map(nulls).collect();
        let ones = Int64Array::from_value(1, values.len());
        Some(BoundsColumn {
            min: Some(values.clone()),
            max: Some(values.clone()),
            max_slack: 0,
            null_count: Some(null_count),
            num_records: Some(ones),
        })
    }
}

/// The longs of an array, where it holds such.
pub(super) fn longs(array: &ArrayRef) -> Option<Int64Array> {
    array.as_primitive_opt::<Int64Type>().cloned()
}
