//! Alter: the table's description changes, its files do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::append::check_evolved;
use super::{WriteOutcome, highest_id, mapped, report, with_schema};
use crate::action::{Action, Metadata};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::expr::ColumnPath;
use crate::protocol::{
    Directives, Rules, check_property_change, format_columns, is_supported, parse_columns, upgraded,
};
use crate::schema::mapping::{self, MODE_PROPERTY, logical_path};
use crate::schema::{
    DataType, MappingMode, Position, SchemaChange, StructField, StructType, apply, parse_schema, write_schema,
};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged, transact};
use crate::write::Written;

const STATS_COLUMNS: &str = "delta.dataSkippingStatsColumns";

/// Adds nullable columns at the end. Rows that are there read as null.
///
/// # Errors
/// `AlreadyExists` for a name that is taken, `Invalid` for a column that can't be added, `Unsupported` for a type whose
/// feature the table does not have, `Conflict` when the description changed meanwhile.
pub async fn add_columns(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    columns: Vec<StructField>,
) -> Result<WriteOutcome> {
    let add = |field| SchemaChange::Add { parent: Vec::new(), field, position: Position::Last };
    alter_schema(snapshot, committer, &columns.into_iter().map(add).collect::<Vec<_>>()).await
}

/// Changes the schema, in one commit; no data file is touched, and older versions keep the schema they had (EVO-1).
///
/// # Errors
/// As [`apply`]; `Unsupported` where the table lacks column mapping (rename, drop), type widening (widen) or the
/// feature of a type, and for a column that partitions, clusters or is spoken of by a constraint; `Conflict` when the
/// description changed meanwhile.
pub async fn alter_schema(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    changes: &[SchemaChange],
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    let Some(first) = changes.first() else { return Err(Error::invalid("no change to the schema was given")) };
    let mut schema = StructType::clone(snapshot.schema());
    let mut metadata = snapshot.metadata().clone();
    for change in changes {
        check_change(snapshot, &schema, &metadata, change)?;
        follow_names(&schema, &mut metadata, change);
        schema = apply(&schema, change)?;
    }
    let schema = mapped(snapshot, schema)?;
    check_evolved(snapshot, &schema)?;
    let operation = operation_of(first, changes);
    redefine(snapshot, committer, operation, Vec::new(), with_schema(&metadata, &schema)).await
}

fn operation_of(first: &SchemaChange, changes: &[SchemaChange]) -> Operation {
    match first {
        SchemaChange::Add { .. } => {
            let added = changes.iter().filter_map(|change| match change {
                SchemaChange::Add { field, .. } => Some(field.clone()),
                _ => None,
            });
            Operation::new("ADD COLUMNS").with("columns", write_schema(&StructType::new(added.collect())))
        }
        SchemaChange::Rename { path, name } => {
            Operation::new("RENAME COLUMN").with("oldColumnPath", path.join(".")).with("newColumnName", name.clone())
        }
        SchemaChange::Drop { .. } => {
            let dropped = changes.iter().filter_map(|change| match change {
                SchemaChange::Drop { path } => Some(path.join(".")),
                _ => None,
            });
            Operation::new("DROP COLUMNS").with("columns", json!(dropped.collect::<Vec<_>>()).to_string())
        }
        SchemaChange::Move { path, .. }
        | SchemaChange::DropNotNull { path }
        | SchemaChange::Widen { path, .. }
        | SchemaChange::Comment { path, .. } => Operation::new("CHANGE COLUMN").with("column", path.join(".")),
    }
}

/// What the table as a whole says to a change of its schema (EVO-2).
fn check_change(snapshot: &Snapshot, schema: &StructType, metadata: &Metadata, change: &SchemaChange) -> Result<()> {
    match change {
        SchemaChange::Add { field, .. } => check_plain(field),
        SchemaChange::Rename { path, .. } => {
            needs_mapping(snapshot, "renamed", path)?;
            unspoken(snapshot, "renamed", path)
        }
        SchemaChange::Drop { path } => {
            needs_mapping(snapshot, "dropped", path)?;
            check_drop(snapshot, schema, metadata, path)?;
            unspoken(snapshot, "dropped", path)
        }
        SchemaChange::Widen { path, .. } => {
            if !(snapshot.properties().type_widening && is_supported(snapshot.protocol(), "typeWidening")) {
                return Err(refused("the type of a column can't be changed without type widening", path)
                    .with_hint("nothing was changed; ask for it first: set delta.enableTypeWidening=true"));
            }
            unspoken(snapshot, "widened", path)
        }
        SchemaChange::Move { .. } | SchemaChange::DropNotNull { .. } | SchemaChange::Comment { .. } => Ok(()),
    }
}

/// A new column carries no orders to the protocol: a default or an expression would have to hold for old rows too.
fn check_plain(field: &StructField) -> Result<()> {
    let key = field.metadata.keys().find(|key| {
        (key.starts_with("delta.") && !key.starts_with("delta.columnMapping.")) || *key == "CURRENT_DEFAULT"
    });
    match key {
        None => Ok(()),
        Some(key) => Err(Error::unsupported(format!("a column with {key:?} can't be added to a table"))
            .with_object(field.name.clone())
            .with_hint("nothing was changed; add the column without it")),
    }
}

fn needs_mapping(snapshot: &Snapshot, verb: &str, path: &[String]) -> Result<()> {
    if snapshot.mapping().is_on() {
        return Ok(());
    }
    Err(refused(&format!("a column can't be {verb} where data files go by column names"), path).with_hint(
        "nothing was changed; map the columns first, which older readers may not know: set delta.columnMapping.mode=name",
    ))
}

fn unspoken(snapshot: &Snapshot, verb: &str, path: &[String]) -> Result<()> {
    let rules = Rules::of(snapshot.schema(), snapshot.properties());
    match rules.that_mentions(path) {
        None => Ok(()),
        Some(rule) => Err(refused(&format!("the column can't be {verb}: it may be used by {rule}"), path)
            .with_hint("nothing was changed; remove the rule first, with the engine that made it")),
    }
}

fn check_drop(snapshot: &Snapshot, schema: &StructType, metadata: &Metadata, path: &[String]) -> Result<()> {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let [name, ..] = path else { return Ok(()) };
    let is_partition = |column: &str| metadata.partition_columns.iter().any(|partition| same(partition, column));
    if path.len() == 1 {
        if is_partition(name) {
            return Err(refused("a partition column can't be dropped", path));
        }
        let stored = |field: &&StructField| !is_partition(&field.name) && field.data_type != DataType::Void;
        if schema.fields.iter().filter(stored).all(|field| same(&field.name, name)) {
            return Err(Error::invalid("a table needs a column that is not a partition column").with_object(&**name));
        }
    }
    for clustering in snapshot.clustering_columns() {
        let logical = logical_path(schema, snapshot.mapping(), &clustering).unwrap_or(clustering);
        if path.len() <= logical.len() && path.iter().zip(&logical).all(|(a, b)| same(a, b)) {
            return Err(refused("a clustering column can't be dropped", path));
        }
    }
    Ok(())
}

fn refused(what: &str, path: &[String]) -> Error {
    Error::unsupported(what.to_owned()).with_object(format!("column {}", path.join(".")))
}

/// Keeps what names columns in the description in step with a rename or drop.
fn follow_names(schema: &StructType, metadata: &mut Metadata, change: &SchemaChange) {
    let (path, new) = match change {
        SchemaChange::Rename { path, name } => (path, Some(name)),
        SchemaChange::Drop { path } => (path, None),
        _ => return,
    };
    let spelled = path.first().and_then(|first| schema.field(first)).map(|field| &field.name);
    if let ([_], Some(new), Some(old)) = (path.as_slice(), new, spelled) {
        for column in &mut metadata.partition_columns {
            if column == old {
                column.clone_from(new);
            }
        }
    }
    let Some(list) = metadata.configuration.get(STATS_COLUMNS) else { return };
    let mut columns = parse_columns(list);
    let is_under = |column: &ColumnPath| {
        column.0.len() >= path.len() && column.0.iter().zip(path).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
    };
    match new {
        None => columns.retain(|column| !is_under(column)),
        Some(new) => {
            for column in columns.iter_mut().filter(|column| is_under(column)) {
                column.0[path.len() - 1].clone_from(new);
            }
        }
    }
    if columns.is_empty() {
        metadata.configuration.remove(STATS_COLUMNS);
    } else {
        metadata.configuration.insert(STATS_COLUMNS.to_owned(), format_columns(&columns));
    }
}

/// Sets properties, or with `None` removes them. What asks for a feature or a version of the protocol upgrades it, and
/// nothing else does (PRO-1).
///
/// # Errors
/// `Unsupported` or `Invalid` naming the property, `NotFound` for one to be removed that is not set.
pub async fn set_properties(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if changes.is_empty() {
        return Err(Error::invalid("no property to change was given"));
    }
    let set = changes.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let asked = Directives::parse(&set)?;
    let mut metadata = snapshot.metadata().clone();
    check_switches(snapshot, &asked.properties)?;
    if let Some(mode) = asked.properties.get(MODE_PROPERTY) {
        metadata = with_mapping(snapshot, &metadata, mode)?;
    }
    metadata.configuration.extend(asked.properties.clone());
    for key in changes.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key) {
        unset(snapshot, &mut metadata, key)?;
    }
    let protocol = upgraded(snapshot.protocol(), &asked)?;
    let mut actions = Vec::new();
    if protocol != *snapshot.protocol() {
        actions.push(Action::Protocol(protocol));
    }
    let operation = Operation::new("SET TBLPROPERTIES").with("properties", json!(changes).to_string());
    redefine(snapshot, committer, operation, actions, metadata).await
}

fn unset(snapshot: &Snapshot, metadata: &mut Metadata, key: &str) -> Result<()> {
    let stored = metadata.configuration.keys().find(|stored| stored.eq_ignore_ascii_case(key)).cloned();
    let Some(stored) = stored else {
        return Err(Error::not_found("the table has no such property").with_object(key.to_owned()));
    };
    if stored.starts_with("delta.") {
        check_property_change(&stored, &metadata.configuration[&stored])?;
    }
    if stored == MODE_PROPERTY && snapshot.mapping().is_on() {
        return Err(no_way_back());
    }
    metadata.configuration.remove(&stored);
    Ok(())
}

/// What can be switched on only while a table has no past.
fn check_switches(snapshot: &Snapshot, set: &BTreeMap<String, String>) -> Result<()> {
    let on = |properties: &BTreeMap<String, String>, key: &str| {
        properties.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    let key = "delta.enableRowTracking";
    if !on(set, key) || on(&snapshot.metadata().configuration, key) {
        return Ok(());
    }
    Err(Error::unsupported("row tracking can be switched on only when a table is created")
        .with_object(key)
        .with_hint("nothing was changed; rows that are there have no ids: create a table and move the rows there"))
}

/// The description with columns mapped in another mode (MAP-4).
fn with_mapping(snapshot: &Snapshot, metadata: &Metadata, wanted: &str) -> Result<Metadata> {
    let wanted = MappingMode::parse(wanted).unwrap_or_default();
    match (snapshot.mapping(), wanted) {
        (now, then) if now == then => Ok(metadata.clone()),
        (MappingMode::None, MappingMode::Name) => {
            let schema = parse_schema(&metadata.schema_string)?;
            let (schema, _) = mapping::enable(&schema, highest_id(&metadata.configuration))?;
            let mut metadata = metadata.clone();
            metadata.configuration.insert(MODE_PROPERTY.to_owned(), wanted.as_str().to_owned());
            Ok(with_schema(&metadata, &schema))
        }
        (MappingMode::None, _) => Err(Error::unsupported("columns can be mapped by id only when a table is created")
            .with_object(MODE_PROPERTY)
            .with_hint("nothing was changed; files that are there have no ids: map the columns by name")),
        _ => Err(no_way_back()),
    }
}

fn no_way_back() -> Error {
    Error::unsupported("columns that are mapped stay mapped in the same mode")
        .with_object(MODE_PROPERTY)
        .with_hint("nothing was changed; files that are there may go by physical names")
}

async fn redefine(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    operation: Operation,
    mut actions: Vec<Action>,
    metadata: Metadata,
) -> Result<WriteOutcome> {
    if actions.is_empty() || metadata != *snapshot.metadata() {
        actions.push(Action::Metadata(Box::new(metadata)));
    }
    let staged = Staged { operation, actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(Arc::clone(snapshot)), staged, committer).await?;
    Ok(report(outcome, &Written::default(), 0, 0))
}

#[cfg(test)]
mod tests;
