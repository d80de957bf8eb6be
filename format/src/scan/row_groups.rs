//! Which row groups of a file can hold wanted rows, by the Parquet statistics.

use std::ops::Range;

use arrow_schema::{DataType as ArrowType, Field};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ColumnOrder, Type as PhysicalType};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::adapt::{Adapter, Origin};
use super::layout::{Layout, Stored};
use super::prune::PredicateColumns;
use super::selection;
use super::shared::Shared;
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Scalar, Verdict, judge, scalar_at};
use crate::store::parquet::ParquetFile;

/// The rows that must be read, by position in the file: those of the row groups that can match.
pub(super) fn to_read(shared: &Shared, layout: &Layout, file: &ParquetFile) -> Vec<Range<u64>> {
    let Some(predicate) = &shared.predicate else { return selection::all(file.num_rows()) };
    let columns = PredicateColumns::new(predicate, shared);
    let mut rows = Vec::new();
    let mut start = 0_u64;
    for group in file.metadata().row_groups() {
        let end = start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        let bounds = GroupBounds { shared, layout, columns: &columns, file, group };
        if judge(predicate, &bounds) != Verdict::NoneTrue {
            selection::push(&mut rows, start..end);
        }
        start = end;
    }
    rows
}

struct GroupBounds<'a> {
    shared: &'a Shared,
    layout: &'a Layout,
    columns: &'a PredicateColumns,
    file: &'a ParquetFile,
    group: &'a RowGroupMetaData,
}

impl BoundsSource for GroupBounds<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        let column = self.columns.get(path)?;
        let [name] = column.path.0.as_slice() else { return None };
        let table_position = self.shared.table.schema.index_of(name)?;
        let slot = self.shared.needed.iter().position(|&at| at == table_position)?;
        match &self.layout.columns[slot] {
            Stored::Constant(value) => Some(ColumnBounds::constant(value.clone())),
            Stored::Missing => Some(ColumnBounds::constant(Scalar::Null)),
            Stored::Root(root) => self.of_root(*root, table_position),
        }
    }
}

impl GroupBounds<'_> {
    fn of_root(&self, root: usize, table_position: usize) -> Option<ColumnBounds> {
        let metadata = self.file.metadata();
        let field = self.file.arrow_schema().fields().get(root)?;
        let leaf = only_leaf(metadata, root)?;
        let statistics = self.group.column(leaf).statistics()?;
        let null_count = statistics.null_count_opt().and_then(|count| i64::try_from(count).ok());
        let mut bounds = ColumnBounds { min: None, max: None, null_count, num_records: Some(self.group.num_rows()) };
        if !statistics.is_min_max_deprecated() && is_ordered(metadata, leaf, field) {
            let converter =
                StatisticsConverter::from_column_index(leaf, field, metadata.file_metadata().schema_descr()).ok()?;
            bounds.min = converter.row_group_mins([self.group]).ok().and_then(|min| self.scalar(&min, table_position));
            bounds.max = converter.row_group_maxes([self.group]).ok().and_then(|max| self.scalar(&max, table_position));
        }
        Some(bounds)
    }

    /// A bound in the table's type. Every cast that a file's values go through keeps their order.
    fn scalar(&self, bound: &arrow_array::ArrayRef, table_position: usize) -> Option<Scalar> {
        let field = self.shared.table.schema.fields.get(table_position)?;
        let slot = self.shared.needed.iter().position(|&at| at == table_position)?;
        let target = self.shared.needed_schema.field(slot).data_type();
        let mut adapter = Adapter::new(Origin::File(self.file.name()));
        let adapted = adapter.column(&field.name, bound, &field.data_type, target).ok()?;
        scalar_at(adapted.as_ref(), 0).filter(|scalar| *scalar != Scalar::Null)
    }
}

fn only_leaf(metadata: &ParquetMetaData, root: usize) -> Option<usize> {
    let descriptor = metadata.file_metadata().schema_descr();
    let mut leaves = (0..descriptor.num_columns()).filter(|&leaf| descriptor.get_column_root_idx(leaf) == root);
    let leaf = leaves.next()?;
    let plain = leaves.next().is_none() && descriptor.column(leaf).path().parts().len() == 1;
    (plain && descriptor.column(leaf).max_rep_level() == 0).then_some(leaf)
}

/// Whether the writers of such statistics agree on the order of values.
fn is_ordered(metadata: &ParquetMetaData, leaf: usize, field: &Field) -> bool {
    let column = metadata.file_metadata().schema_descr().column(leaf);
    match (column.physical_type(), field.data_type()) {
        (PhysicalType::BOOLEAN, ArrowType::Boolean)
        | (PhysicalType::FLOAT, ArrowType::Float32)
        | (PhysicalType::DOUBLE, ArrowType::Float64) => true,
        (PhysicalType::INT32 | PhysicalType::INT64, arrow) => {
            arrow.is_signed_integer()
                || matches!(arrow, ArrowType::Date32 | ArrowType::Timestamp(..) | ArrowType::Decimal128(..))
        }
        (PhysicalType::BYTE_ARRAY, ArrowType::Utf8) => {
            matches!(metadata.file_metadata().column_order(leaf), ColumnOrder::TYPE_DEFINED_ORDER(_))
        }
        _ => false,
    }
}
