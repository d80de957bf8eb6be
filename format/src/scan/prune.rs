//! What a file's partition values and statistics say of the columns in a predicate.

use std::collections::HashMap;

use super::shared::Shared;
use crate::action::Add;
use crate::action::partition_value;
use crate::action::stats::Stats;
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Predicate};
use crate::schema::{DataType, PrimitiveType, StructType};

/// One column of a predicate, found in the table.
pub(super) struct Column {
    /// Names as the table spells them.
    pub(super) path: ColumnPath,
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
            if let Some((names, primitive)) = locate(&shared.table.schema, &path.0) {
                found.insert(path.clone(), Column { path: ColumnPath(names), primitive, is_partition });
            }
        }
        Self { found, only_partitions }
    }

    /// Whether every column of the predicate is a partition column.
    pub(super) fn only_partitions(&self) -> bool {
        self.only_partitions
    }

    pub(super) fn get(&self, path: &ColumnPath) -> Option<&Column> {
        self.found.get(path)
    }
}

fn locate(schema: &StructType, path: &[String]) -> Option<(Vec<String>, PrimitiveType)> {
    let (first, rest) = path.split_first()?;
    let field = schema.field(first)?;
    match &field.data_type {
        DataType::Primitive(primitive) if rest.is_empty() => Some((vec![field.name.clone()], *primitive)),
        DataType::Struct(inner) => {
            let (mut names, primitive) = locate(inner, rest)?;
            names.insert(0, field.name.clone());
            Some((names, primitive))
        }
        _ => None,
    }
}

/// Bounds of one file.
pub(super) struct FileBounds<'a> {
    columns: &'a PredicateColumns,
    add: &'a Add,
    stats: Option<&'a Stats>,
}

impl<'a> FileBounds<'a> {
    /// `stats` `None` leaves the partition values to speak alone.
    pub(super) fn new(columns: &'a PredicateColumns, add: &'a Add, stats: Option<&'a Stats>) -> Self {
        Self { columns, add, stats }
    }
}

impl BoundsSource for FileBounds<'_> {
    fn bounds(&self, column: &ColumnPath) -> Option<ColumnBounds> {
        let column = self.columns.get(column)?;
        if !column.is_partition {
            return Some(self.stats?.bounds(&column.path, &column.primitive));
        }
        let text = partition_text(&self.add.partition_values, &column.path.0[0]);
        partition_value::parse(text, &column.primitive).ok().map(ColumnBounds::constant)
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
