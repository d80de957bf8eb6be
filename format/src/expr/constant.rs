//! One value as Arrow: a single-row array, or the same value in every row.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, PrimitiveArray, StringArray, UInt32Array,
    new_null_array,
};
use arrow_schema::{DataType as ArrowType, TimeUnit};

use crate::error::{Error, Result};

use super::Scalar;
use super::scalar::power_of_ten;

/// `value` as an array of one row of `data_type`.
///
/// # Errors
/// [`Invalid`](crate::error::ErrorKind::Invalid) when `data_type` does not hold such a value exactly.
pub fn to_arrow_scalar(value: &Scalar, data_type: &ArrowType) -> Result<ArrayRef> {
    constant_array(value, data_type, 1)
}

/// `value` in each of `len` rows of `data_type`, as a partition column of a file has it.
///
/// # Errors
/// As [`to_arrow_scalar`]; also when the text of all rows together is more than one Arrow array can hold.
pub fn constant_array(value: &Scalar, data_type: &ArrowType, len: usize) -> Result<ArrayRef> {
    if value.is_null() {
        return Ok(new_null_array(data_type, len));
    }
    let one = single(value, data_type)?;
    if len == 1 {
        return Ok(one);
    }
    let bytes = match value {
        Scalar::String(text) => text.len(),
        Scalar::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    let offsets_fit = bytes.checked_mul(len).is_some_and(|all| i32::try_from(all).is_ok());
    if matches!(data_type, ArrowType::Utf8 | ArrowType::Binary) && !offsets_fit {
        return Err(Error::invalid(format!("a value of {bytes} bytes in {len} rows is too much for one batch")));
    }
    let rows = UInt32Array::from_value(0, len);
    arrow_select::take::take(&one, &rows, None).map_err(|error| misfit(value, data_type).with_source(error))
}

fn misfit(value: &Scalar, data_type: &ArrowType) -> Error {
    Error::invalid(format!("the {} {value} is no value of the type {data_type}", value.kind()))
}

fn single(value: &Scalar, data_type: &ArrowType) -> Result<ArrayRef> {
    let plain = match (value, data_type) {
        (_, ArrowType::Dictionary(_, values)) => single(value, values)?,
        (_, ArrowType::RunEndEncoded(_, values)) => single(value, values.data_type())?,
        (Scalar::Boolean(value), ArrowType::Boolean) => Arc::new(BooleanArray::from(vec![*value])),
        (Scalar::Float(value), ArrowType::Float32) => Arc::new(Float32Array::from(vec![*value])),
        (Scalar::Float(value), ArrowType::Float64) => Arc::new(Float64Array::from(vec![f64::from(*value)])),
        (Scalar::Double(value), ArrowType::Float64) => Arc::new(Float64Array::from(vec![*value])),
        (Scalar::String(value), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View) => {
            Arc::new(StringArray::from(vec![value.as_str()]))
        }
        (
            Scalar::Binary(value),
            ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_),
        ) => Arc::new(BinaryArray::from(vec![value.as_slice()])),
        _ => match place(value, data_type) {
            Some(Placed::At(array)) if within_precision(value, data_type) => array,
            _ => return Err(misfit(value, data_type)),
        },
    };
    if plain.data_type() == data_type {
        return Ok(plain);
    }
    let options = arrow_cast::CastOptions { safe: false, ..Default::default() };
    arrow_cast::cast_with_options(&plain, data_type, &options)
        .map_err(|error| misfit(value, data_type).with_source(error))
}

/// A decimal column holds no more digits than its precision says, though Arrow's arrays could.
fn within_precision(value: &Scalar, data_type: &ArrowType) -> bool {
    let ArrowType::Decimal128(precision, _) = data_type else { return true };
    let units = as_scaled(value, data_type).and_then(|(unscaled, exponent)| scaled_floor(unscaled, exponent));
    match (units, power_of_ten(*precision)) {
        (Some((units, _)), Some(limit)) => units.unsigned_abs() < limit.unsigned_abs(),
        _ => false,
    }
}

/// Where a value stands among the values of an integer-like Arrow type: integers, dates, timestamps, decimals.
pub(super) enum Placed {
    /// It is one of them.
    At(ArrayRef),
    /// It lies between this one and the next.
    JustAbove(ArrayRef),
    /// Less than all of them.
    BelowAll,
    /// Greater than all of them.
    AboveAll,
}

/// `None` when the value is of another kind than the type.
pub(super) fn place(value: &Scalar, data_type: &ArrowType) -> Option<Placed> {
    let (unscaled, exponent) = as_scaled(value, data_type)?;
    let beyond = if unscaled < 0 { Placed::BelowAll } else { Placed::AboveAll };
    let Some((floor, exact)) = scaled_floor(unscaled, exponent) else { return Some(beyond) };
    Some(match integer(floor, data_type)? {
        Some(array) if exact => Placed::At(array),
        Some(array) => Placed::JustAbove(array),
        None => beyond,
    })
}

/// The value as `a * 10^b` in units of the type.
fn as_scaled(value: &Scalar, data_type: &ArrowType) -> Option<(i128, i16)> {
    Some(match (value, data_type) {
        (Scalar::Long(value), ArrowType::Decimal128(_, scale)) => (i128::from(*value), i16::from(*scale)),
        (Scalar::Decimal { unscaled, scale: from, .. }, ArrowType::Decimal128(_, scale)) => {
            (*unscaled, i16::from(*scale) - i16::from(*from))
        }
        (Scalar::Long(value), _) if data_type.is_integer() => (i128::from(*value), 0),
        (Scalar::Decimal { unscaled, scale, .. }, _) if data_type.is_integer() => (*unscaled, -i16::from(*scale)),
        (Scalar::Date(days), ArrowType::Date32) => (i128::from(*days), 0),
        (Scalar::Date(days), ArrowType::Date64) => (i128::from(*days) * 86_400_000, 0),
        (Scalar::Timestamp(micros), ArrowType::Timestamp(unit, Some(_)))
        | (Scalar::TimestampNtz(micros), ArrowType::Timestamp(unit, None)) => {
            let exponent = match unit {
                TimeUnit::Second => -6,
                TimeUnit::Millisecond => -3,
                TimeUnit::Microsecond => 0,
                TimeUnit::Nanosecond => 3,
            };
            (i128::from(*micros), exponent)
        }
        _ => return None,
    })
}

/// The greatest integer not above `unscaled * 10^exponent`, and whether it is that number; `None` when it is too large
/// for 128 bits.
fn scaled_floor(unscaled: i128, exponent: i16) -> Option<(i128, bool)> {
    let power = u8::try_from(exponent.unsigned_abs()).ok().and_then(power_of_ten);
    match power {
        _ if unscaled == 0 => Some((0, true)),
        Some(power) if exponent >= 0 => unscaled.checked_mul(power).map(|units| (units, true)),
        Some(power) => Some((unscaled.div_euclid(power), unscaled.rem_euclid(power) == 0)),
        None if exponent >= 0 => None,
        None => Some((if unscaled < 0 { -1 } else { 0 }, false)),
    }
}

/// `units` as an array of one row; the inner `None` when the type does not reach that far, the outer when the type is
/// not integer-like.
fn integer(units: i128, data_type: &ArrowType) -> Option<Option<ArrayRef>> {
    Some(match data_type {
        ArrowType::Int8 => one::<Int8Type>(units, data_type),
        ArrowType::Int16 => one::<Int16Type>(units, data_type),
        ArrowType::Int32 => one::<Int32Type>(units, data_type),
        ArrowType::Int64 => one::<Int64Type>(units, data_type),
        ArrowType::UInt8 => one::<UInt8Type>(units, data_type),
        ArrowType::UInt16 => one::<UInt16Type>(units, data_type),
        ArrowType::UInt32 => one::<UInt32Type>(units, data_type),
        ArrowType::UInt64 => one::<UInt64Type>(units, data_type),
        ArrowType::Date32 => one::<Date32Type>(units, data_type),
        ArrowType::Date64 => one::<Date64Type>(units, data_type),
        ArrowType::Decimal128(..) => one::<Decimal128Type>(units, data_type),
        ArrowType::Timestamp(TimeUnit::Second, _) => one::<TimestampSecondType>(units, data_type),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => one::<TimestampMillisecondType>(units, data_type),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => one::<TimestampMicrosecondType>(units, data_type),
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => one::<TimestampNanosecondType>(units, data_type),
        _ => return None,
    })
}

/// `data_type` must be one that `T`'s arrays can carry.
fn one<T>(units: i128, data_type: &ArrowType) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType<Native: TryFrom<i128>>,
{
    let native = T::Native::try_from(units).ok()?;
    Some(Arc::new(PrimitiveArray::<T>::from_value(native, 1).with_data_type(data_type.clone())))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, Decimal128Array, StringArray};
    use arrow_cast::display::array_value_to_string;

    use super::*;

    fn show(value: &Scalar, data_type: &ArrowType) -> String {
        let array = constant_array(value, data_type, 2).unwrap();
        assert_eq!((array.len(), array.data_type()), (2, data_type));
        array_value_to_string(&array, 1).unwrap()
    }

    #[test]
    fn every_kind_takes_the_type_asked_for() {
        let dictionary = ArrowType::Dictionary(Box::new(ArrowType::UInt16), Box::new(ArrowType::Utf8));
        for text in [ArrowType::Utf8, ArrowType::LargeUtf8, ArrowType::Utf8View, dictionary] {
            assert_eq!(show(&Scalar::String("x".into()), &text), "x");
        }
        for bytes in [ArrowType::Binary, ArrowType::LargeBinary, ArrowType::BinaryView, ArrowType::FixedSizeBinary(2)] {
            assert_eq!(show(&Scalar::Binary(vec![1, 255]), &bytes), "01ff");
        }
        for integer in [ArrowType::Int8, ArrowType::Int16, ArrowType::Int32, ArrowType::Int64, ArrowType::UInt8] {
            assert_eq!(show(&Scalar::Long(7), &integer), "7");
        }
        let utc = ArrowType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
        assert_eq!(show(&Scalar::Timestamp(1), &utc), "1970-01-01T00:00:00.000001Z");
        assert_eq!(show(&Scalar::Date(-1), &ArrowType::Date32), "1969-12-31");
        assert_eq!(show(&Scalar::Boolean(true), &ArrowType::Boolean), "true");
        let price = Scalar::Decimal { unscaled: 15, precision: 2, scale: 1 };
        assert_eq!(show(&price, &ArrowType::Decimal128(10, 3)), "1.500");
    }

    #[test]
    fn nulls_have_any_type() {
        let array = constant_array(&Scalar::Null, &ArrowType::Utf8, 3).unwrap();
        assert_eq!((array.len(), array.null_count()), (3, 3));
        assert_eq!(constant_array(&Scalar::Long(1), &ArrowType::Int64, 0).unwrap().len(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let utc = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let decimal = |unscaled, scale| Scalar::Decimal { unscaled, precision: 38, scale };
        for (value, data_type) in [
            (Scalar::Long(128), ArrowType::Int8),
            (Scalar::Long(-1), ArrowType::UInt8),
            (Scalar::TimestampNtz(0), utc.clone()),
            (Scalar::Timestamp(1), ArrowType::Timestamp(TimeUnit::Second, Some("UTC".into()))),
            (Scalar::String("1".into()), ArrowType::Int64),
            (Scalar::Double(0.1), ArrowType::Float32),
            (decimal(1234, 2), ArrowType::Decimal128(3, 2)),
            (decimal(1, 3), ArrowType::Decimal128(38, 2)),
            (decimal(i128::MAX, 0), ArrowType::Decimal128(38, 38)),
            (Scalar::Binary(vec![1]), ArrowType::FixedSizeBinary(2)),
        ] {
            assert!(constant_array(&value, &data_type, 2).is_err(), "{value} as {data_type}");
        }
        let long = Scalar::String("x".repeat(1 << 20));
        assert!(constant_array(&long, &ArrowType::Utf8, 1 << 12).is_err());
    }

    #[test]
    fn a_decimal_may_use_all_its_digits() {
        let most = 10_i128.pow(38) - 1;
        let value = Scalar::Decimal { unscaled: most, precision: 38, scale: 10 };
        let array = to_arrow_scalar(&value, &ArrowType::Decimal128(38, 10)).unwrap();
        assert_eq!(array.as_any().downcast_ref::<Decimal128Array>().unwrap().value(0), most);
        assert!(array.as_any().downcast_ref::<StringArray>().is_none());
    }
}
