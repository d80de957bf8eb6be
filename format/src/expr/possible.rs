//! What the bounds of many files, column by column, leave possible: [`judge`](super::judge) of all of them at once.

use std::cell::Cell;
use std::convert::Infallible;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::fold::{Ternary, fold};
use super::masks::Masks;
use super::scalar::power_of_ten;
use super::{ColumnPath, CompareOp, Predicate, Scalar};

/// What is known of one column in each of many files, one row per file. Everything is optional, as in
/// [`ColumnBounds`](super::ColumnBounds).
#[derive(Clone, Debug, Default)]
pub struct BoundsColumn {
    /// No value of the file but NaN is less than this.
    pub min: Option<ArrayRef>,
    /// No value of the file but NaN is greater than this and `max_slack`.
    pub max: Option<ArrayRef>,
    /// How far beyond `max` values may lie, in units of its type.
    pub max_slack: i64,
    /// Rows of the file where the column is null.
    pub null_count: Option<Int64Array>,
    /// Rows of the file in all.
    pub num_records: Option<Int64Array>,
}

/// Files that may hold a row that passes.
#[derive(Clone, Debug)]
pub struct Possible {
    /// One flag for each file.
    pub files: BooleanBuffer,
    /// Whether [`judge`](super::judge) would say the same of each. If not, it may rule out some of those that are left.
    pub is_exact: bool,
}

/// Which of `rows` files may hold a row that passes. Sound, and no stricter than [`judge`](super::judge): what `judge`
/// keeps is kept; where a type has no quick way, so is every file.
pub fn possible(predicate: &Predicate, rows: usize, source: &dyn Fn(&ColumnPath) -> Option<BoundsColumn>) -> Possible {
    let is_exact = Cell::new(true);
    let leaf = |leaf: &Predicate| {
        let of = |column: &ColumnPath| source(column).unwrap_or_default();
        let compare = |column: &BoundsColumn, op: CompareOp, value: &Scalar| {
            column.compare(op, value, rows).unwrap_or_else(|| {
                is_exact.set(false);
                column.unless_all_null(unknown(rows))
            })
        };
        Ok::<_, Infallible>(match leaf {
            Predicate::Literal(value) => Masks::constant(*value, rows),
            Predicate::Compare { column, op, value } => compare(&of(column), *op, value),
            Predicate::In { column, values } => {
                let column = of(column);
                let each = values.iter().map(|value| compare(&column, CompareOp::Eq, value));
                each.fold(Masks::constant(false, rows), Ternary::or)
            }
            Predicate::IsNull(column) => of(column).is_null(rows),
            Predicate::IsNotNull(column) => of(column).is_null(rows).not(),
            Predicate::And(_) | Predicate::Or(_) | Predicate::Not(_) => {
                is_exact.set(false);
                unknown(rows)
            }
        })
    };
    let Ok(masks) = fold(predicate, leaf);
    Possible { files: masks.yes, is_exact: is_exact.get() }
}

/// Files of which nothing is known: some row may be true, and some false.
fn unknown(rows: usize) -> Masks {
    Masks { yes: BooleanBuffer::new_set(rows), no: BooleanBuffer::new_set(rows) }
}

/// How the values of each file may relate to a literal.
struct Orders {
    less: BooleanBuffer,
    equal: BooleanBuffer,
    greater: BooleanBuffer,
}

impl Orders {
    /// From the files' ends.
    fn of<T: Copy + PartialOrd>(
        low: Option<&End<impl Fn(usize) -> T>>,
        high: Option<&End<impl Fn(usize) -> T>>,
        value: T,
        rows: usize,
    ) -> Self {
        let nothing = || BooleanBuffer::new_unset(rows);
        let above = low.map_or_else(nothing, |low| low.mask(rows, |low| low > value));
        let not_below = low.map_or_else(nothing, |low| low.mask(rows, |low| low >= value));
        let below = high.map_or_else(nothing, |high| high.mask(rows, |high| high < value));
        let not_above = high.map_or_else(nothing, |high| high.mask(rows, |high| high <= value));
        let orders = Self { less: !&not_below, equal: !&(&above | &below), greater: !&not_above };
        let (Some(low), Some(high)) = (low, high) else { return orders };
        // Ends the wrong way round are no bounds.
        let crossed = BooleanBuffer::collect_bool(rows, |row| (low.at)(row) > (high.at)(row));
        orders.or_any(&low.valid(high.valid(crossed)))
    }

    /// With everything possible for these files too.
    fn or_any(self, files: &BooleanBuffer) -> Self {
        if files.count_set_bits() == 0 {
            return self;
        }
        Self { less: &self.less | files, equal: &self.equal | files, greater: &self.greater | files }
    }

    fn masks(self, op: CompareOp) -> Masks {
        let Self { less, equal, greater } = self;
        match op {
            CompareOp::Eq => Masks { no: &less | &greater, yes: equal },
            CompareOp::NotEq => Masks { yes: &less | &greater, no: equal },
            CompareOp::Lt => Masks { no: &equal | &greater, yes: less },
            CompareOp::LtEq => Masks { yes: &less | &equal, no: greater },
            CompareOp::Gt => Masks { no: &less | &equal, yes: greater },
            CompareOp::GtEq => Masks { yes: &equal | &greater, no: less },
        }
    }
}

/// One end of every file's values.
struct End<F> {
    at: F,
    nulls: Option<NullBuffer>,
}

impl<F> End<F> {
    /// The files whose end is known and is so.
    fn mask<T>(&self, rows: usize, test: impl Fn(T) -> bool) -> BooleanBuffer
    where
        F: Fn(usize) -> T,
    {
        self.valid(BooleanBuffer::collect_bool(rows, |row| test((self.at)(row))))
    }

    fn valid(&self, mask: BooleanBuffer) -> BooleanBuffer {
        match &self.nulls {
            Some(nulls) if nulls.null_count() > 0 => &mask & nulls.inner(),
            _ => mask,
        }
    }
}

fn native_end<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> End<impl Fn(usize) -> T::Native + '_> {
    let values = array.values();
    End { at: move |row| values[row], nulls: array.nulls().cloned() }
}

fn text_end<'a>(array: &'a StringArray) -> End<impl Fn(usize) -> &'a str> {
    End { at: move |row| array.value(row), nulls: array.nulls().cloned() }
}

fn flag_end(array: &BooleanArray) -> End<impl Fn(usize) -> bool + '_> {
    End { at: |row| array.value(row), nulls: array.nulls().cloned() }
}

/// Of floats only finite ends bound anything: some writers put infinities in the place of NaN.
fn float_end<T>(array: &PrimitiveArray<T>) -> End<impl Fn(usize) -> f64 + '_>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let values = array.values();
    let at = move |row: usize| -> f64 { values[row].into() };
    let finite = BooleanBuffer::collect_bool(values.len(), |row| at(row).is_finite());
    let nulls = NullBuffer::union(array.nulls(), Some(&NullBuffer::new(finite)));
    End { at, nulls }
}

/// The files with an end that is NaN, or with ends the wrong way round: their ends bound nothing.
fn doubtful<T>(min: Option<&PrimitiveArray<T>>, max: Option<&PrimitiveArray<T>>, rows: usize) -> BooleanBuffer
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let at = |array: Option<&PrimitiveArray<T>>, row: usize| -> Option<f64> {
        array.filter(|array| array.is_valid(row)).map(|array| array.value(row).into())
    };
    BooleanBuffer::collect_bool(rows, |row| {
        let (low, high) = (at(min, row), at(max, row));
        let crossed = matches!((low, high), (Some(low), Some(high)) if low > high);
        crossed || low.is_some_and(f64::is_nan) || high.is_some_and(f64::is_nan)
    })
}

impl BoundsColumn {
    fn is_null(&self, rows: usize) -> Masks {
        let Some(nulls) = self.null_count.as_ref().filter(|nulls| nulls.len() == rows) else {
            return unknown(rows);
        };
        let known = |row: usize| nulls.is_valid(row).then(|| nulls.value(row));
        let all = |row: usize| {
            let records = self.num_records.as_ref().filter(|records| records.len() == rows && records.is_valid(row));
            records.is_some_and(|records| known(row) == Some(records.value(row)))
        };
        // Of a file without rows nothing is said.
        let yes = |row: usize| known(row) != Some(0) || all(row);
        let no = |row: usize| !all(row) || known(row) == Some(0);
        Masks { yes: BooleanBuffer::collect_bool(rows, yes), no: BooleanBuffer::collect_bool(rows, no) }
    }

    /// Neither true nor false where every row is null.
    fn unless_all_null(&self, masks: Masks) -> Masks {
        let (rows, Masks { yes, no }) = (masks.yes.len(), masks);
        let (Some(nulls), Some(records)) = (&self.null_count, &self.num_records) else { return Masks { yes, no } };
        if nulls.len() != rows || records.len() != rows {
            return Masks { yes, no };
        }
        // Of a file without rows nothing is said.
        let all_null = |row: usize| {
            let null_count = nulls.value(row);
            null_count != 0 && null_count == records.value(row) && nulls.is_valid(row) && records.is_valid(row)
        };
        let some = BooleanBuffer::collect_bool(rows, |row| !all_null(row));
        Masks { yes: &yes & &some, no: &no & &some }
    }

    /// `None` where the types have no quick way.
    fn compare(&self, op: CompareOp, literal: &Scalar, rows: usize) -> Option<Masks> {
        if [&self.min, &self.max].into_iter().flatten().any(|end| end.len() != rows) {
            return None;
        }
        let known = self.min.is_some() || self.max.is_some();
        let orders = match literal {
            Scalar::Null => return Some(Masks::neither(rows)),
            _ if !known => return Some(self.unless_all_null(unknown(rows))),
            Scalar::Long(value) => self.longs(*value, rows),
            Scalar::Date(value) => self.natives::<Date32Type>(*value, rows),
            Scalar::Timestamp(value) | Scalar::TimestampNtz(value) => self.times(*value, rows),
            Scalar::Decimal { unscaled, scale, .. } => self.decimals(*unscaled, *scale, rows),
            Scalar::Float(value) => self.floats::<Float32Type>(f64::from(*value), rows),
            Scalar::Double(value) => self.floats::<Float64Type>(*value, rows),
            Scalar::String(value) => self.texts(value, rows),
            Scalar::Boolean(value) => self.flags(*value, rows),
            Scalar::Binary(_) => None,
        };
        Some(self.unless_all_null(orders?.masks(op)))
    }

    fn longs(&self, value: i64, rows: usize) -> Option<Orders> {
        match self.min.as_ref().or(self.max.as_ref())?.data_type() {
            DataType::Int8 => i8::try_from(value).ok().and_then(|value| self.natives::<Int8Type>(value, rows)),
            DataType::Int16 => i16::try_from(value).ok().and_then(|value| self.natives::<Int16Type>(value, rows)),
            DataType::Int32 => i32::try_from(value).ok().and_then(|value| self.natives::<Int32Type>(value, rows)),
            DataType::Int64 => self.natives::<Int64Type>(value, rows),
            _ => None,
        }
    }

    fn decimals(&self, unscaled: i128, scale: u8, rows: usize) -> Option<Orders> {
        let DataType::Decimal128(_, stored) = self.min.as_ref().or(self.max.as_ref())?.data_type() else {
            return None;
        };
        let digits = u8::try_from(*stored).ok()?.checked_sub(scale)?;
        let value = unscaled.checked_mul(power_of_ten(digits)?)?;
        self.natives::<Decimal128Type>(value, rows)
    }

    /// Both ends, each read by `read`; `None` when one of them is of another type.
    fn ends<'a, R>(&'a self, read: impl Fn(&'a ArrayRef) -> Option<R>) -> Option<(Option<R>, Option<R>)> {
        let end = |array: &'a Option<ArrayRef>| match array {
            None => Some(None),
            Some(array) => read(array).map(Some),
        };
        Some((end(&self.min)?, end(&self.max)?))
    }

    fn times(&self, value: i64, rows: usize) -> Option<Orders> {
        let (min, max) = self.ends(|array| array.as_primitive_opt::<TimestampMicrosecondType>())?;
        let min = min.map(native_end);
        let max = max.map(native_end).map(|End { at, nulls }| {
            let at = move |row: usize| at(row).saturating_add(self.max_slack);
            End { at, nulls }
        });
        Some(Orders::of(min.as_ref(), max.as_ref(), value, rows))
    }

    fn natives<T>(&self, value: T::Native, rows: usize) -> Option<Orders>
    where
        T: ArrowPrimitiveType,
        T::Native: PartialOrd,
    {
        let (min, max) = self.ends(|array| array.as_primitive_opt::<T>().map(native_end))?;
        Some(Orders::of(min.as_ref(), max.as_ref(), value, rows))
    }

    fn texts(&self, value: &str, rows: usize) -> Option<Orders> {
        let (min, max) = self.ends(|array| array.as_string_opt::<i32>().map(text_end))?;
        Some(Orders::of(min.as_ref(), max.as_ref(), value, rows))
    }

    fn flags(&self, value: bool, rows: usize) -> Option<Orders> {
        let (min, max) = self.ends(|array| array.as_boolean_opt().map(flag_end))?;
        Some(Orders::of(min.as_ref(), max.as_ref(), value, rows))
    }

    fn floats<T>(&self, value: f64, rows: usize) -> Option<Orders>
    where
        T: ArrowPrimitiveType,
        T::Native: Into<f64>,
    {
        let (min, max) = self.ends(|array| array.as_primitive_opt::<T>())?;
        let doubtful = doubtful(min, max, rows);
        let (min, max) = (min.map(float_end), max.map(float_end));
        let orders = Orders::of(min.as_ref(), max.as_ref(), value, rows);
        if value.is_nan() {
            return None;
        }
        // NaN is greater than every number, and may be there unseen. Beside a zero a zero end says nothing.
        let greater = BooleanBuffer::new_set(rows);
        let above = min.as_ref().map(|min| min.mask(rows, |min| min > value));
        let less = match above {
            Some(above) if value == 0.0 => !&above,
            _ => orders.less,
        };
        Some(Orders { less, greater, equal: orders.equal }.or_any(&doubtful))
    }
}

#[cfg(test)]
mod tests;
