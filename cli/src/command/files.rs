//! `lake files`: the data files of a table.

use std::collections::{BTreeMap, HashSet};

use lake_format::action::Add;
use lake_format::schema::mapping::logical_path;
use lake_format::{ScanRequest, Snapshot};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, bytes, count, parse_json, time};

/// List the data files of a table
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake files ./trips
  lake files ./trips@v3 --format ndjson
  lake files ./trips --where \"day = '2026-01-31' AND total > 100\"

With --where only the files are listed that a scan for such rows would read. The statistics of
each file are shown in every format but table.")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for an older version
    pub table: String,

    /// Condition on rows, as in SQL: list the files that may hold such rows
    #[arg(long = "where", short = 'w', value_name = "CONDITION")]
    pub condition: Option<String>,
}

/// Runs `lake files`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.reference(&args.table)?;
    let snapshot = context.snapshot(&reference).await?;
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
    let total = files.len();
    if let Some(condition) = &args.condition {
        let condition = context.session()?.condition(&reference, condition).await?;
        let request = ScanRequest { predicate: Some(condition.predicate), ..ScanRequest::default() };
        let plan = snapshot.plan_scan(&request).await?;
        let wanted: HashSet<&str> = plan.files.iter().map(|file| file.path()).collect();
        files.retain(|add| wanted.contains(add.path.as_str()));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.iter().for_each(|add| listing.push(row(&snapshot, add)));
    context.output().listing(&listing)?;
    let size_bytes = files.iter().fold(0, |sum: u64, add| sum.saturating_add(u64::try_from(add.size).unwrap_or(0)));
    let of = if args.condition.is_some() { format!(" of {total}") } else { String::new() };
    context.output().say(format_args!("{}{of}, {}", count(listing.len() as u64, "file"), bytes(size_bytes)));
    Ok(())
}

fn row(snapshot: &Snapshot, add: &Add) -> Vec<Value> {
    let named = |(key, value): (&String, &Option<String>)| {
        let path = logical_path(snapshot.schema(), snapshot.mapping(), std::slice::from_ref(key));
        let name = path.and_then(|path| path.into_iter().next()).unwrap_or_else(|| key.clone());
        (name, value.clone())
    };
    let partition: BTreeMap<String, Option<String>> = add.partition_values.iter().map(named).collect();
    let rows = add.live_records();
    vec![
        Value::from(add.path.clone()),
        Value::from(add.size),
        Value::from(rows),
        json!(partition),
        Value::from(time(add.modification_time)),
        add.stats.as_deref().map_or(Value::Null, parse_json),
    ]
}
