//! `lake optimize`: few large files instead of many small ones, in an order that queries can skip by.

use lake_compaction::{OptimizeOptions, OptimizeOutcome, OptimizePolicy, optimize};

use crate::args::parse_size;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Object, bytes, count, duration};

/// Merge small files; with --zorder-by, order the rows so that queries can skip files
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake optimize ./trips
  lake optimize bronze.orders --zorder-by customer_id,day
  lake optimize ./trips --target-size 256MiB --dry-run

Rows stay as they are, and so do older versions. Files that are left behind are removed by `lake
vacuum`.")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// Columns to order by, up to four of equal weight
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub zorder_by: Vec<String>,

    /// Size that files should have [default: the table's delta.targetFileSize, or 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub target_size: Option<u64>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs `lake optimize`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let started_ms = context.clock().now_ms();
    let reference = context.writable(&args.table)?;
    let table = context.table(&reference).await?;
    let settings = context.settings();
    let options = OptimizeOptions {
        zorder_by: args.zorder_by.iter().map(|name| name.trim().to_owned()).collect(),
        policy: OptimizePolicy {
            target_file_size_bytes: args.target_size,
            memory_bytes: usize::try_from(settings.memory_bytes).unwrap_or(usize::MAX),
            ..OptimizePolicy::default()
        },
        dry_run: args.dry_run,
        spill_dir: settings.spill_dir.clone(),
    };
    let report = match optimize(table.snapshot(), table.committer().as_ref(), &options).await? {
        OptimizeOutcome::Done(report, _) => report,
        OptimizeOutcome::Unknown(unresolved) => return Err(CliError::unknown(args.table, unresolved)),
    };
    let elapsed = duration(context.clock().now_ms() - started_ms);
    let (added, removed) = (count(report.files_added, "file"), count(report.files_removed, "file"));
    let sizes = format!("{} -> {}", bytes(report.bytes_removed), bytes(report.bytes_added));
    context.output().say(match (report.version, args.dry_run) {
        (_, true) => format!("{removed} would be rewritten"),
        (None, _) => "nothing to do".to_owned(),
        (Some(version), _) => format!("{removed} became {added} ({sizes}) in {elapsed}, version {version}"),
    });
    let object = Object::new()
        .with("version", Kind::Number, report.version)
        .with("txn_id", Kind::Text, report.txn_id.map(|id| id.to_string()))
        .with("rows", Kind::Number, report.rows)
        .with("files_added", Kind::Number, report.files_added)
        .with("files_removed", Kind::Number, report.files_removed)
        .with("bytes_written", Kind::Number, report.bytes_added)
        .with("bytes_removed", Kind::Number, report.bytes_removed)
        .with("partitions", Kind::Number, report.partitions)
        .with("dry_run", Kind::Flag, args.dry_run);
    context.output().object(&object)
}
