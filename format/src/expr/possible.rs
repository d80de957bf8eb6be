//! What the bounds of many files, column by column, leave possible: the quick first look before [`judge`](super::judge).

use std::convert::Infallible;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, ArrowNativeTypeOp, Int64Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::fold::{Ternary, fold};
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

/// Which of `rows` files may hold a row that passes. Sound, and no stricter than [`judge`](super::judge): what `judge`
/// keeps is kept; where a type has no quick way, so is every file.
pub fn possible(
    predicate: &Predicate,
    rows: usize,
    source: &dyn Fn(&ColumnPath) -> Option<BoundsColumn>,
) -> BooleanBuffer {
    let leaf = |leaf: &Predicate| {
        let of = |column: &ColumnPath| source(column).unwrap_or_default();
        Ok::<_, Infallible>(match leaf {
            Predicate::Literal(value) => Masks::constant(*value, rows),
            Predicate::Compare { column, op, value } => of(column).compare(*op, value, rows),
            Predicate::In { column, values } => {
                let column = of(column);
                let each = values.iter().map(|value| column.compare(CompareOp::Eq, value, rows));
                each.fold(Masks::constant(false, rows), Ternary::or)
            }
            Predicate::IsNull(column) => of(column).is_null(rows),
            Predicate::IsNotNull(column) => of(column).is_null(rows).not(),
            Predicate::And(_) | Predicate::Or(_) | Predicate::Not(_) => Masks::unknown(rows),
        })
    };
    let Ok(masks) = fold(predicate, leaf);
    masks.yes
}

/// Files for which some row may be true, and those for which one may be false.
struct Masks {
    yes: BooleanBuffer,
    no: BooleanBuffer,
}

impl Masks {
    fn unknown(rows: usize) -> Self {
        Self { yes: BooleanBuffer::new_set(rows), no: BooleanBuffer::new_set(rows) }
    }

    fn constant(value: bool, rows: usize) -> Self {
        let (set, unset) = (BooleanBuffer::new_set(rows), BooleanBuffer::new_unset(rows));
        if value { Self { yes: set, no: unset } } else { Self { yes: unset, no: set } }
    }
}

impl Ternary for Masks {
    fn not(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    fn and(self, other: Self) -> Self {
        Self { yes: &self.yes & &other.yes, no: &self.no | &other.no }
    }

    fn or(self, other: Self) -> Self {
        Self { yes: &self.yes | &other.yes, no: &self.no & &other.no }
    }
}

impl BoundsColumn {
    fn is_null(&self, rows: usize) -> Masks {
        let Some(nulls) = self.null_count.as_ref().filter(|nulls| nulls.len() == rows) else {
            return Masks::unknown(rows);
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

    fn compare(&self, op: CompareOp, literal: &Scalar, rows: usize) -> Masks {
        if [&self.min, &self.max].into_iter().flatten().any(|end| end.len() != rows) {
            return Masks::unknown(rows);
        }
        let found = match literal {
            Scalar::Null => {
                return Masks { yes: BooleanBuffer::new_unset(rows), no: BooleanBuffer::new_unset(rows) };
            }
            Scalar::Long(value) => self.longs(op, *value, rows),
            Scalar::Date(value) => self.natives::<Date32Type>(op, *value, *value, rows),
            Scalar::Timestamp(value) | Scalar::TimestampNtz(value) => {
                let lowered = value.checked_sub(self.max_slack);
                lowered.and_then(|lowered| self.natives::<TimestampMicrosecondType>(op, *value, lowered, rows))
            }
            Scalar::Decimal { unscaled, scale, .. } => self.decimals(op, *unscaled, *scale, rows),
            Scalar::Float(value) => {
                let ends = self.ends(|array| float_at(array.as_primitive_opt::<Float32Type>()?));
                ends.map(|(min, max)| floats(op, f64::from(*value), min, max, rows))
            }
            Scalar::Double(value) => {
                let ends = self.ends(|array| float_at(array.as_primitive_opt::<Float64Type>()?));
                ends.map(|(min, max)| floats(op, *value, min, max, rows))
            }
            Scalar::String(value) => self.texts(op, value, rows),
            Scalar::Boolean(_) | Scalar::Binary(_) => None,
        };
        found.unwrap_or_else(|| Masks::unknown(rows))
    }

    fn texts(&self, op: CompareOp, value: &str, rows: usize) -> Option<Masks> {
        let (min, max) = self.ends(|array| array.as_string_opt::<i32>())?;
        Some(masks(op, rows, |row| {
            let min = min.filter(|array| array.is_valid(row)).map(|array| array.value(row));
            let max = max.filter(|array| array.is_valid(row)).map(|array| array.value(row));
            match (min, max) {
                (Some(low), Some(high)) if low > high => Orders::ANY,
                _ => Orders::of(min.map(|min| min.cmp(value)), max.map(|max| max.cmp(value)), false, false),
            }
        }))
    }

    fn longs(&self, op: CompareOp, value: i64, rows: usize) -> Option<Masks> {
        match self.min.as_ref().or(self.max.as_ref())?.data_type() {
            DataType::Int8 => {
                i8::try_from(value).ok().and_then(|value| self.natives::<Int8Type>(op, value, value, rows))
            }
            DataType::Int16 => {
                i16::try_from(value).ok().and_then(|value| self.natives::<Int16Type>(op, value, value, rows))
            }
            DataType::Int32 => {
                i32::try_from(value).ok().and_then(|value| self.natives::<Int32Type>(op, value, value, rows))
            }
            DataType::Int64 => self.natives::<Int64Type>(op, value, value, rows),
            _ => None,
        }
    }

    fn decimals(&self, op: CompareOp, unscaled: i128, scale: u8, rows: usize) -> Option<Masks> {
        let DataType::Decimal128(_, stored) = self.min.as_ref().or(self.max.as_ref())?.data_type() else {
            return None;
        };
        let digits = u8::try_from(*stored).ok()?.checked_sub(scale)?;
        let value = unscaled.checked_mul(power_of_ten(digits)?)?;
        self.natives::<Decimal128Type>(op, value, value, rows)
    }

    /// Both ends, each read by `read`; `None` when one of them is of another type.
    fn ends<'a, R>(&'a self, read: impl Fn(&'a ArrayRef) -> Option<R>) -> Option<(Option<R>, Option<R>)> {
        let end = |array: &'a Option<ArrayRef>| match array {
            None => Some(None),
            Some(array) => read(array).map(Some),
        };
        Some((end(&self.min)?, end(&self.max)?))
    }

    /// `lowered` is the literal that `max` is compared with: it moves, since the column is longer.
    fn natives<T: ArrowPrimitiveType>(
        &self,
        op: CompareOp,
        value: T::Native,
        lowered: T::Native,
        rows: usize,
    ) -> Option<Masks> {
        let (min, max) = self.ends(|array| array.as_primitive_opt::<T>())?;
        Some(masks(op, rows, |row| {
            let min = min.filter(|array| array.is_valid(row)).map(|array| array.value(row));
            let max = max.filter(|array| array.is_valid(row)).map(|array| array.value(row));
            match (min, max) {
                (Some(low), Some(high)) if low.compare(high).is_gt() => Orders::ANY,
                _ => Orders::of(min.map(|min| min.compare(value)), max.map(|max| max.compare(lowered)), false, false),
            }
        }))
    }
}

type FloatAt<'a> = Box<dyn Fn(usize) -> Option<f64> + 'a>;

fn float_at<'a, T>(array: &'a arrow_array::PrimitiveArray<T>) -> Option<FloatAt<'a>>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let at = move |row: usize| array.is_valid(row).then(|| array.value(row).into());
    Some(Box::new(at))
}

fn floats(op: CompareOp, value: f64, min: Option<FloatAt<'_>>, max: Option<FloatAt<'_>>, rows: usize) -> Masks {
    if value.is_nan() {
        return Masks::unknown(rows);
    }
    masks(op, rows, |row| {
        let (min, max) = (min.as_ref().and_then(|at| at(row)), max.as_ref().and_then(|at| at(row)));
        let crossed = matches!((min, max), (Some(low), Some(high)) if low > high);
        if crossed || min.is_some_and(f64::is_nan) || max.is_some_and(f64::is_nan) {
            return Orders::ANY;
        }
        // Infinities bound nothing: some writers put them in place of NaN.
        let order = |end: f64| end.partial_cmp(&value).filter(|_| end.is_finite());
        Orders::of(min.and_then(order), max.and_then(order), true, value == 0.0)
    })
}

/// How a value of a file may relate to the literal.
#[derive(Clone, Copy)]
struct Orders {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Orders {
    const ANY: Self = Self { less: true, equal: true, greater: true };

    /// From how the ends relate to the literal. Of floats NaN, greater than every number, may be there unseen, and beside
    /// a zero a zero bound says nothing.
    #[inline]
    fn of(min: Option<std::cmp::Ordering>, max: Option<std::cmp::Ordering>, float: bool, zero: bool) -> Self {
        use std::cmp::Ordering::{Equal, Greater, Less};
        Self {
            less: !(min == Some(Greater) || min == Some(Equal) && !zero),
            equal: min != Some(Greater) && max != Some(Less),
            greater: float || !(max == Some(Less) || max == Some(Equal)),
        }
    }
}

#[inline]
fn masks(op: CompareOp, rows: usize, orders: impl Fn(usize) -> Orders) -> Masks {
    match op {
        CompareOp::Eq => both(rows, |o| o.equal, |o| o.less || o.greater, orders),
        CompareOp::NotEq => both(rows, |o| o.less || o.greater, |o| o.equal, orders),
        CompareOp::Lt => both(rows, |o| o.less, |o| o.equal || o.greater, orders),
        CompareOp::LtEq => both(rows, |o| o.less || o.equal, |o| o.greater, orders),
        CompareOp::Gt => both(rows, |o| o.greater, |o| o.less || o.equal, orders),
        CompareOp::GtEq => both(rows, |o| o.equal || o.greater, |o| o.less, orders),
    }
}

#[inline]
fn both(
    rows: usize,
    yes: impl Fn(Orders) -> bool,
    no: impl Fn(Orders) -> bool,
    orders: impl Fn(usize) -> Orders,
) -> Masks {
    Masks {
        yes: BooleanBuffer::collect_bool(rows, |row| yes(orders(row))),
        no: BooleanBuffer::collect_bool(rows, |row| no(orders(row))),
    }
}

#[cfg(test)]
mod tests;
