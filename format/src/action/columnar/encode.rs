//! Actions to the columns of a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, SchemaRef};

use super::super::{CheckpointMetadata, DomainMetadata, Metadata, Protocol, Sidecar, Txn};
use super::fields;
use crate::error::{Error, Result};

/// A batch of `schema` whose only set column is `name`.
///
/// # Errors
/// `Internal` when the column is not of the schema's type.
pub fn rows(schema: &SchemaRef, name: &str, column: StructArray) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(column);
    let columns = schema.fields().iter().map(|field| match field.name() == name {
        true => Arc::clone(&column),
        false => new_null_array(field.data_type(), column.len()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).map_err(internal)
}

pub(super) fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::internal("a checkpoint can't be encoded").with_source(error)
}

pub(super) fn structure(fields: Fields, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> Result<StructArray> {
    StructArray::try_new(fields, columns, nulls).map_err(internal)
}

pub(super) fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn long(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let mut builder = Int64Builder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn int(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    let mut builder = Int32Builder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn flag(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    let mut builder = BooleanBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a Vec<String>>>) -> ArrayRef {
    let element = Field::new("element", DataType::Utf8, true);
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(element);
    for value in values {
        if let Some(items) = value {
            items.iter().for_each(|item| builder.values().append_value(item));
        }
        builder.append(value.is_some());
    }
    Arc::new(builder.finish())
}

type Pair<'a> = (&'a str, Option<&'a str>);

fn pairs<'a>(values: impl Iterator<Item = Option<Vec<Pair<'a>>>>) -> Result<ArrayRef> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for value in values {
        for (key, item) in value.iter().flatten() {
            builder.keys().append_value(key);
            builder.values().append_option(*item);
        }
        builder.append(value.is_some()).map_err(internal)?;
    }
    Ok(Arc::new(builder.finish()))
}

fn plain_pairs(map: &BTreeMap<String, String>) -> Vec<Pair<'_>> {
    map.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect()
}

fn one<T>(value: T) -> impl Iterator<Item = Option<T>> {
    std::iter::once(Some(value))
}

pub(crate) fn protocol_column(protocol: &Protocol) -> Result<StructArray> {
    let columns = vec![
        int(one(protocol.min_reader_version)),
        int(one(protocol.min_writer_version)),
        texts(std::iter::once(protocol.reader_features.as_ref())),
        texts(std::iter::once(protocol.writer_features.as_ref())),
    ];
    structure(fields::protocol_fields(), columns, None)
}

pub(crate) fn metadata_column(metadata: &Metadata) -> Result<StructArray> {
    let format = structure(
        fields::format_fields(),
        vec![text(one(metadata.format.provider.as_str())), pairs(one(plain_pairs(&metadata.format.options)))?],
        None,
    )?;
    let columns = vec![
        text(one(metadata.id.as_str())),
        text(std::iter::once(metadata.name.as_deref())),
        text(std::iter::once(metadata.description.as_deref())),
        Arc::new(format),
        text(one(metadata.schema_string.as_str())),
        texts(one(&metadata.partition_columns)),
        pairs(one(plain_pairs(&metadata.configuration)))?,
        long(std::iter::once(metadata.created_time)),
    ];
    structure(fields::metadata_fields(), columns, None)
}

pub(crate) fn txn_column(txns: &[&Txn]) -> Result<StructArray> {
    let columns = vec![
        text(txns.iter().map(|txn| Some(txn.app_id.as_str()))),
        long(txns.iter().map(|txn| Some(txn.version))),
        long(txns.iter().map(|txn| txn.last_updated)),
    ];
    structure(fields::txn_fields(), columns, None)
}

pub(crate) fn domain_column(domains: &[&DomainMetadata]) -> Result<StructArray> {
    let columns = vec![
        text(domains.iter().map(|domain| Some(domain.domain.as_str()))),
        text(domains.iter().map(|domain| Some(domain.configuration.as_str()))),
        flag(domains.iter().map(|domain| Some(domain.removed))),
    ];
    structure(fields::domain_fields(), columns, None)
}

pub(crate) fn sidecar_column(sidecars: &[Sidecar]) -> Result<StructArray> {
    let columns = vec![
        text(sidecars.iter().map(|sidecar| Some(sidecar.path.as_str()))),
        long(sidecars.iter().map(|sidecar| Some(sidecar.size_in_bytes))),
        long(sidecars.iter().map(|sidecar| Some(sidecar.modification_time))),
        pairs(sidecars.iter().map(|_| None))?,
    ];
    structure(fields::sidecar_fields(), columns, None)
}

pub(crate) fn checkpoint_metadata_column(metadata: &CheckpointMetadata) -> Result<StructArray> {
    let columns = vec![long(one(metadata.version)), pairs(one(plain_pairs(&metadata.tags)))?];
    structure(fields::checkpoint_metadata_fields(), columns, None)
}
