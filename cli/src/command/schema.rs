//! `lake schema`: the columns of a table.

use lake_format::schema::write_schema;
use serde_json::{Value, json};

use crate::args::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing};

/// List the columns of a table; as JSON, the schema in Delta's own form
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake schema ./trips
  lake schema ./trips@v0 --format json > schema.json
  lake create ./copy --schema-file schema.json")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for an older version
    pub table: String,
}

/// Runs `lake schema`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let snapshot = context.snapshot(&context.reference(&args.table)?).await?;
    if context.output().format() == Format::Json {
        return context.output().raw(&(write_schema(snapshot.schema()) + "\n"));
    }
    let columns = [
        ("name", Kind::Text),
        ("type", Kind::Text),
        ("nullable", Kind::Flag),
        ("partition", Kind::Flag),
        ("metadata", Kind::Json),
    ];
    let any_metadata = snapshot.schema().fields.iter().any(|field| !field.metadata.is_empty());
    let mut listing = Listing::new(&columns).hiding(if any_metadata { &[] } else { &["metadata"] });
    for field in &snapshot.schema().fields {
        listing.push(vec![
            Value::from(field.name.clone()),
            Value::from(field.data_type.to_string()),
            Value::from(field.nullable),
            Value::from(snapshot.partition_columns().contains(&field.name)),
            json!(field.metadata),
        ]);
    }
    context.output().listing(&listing)
}
