//! The Arrow schema of a V1 checkpoint. Every field is nullable, as old readers ask.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn text(name: &str) -> Field {
    field(name, DataType::Utf8)
}

fn long(name: &str) -> Field {
    field(name, DataType::Int64)
}

fn int(name: &str) -> Field {
    field(name, DataType::Int32)
}

fn flag(name: &str) -> Field {
    field(name, DataType::Boolean)
}

/// Text to text. Keys can't be null, by the rules of Parquet.
fn pairs(name: &str) -> Field {
    let entries = DataType::Struct(Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]));
    field(name, DataType::Map(Arc::new(Field::new("key_value", entries, false)), false))
}

fn texts(name: &str) -> Field {
    field(name, DataType::List(Arc::new(field("element", DataType::Utf8))))
}

/// Fields of a deletion vector.
pub(super) fn vector_fields() -> Fields {
    Fields::from(vec![
        text("storageType"),
        text("pathOrInlineDv"),
        int("offset"),
        int("sizeInBytes"),
        long("cardinality"),
    ])
}

/// Fields of `protocol`.
pub(super) fn protocol_fields() -> Fields {
    Fields::from(vec![
        int("minReaderVersion"),
        int("minWriterVersion"),
        texts("readerFeatures"),
        texts("writerFeatures"),
    ])
}

/// Fields of `metaData.format`.
pub(super) fn format_fields() -> Fields {
    Fields::from(vec![text("provider"), pairs("options")])
}

/// Fields of `metaData`.
pub(super) fn metadata_fields() -> Fields {
    Fields::from(vec![
        text("id"),
        text("name"),
        text("description"),
        field("format", DataType::Struct(format_fields())),
        text("schemaString"),
        texts("partitionColumns"),
        pairs("configuration"),
        long("createdTime"),
    ])
}

/// Fields of `txn`.
pub(super) fn txn_fields() -> Fields {
    Fields::from(vec![text("appId"), long("version"), long("lastUpdated")])
}

/// Fields of `domainMetadata`.
pub(super) fn domain_fields() -> Fields {
    Fields::from(vec![text("domain"), text("configuration"), flag("removed")])
}

/// Fields of `add`.
pub(super) fn add_fields() -> Fields {
    Fields::from(vec![
        text("path"),
        pairs("partitionValues"),
        long("size"),
        long("modificationTime"),
        flag("dataChange"),
        pairs("tags"),
        field("deletionVector", DataType::Struct(vector_fields())),
        long("baseRowId"),
        long("defaultRowCommitVersion"),
        text("clusteringProvider"),
        text("stats"),
    ])
}

/// Fields of `remove`.
pub(super) fn remove_fields() -> Fields {
    Fields::from(vec![
        text("path"),
        long("deletionTimestamp"),
        flag("dataChange"),
        flag("extendedFileMetadata"),
        pairs("partitionValues"),
        long("size"),
        field("deletionVector", DataType::Struct(vector_fields())),
        long("baseRowId"),
        long("defaultRowCommitVersion"),
    ])
}

/// The whole row: one column per kind of action, one of them set.
pub(super) fn checkpoint_schema() -> SchemaRef {
    let action = |name: &str, fields: Fields| field(name, DataType::Struct(fields));
    Arc::new(Schema::new(vec![
        action("txn", txn_fields()),
        action("add", add_fields()),
        action("remove", remove_fields()),
        action("metaData", metadata_fields()),
        action("protocol", protocol_fields()),
        action("domainMetadata", domain_fields()),
    ]))
}
