//! A file's statistics, gathered batch by batch while it is written.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType as ArrowType, TimeUnit};

use crate::action::stats::{ColumnStats, render};
use crate::expr::{Scalar, compare};
use crate::protocol::IndexedLeaf;

/// Statistics of one file so far.
#[derive(Debug)]
pub(super) struct Collector {
    rows: i64,
    columns: Vec<Bounds>,
}

#[derive(Clone, Debug, Default)]
struct Bounds {
    null_count: i64,
    min: Option<Scalar>,
    max: Option<Scalar>,
    /// A value was seen that no bound can cover.
    unbounded: bool,
}

impl Collector {
    pub(super) fn new(leaves: &[IndexedLeaf]) -> Self {
        Self { rows: 0, columns: vec![Bounds::default(); leaves.len()] }
    }

    /// Takes in a batch of the table's own schema.
    pub(super) fn update(&mut self, leaves: &[IndexedLeaf], batch: &RecordBatch) {
        self.rows += as_count(batch.num_rows());
        for (leaf, bounds) in leaves.iter().zip(&mut self.columns) {
            let Some((array, nulls)) = follow(batch, &leaf.route) else {
                bounds.take(Seen::Unbounded);
                continue;
            };
            bounds.null_count += as_count(nulls.as_ref().map_or(0, NullBuffer::null_count));
            if leaf.bounds.is_some() && !bounds.unbounded {
                bounds.take(extremes(&array, nulls.as_ref()));
            }
        }
    }

    /// The statistics as the log has them, with bounds of texts cut to `prefix` characters.
    pub(super) fn render(self, leaves: &[IndexedLeaf], prefix: usize) -> String {
        let columns: Vec<ColumnStats> = leaves
            .iter()
            .zip(self.columns)
            .map(|(leaf, bounds)| ColumnStats {
                path: leaf.physical.clone(),
                min: bounds.min.map(|min| signed_zero(min, true)),
                max: bounds.max.map(|max| signed_zero(max, false)),
                null_count: bounds.null_count,
            })
            .collect();
        render(self.rows, &columns, prefix)
    }
}

impl Bounds {
    fn take(&mut self, seen: Seen) {
        let (min, max) = match seen {
            Seen::Nothing => return,
            Seen::Unbounded => {
                *self = Self { null_count: self.null_count, unbounded: true, ..Self::default() };
                return;
            }
            Seen::Range(min, max) => (min, max),
        };
        if self.min.as_ref().is_none_or(|old| compare(&min, old) == Some(Ordering::Less)) {
            self.min = Some(min);
        }
        if self.max.as_ref().is_none_or(|old| compare(&max, old) == Some(Ordering::Greater)) {
            self.max = Some(max);
        }
    }
}

fn as_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Where -0.0 sorts before 0.0, a bound of zero covers both.
fn signed_zero(bound: Scalar, is_min: bool) -> Scalar {
    match bound {
        Scalar::Float(0.0) => Scalar::Float(if is_min { -0.0 } else { 0.0 }),
        Scalar::Double(0.0) => Scalar::Double(if is_min { -0.0 } else { 0.0 }),
        other => other,
    }
}

/// The array at `route`, and where it or a struct around it is null.
fn follow(batch: &RecordBatch, route: &[usize]) -> Option<(ArrayRef, Option<NullBuffer>)> {
    let (top, rest) = route.split_first()?;
    let mut array = batch.columns().get(*top)?.clone();
    let mut nulls = array.logical_nulls();
    for &position in rest {
        let inner = array.as_struct_opt()?.columns().get(position)?.clone();
        nulls = NullBuffer::union(nulls.as_ref(), inner.logical_nulls().as_ref());
        array = inner;
    }
    Some((array, nulls))
}

/// What a batch says of one column's bounds.
#[derive(Debug, PartialEq)]
enum Seen {
    /// No value.
    Nothing,
    /// NaN or infinity.
    Unbounded,
    Range(Scalar, Scalar),
}

fn extremes(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Seen {
    let long = |range: Option<(i64, i64)>| range.map(|(min, max)| (Scalar::Long(min), Scalar::Long(max)));
    let range = match array.data_type() {
        ArrowType::Int8 => long(ordered::<Int8Type>(array, nulls).map(|(a, b)| (a.into(), b.into()))),
        ArrowType::Int16 => long(ordered::<Int16Type>(array, nulls).map(|(a, b)| (a.into(), b.into()))),
        ArrowType::Int32 => long(ordered::<Int32Type>(array, nulls).map(|(a, b)| (a.into(), b.into()))),
        ArrowType::Int64 => long(ordered::<Int64Type>(array, nulls)),
        ArrowType::Date32 => ordered::<Date32Type>(array, nulls).map(|(a, b)| (Scalar::Date(a), Scalar::Date(b))),
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            let make = if zone.is_some() { Scalar::Timestamp } else { Scalar::TimestampNtz };
            ordered::<TimestampMicrosecondType>(array, nulls).map(|(a, b)| (make(a), make(b)))
        }
        ArrowType::Decimal128(precision, scale) => {
            let Ok(scale) = u8::try_from(*scale) else { return Seen::Unbounded };
            let make = |unscaled| Scalar::Decimal { unscaled, precision: *precision, scale };
            ordered::<Decimal128Type>(array, nulls).map(|(a, b)| (make(a), make(b)))
        }
        ArrowType::Float32 => match finite::<Float32Type>(array, nulls, |value| value.is_finite()) {
            Ok(range) => range.map(|(a, b)| (Scalar::Float(a), Scalar::Float(b))),
            Err(NotFinite) => return Seen::Unbounded,
        },
        ArrowType::Float64 => match finite::<Float64Type>(array, nulls, |value| value.is_finite()) {
            Ok(range) => range.map(|(a, b)| (Scalar::Double(a), Scalar::Double(b))),
            Err(NotFinite) => return Seen::Unbounded,
        },
        ArrowType::Utf8 => {
            text(array, nulls).map(|(a, b)| (Scalar::String(a.to_owned()), Scalar::String(b.to_owned())))
        }
        _ => return Seen::Unbounded,
    };
    range.map_or(Seen::Nothing, |(min, max)| Seen::Range(min, max))
}

/// Calls `each` with every run of rows that are not null.
fn valid_runs(rows: usize, nulls: Option<&NullBuffer>, mut each: impl FnMut(std::ops::Range<usize>)) {
    match nulls {
        None => each(0..rows),
        Some(nulls) => nulls.valid_slices().for_each(|(start, end)| each(start..end)),
    }
}

fn ordered<T: ArrowPrimitiveType<Native: Ord>>(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Option<Range<T>> {
    let values = array.as_primitive::<T>().values();
    let mut range: Option<Range<T>> = None;
    valid_runs(values.len(), nulls, |run| {
        let run = &values[run];
        let Some(&first) = run.first() else { return };
        let (min, max) = range.unwrap_or((first, first));
        range = Some(run.iter().fold((min, max), |(min, max), &value| (min.min(value), max.max(value))));
    });
    range
}

/// Least and greatest value.
type Range<T> = (<T as ArrowPrimitiveType>::Native, <T as ArrowPrimitiveType>::Native);

struct NotFinite;

fn finite<T: ArrowPrimitiveType<Native: ArrowNativeType + PartialOrd>>(
    array: &ArrayRef,
    nulls: Option<&NullBuffer>,
    is_finite: fn(T::Native) -> bool,
) -> Result<Option<Range<T>>, NotFinite> {
    let values = array.as_primitive::<T>().values();
    let mut range: Option<Range<T>> = None;
    let mut all_finite = true;
    valid_runs(values.len(), nulls, |run| {
        for &value in &values[run] {
            all_finite &= is_finite(value);
            let (min, max) = range.unwrap_or((value, value));
            range = Some((if value < min { value } else { min }, if value > max { value } else { max }));
        }
    });
    if all_finite { Ok(range) } else { Err(NotFinite) }
}

/// Least and greatest text, byte by byte.
fn text<'a>(array: &'a ArrayRef, nulls: Option<&NullBuffer>) -> Option<(&'a str, &'a str)> {
    let values = array.as_string::<i32>();
    let mut range: Option<(&str, &str)> = None;
    valid_runs(values.len(), nulls, |run| {
        for row in run {
            let value = values.value(row);
            range = Some(range.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
        }
    });
    range
}
