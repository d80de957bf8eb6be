//! Create: version 0 of a table, empty or with its first rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::sequence::{self, AppTxn};
use super::{Input, WriteOutcome, add_actions, commit_written, counted, write_files};
use crate::action::{Action, Metadata, Protocol};
use crate::clock::ClockRef;
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::log::list_log;
use crate::protocol::{TableProperties, check_property_change};
use crate::schema::{DataType, PrimitiveType, StructType, check_names, check_new_names, write_schema};
use crate::store::TableRoot;
use crate::transaction::{Base, Committer, Operation, Staged};
use crate::write::{WriteContext, Written};

/// What the new table is to be.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The columns.
    pub schema: StructType,
    /// Names of the partition columns, in order.
    pub partition_columns: Vec<String>,
    /// Table properties.
    pub properties: BTreeMap<String, String>,
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Application and sequence number that the first rows are applied under, so that an append of the same is answered
    /// as applied (COM-11).
    pub txn: Option<AppTxn>,
}

/// Creates the table with the rows of `input`, if any, in one commit.
///
/// # Errors
/// `AlreadyExists` when a table is there; `Invalid` or `Unsupported` for a schema, partition column or property that
/// can't be. Nothing is written then.
pub async fn create(
    root: &TableRoot,
    clock: &ClockRef,
    committer: &dyn Committer,
    options: CreateOptions,
    input: Option<Input>,
) -> Result<WriteOutcome> {
    let protocol = protocol_for(&options.schema)?;
    let partition_columns = check_partition_columns(&options.schema, &options.partition_columns)?;
    let mut configuration = BTreeMap::new();
    for (key, value) in &options.properties {
        configuration.insert(check_property_change(key, value)?, value.clone());
    }
    if !list_log(root, 0).await?.is_empty() {
        return Err(Error::already_exists("a table is here already")
            .with_object(root.display())
            .with_hint("append to it, overwrite it, or choose another place"));
    }
    let started_ms = clock.now_ms();
    let written = match input {
        Some(input) => {
            let properties = TableProperties::parse(&configuration);
            let (root, schema) = (root.clone(), Arc::new(options.schema.clone()));
            let context = WriteContext::new(root, schema, partition_columns.clone(), properties, clock.clone());
            write_files(context, input).await?
        }
        None => Written::default(),
    };
    let metadata = Metadata {
        id: clock.new_id().to_string(),
        name: options.name,
        description: options.description,
        schema_string: write_schema(&options.schema),
        partition_columns: partition_columns.clone(),
        created_time: Some(clock.now_ms()),
        configuration,
        ..Metadata::default()
    };
    let name = if written.adds.is_empty() { "CREATE TABLE" } else { "CREATE TABLE AS SELECT" };
    let operation = Operation::new(name).with("partitionBy", json!(partition_columns).to_string());
    let operation = counted(operation, &written);
    let mut actions = vec![Action::Protocol(protocol), Action::Metadata(Box::new(metadata))];
    actions.extend(sequence::mark(options.txn.as_ref(), started_ms));
    actions.extend(add_actions(&written));
    let staged = Staged { operation, actions, reads: Reads::Nothing };
    commit_written(Base::New(root.clone(), clock.clone()), staged, committer, &written, started_ms, None).await
}

/// The least protocol that the columns need.
pub(super) fn protocol_for(schema: &StructType) -> Result<Protocol> {
    if schema.fields.is_empty() {
        return Err(Error::invalid("a table needs at least one column"));
    }
    check_names(schema)?;
    check_new_names(schema)?;
    let mut used = BTreeSet::new();
    for field in &schema.fields {
        needs(&field.data_type, &mut used).map_err(|e| e.with_object(field.name.clone()))?;
    }
    if used.is_empty() {
        return Ok(Protocol { min_reader_version: 1, min_writer_version: 2, ..Protocol::default() });
    }
    let reader: Vec<String> = used.iter().map(|&name| name.to_owned()).collect();
    let writer = ["appendOnly", "invariants"].into_iter().map(str::to_owned).chain(reader.clone()).collect();
    Ok(Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: Some(reader),
        writer_features: Some(writer),
    })
}

/// Features that a type asks for.
pub(super) fn needs(data_type: &DataType, used: &mut BTreeSet<&'static str>) -> Result<()> {
    match data_type {
        DataType::Primitive(PrimitiveType::TimestampNtz) => {
            used.insert("timestampNtz");
            Ok(())
        }
        DataType::Primitive(_) => Ok(()),
        DataType::Struct(inner) if inner.fields.is_empty() => Err(Error::invalid("a struct needs at least one field")),
        DataType::Struct(inner) => inner.fields.iter().try_for_each(|field| needs(&field.data_type, used)),
        DataType::Array(array) => needs(&array.element_type, used),
        DataType::Map(map) => needs(&map.key_type, used).and_then(|()| needs(&map.value_type, used)),
        DataType::Variant => Err(Error::unsupported("columns of the table feature \"variantType\" can't be created")),
        DataType::Void => Err(Error::unsupported("a column of type void can't be created")),
    }
}

/// The partition columns as the schema spells them.
fn check_partition_columns(schema: &StructType, columns: &[String]) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let Some(field) = schema.field(column) else {
            let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
            return Err(Error::invalid("a partition column is not in the schema")
                .with_object(column.clone())
                .with_hint(format!("the columns are {}", known.join(", "))));
        };
        if !matches!(field.data_type, DataType::Primitive(_)) {
            return Err(Error::invalid(format!("a column of type {} can't partition a table", field.data_type))
                .with_object(column.clone()));
        }
        if found.contains(&field.name) {
            return Err(Error::invalid("a partition column is named twice").with_object(column.clone()));
        }
        found.push(field.name.clone());
    }
    if !found.is_empty() && found.len() == schema.fields.len() {
        return Err(Error::invalid("a table needs a column that is not a partition column"));
    }
    Ok(found)
}
