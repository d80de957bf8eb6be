//! A literal of the engine as a value of a table's column.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use lake_format::expr::Scalar;

/// `value` as a value that compares exactly with a column of `data_type`; `None` when there is none.
pub(super) fn convert(value: &ScalarValue, data_type: &DataType) -> Option<Scalar> {
    let value = match value {
        ScalarValue::Dictionary(_, inner) => inner.as_ref(),
        other => other,
    };
    if !is_comparable(data_type) {
        return None;
    }
    if value.is_null() {
        return Some(Scalar::Null);
    }
    match data_type {
        DataType::Boolean => match value {
            ScalarValue::Boolean(Some(value)) => Some(Scalar::Boolean(*value)),
            _ => None,
        },
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => integer(value).map(Scalar::Long),
        DataType::Float32 => float(value),
        DataType::Float64 => match value {
            ScalarValue::Float64(Some(value)) => Some(Scalar::Double(*value)),
            _ => None,
        },
        DataType::Utf8 => value.try_as_str().flatten().map(|text| Scalar::String(text.to_owned())),
        DataType::Binary => binary(value),
        DataType::Date32 => match value {
            ScalarValue::Date32(Some(days)) => Some(Scalar::Date(*days)),
            _ => None,
        },
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = micros(value)?;
            Some(if zone.is_some() { Scalar::Timestamp(micros) } else { Scalar::TimestampNtz(micros) })
        }
        DataType::Decimal128(_, _) => decimal(value),
        _ => None,
    }
}

/// Whether values of the type are compared by the scan as they are by the engine, floats aside.
fn is_comparable(data_type: &DataType) -> bool {
    use DataType as D;
    matches!(
        data_type,
        D::Boolean
            | D::Int8
            | D::Int16
            | D::Int32
            | D::Int64
            | D::Float32
            | D::Float64
            | D::Utf8
            | D::Binary
            | D::Date32
            | D::Timestamp(TimeUnit::Microsecond, _)
            | D::Decimal128(_, 0..)
    )
}

fn integer(value: &ScalarValue) -> Option<i64> {
    Some(match value {
        ScalarValue::Int8(Some(value)) => i64::from(*value),
        ScalarValue::Int16(Some(value)) => i64::from(*value),
        ScalarValue::Int32(Some(value)) => i64::from(*value),
        ScalarValue::Int64(Some(value)) => *value,
        ScalarValue::UInt8(Some(value)) => i64::from(*value),
        ScalarValue::UInt16(Some(value)) => i64::from(*value),
        ScalarValue::UInt32(Some(value)) => i64::from(*value),
        ScalarValue::UInt64(Some(value)) => i64::try_from(*value).ok()?,
        ScalarValue::Decimal128(Some(unscaled), _, scale) => {
            let unit = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
            if unscaled % unit != 0 {
                return None;
            }
            i64::try_from(unscaled / unit).ok()?
        }
        _ => return None,
    })
}

fn float(value: &ScalarValue) -> Option<Scalar> {
    match value {
        ScalarValue::Float32(Some(value)) => Some(Scalar::Float(*value)),
        ScalarValue::Float64(Some(value)) => {
            #[expect(clippy::cast_possible_truncation, reason = "what is lost shows when it is widened again")]
            let narrow = *value as f32;
            (f64::from(narrow) == *value).then_some(Scalar::Float(narrow))
        }
        _ => None,
    }
}

fn binary(value: &ScalarValue) -> Option<Scalar> {
    match value {
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => Some(Scalar::Binary(bytes.clone())),
        _ => None,
    }
}

fn micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(Some(value), _) => value.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(value), _) => value.checked_mul(1_000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Some(*value),
        ScalarValue::TimestampNanosecond(Some(value), _) => (value % 1_000 == 0).then_some(value / 1_000),
        _ => None,
    }
}

fn decimal(value: &ScalarValue) -> Option<Scalar> {
    let (unscaled, precision, scale) = match value {
        ScalarValue::Decimal32(Some(value), precision, scale) => (i128::from(*value), *precision, *scale),
        ScalarValue::Decimal64(Some(value), precision, scale) => (i128::from(*value), *precision, *scale),
        ScalarValue::Decimal128(Some(value), precision, scale) => (*value, *precision, *scale),
        _ => return None,
    };
    Some(Scalar::Decimal { unscaled, precision, scale: u8::try_from(scale).ok()? })
}
