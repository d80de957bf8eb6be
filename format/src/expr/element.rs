//! One value out of an Arrow array, as the crate's own scalar.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_schema::{DataType as ArrowType, TimeUnit};

use super::Scalar;

/// The value in `row` of an array of a table's Arrow type; `None` for types without scalars and rows out of range.
pub(crate) fn scalar_at(array: &dyn Array, row: usize) -> Option<Scalar> {
    if row >= array.len() {
        return None;
    }
    if array.is_null(row) || *array.data_type() == ArrowType::Null {
        return Some(Scalar::Null);
    }
    Some(match array.data_type() {
        ArrowType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        ArrowType::Int8 => Scalar::Long(array.as_primitive::<Int8Type>().value(row).into()),
        ArrowType::Int16 => Scalar::Long(array.as_primitive::<Int16Type>().value(row).into()),
        ArrowType::Int32 => Scalar::Long(array.as_primitive::<Int32Type>().value(row).into()),
        ArrowType::Int64 => Scalar::Long(array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Float32 => Scalar::Float(array.as_primitive::<Float32Type>().value(row)),
        ArrowType::Float64 => Scalar::Double(array.as_primitive::<Float64Type>().value(row)),
        ArrowType::Utf8 => Scalar::String(array.as_string::<i32>().value(row).to_owned()),
        ArrowType::Binary => Scalar::Binary(array.as_binary::<i32>().value(row).to_owned()),
        ArrowType::Date32 => Scalar::Date(array.as_primitive::<Date32Type>().value(row)),
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Scalar::Timestamp(micros) } else { Scalar::TimestampNtz(micros) }
        }
        ArrowType::Decimal128(precision, scale) => Scalar::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            precision: *precision,
            scale: u8::try_from(*scale).ok()?,
        },
        _ => return None,
    })
}
