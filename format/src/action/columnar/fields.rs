//! The Arrow types of actions as a checkpoint holds them. Every field is nullable, as old readers ask (CHK-1).

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

/// Fields of `sidecar`.
pub(super) fn sidecar_fields() -> Fields {
    Fields::from(vec![text("path"), long("sizeInBytes"), long("modificationTime"), pairs("tags")])
}

/// Fields of `checkpointMetadata`.
pub(super) fn checkpoint_metadata_fields() -> Fields {
    Fields::from(vec![long("version"), pairs("tags")])
}

fn action(name: &str, fields: Fields) -> Field {
    field(name, DataType::Struct(fields))
}

fn every_action(add: &Fields) -> Vec<Field> {
    vec![
        action("txn", txn_fields()),
        action("add", add.clone()),
        action("remove", remove_fields()),
        action("metaData", metadata_fields()),
        action("protocol", protocol_fields()),
        action("domainMetadata", domain_fields()),
    ]
}

/// The row of a V1 checkpoint: one column per kind of action, one of them set. `add` has these fields.
pub fn checkpoint_schema(add: &Fields) -> SchemaRef {
    Arc::new(Schema::new(every_action(add)))
}

/// The row of a V2 checkpoint's main file.
pub fn v2_checkpoint_schema(add: &Fields) -> SchemaRef {
    let own = [action("checkpointMetadata", checkpoint_metadata_fields()), action("sidecar", sidecar_fields())];
    Arc::new(Schema::new(every_action(add).into_iter().chain(own).collect::<Vec<_>>()))
}

/// The row of a sidecar file.
pub fn sidecar_schema(add: &Fields) -> SchemaRef {
    Arc::new(Schema::new(vec![action("add", add.clone()), action("remove", remove_fields())]))
}
