//! `lake show`: what a table is.

use lake_catalog_api::Table as CatalogTable;
use lake_format::Snapshot;
use lake_format::schema::{StructType, write_schema};
use lake_format::snapshot::FilesTotal;
use lake_query::{Place, TableRef};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Object, bytes, parse_json, time};

/// Show what a table is: location, version, size, columns, properties
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake show ./trips
  lake show gold.daily_sales --format json
  lake show ./trips@v3")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for an older version
    pub table: String,
}

/// Runs `lake show`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.reference(&args.table)?;
    let snapshot = context.snapshot(&reference).await?;
    let entry = match &reference.place {
        Place::Name { .. } => Some(context.resolver().entry(&reference.place).await?),
        Place::Location(_) => None,
    };
    context.output().object(&object(&reference, &snapshot, snapshot.files_total().await?, entry.as_ref()))
}

fn object(reference: &TableRef, snapshot: &Snapshot, files: FilesTotal, entry: Option<&CatalogTable>) -> Object {
    let metadata = snapshot.metadata();
    let protocol = snapshot.protocol();
    let full_name = entry.map(|entry| format!("{}.{}.{}", entry.catalog, entry.schema, entry.name));
    let name = full_name.or_else(|| metadata.name.clone());
    let name = name.unwrap_or_else(|| reference.place.last_part().to_owned());
    let clustering: Vec<String> = snapshot.clustering_columns().iter().map(|path| path.join(".")).collect();
    let mut object = Object::new()
        .with("name", Kind::Text, name)
        .with("location", Kind::Text, snapshot.root().display())
        .with("id", Kind::Text, metadata.id.clone())
        .with("version", Kind::Number, snapshot.version())
        .with("timestamp", Kind::Text, time(snapshot.timestamp_ms()))
        .with("num_files", Kind::Number, files.num_files)
        .with("num_rows", Kind::Number, files.num_rows)
        .with_shown("size_bytes", Kind::Number, files.size_bytes, size(files.size_bytes))
        .with_shown(
            "partition_columns",
            Kind::Json,
            json!(snapshot.partition_columns()),
            list(snapshot.partition_columns()),
        )
        .with_shown("clustering_columns", Kind::Json, json!(clustering), list(&clustering))
        .with_shown("properties", Kind::Json, json!(metadata.configuration), pairs(&metadata.configuration))
        .with_shown(
            "protocol",
            Kind::Json,
            json!({
                "min_reader_version": protocol.min_reader_version,
                "min_writer_version": protocol.min_writer_version,
                "reader_features": protocol.reader_features.clone().unwrap_or_default(),
                "writer_features": protocol.writer_features.clone().unwrap_or_default(),
            }),
            protocol_text(snapshot),
        )
        .with_shown("schema", Kind::Json, parse_json(&write_schema(snapshot.schema())), schema_text(snapshot.schema()));
    if let Some(description) = &metadata.description {
        object = object.with("description", Kind::Text, description.clone());
    }
    if let Some(entry) = entry {
        let contract = entry.contract.as_ref().and_then(|contract| serde_json::to_value(contract).ok());
        object = object
            .with("layer", Kind::Text, entry.layer.as_str())
            .with("owner", Kind::Text, entry.owner.clone())
            .with_shown("upstreams", Kind::Json, json!(entry.upstreams), list(&entry.upstreams))
            .with("contract", Kind::Json, contract.unwrap_or(Value::Null));
    }
    object
}

fn size(size_bytes: u64) -> String {
    if size_bytes < 1024 { size_bytes.to_string() } else { format!("{size_bytes} ({})", bytes(size_bytes)) }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn pairs(properties: &std::collections::BTreeMap<String, String>) -> String {
    let lines: Vec<String> = properties.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
}

fn protocol_text(snapshot: &Snapshot) -> String {
    let protocol = snapshot.protocol();
    let mut text = format!("reader {}, writer {}", protocol.min_reader_version, protocol.min_writer_version);
    let features = protocol.writer_features.as_deref().unwrap_or_default();
    if !features.is_empty() {
        text += &format!(", features {}", features.join(", "));
    }
    text
}

fn schema_text(schema: &StructType) -> String {
    let line = |field: &lake_format::schema::StructField| {
        format!("{} {}{}", field.name, field.data_type, if field.nullable { "" } else { " not null" })
    };
    schema.fields.iter().map(line).collect::<Vec<_>>().join("\n")
}
