//! Where a file itself keeps bounds of a predicate's column, and those bounds in the table's type.

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType as ArrowType, Field};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ColumnOrder, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;

use super::adapt::{Adapter, Origin};
use super::layout::{Layout, Stored};
use super::shared::Shared;
use crate::expr::{ColumnBounds, ColumnPath, Scalar, scalar_at};
use crate::store::parquet::ParquetFile;

/// One file of a scan, with where its columns come from.
#[derive(Clone, Copy)]
pub(super) struct StoredFile<'a> {
    pub(super) shared: &'a Shared,
    pub(super) layout: &'a Layout,
    pub(super) file: &'a ParquetFile,
}

/// What the file has for a column.
pub(super) enum Place {
    /// One value in every row.
    Constant(ColumnBounds),
    /// A column of the file.
    Leaf(Leaf),
}

/// A column of the file that stands for a plain column of the table.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    /// Position among the file's leaves.
    pub(super) leaf: usize,
    root: usize,
    slot: usize,
    table_position: usize,
}

impl<'a> StoredFile<'a> {
    /// Finds a top-level column; `None` for what no bounds are looked at.
    pub(super) fn place(&self, path: &ColumnPath) -> Option<Place> {
        let [name] = path.0.as_slice() else { return None };
        let table_position = self.shared.table.schema.index_of(name)?;
        let slot = self.shared.needed.iter().position(|&at| at == table_position)?;
        Some(match &self.layout.columns[slot] {
            Stored::Constant(value) => Place::Constant(ColumnBounds::constant(value.clone())),
            Stored::Missing => Place::Constant(ColumnBounds::constant(Scalar::Null)),
            Stored::Root(root) => {
                let leaf = only_leaf(self.file.metadata(), *root)?;
                Place::Leaf(Leaf { leaf, root: *root, slot, table_position })
            }
        })
    }

    /// What turns a column's statistics into Arrow arrays; `None` where writers do not agree on the order of values.
    pub(super) fn converter(&self, leaf: Leaf) -> Option<StatisticsConverter<'a>> {
        let metadata = self.file.metadata();
        let field = self.file.arrow_schema().fields().get(leaf.root)?;
        if !is_ordered(metadata, leaf.leaf, field) {
            return None;
        }
        StatisticsConverter::from_column_index(leaf.leaf, field, metadata.file_metadata().schema_descr()).ok()
    }

    /// Bounds in the table's type. Every cast that a file's values go through keeps their order.
    pub(super) fn adapted(&self, leaf: Leaf, bounds: &ArrayRef) -> Option<ArrayRef> {
        let field = self.shared.table.schema.fields.get(leaf.table_position)?;
        let target = self.shared.needed_schema.field(leaf.slot).data_type();
        let mut adapter = Adapter::new(Origin::File(self.file.name(), self.shared.table.mapping));
        adapter.column(&field.name, bounds, &field.data_type, target).ok()
    }
}

/// The bound in a row; `None` where there is none.
pub(super) fn bound(bounds: Option<&ArrayRef>, row: usize) -> Option<Scalar> {
    scalar_at(bounds?.as_ref() as &dyn Array, row).filter(|scalar| *scalar != Scalar::Null)
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
