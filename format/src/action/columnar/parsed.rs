//! Statistics that a checkpoint holds as columns (`stats_parsed`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, StructArray};
use arrow_schema::{DataType, Field, Fields};

use super::super::stats::{MAX_SLACK_MICROS, bound_json, quoted, widened_scalar};
use super::encode::structure;
use super::sieve::longs;
use super::stats_text::StatsShape;
use crate::error::Result;
use crate::expr::{BoundsColumn, ColumnBounds, ColumnPath, Scalar, scalar_at};
use crate::schema::{PrimitiveType, arrow_primitive};

/// Nesting below which a damaged checkpoint's statistics are not followed.
const MOST_NESTED: usize = 64;

/// The statistics of the files of one batch.
#[derive(Clone, Debug)]
pub struct ParsedStats {
    array: StructArray,
}

impl ParsedStats {
    pub(super) fn new(array: StructArray) -> Self {
        Self { array }
    }

    /// Statistics that tell how many rows each file has, and nothing else.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub(super) fn of_counts(num_records: Int64Array) -> Result<Self> {
        let fields = Fields::from(vec![Field::new("numRecords", DataType::Int64, true)]);
        Ok(Self { array: structure(fields, vec![Arc::new(num_records)], None)? })
    }

    pub(super) fn array(&self) -> &StructArray {
        &self.array
    }

    /// Rows of the file in `row`, deleted ones included.
    pub fn num_records(&self, row: usize) -> Option<i64> {
        long_at(self.array.column_by_name("numRecords")?, self.valid(row)?)
    }

    /// Whether the file in `row` has statistics.
    pub fn has(&self, row: usize) -> bool {
        self.valid(row).is_some()
    }

    /// The same statistics as the columns of `shape`, in its types.
    pub(super) fn in_shape(&self, shape: &StatsShape) -> Result<Self> {
        let rows = self.array.len();
        let columns = shape.columns().iter().map(|column| {
            let raw = self.raw(&column.path.0);
            let typed = column.bounds.map(|data_type| raw.typed(data_type));
            let nulls = raw.nulls.filter(|array| *array.data_type() == DataType::Int64);
            let (min, max) = typed.map_or((None, None), |typed| (typed.min, typed.max));
            [min, max, nulls]
        });
        let of_type = |name: &str, data_type| {
            leaf_of(&self.array, &[name.to_owned()]).filter(|array| *array.data_type() == data_type)
        };
        let counts = [of_type("numRecords", DataType::Int64), of_type("tightBounds", DataType::Boolean)];
        shape.assemble(rows, self.array.nulls().cloned(), counts, columns.collect())
    }

    fn valid(&self, row: usize) -> Option<usize> {
        (row < self.array.len() && self.array.is_valid(row)).then_some(row)
    }

    /// Rows of every file.
    pub fn all_num_records(&self) -> Option<Int64Array> {
        leaf_of(&self.array, &["numRecords".to_owned()]).and_then(|array| longs(&array))
    }

    /// The statistics of one column (physical names), ready to be looked at row by row.
    pub fn column(&self, path: &ColumnPath, data_type: PrimitiveType) -> ParsedColumn {
        self.raw(&path.0).typed(data_type)
    }

    /// The statistics of one column (physical names), as they stand.
    pub(super) fn raw(&self, path: &[String]) -> RawColumn {
        let leaf = |section: &str| {
            let whole: Vec<String> = std::iter::once(section.to_owned()).chain(path.iter().cloned()).collect();
            leaf_of(&self.array, &whole)
        };
        RawColumn { min: leaf("minValues"), max: leaf("maxValues"), nulls: leaf("nullCount") }
    }

    /// The statistics of the file in `row` as JSON; `None` when it has none.
    pub(super) fn to_json(&self, row: usize) -> Option<String> {
        let row = self.valid(row)?;
        let mut parts = Vec::new();
        if let Some(rows) = self.num_records(row) {
            parts.push(format!("\"numRecords\":{rows}"));
        }
        let tight = self.array.column_by_name("tightBounds").and_then(|array| scalar_at(array, row));
        if let Some(Scalar::Boolean(tight)) = tight {
            parts.push(format!("\"tightBounds\":{tight}"));
        }
        for (section, side) in [("minValues", Section::Min), ("maxValues", Section::Max), ("nullCount", Section::Nulls)]
        {
            let object = self.array.column_by_name(section).and_then(|array| object_json(array, row, side, 0));
            parts.extend(object.map(|object| format!("\"{section}\":{object}")));
        }
        (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(",")))
    }
}

/// The statistics of one column in each file of a batch, in whatever types they have.
#[derive(Clone, Debug)]
pub(super) struct RawColumn {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: Option<ArrayRef>,
}

impl RawColumn {
    pub(super) fn of_bounds(min: ArrayRef, max: ArrayRef) -> Self {
        Self { min: Some(min), max: Some(max), nulls: None }
    }

    /// In the column's type; what can't be brought into it is left out.
    pub(super) fn typed(&self, data_type: PrimitiveType) -> ParsedColumn {
        let wanted = arrow_primitive(data_type);
        let bound = |array: &Option<ArrayRef>| {
            let array = array.as_ref()?;
            if *array.data_type() == wanted {
                return Some(array.clone());
            }
            let cast = keeps_bounds(array.data_type(), &wanted).then(|| arrow_cast::cast(array, &wanted).ok())??;
            (cast.null_count() == array.null_count()).then_some(cast)
        };
        let nulls = self.nulls.as_ref().filter(|array| *array.data_type() == DataType::Int64);
        ParsedColumn { min: bound(&self.min), max: bound(&self.max), nulls: nulls.cloned() }
    }
}

/// The statistics of one column in each file of a batch.
#[derive(Clone, Debug)]
pub struct ParsedColumn {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: Option<ArrayRef>,
}

impl ParsedColumn {
    /// What is known of the column in the file in `row`, which has `num_records` rows. Bounds are outer bounds, as those
    /// of [`Stats::bounds`](super::super::stats::Stats::bounds).
    pub fn bounds(&self, row: usize, num_records: Option<i64>) -> ColumnBounds {
        let value = |array: &Option<ArrayRef>| {
            let scalar = scalar_at(array.as_ref()?, row)?;
            // NaN bounds nothing, and neither do the infinities that some writers put in its place.
            (!scalar.is_null()).then_some(scalar).filter(Scalar::is_finite)
        };
        let null_count = self.nulls.as_ref().and_then(|array| long_at(array, row));
        ColumnBounds {
            min: value(&self.min),
            max: value(&self.max).map(widened_scalar),
            null_count: null_count.filter(|&count| count >= 0 && num_records.is_none_or(|rows| count <= rows)),
            num_records,
        }
    }
}

impl ParsedColumn {
    /// For a look at all files at once, of which each has so many rows.
    pub fn into_bounds_column(self, num_records: Option<Int64Array>) -> BoundsColumn {
        let is_time = matches!(self.max.as_ref().map(|max| max.data_type()), Some(DataType::Timestamp(..)));
        let null_count = self.nulls.as_ref().and_then(longs).map(|counts| sane_counts(counts, num_records.as_ref()));
        let max_slack = if is_time { MAX_SLACK_MICROS } else { 0 };
        let (min, max) = (self.min.map(finite), self.max.map(finite));
        BoundsColumn { min, max, max_slack, null_count, num_records }
    }
}

/// Without those that can't be.
fn sane_counts(counts: Int64Array, num_records: Option<&Int64Array>) -> Int64Array {
    let most = |row: usize| num_records.filter(|records| records.is_valid(row)).map_or(i64::MAX, |r| r.value(row));
    let is_sane = |row: usize| counts.is_null(row) || (0..=most(row)).contains(&counts.value(row));
    if (0..counts.len()).all(is_sane) {
        return counts;
    }
    (0..counts.len()).map(|row| (is_sane(row) && counts.is_valid(row)).then(|| counts.value(row))).collect()
}

/// NaN bounds nothing, and neither do the infinities that some writers put in its place.
fn finite(array: ArrayRef) -> ArrayRef {
    let mask = match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().map(|v| !v.is_finite()).collect(),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().map(|v| !v.is_finite()).collect(),
        _ => return array,
    };
    arrow_select::nullif::nullif(&array, &BooleanArray::new(mask, None)).unwrap_or(array)
}

/// Whether values of a type are the same values, in the same order, in another: files may be older than a wider type.
fn keeps_bounds(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp};
    match (from, to) {
        _ if from == to => true,
        (Int8, Int16 | Int32 | Int64 | Float64 | Decimal128(..)) => true,
        (Int16, Int32 | Int64 | Float64 | Decimal128(..)) => true,
        (Int32, Int64 | Float64 | Decimal128(..)) => true,
        (Int64, Decimal128(..)) | (Float32, Float64) | (Date32, Timestamp(..)) | (Timestamp(..), Timestamp(..)) => true,
        (Decimal128(_, from), Decimal128(_, to)) => from <= to,
        _ => false,
    }
}

fn long_at(array: &ArrayRef, row: usize) -> Option<i64> {
    let longs = array.as_primitive_opt::<Int64Type>()?;
    (row < longs.len() && longs.is_valid(row)).then(|| longs.value(row))
}

/// The array at `path` in nested structs, null where a struct around it is.
fn leaf_of(outer: &StructArray, path: &[String]) -> Option<ArrayRef> {
    let (first, rest) = path.split_first()?;
    let inner = outer.column_by_name(first)?;
    let inner = match outer.nulls().filter(|nulls| nulls.null_count() > 0) {
        // A child is null with its parents already, where a decoder made it.
        Some(nulls) if inner.nulls().is_none_or(|own| !own.contains(nulls)) => {
            let hidden = BooleanArray::new(!nulls.inner(), None);
            arrow_select::nullif::nullif(inner, &hidden).ok()?
        }
        _ => inner.clone(),
    };
    match inner.as_struct_opt() {
        Some(inner) => leaf_of(inner, rest),
        None => rest.is_empty().then_some(inner),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Min,
    Max,
    Nulls,
}

fn object_json(array: &ArrayRef, row: usize, section: Section, depth: usize) -> Option<String> {
    let object = array.as_struct_opt().filter(|object| depth < MOST_NESTED && object.is_valid(row))?;
    let mut members = BTreeMap::new();
    for (field, column) in object.fields().iter().zip(object.columns()) {
        let json = match column.data_type() {
            DataType::Struct(_) => object_json(column, row, section, depth + 1),
            _ if section == Section::Nulls => long_at(column, row).map(|count| count.to_string()),
            _ => scalar_at(column, row).and_then(|value| bound_json(&value, section == Section::Max)),
        };
        members.extend(json.map(|json| (field.name(), json)));
    }
    let members: Vec<String> = members.into_iter().map(|(name, json)| format!("{}:{json}", quoted(name))).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}
