//! `lake log`: what happened to a table, and what became of a commit.

use lake_format::operation::{Settlement, settle};
use lake_format::snapshot::HistoryEntry;
use lake_format::{At, Error};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, time};

/// List the versions of a table, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake log ./trips --limit 5
  lake log bronze.orders@v12
  lake log ./trips --settle v12-0190b6a2-…

With --settle the outcome of a commit that ended as unknown is looked up by its token: the version that it became, or
exit code 4 while it is not in the log.")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for the versions up to that one
    pub table: String,

    /// Versions to list
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// Find out what became of a commit whose outcome was unknown
    #[arg(long, value_name = "TOKEN", conflicts_with = "limit")]
    pub settle: Option<String>,
}

/// Runs `lake log`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.reference(&args.table)?;
    let table = context.table(&reference).await?;
    if let Some(token) = &args.settle {
        return match settle(table.snapshot().root(), token).await? {
            Settlement::Landed(version) => {
                let object =
                    Object::new().with("version", Kind::Number, version).with("token", Kind::Text, token.clone());
                context.output().object(&object)
            }
            Settlement::Never => Err(Error::not_found("the commit is not in the log and never will be")
                .with_object(token.clone())
                .with_hint("another commit took its version; write again")
                .into()),
            Settlement::Open => Err(Error::not_found("the commit is not in the log, but may still appear")
                .with_object(token.clone())
                .with_hint("ask again; the next commit of any writer to the table decides")
                .into()),
            Settlement::Forgotten => {
                Err(Error::not_found("log clean-up has removed the version that the commit wanted")
                    .with_object(token.clone())
                    .with_hint("look for its rows in the table before writing again")
                    .into())
            }
        };
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
        ("parameters", Kind::Json),
        ("metrics", Kind::Json),
        ("engine", Kind::Text),
        ("txn_id", Kind::Text),
    ])
    .hiding(&["metrics", "txn_id"]);
    entries.iter().for_each(|entry| listing.push(row(entry)));
    context.output().listing(&listing)
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
        json!(info.operation_parameters.clone().unwrap_or_default()),
        json!(metrics),
        Value::from(info.engine_info.clone()),
        Value::from(info.txn_id.clone()),
    ]
}
