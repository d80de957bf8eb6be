//! What a file's partition values and statistics say of the columns in a predicate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_buffer::BooleanBuffer;

use super::shared::Shared;
use crate::action::columnar::{
    FactColumns, Facts, FileBatch, ParsedColumn, ParsedStats, Sieve, StatsColumn, StatsShape,
};
use crate::action::partition_value;
use crate::error::Result;
use crate::expr::{
    BoundsColumn, BoundsSource, ColumnBounds, ColumnPath, Possible, Predicate, Verdict, judge, possible,
};
use crate::schema::mapping::physical_path;
use crate::schema::{DataType, PrimitiveType, StructType, widening};

/// One column of a predicate, found in the table.
#[derive(Debug)]
pub(super) struct Column {
    /// Names as partition values and statistics spell them.
    pub(super) physical: ColumnPath,
    /// Older files hold 32-bit floats.
    pub(super) was_float: bool,
    pub(super) primitive: PrimitiveType,
    pub(super) is_partition: bool,
}

/// The columns of a predicate that bounds can exist for.
#[derive(Debug)]
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

    fn stats_columns(&self) -> Vec<StatsColumn> {
        let of_data = self.found.values().filter(|column| !column.is_partition);
        of_data.map(|column| StatsColumn { path: column.physical.clone(), bounds: Some(column.primitive) }).collect()
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

/// Tells files of a checkpoint that a predicate rules out from the few columns that it names.
#[derive(Debug)]
pub(super) struct PredicateSieve {
    predicate: Predicate,
    columns: PredicateColumns,
    looks_at: FactColumns,
    left_out: AtomicU64,
}

impl PredicateSieve {
    pub(super) fn new(predicate: &Predicate, shared: &Shared) -> Self {
        let columns = PredicateColumns::new(predicate, shared);
        let partitions = columns.found.values().filter(|column| column.is_partition);
        let looks_at = FactColumns {
            stats: StatsShape::new(columns.stats_columns(), predicate.asks_for_nulls()),
            partitions: partitions.map(|column| column.physical.0[0].clone()).collect(),
        };
        Self { predicate: predicate.clone(), columns, looks_at, left_out: AtomicU64::new(0) }
    }

    pub(super) fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// The predicate's columns.
    pub(super) fn columns(&self) -> &PredicateColumns {
        &self.columns
    }
}

impl Sieve for PredicateSieve {
    fn looks_at(&self) -> &FactColumns {
        &self.looks_at
    }

    fn wanted(&self, facts: &Facts) -> BooleanBuffer {
        let bounds = |path: &ColumnPath| {
            let column = self.columns.get(path)?;
            match (column.is_partition, column.primitive) {
                // The forms of other types are many, and the text in the log has the last word.
                (true, PrimitiveType::String | PrimitiveType::Long | PrimitiveType::Integer | PrimitiveType::Date) => {
                    facts.partition(&column.physical.0[0])
                }
                (true, _) => None,
                (false, _) if column.was_float => None,
                (false, primitive) => facts.bounds(&column.physical.0, primitive),
            }
        };
        possible(&self.predicate, facts.len(), &bounds).files
    }

    fn left_out(&self, files: u64) {
        self.left_out.fetch_add(files, Ordering::Relaxed);
    }

    fn files_left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

/// Where the bounds of the files in one batch are found.
pub(super) struct BatchBounds<'a> {
    columns: &'a PredicateColumns,
    batch: &'a FileBatch,
    stats: Option<ParsedStats>,
    /// Those of each column of the predicate.
    parsed: HashMap<&'a ColumnPath, ParsedColumn>,
}

/// Which files of a batch are left.
pub(super) struct Judged {
    /// By their partition values alone.
    pub(super) by_partition: BooleanBuffer,
    /// By these and their statistics.
    pub(super) possible: BooleanBuffer,
}

impl<'a> BatchBounds<'a> {
    /// # Errors
    /// `Internal` when statistics can't be held as columns.
    pub(super) fn new(columns: &'a PredicateColumns, batch: &'a FileBatch) -> Result<Self> {
        let stats = match columns.only_partitions() {
            true => None,
            false => batch.stats_of(&StatsShape::new(columns.stats_columns(), true))?,
        };
        let of_data = || columns.found.iter().filter(|(_, column)| !column.is_partition);
        let column = |stats: &ParsedStats, column: &Column| stats.column(&column.physical, column.primitive);
        let parsed = stats.as_ref().map(|stats| of_data().map(|(path, found)| (path, column(stats, found))).collect());
        Ok(Self { columns, batch, stats, parsed: parsed.unwrap_or_default() })
    }

    /// The files that can hold rows for which `predicate` is true: judged all at once, and only those that are left
    /// where a type has no such way one by one.
    pub(super) fn judged(&self, predicate: &Predicate) -> Judged {
        let rows = self.batch.len();
        let partitions: HashMap<&ColumnPath, BoundsColumn> = self
            .columns
            .found
            .iter()
            .filter(|(_, column)| column.is_partition)
            .map(|(path, column)| (path, self.batch.partition_bounds(&column.physical.0[0], column.primitive)))
            .collect();
        let by_partition = possible(predicate, rows, &|path| partitions.get(path).cloned());
        let by_partition = self.narrowed(by_partition, |row| judge(predicate, &self.by_partition(row)));
        if self.stats.is_none() {
            return Judged { possible: by_partition.clone(), by_partition };
        }
        let num_records = self.stats.as_ref().and_then(ParsedStats::all_num_records);
        let of_data = |path: &ColumnPath| {
            let column = self.parsed.get(path)?.clone();
            Some(column.into_bounds_column(num_records.clone()))
        };
        let was_float = self.columns.found.values().any(|column| column.was_float);
        let all = possible(predicate, rows, &|path| match partitions.get(path) {
            Some(column) => Some(column.clone()),
            None if self.columns.get(path)?.was_float => None,
            None => of_data(path),
        });
        let all = Possible { files: &all.files & &by_partition, is_exact: all.is_exact && !was_float };
        let possible = self.narrowed(all, |row| match self.by_statistics(row) {
            Some(bounds) => judge(predicate, &bounds),
            None => Verdict::Unknown,
        });
        Judged { by_partition, possible }
    }

    fn narrowed(&self, found: Possible, judge: impl Fn(usize) -> Verdict) -> BooleanBuffer {
        if found.is_exact {
            return found.files;
        }
        let kept = |row: usize| found.files.value(row) && judge(row) != Verdict::NoneTrue;
        BooleanBuffer::collect_bool(found.files.len(), kept)
    }

    /// What the partition values alone say of a file.
    fn by_partition(&self, row: usize) -> FileBounds<'_> {
        FileBounds { batch: self, row, stats: None }
    }

    /// What the statistics say beside them; `None` when the file has none.
    fn by_statistics(&self, row: usize) -> Option<FileBounds<'_>> {
        let stats = self.stats.as_ref().filter(|stats| stats.has(row))?;
        Some(FileBounds { batch: self, row, stats: Some(stats.num_records(row)) })
    }
}

/// Bounds of one file.
struct FileBounds<'a> {
    batch: &'a BatchBounds<'a>,
    row: usize,
    /// The file's row count, where statistics are looked at.
    stats: Option<Option<i64>>,
}

impl BoundsSource for FileBounds<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        let column = self.batch.columns.get(path)?;
        if column.is_partition {
            let text = self.batch.batch.partition_text(self.row, &column.physical.0[0]);
            return partition_value::parse(text, &column.primitive).ok().map(ColumnBounds::constant);
        }
        let bounds = self.batch.parsed.get(path)?.bounds(self.row, self.stats?);
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
