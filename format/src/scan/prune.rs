//! What a file's partition values and statistics say of the columns in a predicate.

use std::collections::HashMap;

use super::shared::Shared;
use crate::action::columnar::{FileBatch, ParsedColumn};
use crate::action::{partition_value, stats};
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Predicate};
use crate::schema::mapping::physical_path;
use crate::schema::{DataType, PrimitiveType, StructType, widening};

/// One column of a predicate, found in the table.
pub(super) struct Column {
    /// Names as partition values and statistics spell them.
    pub(super) physical: ColumnPath,
    /// Older files hold 32-bit floats.
    pub(super) was_float: bool,
    pub(super) primitive: PrimitiveType,
    pub(super) is_partition: bool,
}

/// The columns of a predicate that bounds can exist for.
pub(super) struct PredicateColumns {
    found: HashMap<ColumnPath, Column>,
    only_partitions: bool,
}

impl PredicateColumns {
    pub(super) fn new(predicate: &Predicate, shared: &Shared) -> Self {
        let (mut found, mut only_partitions) = (HashMap::new(), true);
        for path in predicate.columns() {
            let top = path.0.first().and_then(|name| shared.table.schema.index_of(name));
            let is_partition = path.0.len() == 1 && top.is_some_and(|top| shared.is_partition(top));
            only_partitions &= is_partition;
            let (schema, mode) = (&shared.table.schema, shared.table.mapping);
            if let (Some(located), Some(physical)) = (locate(schema, &path.0), physical_path(schema, mode, &path.0)) {
                let (primitive, was_float) = located;
                let physical = ColumnPath(physical);
                found.insert(path.clone(), Column { physical, was_float, primitive, is_partition });
            }
        }
        Self { found, only_partitions }
    }

    /// Whether every column of the predicate is a partition column.
    pub(super) fn only_partitions(&self) -> bool {
        self.only_partitions
    }

    /// The columns that statistics are read of.
    pub(super) fn physical_paths(&self) -> Vec<Vec<String>> {
        self.found.values().filter(|column| !column.is_partition).map(|column| column.physical.0.clone()).collect()
    }

    pub(super) fn get(&self, path: &ColumnPath) -> Option<&Column> {
        self.found.get(path)
    }
}

/// Type of a plain column, and whether it once was of 32-bit floats.
fn locate(schema: &StructType, path: &[String]) -> Option<(PrimitiveType, bool)> {
    let (first, rest) = path.split_first()?;
    let field = schema.field(first)?;
    match &field.data_type {
        DataType::Primitive(primitive) if rest.is_empty() => Some((*primitive, widening::was_float(field))),
        DataType::Struct(inner) => locate(inner, rest),
        _ => None,
    }
}

/// Where the bounds of the files in one batch are found.
pub(super) struct BatchBounds<'a> {
    columns: &'a PredicateColumns,
    batch: &'a FileBatch,
    /// Statistics that the batch holds as columns, one per column of the predicate.
    parsed: HashMap<&'a ColumnPath, ParsedColumn>,
}

impl<'a> BatchBounds<'a> {
    pub(super) fn new(columns: &'a PredicateColumns, batch: &'a FileBatch) -> Self {
        let parsed = batch.parsed_stats().map(|stats| {
            let of_data = columns.found.iter().filter(|(_, column)| !column.is_partition);
            of_data.map(|(path, column)| (path, stats.column(&column.physical, column.primitive))).collect()
        });
        Self { columns, batch, parsed: parsed.unwrap_or_default() }
    }

    /// Whether every column of the predicate is a partition column.
    pub(super) fn only_partitions(&self) -> bool {
        self.columns.only_partitions
    }

    /// What the partition values alone say of a file.
    pub(super) fn by_partition(&self, row: usize) -> FileBounds<'_> {
        FileBounds { batch: self, row, stats: Stats::None }
    }

    /// What the statistics say beside them; `None` when the file has none.
    pub(super) fn by_statistics(&self, row: usize) -> Option<FileBounds<'_>> {
        let stats = match (self.batch.stats_text(row), self.batch.parsed_stats()) {
            (Some(text), _) => Stats::Text(stats::Stats::parse(text)?),
            (None, Some(parsed)) => Stats::Columns(parsed.num_records(row)),
            (None, None) => return None,
        };
        Some(FileBounds { batch: self, row, stats })
    }
}

/// The statistics of one file, in the form in which the log has them.
enum Stats {
    None,
    Text(stats::Stats),
    /// In columns, with the file's row count.
    Columns(Option<i64>),
}

/// Bounds of one file.
pub(super) struct FileBounds<'a> {
    batch: &'a BatchBounds<'a>,
    row: usize,
    stats: Stats,
}

impl BoundsSource for FileBounds<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        let column = self.batch.columns.get(path)?;
        if column.is_partition {
            let text = self.batch.batch.partition_text(self.row, &column.physical.0[0]);
            return partition_value::parse(text, &column.primitive).ok().map(ColumnBounds::constant);
        }
        let bounds = match &self.stats {
            Stats::None => return None,
            Stats::Text(stats) => stats.bounds(&column.physical, &column.primitive),
            Stats::Columns(num_records) => self.batch.parsed.get(path)?.bounds(self.row, *num_records),
        };
        Some(if column.was_float { bounds.of_narrower_floats() } else { bounds })
    }
}

/// The text of a partition column's value; a missing key is null.
pub(super) fn partition_text<'a>(
    values: &'a std::collections::BTreeMap<String, Option<String>>,
    name: &str,
) -> Option<&'a str> {
    if let Some(exact) = values.get(name) {
        return exact.as_deref();
    }
    let lower = name.to_lowercase();
    values.iter().find(|(key, _)| key.to_lowercase() == lower)?.1.as_deref()
}
