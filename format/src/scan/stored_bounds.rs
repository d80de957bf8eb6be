//! Where a file itself keeps bounds of a predicate's column, and those bounds in the table's type.

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType as ArrowType, Field};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ColumnOrder, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;

use super::adapt::{Adapter, Origin, stored_position};
use super::layout::{Layout, Stored};
use super::shared::Shared;
use crate::expr::{ColumnBounds, ColumnPath, Scalar, scalar_at};
use crate::schema::{DataType, StructField};
use crate::store::parquet::ParquetFile;

/// One file of a scan, with where its columns come from.
#[derive(Clone, Copy)]
pub(super) struct StoredFile<'a> {
    pub(super) shared: &'a Shared,
    pub(super) layout: &'a Layout,
    pub(super) file: &'a ParquetFile,
}

/// What the file has for a column.
pub(super) enum Place<'a> {
    /// One value in every row.
    Constant(ColumnBounds),
    /// A column of the file.
    Leaf(Leaf<'a>),
}

/// A column of the file that stands for a plain column of the table, or for a plain part of a struct.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    /// Position among the file's leaves.
    pub(super) leaf: usize,
    /// What the file stores.
    stored: &'a Field,
    /// What the table has.
    column: &'a StructField,
    /// Its Arrow type.
    target: &'a ArrowType,
}

impl<'a> StoredFile<'a> {
    /// Finds a column, or a part of a struct at any depth; `None` for what no bounds are looked at.
    pub(super) fn place(&self, path: &ColumnPath) -> Option<Place<'a>> {
        let null = || Some(Place::Constant(ColumnBounds::constant(Scalar::Null)));
        let (name, parts) = path.0.split_first()?;
        let table_position = self.shared.table.schema.index_of(name)?;
        let slot = self.shared.needed.iter().position(|&at| at == table_position)?;
        let root = match &self.layout.columns[slot] {
            Stored::Constant(value) => {
                return parts.is_empty().then(|| Place::Constant(ColumnBounds::constant(value.clone())));
            }
            Stored::Missing => return null(),
            Stored::Root(root) => *root,
        };
        let mut stored = self.file.arrow_schema().fields().get(root)?.as_ref();
        let mut column = self.shared.table.schema.fields.get(table_position)?;
        let mut target = self.shared.needed_schema.field(slot).data_type();
        let mut names = vec![stored.name().as_str()];
        for part in parts {
            let (DataType::Struct(inner), ArrowType::Struct(targets)) = (&column.data_type, target) else {
                return None;
            };
            let ArrowType::Struct(given) = stored.data_type() else { return None };
            let at = inner.index_of(part)?;
            (column, target) = (inner.fields.get(at)?, targets.get(at)?.data_type());
            match stored_position(given, column, self.shared.table.mapping).ok()? {
                Some(at) => stored = given.get(at)?.as_ref(),
                // The struct of this file is older than the part.
                None => return null(),
            }
            names.push(stored.name());
        }
        let leaf = only_leaf(self.file.metadata(), root, &names)?;
        Some(Place::Leaf(Leaf { leaf, stored, column, target }))
    }

    /// What turns a column's statistics into Arrow arrays; `None` where writers do not agree on the order of values.
    pub(super) fn converter(&self, leaf: Leaf<'a>) -> Option<StatisticsConverter<'a>> {
        let metadata = self.file.metadata();
        if !is_ordered(metadata, leaf.leaf, leaf.stored) {
            return None;
        }
        StatisticsConverter::from_column_index(leaf.leaf, leaf.stored, metadata.file_metadata().schema_descr()).ok()
    }

    /// Bounds in the table's type. Every cast that a file's values go through keeps their order.
    pub(super) fn adapted(&self, leaf: Leaf<'a>, bounds: &ArrayRef) -> Option<ArrayRef> {
        let mut adapter = Adapter::new(Origin::File(self.file.name(), self.shared.table.mapping));
        adapter.column(&leaf.column.name, bounds, &leaf.column.data_type, leaf.target).ok()
    }
}

/// The bound in a row; `None` where there is none.
pub(super) fn bound(bounds: Option<&ArrayRef>, row: usize) -> Option<Scalar> {
    scalar_at(bounds?.as_ref() as &dyn Array, row).filter(|scalar| *scalar != Scalar::Null)
}

/// The one leaf with these names below a top-level column, where nothing on the way repeats.
fn only_leaf(metadata: &ParquetMetaData, root: usize, names: &[&str]) -> Option<usize> {
    let descriptor = metadata.file_metadata().schema_descr();
    let is_it = |leaf: &usize| {
        let column = descriptor.column(*leaf);
        let parts = column.path().parts().iter().map(String::as_str);
        descriptor.get_column_root_idx(*leaf) == root && column.max_rep_level() == 0 && parts.eq(names.iter().copied())
    };
    let mut leaves = (0..descriptor.num_columns()).filter(is_it);
    leaves.next().filter(|_| leaves.next().is_none())
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
        (PhysicalType::BYTE_ARRAY, ArrowType::Utf8)
        | (PhysicalType::FIXED_LEN_BYTE_ARRAY, ArrowType::Decimal128(..)) => {
            matches!(metadata.file_metadata().column_order(leaf), ColumnOrder::TYPE_DEFINED_ORDER(_))
        }
        _ => false,
    }
}
