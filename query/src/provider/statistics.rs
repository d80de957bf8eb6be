//! What the log tells the optimiser of the rows that a scan will give.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType as ArrowType, Field};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::scalar::ScalarValue;
use lake_format::expr::{ColumnBounds, Scalar};
use lake_format::scan::{PlannedFile, ScanPlan};

/// Bytes that a value without a fixed width is taken for.
const VALUE_BYTES: usize = 32;

/// Rows, bytes and columns of what `plan` gives for all its files, or for those at some places. Only a count of rows that nothing is taken from is exact:
/// bounds in a log are outer bounds, and its null counts are another writer's word.
pub(super) fn of_scan(plan: &ScanPlan, places: Option<&[u32]>, fetch: Option<usize>) -> Statistics {
    let schema = plan.arrow_schema();
    let counted = rows(plan, places);
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
    let told = |at: usize| plan.column_bounds().get(at).and_then(Option::as_ref);
    let of_column = |(at, field): (usize, &Arc<Field>)| {
        told(at).map_or_else(ColumnStatistics::new_unknown, |bounds| column(field, bounds, places.is_none()))
    };
    let column_statistics = schema.fields().iter().enumerate().map(of_column).collect();
    Statistics { num_rows, total_byte_size, column_statistics }
}

/// Rows of the files; `None` when one does not say.
fn rows(plan: &ScanPlan, places: Option<&[u32]>) -> Option<usize> {
    let add = |sum: usize, file: PlannedFile<'_>| sum.checked_add(usize::try_from(file.live_records()?).ok()?);
    match places {
        None => plan.files.iter().try_fold(0, add),
        Some(places) => {
            places.iter().try_fold(0, |sum, &place| add(sum, plan.files.get(usize::try_from(place).ok()?)?))
        }
    }
}

fn column(field: &Field, bounds: &ColumnBounds, is_whole: bool) -> ColumnStatistics {
    let bound = |value: &Option<Scalar>| match value.as_ref().and_then(|value| to_engine(value, field.data_type())) {
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    };
    let nulls = bounds.null_count.filter(|_| is_whole).and_then(|count| usize::try_from(count).ok());
    ColumnStatistics {
        null_count: nulls.map_or(Precision::Absent, Precision::Inexact),
        min_value: bound(&bounds.min),
        max_value: bound(&bounds.max),
        ..ColumnStatistics::new_unknown()
    }
}

fn to_engine(value: &Scalar, data_type: &ArrowType) -> Option<ScalarValue> {
    let array = lake_format::expr::to_arrow_scalar(value, data_type).ok()?;
    ScalarValue::try_from_array(array.as_ref(), 0).ok()
}
