//! Key values in a form that orders and ranks alike for all types: numbers, or text.

use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use lake_format::schema::{DataType, PrimitiveType};
use lake_format::{Error, Result};

/// Values of one column, row by row. Null is `None` and goes first.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Integers, dates, timestamps, decimals by their digits, floats by their order.
    Numbers(Vec<Option<i128>>),
    /// Text, by bytes.
    Texts(Vec<Option<Box<str>>>),
}

/// Whether rows can be ordered by such a column.
pub fn is_orderable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Primitive(primitive) => !matches!(primitive, PrimitiveType::Boolean | PrimitiveType::Binary),
        _ => false,
    }
}

impl Values {
    /// No values, of the kind that `data_type` has.
    ///
    /// # Errors
    /// `Internal` for a type without an order here.
    pub fn none(data_type: &ArrowType) -> Result<Self> {
        match data_type {
            ArrowType::Utf8 => Ok(Self::Texts(Vec::new())),
            other if is_number(other) => Ok(Self::Numbers(Vec::new())),
            other => Err(no_order(other)),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the values in the given rows of `array`. Returns the bytes that they take.
    ///
    /// # Errors
    /// `Internal` for an array of another kind.
    pub fn extend(&mut self, array: &dyn Array, rows: &[usize]) -> Result<usize> {
        match self {
            Self::Numbers(values) => {
                let mut wanted = rows.iter().copied().peekable();
                let mut at = 0;
                each_number(array, |value| {
                    if wanted.next_if_eq(&at).is_some() {
                        values.push(value);
                    }
                    at += 1;
                })?;
                Ok(rows.len() * size_of::<Option<i128>>())
            }
            Self::Texts(values) => {
                let texts = array.as_string_opt::<i32>().ok_or_else(|| no_order(array.data_type()))?;
                let mut bytes = 0;
                for &row in rows {
                    let text = texts.is_valid(row).then(|| texts.value(row));
                    bytes += size_of::<Option<Box<str>>>() + text.map_or(0, str::len);
                    values.push(text.map(Into::into));
                }
                Ok(bytes)
            }
        }
    }

    /// Keeps the rows for which `keep` is true, and returns the bytes of what stays.
    pub fn retain(&mut self, keep: &[bool]) -> usize {
        fn by<T>(values: &mut Vec<T>, keep: &[bool]) {
            let mut keep = keep.iter();
            values.retain(|_| keep.next().copied().unwrap_or(true));
        }
        match self {
            Self::Numbers(values) => {
                by(values, keep);
                values.len() * size_of::<Option<i128>>()
            }
            Self::Texts(values) => {
                by(values, keep);
                let size = |text: &Option<Box<str>>| size_of_val(text) + text.as_deref().map_or(0, str::len);
                values.iter().map(size).sum()
            }
        }
    }
}

fn is_number(data_type: &ArrowType) -> bool {
    use ArrowType as A;
    matches!(
        data_type,
        A::Int8 | A::Int16 | A::Int32 | A::Int64 | A::Float32 | A::Float64 | A::Date32 | A::Decimal128(..)
    ) || matches!(data_type, A::Timestamp(TimeUnit::Microsecond, _))
}

/// Calls `each` with every value in order, as a number that orders as the values do.
///
/// # Errors
/// `Internal` for a type that is no number here.
pub(super) fn each_number(array: &dyn Array, each: impl FnMut(Option<i128>)) -> Result<()> {
    match array.data_type() {
        ArrowType::Int8 => widened::<Int8Type>(array, i128::from, each),
        ArrowType::Int16 => widened::<Int16Type>(array, i128::from, each),
        ArrowType::Int32 => widened::<Int32Type>(array, i128::from, each),
        ArrowType::Int64 => widened::<Int64Type>(array, i128::from, each),
        ArrowType::Date32 => widened::<Date32Type>(array, i128::from, each),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            widened::<TimestampMicrosecondType>(array, i128::from, each);
        }
        ArrowType::Decimal128(..) => widened::<Decimal128Type>(array, |digits| digits, each),
        ArrowType::Float32 => widened::<Float32Type>(array, |value| float_order(f64::from(value)), each),
        ArrowType::Float64 => widened::<Float64Type>(array, float_order, each),
        other => return Err(no_order(other)),
    }
    Ok(())
}

fn widened<T: ArrowPrimitiveType>(
    array: &dyn Array,
    widen: impl Fn(T::Native) -> i128,
    mut each: impl FnMut(Option<i128>),
) {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        array.values().iter().for_each(|&value| each(Some(widen(value))));
    } else {
        array.iter().for_each(|value| each(value.map(&widen)));
    }
}

/// An integer that orders as floats do: one zero, and one NaN above all.
fn float_order(value: f64) -> i128 {
    if value.is_nan() {
        return i128::from(i64::MAX);
    }
    // Minus zero plus zero is zero.
    let bits = (value + 0.0).to_bits().cast_signed();
    i128::from(bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed())
}

pub(super) fn no_order(data_type: &ArrowType) -> Error {
    Error::internal(format!("rows are to be ordered by a column of type {data_type}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array, Int8Array, StringArray};

    use super::*;

    #[test]
    fn numbers_keep_the_order_of_their_type() {
        let infinity = f64::INFINITY;
        let floats = [-infinity, -1e300, -1.5, -5e-324, -0.0, 5e-324, 1.0, 2.0, 1e300, infinity, f64::NAN];
        let mut numbers = Vec::new();
        each_number(&Float64Array::from(floats.to_vec()), |value| numbers.push(value)).expect("floats");
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let mut same = Vec::new();
        each_number(&Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]), |v| same.push(v)).expect("floats");
        assert_eq!((same[0], same[2]), (same[1], same[3]));
        let mut wide = Vec::new();
        each_number(&Decimal128Array::from(vec![Some(i128::MIN), None]), |value| wide.push(value)).expect("decimals");
        assert_eq!(wide, [Some(i128::MIN), None]);
    }

    #[test]
    fn chosen_rows_are_taken_and_counted() {
        let mut numbers = Values::none(&ArrowType::Int8).expect("kind");
        numbers.extend(&Int8Array::from(vec![Some(1), None, Some(3), Some(4)]), &[1, 3]).expect("rows");
        assert_eq!(numbers, Values::Numbers(vec![None, Some(4)]));
        let mut texts = Values::none(&ArrowType::Utf8).expect("kind");
        let bytes = texts.extend(&StringArray::from(vec![Some("abc"), None, Some("")]), &[0, 1, 2]).expect("rows");
        assert_eq!((texts.len(), bytes), (3, 3 + 3 * 16));
        assert_eq!(texts.retain(&[false, true, true]), 2 * 16);
        assert_eq!(texts, Values::Texts(vec![None, Some("".into())]));
        assert!(texts.extend(&Int8Array::from(vec![1]), &[0]).is_err());
        assert!(Values::none(&ArrowType::Boolean).is_err());
    }
}
