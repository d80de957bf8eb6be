//! Which row groups of a file can hold wanted rows, by the Parquet statistics.

use std::ops::Range;

use arrow_array::ArrayRef;
use parquet::file::metadata::RowGroupMetaData;

use super::selection;
use super::stored_bounds::{Leaf, Place, StoredFile, bound};
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Predicate, Verdict, judge};

/// The rows that must be read, by position in the file: those of the row groups that can match.
pub(super) fn to_read(file: StoredFile<'_>, predicate: &Predicate) -> Vec<Range<u64>> {
    let mut rows = Vec::new();
    let mut start = 0_u64;
    for group in file.file.metadata().row_groups() {
        let end = start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        if judge(predicate, &GroupBounds { file, group }) != Verdict::NoneTrue {
            selection::push(&mut rows, start..end);
        }
        start = end;
    }
    rows
}

struct GroupBounds<'a> {
    file: StoredFile<'a>,
    group: &'a RowGroupMetaData,
}

impl BoundsSource for GroupBounds<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        match self.file.place(path)? {
            Place::Constant(bounds) => Some(bounds),
            Place::Leaf(leaf) => self.of_leaf(leaf),
        }
    }
}

impl<'a> GroupBounds<'a> {
    fn of_leaf(&self, leaf: Leaf<'a>) -> Option<ColumnBounds> {
        let statistics = self.group.column(leaf.leaf).statistics()?;
        let null_count = statistics.null_count_opt().and_then(|count| i64::try_from(count).ok());
        let mut bounds = ColumnBounds { min: None, max: None, null_count, num_records: Some(self.group.num_rows()) };
        let converter = self.file.converter(leaf).filter(|_| !statistics.is_min_max_deprecated());
        if let Some(converter) = converter {
            let first = |array: ArrayRef| bound(self.file.adapted(leaf, &array).as_ref(), 0);
            bounds.min = converter.row_group_mins([self.group]).ok().and_then(first);
            bounds.max = converter.row_group_maxes([self.group]).ok().and_then(first);
        }
        Some(bounds)
    }
}
