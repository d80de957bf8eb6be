//! `lake log`: what happened to a table, and what became of a commit.

use lake_format::At;
use lake_format::snapshot::HistoryEntry;
use serde_json::{Value, json};

use super::commit;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, time};

/// List the versions of a table, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake log ./trips --limit 5
  lake log bronze.orders@v12
  lake log s3://bucket/trips --format ndjson

What became of a commit whose outcome was unknown is told by `lake commit status`.")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for the versions up to that one
    pub table: String,

    /// Versions to list
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// The same as `lake commit status`
    #[arg(long, value_name = "TOKEN", conflicts_with = "limit", hide = true)]
    pub settle: Option<String>,
}

/// Runs `lake log`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.reference(&args.table)?;
    let table = context.table(&reference).await?;
    if let Some(token) = &args.settle {
        return commit::status(table.snapshot().root(), &args.table, token, context).await;
    }
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let entries = match reference.at {
        At::Latest => table.history(limit).await?,
        at => {
            let newest = table.at(at).await?.version();
            let all = table.history(usize::MAX).await?;
            all.into_iter().filter(|entry| entry.version <= newest).take(limit).collect()
        }
    };
    let mut listing = Listing::new(&[
        ("version", Kind::Number),
        ("timestamp", Kind::Text),
        ("operation", Kind::Text),
        ("files_added", Kind::Number),
        ("files_removed", Kind::Number),
        ("rows", Kind::Number),
        ("user", Kind::Text),
        ("parameters", Kind::Json),
        ("metrics", Kind::Json),
        ("engine", Kind::Text),
        ("txn_id", Kind::Text),
    ])
    .hiding(if entries.iter().any(|entry| user(entry).is_some()) {
        &["metrics", "txn_id"]
    } else {
        &["user", "metrics", "txn_id"]
    });
    entries.iter().for_each(|entry| listing.push(row(entry)));
    context.output().listing(&listing)
}

/// Who committed, as far as the writer said.
fn user(entry: &HistoryEntry) -> Option<&str> {
    let named = |key: &str| entry.info.other.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    named("userName").or_else(|| named("userId"))
}

fn row(entry: &HistoryEntry) -> Vec<Value> {
    let info = &entry.info;
    let metrics = info.operation_metrics.clone().unwrap_or_default();
    // Writers give counts as text or as numbers.
    let rows = metrics.get("numOutputRows").and_then(|value| match value {
        Value::String(text) => text.parse::<u64>().ok(),
        other => other.as_u64(),
    });
    vec![
        Value::from(entry.version),
        Value::from(time(entry.timestamp_ms)),
        Value::from(info.operation.clone()),
        Value::from(entry.files_added),
        Value::from(entry.files_removed),
        Value::from(rows),
        Value::from(user(entry)),
        json!(info.operation_parameters.clone().unwrap_or_default()),
        json!(metrics),
        Value::from(info.engine_info.clone()),
        Value::from(info.txn_id.clone()),
    ]
}
