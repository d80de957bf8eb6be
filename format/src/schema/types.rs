//! The types a column can have, as the protocol names them.

use std::collections::BTreeMap;
use std::fmt;

/// A type without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrimitiveType {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Long,
    /// 32-bit signed integer.
    Integer,
    /// 16-bit signed integer.
    Short,
    /// 8-bit signed integer.
    Byte,
    /// 32-bit IEEE 754.
    Float,
    /// 64-bit IEEE 754.
    Double,
    /// True or false.
    Boolean,
    /// Bytes.
    Binary,
    /// Calendar day, days since 1970-01-01.
    Date,
    /// Instant, microseconds since the epoch in UTC.
    Timestamp,
    /// Wall-clock time without zone, microseconds. Needs the feature `timestampNtz`.
    TimestampNtz,
    /// Exact number: `precision` digits (1 to 38), `scale` of them behind the point.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
}

impl fmt::Display for PrimitiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Integer => "integer",
            Self::Short => "short",
            Self::Byte => "byte",
            Self::Float => "float",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Binary => "binary",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampNtz => "timestamp_ntz",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
        })
    }
}

/// The type of a column, element, key or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// A type without parts.
    Primitive(PrimitiveType),
    /// Named fields.
    Struct(StructType),
    /// A list.
    Array(Box<ArrayType>),
    /// Keys to values.
    Map(Box<MapType>),
    /// Semi-structured value. Needs the feature `variantType`.
    Variant,
    /// Always null, never stored in a file.
    Void,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(primitive) => primitive.fmt(f),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, field) in fields.fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
            Self::Array(array) => write!(f, "array<{}>", array.element_type),
            Self::Map(map) => write!(f, "map<{},{}>", map.key_type, map.value_type),
            Self::Variant => f.write_str("variant"),
            Self::Void => f.write_str("void"),
        }
    }
}

/// A list type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayType {
    /// Type of each element.
    pub element_type: DataType,
    /// Whether an element may be null.
    pub contains_null: bool,
}

/// A map type. Keys are never null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapType {
    /// Type of each key.
    pub key_type: DataType,
    /// Type of each value.
    pub value_type: DataType,
    /// Whether a value may be null.
    pub value_contains_null: bool,
}

/// One column, or one field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructField {
    /// Name, as the user wrote it. Unique in its struct, whatever the case.
    pub name: String,
    /// Type.
    pub data_type: DataType,
    /// Whether a row may hold null here.
    pub nullable: bool,
    /// Free-form metadata; keys starting with `delta.` belong to the protocol.
    pub metadata: BTreeMap<String, serde_json::Value>,
}

impl StructField {
    /// A field without metadata.
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, metadata: BTreeMap::new() }
    }
}

/// Fields in order: a table's schema, or a nested struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StructType {
    /// The fields.
    pub fields: Vec<StructField>,
}

impl StructType {
    /// A struct of `fields`.
    pub fn new(fields: Vec<StructField>) -> Self {
        Self { fields }
    }

    /// The field called `name`, whatever the case of its letters.
    pub fn field(&self, name: &str) -> Option<&StructField> {
        self.fields.iter().find(|field| same_name(&field.name, name))
    }

    /// Position of the field called `name`, whatever the case of its letters.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| same_name(&field.name, name))
    }
}

/// Column names are equal when they differ in case alone.
fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}
