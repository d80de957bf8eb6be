//! What a data file of the table looks like: its columns, their field ids, its partition columns.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::error::{Error, Result};
use crate::schema::{DataType, PrimitiveType, StructField, StructType, to_arrow_field};

/// Field metadata that carries a column's id where the table assigns them.
const TABLE_FIELD_ID: &str = "delta.columnMapping.id";

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
    /// In the table's schema.
    pub(super) position: usize,
    pub(super) nullable: bool,
}

impl Layout {
    /// # Errors
    /// `Invalid` for partition columns that are missing, nested or all there is; `Unsupported` for a type that is not
    /// written.
    pub(super) fn new(schema: &StructType, partition_columns: &[String]) -> Result<Self> {
        let mut partitions = Vec::with_capacity(partition_columns.len());
        for name in partition_columns {
            partitions.push(partition_column(schema, name)?);
        }
        let mut ids = Ids { next: 0, assigned: has_ids(schema) };
        let (mut fields, mut data) = (Vec::new(), Vec::new());
        for (position, field) in schema.fields.iter().enumerate() {
            let stored = file_field(field, &mut ids)?;
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

fn partition_column(schema: &StructType, name: &str) -> Result<PartitionColumn> {
    let missing = || Error::invalid(format!("the partition column {name:?} is not in the schema")).with_object(name);
    let position = schema.index_of(name).ok_or_else(missing)?;
    let field = &schema.fields[position];
    if !matches!(field.data_type, DataType::Primitive(_)) {
        return Err(Error::invalid(format!("a table can't be partitioned by {}", field.data_type)).with_object(name));
    }
    Ok(PartitionColumn { name: field.name.clone(), position, nullable: field.nullable })
}

/// Ids of fields: those that the table assigned, else counted depth-first from 1.
struct Ids {
    next: i32,
    assigned: bool,
}

impl Ids {
    fn give(&mut self, field: Field, own: Option<&serde_json::Value>) -> Field {
        self.next += 1;
        let id = if self.assigned { own.and_then(serde_json::Value::as_i64) } else { Some(self.next.into()) };
        match id {
            Some(id) => field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into()),
            None => field,
        }
    }
}

fn has_ids(schema: &StructType) -> bool {
    schema.fields.iter().any(|field| field.metadata.contains_key(TABLE_FIELD_ID))
}

fn file_field(field: &StructField, ids: &mut Ids) -> Result<Field> {
    let placeholder =
        ids.give(Field::new(&field.name, ArrowType::Null, field.nullable), field.metadata.get(TABLE_FIELD_ID));
    let data_type = match &field.data_type {
        // Not stored at all; only legal at the top.
        DataType::Void => ArrowType::Null,
        other => file_type(other, &field.name, ids)?,
    };
    Ok(placeholder.with_data_type(data_type))
}

fn file_part(name: &str, data_type: &DataType, nullable: bool, path: &str, ids: &mut Ids) -> Result<Arc<Field>> {
    let placeholder = ids.give(Field::new(name, ArrowType::Null, nullable), None);
    let data_type = file_type(data_type, &format!("{path}.{name}"), ids)?;
    Ok(Arc::new(placeholder.with_data_type(data_type)))
}

fn file_type(data_type: &DataType, path: &str, ids: &mut Ids) -> Result<ArrowType> {
    Ok(match data_type {
        DataType::Primitive(primitive) => primitive_type(*primitive)?,
        DataType::Struct(inner) => {
            if inner.fields.is_empty() {
                return Err(not_stored("a struct without fields", path));
            }
            let nested = inner.fields.iter().map(|field| match field.data_type {
                DataType::Void => Err(not_stored("a void field in a struct", &format!("{path}.{}", field.name))),
                _ => file_field(field, ids).map_err(|e| e.with_object(path)),
            });
            ArrowType::Struct(nested.collect::<Result<Vec<_>>>()?.into())
        }
        DataType::Array(list) => {
            ArrowType::List(file_part("element", &list.element_type, list.contains_null, path, ids)?)
        }
        DataType::Map(map) => {
            let key = file_part("key", &map.key_type, false, path, ids)?;
            let value = file_part("value", &map.value_type, map.value_contains_null, path, ids)?;
            let entries = Field::new("key_value", ArrowType::Struct(Fields::from(vec![key, value])), false);
            ArrowType::Map(Arc::new(entries), false)
        }
        DataType::Void => return Err(not_stored("void in an array or map", path)),
        DataType::Variant => return Err(not_stored("variant", path)),
    })
}

fn primitive_type(primitive: PrimitiveType) -> Result<ArrowType> {
    let field = StructField::new("value", DataType::Primitive(primitive), true);
    to_arrow_field(&field).map(|field| field.data_type().clone())
}

fn not_stored(what: &str, path: &str) -> Error {
    Error::unsupported(format!("{what} can't be written to a data file")).with_object(format!("column {path}"))
}
