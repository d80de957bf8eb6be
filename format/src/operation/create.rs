//! Create: version 0 of a table, empty or with its first rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::sequence::{self, AppTxn};
use super::{Input, WriteOutcome, add_actions, commit_written, counted, map_new, with_schema, write_files};
use crate::action::{Action, Metadata, Protocol};
use crate::clock::ClockRef;
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::expr::EvaluatorRef;
use crate::log::list_log;
use crate::protocol::{Directives, Rules, TableProperties, can_set, upgraded};
use crate::schema::mapping::{MODE_PROPERTY, strip};
use crate::schema::{DataType, MappingMode, PrimitiveType, StructType, check_names, check_new_names};
use crate::store::TableRoot;
use crate::transaction::{Base, Committer, Operation, Staged};
use crate::write::{WriteContext, Written};

/// Which properties a new table has where the user names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Only what the common engines write and read.
    #[default]
    Compatible,
    /// Everything that Lake itself keeps up: columns mapped by name, deletion vectors, and what else it can write.
    Modern,
}

/// What [`Profile::Modern`] sets, each as far as Lake reads and writes the features behind it. Row tracking is left out:
/// a table that has it can't be compacted yet.
const MODERN: &[(&str, &str)] = &[
    (MODE_PROPERTY, "name"),
    ("delta.enableDeletionVectors", "true"),
    ("delta.checkpointPolicy", "v2"),
    ("delta.enableInCommitTimestamps", "true"),
];

/// What the new table is to be.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The columns.
    pub schema: StructType,
    /// Names of the partition columns, in order.
    pub partition_columns: Vec<String>,
    /// Table properties, and orders to the protocol such as `delta.feature.timestampNtz=supported`.
    pub properties: BTreeMap<String, String>,
    /// Where the properties say nothing.
    pub profile: Profile,
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Application and sequence number that the first rows are applied under, so that an append of the same is answered
    /// as applied (COM-11).
    pub txn: Option<AppTxn>,
    /// Works out the SQL expressions of the columns, where rows come along and columns have any.
    pub evaluator: Option<EvaluatorRef>,
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
    let asked = Directives::parse(&with_profile(&options.properties, options.profile))?;
    let mode = asked.properties.get(MODE_PROPERTY).and_then(|mode| MappingMode::parse(mode)).unwrap_or_default();
    let protocol = protocol_for(&options.schema, &asked, mode)?;
    let schema = map_new(mode, 0, clock, strip(&options.schema))?;
    let partition_columns = check_partition_columns(&schema, &options.partition_columns)?;
    let mut configuration = asked.properties;
    name_row_tracking(&mut configuration, clock);
    if !list_log(root, 0).await?.is_empty() {
        return Err(Error::already_exists("a table is here already")
            .with_object(root.display())
            .with_hint("append to it, overwrite it, or choose another place"));
    }
    let started_ms = clock.now_ms();
    let written = match input {
        Some(input) => {
            let properties = TableProperties::parse(&configuration);
            let rules = Rules::in_force(&protocol, &schema, &properties);
            let (root, schema) = (root.clone(), Arc::new(schema.clone()));
            let mut context = WriteContext::new(root, schema, partition_columns.clone(), properties, clock.clone());
            context.rules = rules;
            context.evaluator = options.evaluator;
            write_files(context, input).await?
        }
        None => Written::default(),
    };
    let metadata = Metadata {
        id: clock.new_id().to_string(),
        name: options.name,
        description: options.description,
        partition_columns: partition_columns.clone(),
        created_time: Some(clock.now_ms()),
        configuration,
        ..Metadata::default()
    };
    let metadata = with_schema(&metadata, &schema);
    let name = if written.adds.is_empty() { "CREATE TABLE" } else { "CREATE TABLE AS SELECT" };
    let operation = Operation::new(name).with("partitionBy", json!(partition_columns).to_string());
    let operation = counted(operation, &written);
    let mut actions = vec![Action::Protocol(protocol), Action::Metadata(Box::new(metadata))];
    actions.extend(sequence::mark(options.txn.as_ref(), started_ms));
    actions.extend(add_actions(&written));
    let staged = Staged { operation, actions, reads: Reads::Nothing };
    commit_written(Base::New(root.clone(), clock.clone()), staged, committer, &written, started_ms, None).await
}

/// The properties asked for, and those of the profile on which they are silent.
fn with_profile(properties: &BTreeMap<String, String>, profile: Profile) -> BTreeMap<String, String> {
    let mut all = properties.clone();
    if profile == Profile::Modern {
        for &(key, value) in MODERN {
            if can_set(key, value) && !properties.keys().any(|set| set.eq_ignore_ascii_case(key)) {
                all.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    all
}

/// Row tracking, once on, needs names for the columns that carry row ids through rewrites.
fn name_row_tracking(configuration: &mut BTreeMap<String, String>, clock: &ClockRef) {
    if !configuration.get("delta.enableRowTracking").is_some_and(|on| on.eq_ignore_ascii_case("true")) {
        return;
    }
    for (key, prefix) in [("RowId", "_row-id-col-"), ("RowCommitVersion", "_row-commit-version-col-")] {
        let key = format!("delta.rowTracking.materialized{key}ColumnName");
        configuration.insert(key, format!("{prefix}{}", clock.new_id()));
    }
}

/// The least protocol that the columns need, and what is asked for beyond it.
fn protocol_for(schema: &StructType, asked: &Directives, mode: MappingMode) -> Result<Protocol> {
    if schema.fields.is_empty() {
        return Err(Error::invalid("a table needs at least one column"));
    }
    check_names(schema)?;
    if !mode.is_on() {
        check_new_names(schema)?;
    }
    let mut asked = asked.clone();
    for field in &schema.fields {
        needs(&field.data_type, &mut asked.features).map_err(|e| e.with_object(field.name.clone()))?;
        if field.metadata.keys().any(|key| key.starts_with("delta.identity.")) {
            return Err(Error::unsupported("a table with identity columns can't be created").with_object(&*field.name));
        }
        let computed = [("delta.generationExpression", "generatedColumns"), ("CURRENT_DEFAULT", "allowColumnDefaults")];
        asked
            .features
            .extend(computed.iter().filter(|(key, _)| field.metadata.contains_key(*key)).map(|(_, name)| name));
    }
    upgraded(&Protocol { min_reader_version: 1, min_writer_version: 2, ..Protocol::default() }, &asked)
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
