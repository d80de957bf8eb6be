//! `lake files`: the data files of a table.

use lake_format::action::Add;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, bytes, count, parse_json, time};

/// List the data files of a table
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake files ./trips
  lake files ./trips@v3 --format ndjson

The statistics of each file are shown in every format but table.")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for an older version
    pub table: String,
}

/// Runs `lake files`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let snapshot = context.snapshot(&context.reference(&args.table)?).await?;
    let partitioned = !snapshot.partition_columns().is_empty();
    let mut listing = Listing::new(&[
        ("path", Kind::Text),
        ("size_bytes", Kind::Number),
        ("rows", Kind::Number),
        ("partition", Kind::Json),
        ("modified", Kind::Text),
        ("stats", Kind::Json),
    ])
    .hiding(if partitioned { &["stats"] } else { &["stats", "partition"] });
    let live = snapshot.files().await?;
    let mut files: Vec<_> = live.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.iter().for_each(|add| listing.push(row(add)));
    context.output().listing(&listing)?;
    let size = bytes(live.size_bytes());
    context.output().say(format_args!("{}, {size}", count(listing.len() as u64, "file")));
    Ok(())
}

fn row(add: &Add) -> Vec<Value> {
    let rows = add.live_records();
    vec![
        Value::from(add.path.clone()),
        Value::from(add.size),
        Value::from(rows),
        json!(add.partition_values),
        Value::from(time(add.modification_time)),
        add.stats.as_deref().map_or(Value::Null, parse_json),
    ]
}
