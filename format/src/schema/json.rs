//! The schema's JSON text, as `metaData.schemaString` holds it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

use super::names::{Place, check_names};
use super::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};

/// Reads a schema. Field order, case, nullability and metadata stay as they are.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) when the text is not a schema or names clash;
/// [`Unsupported`](ErrorKind::Unsupported), naming type and column, for types unknown to Lake and for nesting deeper
/// than [`MAX_TYPE_DEPTH`](super::MAX_TYPE_DEPTH).
pub fn parse_schema(text: &str) -> Result<StructType> {
    let value: Value = serde_json::from_str(text).map_err(|error| unreadable(text, error))?;
    let DataType::Struct(schema) = read_type(&value, &mut Place::default())? else {
        return Err(Error::corrupt("the schema is not a struct"));
    };
    match check_names(&schema) {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            Err(Error::corrupt(error.message()).with_object(error.object().unwrap_or("schema")))
        }
        checked => checked.map(|()| schema),
    }
}

/// Writes a schema; [`parse_schema`] gives back an equal one.
pub fn write_schema(schema: &StructType) -> String {
    let mut out = String::with_capacity(128 * (1 + schema.fields.len()));
    write_struct(schema, &mut out);
    out
}

/// The JSON reader stops at 128 levels; that is a limit of ours, everything else is damage.
fn unreadable(text: &str, error: serde_json::Error) -> Error {
    if bracket_depth(text) >= 128 {
        return Error::unsupported("the schema's JSON text is nested deeper than 127 levels");
    }
    Error::corrupt("the schema is not valid JSON").with_source(error)
}

fn bracket_depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn read_type(value: &Value, place: &mut Place) -> Result<DataType> {
    match value {
        Value::String(name) => read_simple(name, place),
        Value::Object(object) => match text_of(object, "type", place)? {
            "struct" => Ok(DataType::Struct(read_struct(object, place)?)),
            "array" => {
                let element_type = read_part(object, "elementType", "element", place)?;
                let contains_null = flag_of(object, "containsNull", place)?;
                Ok(DataType::Array(Box::new(ArrayType { element_type, contains_null })))
            }
            "map" => {
                let key_type = read_part(object, "keyType", "key", place)?;
                let value_type = read_part(object, "valueType", "value", place)?;
                let value_contains_null = flag_of(object, "valueContainsNull", place)?;
                Ok(DataType::Map(Box::new(MapType { key_type, value_type, value_contains_null })))
            }
            other => Err(unknown_type(other, place)),
        },
        _ => Err(damaged("a type is neither a name nor an object", place)),
    }
}

fn read_part(object: &Map<String, Value>, key: &str, name: &str, place: &mut Place) -> Result<DataType> {
    let value = object.get(key).ok_or_else(|| damaged(&format!("a type lacks {key:?}"), place))?;
    place.enter(name)?;
    let data_type = read_type(value, place)?;
    place.leave();
    Ok(data_type)
}

fn read_struct(object: &Map<String, Value>, place: &mut Place) -> Result<StructType> {
    let Some(Value::Array(fields)) = object.get("fields") else {
        return Err(damaged("a struct has no list of fields", place));
    };
    let fields = fields.iter().map(|field| read_field(field, place)).collect::<Result<Vec<_>>>()?;
    Ok(StructType { fields })
}

fn read_field(value: &Value, place: &mut Place) -> Result<StructField> {
    let Value::Object(object) = value else {
        return Err(damaged("a field is not an object", place));
    };
    let name = text_of(object, "name", place)?;
    let data_type = read_part(object, "type", name, place)?;
    let nullable = flag_of(object, "nullable", place)?;
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(entries)) => entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        Some(_) => return Err(damaged("the metadata of a field is not an object", place)),
    };
    Ok(StructField { name: name.to_owned(), data_type, nullable, metadata })
}

fn read_simple(name: &str, place: &Place) -> Result<DataType> {
    match name {
        "variant" => Ok(DataType::Variant),
        "void" | "null" => Ok(DataType::Void),
        _ => match primitive_named(name) {
            Some(primitive) => Ok(DataType::Primitive(primitive)),
            None if name.starts_with("decimal(") && name.ends_with(')') => {
                Err(damaged(&format!("{name:?} is not a decimal of 1 to 38 digits"), place))
            }
            None => Err(unknown_type(name, place)),
        },
    }
}

/// The type without parts that has this name in a schema.
pub(super) fn primitive_named(name: &str) -> Option<PrimitiveType> {
    Some(match name {
        "string" => PrimitiveType::String,
        "long" => PrimitiveType::Long,
        "integer" => PrimitiveType::Integer,
        "short" => PrimitiveType::Short,
        "byte" => PrimitiveType::Byte,
        "float" => PrimitiveType::Float,
        "double" => PrimitiveType::Double,
        "boolean" => PrimitiveType::Boolean,
        "binary" => PrimitiveType::Binary,
        "date" => PrimitiveType::Date,
        "timestamp" => PrimitiveType::Timestamp,
        "timestamp_ntz" => PrimitiveType::TimestampNtz,
        "decimal" => PrimitiveType::Decimal { precision: 10, scale: 0 },
        _ => return read_decimal(name.strip_prefix("decimal(")?.strip_suffix(')')?),
    })
}

fn read_decimal(inner: &str) -> Option<PrimitiveType> {
    let (precision, scale) = inner.split_once(',')?;
    let precision = precision.trim().parse::<u8>().ok()?;
    let scale = scale.trim().parse::<u8>().ok()?;
    decimal(precision, scale)
}

/// A decimal type within the limits: 1 to 38 digits, no more of them behind the point.
pub(super) fn decimal(precision: u8, scale: u8) -> Option<PrimitiveType> {
    ((1..=38).contains(&precision) && scale <= precision).then_some(PrimitiveType::Decimal { precision, scale })
}

fn text_of<'a>(object: &'a Map<String, Value>, key: &str, place: &Place) -> Result<&'a str> {
    match object.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(damaged(&format!("{key:?} is not text"), place)),
        None => Err(damaged(&format!("{key:?} is missing"), place)),
    }
}

fn flag_of(object: &Map<String, Value>, key: &str, place: &Place) -> Result<bool> {
    match object.get(key) {
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(damaged(&format!("{key:?} is not true or false"), place)),
        None => Err(damaged(&format!("{key:?} is missing"), place)),
    }
}

fn damaged(what: &str, place: &Place) -> Error {
    place.name_in(Error::corrupt(format!("the schema is damaged: {what}")))
}

fn unknown_type(name: &str, place: &Place) -> Error {
    place.name_in(Error::unsupported(format!("the column type {name:?} is not supported")))
}

fn write_struct(schema: &StructType, out: &mut String) {
    out.push_str(r#"{"type":"struct","fields":["#);
    for (i, field) in schema.fields.iter().enumerate() {
        out.push_str(if i == 0 { r#"{"name":"# } else { r#",{"name":"# });
        out.push_str(&quoted(&field.name));
        out.push_str(r#","type":"#);
        write_type(&field.data_type, out);
        out.push_str(if field.nullable { r#","nullable":true"# } else { r#","nullable":false"# });
        out.push_str(r#","metadata":{"#);
        for (j, (key, value)) in field.metadata.iter().enumerate() {
            out.push_str(if j == 0 { "" } else { "," });
            out.push_str(&quoted(key));
            out.push(':');
            out.push_str(&value.to_string());
        }
        out.push_str("}}");
    }
    out.push_str("]}");
}

fn write_type(data_type: &DataType, out: &mut String) {
    match data_type {
        DataType::Struct(fields) => write_struct(fields, out),
        DataType::Array(array) => {
            out.push_str(r#"{"type":"array","elementType":"#);
            write_type(&array.element_type, out);
            out.push_str(if array.contains_null { r#","containsNull":true}"# } else { r#","containsNull":false}"# });
        }
        DataType::Map(map) => {
            out.push_str(r#"{"type":"map","keyType":"#);
            write_type(&map.key_type, out);
            out.push_str(r#","valueType":"#);
            write_type(&map.value_type, out);
            out.push_str(r#","valueContainsNull":"#);
            out.push_str(if map.value_contains_null { "true}" } else { "false}" });
        }
        simple => out.push_str(&quoted(&simple.to_string())),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
