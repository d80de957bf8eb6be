//! What a data file of the table looks like: its columns, their field ids, its partition columns.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::error::{Error, Result};
use crate::schema::mapping::{field_id, nested_id, physical_name};
use crate::schema::{DataType, MappingMode, PrimitiveType, StructField, StructType, to_arrow_field};

/// The columns of a data file.
#[derive(Debug)]
pub(super) struct Layout {
    /// Arrow schema of the file, with field ids, without partition and void columns.
    pub(super) file_schema: SchemaRef,
    /// Positions of the file's columns in the table's schema.
    pub(super) data: Vec<usize>,
    /// The partition columns, in the table's order of partitioning.
    pub(super) partitions: Vec<PartitionColumn>,
}

/// One partition column.
#[derive(Debug)]
pub(super) struct PartitionColumn {
    pub(super) name: String,
    /// Its key among a file's partition values.
    pub(super) physical: String,
    /// In the table's schema.
    pub(super) position: usize,
    pub(super) nullable: bool,
}

impl Layout {
    /// # Errors
    /// `Invalid` for partition columns that are missing, nested or all there is; `Unsupported` for a type that is not
    /// written.
    pub(super) fn new(schema: &StructType, partition_columns: &[String], mode: MappingMode) -> Result<Self> {
        let mut partitions = Vec::with_capacity(partition_columns.len());
        for name in partition_columns {
            partitions.push(partition_column(schema, name, mode)?);
        }
        let assigned = mode.is_on() || schema.fields.iter().any(|field| field_id(field).is_some());
        let mut ids = Ids { next: 0, assigned, mode };
        let (mut fields, mut data) = (Vec::new(), Vec::new());
        for (position, field) in schema.fields.iter().enumerate() {
            let stored = file_field(field, "", &mut ids)?;
            let is_partition = partitions.iter().any(|partition| partition.position == position);
            if !is_partition && field.data_type != DataType::Void {
                fields.push(stored);
                data.push(position);
            }
        }
        if data.is_empty() {
            return Err(Error::invalid("a table needs a column besides its partition columns"));
        }
        Ok(Self { file_schema: Arc::new(Schema::new(fields)), data, partitions })
    }
}

fn partition_column(schema: &StructType, name: &str, mode: MappingMode) -> Result<PartitionColumn> {
    let missing = || Error::invalid(format!("the partition column {name:?} is not in the schema")).with_object(name);
    let position = schema.index_of(name).ok_or_else(missing)?;
    let field = &schema.fields[position];
    if !matches!(field.data_type, DataType::Primitive(_)) {
        return Err(Error::invalid(format!("a table can't be partitioned by {}", field.data_type)).with_object(name));
    }
    let physical = physical_name(field, mode).to_owned();
    Ok(PartitionColumn { name: field.name.clone(), physical, position, nullable: field.nullable })
}

/// Ids of fields: those that the table assigned, else counted depth-first from 1.
struct Ids {
    next: i32,
    assigned: bool,
    mode: MappingMode,
}

impl Ids {
    fn give(&mut self, field: Field, assigned: Option<i32>) -> Field {
        self.next += 1;
        match if self.assigned { assigned } else { Some(self.next) } {
            Some(id) => field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into()),
            None => field,
        }
    }
}

/// Where in a column's type we are: the innermost field of a struct, and the parts of arrays and maps below it.
struct At<'a> {
    field: &'a StructField,
    parts: Vec<&'static str>,
    /// Logical names from the top, for messages.
    path: String,
}

fn file_field(field: &StructField, outer: &str, ids: &mut Ids) -> Result<Field> {
    let path = if outer.is_empty() { field.name.clone() } else { format!("{outer}.{}", field.name) };
    let empty = Field::new(physical_name(field, ids.mode), ArrowType::Null, field.nullable);
    let placeholder = ids.give(empty, field_id(field));
    let data_type = match &field.data_type {
        // Not stored at all; only legal at the top.
        DataType::Void => ArrowType::Null,
        other => file_type(other, &mut At { field, parts: Vec::new(), path }, ids)?,
    };
    Ok(placeholder.with_data_type(data_type))
}

fn file_part(
    name: &'static str,
    data_type: &DataType,
    nullable: bool,
    at: &mut At<'_>,
    ids: &mut Ids,
) -> Result<Arc<Field>> {
    at.parts.push(name);
    let outer = at.path.len();
    at.path = format!("{}.{name}", at.path);
    let placeholder = ids.give(Field::new(name, ArrowType::Null, nullable), nested_id(at.field, &at.parts));
    let data_type = file_type(data_type, at, ids)?;
    at.path.truncate(outer);
    at.parts.pop();
    Ok(Arc::new(placeholder.with_data_type(data_type)))
}

fn file_type(data_type: &DataType, at: &mut At<'_>, ids: &mut Ids) -> Result<ArrowType> {
    Ok(match data_type {
        DataType::Primitive(primitive) => primitive_type(*primitive)?,
        DataType::Struct(inner) => {
            if inner.fields.is_empty() {
                return Err(not_stored("a struct without fields", &at.path));
            }
            let nested = inner.fields.iter().map(|field| match field.data_type {
                DataType::Void => Err(not_stored("a void field in a struct", &format!("{}.{}", at.path, field.name))),
                _ => file_field(field, &at.path, ids),
            });
            ArrowType::Struct(nested.collect::<Result<Vec<_>>>()?.into())
        }
        DataType::Array(list) => {
            ArrowType::List(file_part("element", &list.element_type, list.contains_null, at, ids)?)
        }
        DataType::Map(map) => {
            let key = file_part("key", &map.key_type, false, at, ids)?;
            let value = file_part("value", &map.value_type, map.value_contains_null, at, ids)?;
            let entries = Field::new("key_value", ArrowType::Struct(Fields::from(vec![key, value])), false);
            ArrowType::Map(Arc::new(entries), false)
        }
        DataType::Void => return Err(not_stored("void in an array or map", &at.path)),
        DataType::Variant => return Err(not_stored("variant", &at.path)),
    })
}

fn primitive_type(primitive: PrimitiveType) -> Result<ArrowType> {
    let field = StructField::new("value", DataType::Primitive(primitive), true);
    to_arrow_field(&field).map(|field| field.data_type().clone())
}

fn not_stored(what: &str, path: &str) -> Error {
    Error::unsupported(format!("{what} can't be written to a data file")).with_object(format!("column {path}"))
}
