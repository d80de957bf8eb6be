//! Single values to columns.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;

use crate::expr::Scalar;
use crate::schema::{PrimitiveType, arrow_primitive};

/// Values being gathered, in the Arrow form of their type.
pub(super) enum Values {
    Boolean(BooleanBuilder),
    Byte(Int8Builder),
    Short(Int16Builder),
    Integer(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    Time(PrimitiveType, TimestampMicrosecondBuilder),
    Decimal(PrimitiveType, Decimal128Builder),
    Text(StringBuilder),
    /// Of a type whose values no column takes.
    Nothing(usize),
}

impl Values {
    pub(super) fn new(data_type: PrimitiveType, rows: usize) -> Self {
        match data_type {
            PrimitiveType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            PrimitiveType::Byte => Self::Byte(Int8Builder::with_capacity(rows)),
            PrimitiveType::Short => Self::Short(Int16Builder::with_capacity(rows)),
            PrimitiveType::Integer => Self::Integer(Int32Builder::with_capacity(rows)),
            PrimitiveType::Long => Self::Long(Int64Builder::with_capacity(rows)),
            PrimitiveType::Float => Self::Float(Float32Builder::with_capacity(rows)),
            PrimitiveType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            PrimitiveType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            PrimitiveType::Timestamp | PrimitiveType::TimestampNtz => {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows);
                Self::Time(data_type, builder.with_data_type(arrow_primitive(data_type)))
            }
            PrimitiveType::Decimal { .. } => {
                let builder = Decimal128Builder::with_capacity(rows);
                Self::Decimal(data_type, builder.with_data_type(arrow_primitive(data_type)))
            }
            PrimitiveType::String => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            _ => Self::Nothing(0),
        }
    }

    pub(super) fn data_type(&self) -> PrimitiveType {
        match self {
            Self::Boolean(_) => PrimitiveType::Boolean,
            Self::Byte(_) => PrimitiveType::Byte,
            Self::Short(_) => PrimitiveType::Short,
            Self::Integer(_) => PrimitiveType::Integer,
            Self::Long(_) => PrimitiveType::Long,
            Self::Float(_) => PrimitiveType::Float,
            Self::Double(_) => PrimitiveType::Double,
            Self::Date(_) => PrimitiveType::Date,
            Self::Time(data_type, _) | Self::Decimal(data_type, _) => *data_type,
            Self::Text(_) => PrimitiveType::String,
            Self::Nothing(_) => PrimitiveType::Binary,
        }
    }

    /// Adds a value, null where it is not of the type.
    pub(super) fn push(&mut self, value: Option<Scalar>) {
        let long = match value {
            Some(Scalar::Long(value)) => Some(value),
            _ => None,
        };
        match (self, value) {
            (Self::Boolean(builder), Some(Scalar::Boolean(value))) => builder.append_value(value),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Byte(builder), _) => builder.append_option(long.and_then(|value| i8::try_from(value).ok())),
            (Self::Short(builder), _) => builder.append_option(long.and_then(|value| i16::try_from(value).ok())),
            (Self::Integer(builder), _) => builder.append_option(long.and_then(|value| i32::try_from(value).ok())),
            (Self::Long(builder), _) => builder.append_option(long),
            (Self::Float(builder), Some(Scalar::Float(value))) => builder.append_value(value),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Double(builder), Some(Scalar::Double(value))) => builder.append_value(value),
            (Self::Double(builder), _) => builder.append_null(),
            (Self::Date(builder), Some(Scalar::Date(value))) => builder.append_value(value),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Time(_, builder), Some(Scalar::Timestamp(value) | Scalar::TimestampNtz(value))) => {
                builder.append_value(value);
            }
            (Self::Time(_, builder), _) => builder.append_null(),
            (Self::Decimal(_, builder), Some(Scalar::Decimal { unscaled, .. })) => builder.append_value(unscaled),
            (Self::Decimal(_, builder), _) => builder.append_null(),
            (Self::Text(builder), Some(Scalar::String(value))) => builder.append_value(value),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Nothing(rows), _) => *rows += 1,
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Byte(builder) => Arc::new(builder.finish()),
            Self::Short(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Long(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(_, builder) => Arc::new(builder.finish()),
            Self::Decimal(_, builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Nothing(rows) => new_null_array(&DataType::Binary, *rows),
        }
    }
}
