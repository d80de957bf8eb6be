//! The schema's Arrow form, and which Arrow schemas can become a table.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

use super::json::decimal;
use super::names::{Place, check_names};
use super::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};

/// The Arrow schema that rows of a table come in. Field metadata stays behind: Arrow schemas are compared whole, and
/// the table's metadata is no business of a batch.
///
/// # Errors
/// [`Unsupported`](crate::error::ErrorKind::Unsupported) when nested deeper than
/// [`MAX_TYPE_DEPTH`](super::MAX_TYPE_DEPTH).
pub fn to_arrow(schema: &StructType) -> Result<SchemaRef> {
    Ok(Arc::new(Schema::new(arrow_fields(schema, &mut Place::default())?)))
}

/// [`to_arrow`] for one field.
///
/// # Errors
/// As [`to_arrow`].
pub fn to_arrow_field(field: &StructField) -> Result<Field> {
    arrow_field(field, &mut Place::default())
}

fn arrow_fields(schema: &StructType, place: &mut Place) -> Result<Fields> {
    schema.fields.iter().map(|field| arrow_field(field, place)).collect::<Result<Vec<_>>>().map(Fields::from)
}

fn arrow_field(field: &StructField, place: &mut Place) -> Result<Field> {
    arrow_part(&field.name, &field.data_type, field.nullable, place)
}

fn arrow_part(name: &str, data_type: &DataType, nullable: bool, place: &mut Place) -> Result<Field> {
    place.enter(name)?;
    let arrow = arrow_type(data_type, place)?;
    place.leave();
    Ok(Field::new(name, arrow, nullable))
}

fn arrow_type(data_type: &DataType, place: &mut Place) -> Result<ArrowType> {
    Ok(match data_type {
        DataType::Primitive(primitive) => arrow_primitive(*primitive),
        DataType::Struct(fields) => ArrowType::Struct(arrow_fields(fields, place)?),
        DataType::Array(array) => {
            ArrowType::List(Arc::new(arrow_part("element", &array.element_type, array.contains_null, place)?))
        }
        DataType::Map(map) => {
            let key = arrow_part("key", &map.key_type, false, place)?;
            let value = arrow_part("value", &map.value_type, map.value_contains_null, place)?;
            let entries = Field::new("key_value", ArrowType::Struct(Fields::from(vec![key, value])), false);
            ArrowType::Map(Arc::new(entries), false)
        }
        DataType::Variant => ArrowType::Struct(Fields::from(vec![
            Field::new("metadata", ArrowType::Binary, false),
            Field::new("value", ArrowType::Binary, false),
        ])),
        DataType::Void => ArrowType::Null,
    })
}

/// The Arrow type of a table's primitive type.
pub(crate) fn arrow_primitive(primitive: PrimitiveType) -> ArrowType {
    match primitive {
        PrimitiveType::String => ArrowType::Utf8,
        PrimitiveType::Long => ArrowType::Int64,
        PrimitiveType::Integer => ArrowType::Int32,
        PrimitiveType::Short => ArrowType::Int16,
        PrimitiveType::Byte => ArrowType::Int8,
        PrimitiveType::Float => ArrowType::Float32,
        PrimitiveType::Double => ArrowType::Float64,
        PrimitiveType::Boolean => ArrowType::Boolean,
        PrimitiveType::Binary => ArrowType::Binary,
        PrimitiveType::Date => ArrowType::Date32,
        PrimitiveType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        PrimitiveType::TimestampNtz => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        PrimitiveType::Decimal { precision, scale } => {
            // Scales are at most 38, so they fit; a wrong one would be refused by Arrow itself.
            ArrowType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
    }
}

/// The table schema that holds data of an Arrow schema. Every value has a place, with two exceptions that a writer
/// must mind: timestamps are kept in microseconds, whatever their unit, so a cast of finer ones cuts; and encodings
/// (dictionaries, views, large or fixed sizes, run lengths) are not kept. Any time zone becomes `timestamp`, none
/// becomes `timestamp_ntz`. Unsigned integers take the next larger signed type, 64-bit ones `decimal(20,0)`.
///
/// # Errors
/// [`Unsupported`](crate::error::ErrorKind::Unsupported), naming the column, for a type without a counterpart;
/// [`Invalid`](crate::error::ErrorKind::Invalid) for names that are empty or clash ignoring case.
pub fn from_arrow(schema: &Schema) -> Result<StructType> {
    let schema = table_fields(schema.fields(), &mut Place::default())?;
    check_names(&schema)?;
    Ok(schema)
}

fn table_fields(fields: &Fields, place: &mut Place) -> Result<StructType> {
    let fields = fields.iter().map(|field| {
        let data_type = table_part(field.name(), field.data_type(), place)?;
        Ok(StructField::new(field.name(), data_type, field.is_nullable()))
    });
    Ok(StructType { fields: fields.collect::<Result<_>>()? })
}

fn table_part(name: &str, arrow: &ArrowType, place: &mut Place) -> Result<DataType> {
    place.enter(name)?;
    let data_type = table_type(arrow, place)?;
    place.leave();
    Ok(data_type)
}

fn table_type(arrow: &ArrowType, place: &mut Place) -> Result<DataType> {
    use PrimitiveType as P;
    let primitive = match arrow {
        ArrowType::Null => return Ok(DataType::Void),
        ArrowType::Boolean => P::Boolean,
        ArrowType::Int8 => P::Byte,
        ArrowType::Int16 | ArrowType::UInt8 => P::Short,
        ArrowType::Int32 | ArrowType::UInt16 => P::Integer,
        ArrowType::Int64 | ArrowType::UInt32 => P::Long,
        ArrowType::UInt64 => P::Decimal { precision: 20, scale: 0 },
        ArrowType::Float16 | ArrowType::Float32 => P::Float,
        ArrowType::Float64 => P::Double,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => P::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => P::Binary,
        ArrowType::Date32 | ArrowType::Date64 => P::Date,
        ArrowType::Timestamp(_, Some(_)) => P::Timestamp,
        ArrowType::Timestamp(_, None) => P::TimestampNtz,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => {
            table_decimal(*precision, *scale).ok_or_else(|| no_counterpart(arrow, place))?
        }
        ArrowType::Dictionary(_, values) => return table_part("value", values, place),
        ArrowType::RunEndEncoded(_, values) => return table_part("value", values.data_type(), place),
        ArrowType::Struct(fields) => return Ok(DataType::Struct(table_fields(fields, place)?)),
        ArrowType::List(element)
        | ArrowType::LargeList(element)
        | ArrowType::ListView(element)
        | ArrowType::LargeListView(element)
        | ArrowType::FixedSizeList(element, _) => {
            let element_type = table_part("element", element.data_type(), place)?;
            return Ok(DataType::Array(Box::new(ArrayType { element_type, contains_null: element.is_nullable() })));
        }
        ArrowType::Map(entries, _) => return table_map(arrow, entries, place),
        _ => return Err(no_counterpart(arrow, place)),
    };
    Ok(DataType::Primitive(primitive))
}

fn table_map(arrow: &ArrowType, entries: &Field, place: &mut Place) -> Result<DataType> {
    let ArrowType::Struct(parts) = entries.data_type() else { return Err(no_counterpart(arrow, place)) };
    let [key, value] = parts.as_ref() else { return Err(no_counterpart(arrow, place)) };
    Ok(DataType::Map(Box::new(MapType {
        key_type: table_part("key", key.data_type(), place)?,
        value_type: table_part("value", value.data_type(), place)?,
        value_contains_null: value.is_nullable(),
    })))
}

/// A negative scale means zeros before the point: these need digits of their own.
fn table_decimal(precision: u8, scale: i8) -> Option<PrimitiveType> {
    match u8::try_from(scale) {
        Ok(scale) => decimal(precision, scale),
        Err(_) => decimal(precision.checked_add(scale.unsigned_abs())?, 0),
    }
}

fn no_counterpart(arrow: &ArrowType, place: &Place) -> Error {
    place
        .name_in(Error::unsupported(format!("a table has no column type for Arrow's {arrow}")))
        .with_hint("cast the column first, or leave it out")
}

#[cfg(test)]
mod tests;
