//! What the log tells the optimiser of the rows that a scan will give.

use std::cmp::Ordering;

use datafusion::arrow::datatypes::{DataType as ArrowType, Field};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::scalar::ScalarValue;
use lake_format::action::partition_value;
use lake_format::action::stats::Stats;
use lake_format::expr::{ColumnBounds, ColumnPath, Scalar, compare};
use lake_format::scan::{ScanFile, ScanPlan};
use lake_format::schema::mapping::physical_name;
use lake_format::schema::{DataType, PrimitiveType, widening};

/// Of more files than this, only the row counts are looked at: an estimate may not cost more than it saves.
const MOST_FILES: usize = 1_000;
/// Bytes that a value without a fixed width is taken for.
const VALUE_BYTES: usize = 32;

/// Rows, bytes and columns of what `plan` gives for `files`. Only a count of rows that nothing is taken from is exact:
/// bounds in a log are outer bounds, and its null counts are another writer's word.
pub(super) fn of_scan(plan: &ScanPlan, files: &[ScanFile], fetch: Option<usize>) -> Statistics {
    let schema = plan.arrow_schema();
    let counted = rows(files);
    let limit = plan.limit().and_then(|rows| usize::try_from(rows).ok());
    let most = [limit, fetch].into_iter().flatten().min();
    let num_rows = match (counted, most) {
        (Some(rows), None) if plan.predicate().is_none() => Precision::Exact(rows),
        (Some(rows), most) => Precision::Inexact(rows.min(most.unwrap_or(usize::MAX))),
        (None, Some(most)) => Precision::Inexact(most),
        (None, None) => Precision::Absent,
    };
    let width: usize =
        schema.fields().iter().map(|field| field.data_type().primitive_width().unwrap_or(VALUE_BYTES)).sum();
    let total_byte_size = match num_rows.get_value() {
        Some(rows) => Precision::Inexact(rows.saturating_mul(width)),
        None => Precision::Absent,
    };
    let column_statistics = if files.len() > MOST_FILES {
        Statistics::unknown_column(schema)
    } else {
        let stats: Vec<Option<Stats>> = files.iter().map(|file| file.stats.as_deref().and_then(Stats::parse)).collect();
        schema.fields().iter().map(|field| column(plan, field, files, &stats)).collect()
    };
    Statistics { num_rows, total_byte_size, column_statistics }
}

/// Rows of all files; `None` when one does not say.
fn rows(files: &[ScanFile]) -> Option<usize> {
    files.iter().try_fold(0_usize, |sum, file| sum.checked_add(usize::try_from(file.live_records()?).ok()?))
}

fn column(plan: &ScanPlan, field: &Field, files: &[ScanFile], stats: &[Option<Stats>]) -> ColumnStatistics {
    let Some(table_field) = plan.table_schema().field(field.name()) else { return ColumnStatistics::new_unknown() };
    let DataType::Primitive(primitive) = &table_field.data_type else { return ColumnStatistics::new_unknown() };
    let key = physical_name(table_field, plan.mapping());
    let (path, was_float) = (ColumnPath::top(key), widening::was_float(table_field));
    let mut all: Option<ColumnBounds> = None;
    for (file, stats) in files.iter().zip(stats) {
        let bounds = match file.partition_values.get(key) {
            Some(value) => constant(value.as_deref(), primitive, file.num_records),
            None => {
                let bounds = stats.as_ref().map(|stats| stats.bounds(&path, primitive));
                if was_float { bounds.map(ColumnBounds::of_narrower_floats) } else { bounds }
            }
        };
        let Some(bounds) = bounds else { return ColumnStatistics::new_unknown() };
        all = Some(match all {
            None => bounds,
            Some(so_far) => union(so_far, bounds),
        });
    }
    let Some(all) = all else { return ColumnStatistics::new_unknown() };
    let bound = |value: Option<Scalar>| match value.and_then(|value| to_engine(&value, field.data_type())) {
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    };
    ColumnStatistics {
        null_count: all
            .null_count
            .and_then(|count| usize::try_from(count).ok())
            .map_or(Precision::Absent, Precision::Inexact),
        min_value: bound(all.min),
        max_value: bound(all.max),
        ..ColumnStatistics::new_unknown()
    }
}

fn constant(text: Option<&str>, primitive: &PrimitiveType, rows: Option<u64>) -> Option<ColumnBounds> {
    let rows = rows.and_then(|rows| i64::try_from(rows).ok());
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

fn to_engine(value: &Scalar, data_type: &ArrowType) -> Option<ScalarValue> {
    let array = lake_format::expr::to_arrow_scalar(value, data_type).ok()?;
    ScalarValue::try_from_array(array.as_ref(), 0).ok()
}
