//! What the log tells of the rows of a plan, column by column: an estimate for those who order joins.

use std::cmp::Ordering;

use super::shared::Shared;
use crate::action::columnar::{FileBatch, ParsedColumn};
use crate::action::partition_value;
use crate::action::stats::Stats;
use crate::expr::{ColumnBounds, ColumnPath, Scalar, compare};
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, PrimitiveType, widening};

/// Of more files than this, only the row counts are looked at: an estimate may not cost more than it saves.
const MOST_FILES: usize = 1_000;

/// The bounds of each wanted column over the files planned so far.
pub(super) struct Summary {
    /// One for each column of the scan's output; `None` for what no bounds are known of.
    columns: Vec<Option<Column>>,
    files: usize,
}

struct Column {
    path: ColumnPath,
    primitive: PrimitiveType,
    was_float: bool,
    is_partition: bool,
    bounds: Option<ColumnBounds>,
}

impl Summary {
    pub(super) fn new(shared: &Shared) -> Self {
        let (schema, mapping) = (&shared.table.schema, shared.table.mapping);
        let column = |name: &String| {
            let at = schema.index_of(name)?;
            let field = schema.fields.get(at)?;
            let DataType::Primitive(primitive) = &field.data_type else { return None };
            Some(Column {
                path: ColumnPath::top(physical_name(field, mapping)),
                primitive: *primitive,
                was_float: widening::was_float(field),
                is_partition: shared.is_partition(at),
                bounds: None,
            })
        };
        let columns = shared.output.fields().iter().map(|field| column(field.name())).collect();
        Self { columns, files: 0 }
    }

    /// The columns that statistics are read of (physical names).
    pub(super) fn physical_paths(&self) -> impl Iterator<Item = Vec<String>> {
        self.columns.iter().flatten().filter(|column| !column.is_partition).map(|column| column.path.0.clone())
    }

    /// Takes files that are planned.
    pub(super) fn take(&mut self, batch: &FileBatch, rows: &[usize]) {
        self.files = self.files.saturating_add(rows.len());
        if self.files > MOST_FILES {
            self.columns.iter_mut().for_each(|column| *column = None);
        }
        if rows.is_empty() || self.columns.iter().all(Option::is_none) {
            return;
        }
        let parsed = |column: &Column| batch.parsed_stats().map(|all| all.column(&column.path, column.primitive));
        let parsed: Vec<Option<ParsedColumn>> =
            self.columns.iter().map(|column| column.as_ref().and_then(parsed)).collect();
        let first = self.files == rows.len();
        for (at, &row) in rows.iter().enumerate() {
            let num_records = batch.num_records(row);
            let stats = batch.stats_text(row).and_then(Stats::parse);
            for (slot, parsed) in self.columns.iter_mut().zip(&parsed) {
                let Some(column) = slot else { continue };
                let found = match (&stats, batch.stats_text(row), parsed) {
                    _ if column.is_partition => {
                        constant(batch.partition_text(row, &column.path.0[0]), &column.primitive, num_records)
                    }
                    (Some(stats), _, _) => Some(stats.bounds(&column.path, &column.primitive)),
                    (None, None, Some(parsed)) => Some(parsed.bounds(row, num_records)),
                    (None, _, _) => None,
                };
                let found = if column.was_float { found.map(ColumnBounds::of_narrower_floats) } else { found };
                match (column.bounds.take(), found) {
                    (None, Some(found)) if first && at == 0 => column.bounds = Some(found),
                    (Some(so_far), Some(found)) => column.bounds = Some(union(so_far, found)),
                    _ => *slot = None,
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Option<ColumnBounds>> {
        self.columns.into_iter().map(|column| column?.bounds).collect()
    }
}

fn constant(text: Option<&str>, primitive: &PrimitiveType, rows: Option<i64>) -> Option<ColumnBounds> {
    let value = partition_value::parse(text, primitive).ok()?;
    if value.is_null() {
        return Some(ColumnBounds { min: None, max: None, null_count: rows, num_records: rows });
    }
    Some(ColumnBounds { min: Some(value.clone()), max: Some(value), null_count: Some(0), num_records: rows })
}

fn union(a: ColumnBounds, b: ColumnBounds) -> ColumnBounds {
    let outer = |a: Option<Scalar>, b: Option<Scalar>, wanted: Ordering, a_empty: bool, b_empty: bool| match (a, b) {
        (Some(a), Some(b)) => match compare(&a, &b)? {
            order if order == wanted => Some(a),
            _ => Some(b),
        },
        (Some(a), None) if b_empty => Some(a),
        (None, Some(b)) if a_empty => Some(b),
        _ => None,
    };
    let empty = |bounds: &ColumnBounds| bounds.null_count.is_some() && bounds.null_count == bounds.num_records;
    let (a_empty, b_empty) = (empty(&a), empty(&b));
    let sum = |a: Option<i64>, b: Option<i64>| a?.checked_add(b?);
    ColumnBounds {
        min: outer(a.min, b.min, Ordering::Less, a_empty, b_empty),
        max: outer(a.max, b.max, Ordering::Greater, a_empty, b_empty),
        null_count: sum(a.null_count, b.null_count),
        num_records: sum(a.num_records, b.num_records),
    }
}
