//! `lake vacuum`: files that no version within the retention needs are deleted.

use lake_compaction::{VacuumOptions, VacuumReport, vacuum};
use lake_format::Error;
use serde_json::{Value, json};

use crate::args::{Format, parse_duration_ms};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, bytes, count, duration};

/// Delete the files that no version within the retention needs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake vacuum ./trips --dry-run
  lake vacuum bronze.orders
  lake vacuum ./trips --retention \"30 days\"

Versions older than the retention can't be read afterwards. A retention below 7 days, or below the
table's own (delta.deletedFileRetentionDuration), could delete what a running query or writer
needs: it is refused without --allow-unsafe-retention.")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// How long files are kept that no newer version needs, as "7 days" or 168h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_ms)]
    pub retention: Option<i64>,

    /// List what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Allow a retention below 7 days, or below the table's own; nobody may be reading or writing the table
    #[arg(long)]
    pub allow_unsafe_retention: bool,
}

/// Runs `lake vacuum`: lists what goes, then deletes it.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.writable(&args.table)?;
    if !args.dry_run {
        // No commit asks the server: without this a token to read would be enough to delete.
        context.resolver().demand_write(&reference.place).await?;
    }
    let table = context.table(&reference).await?;
    let mut options = VacuumOptions {
        retention_ms: args.retention,
        dry_run: true,
        allow_unsafe_retention: args.allow_unsafe_retention,
    };
    let planned = vacuum(table.snapshot(), &options).await?;
    let retention = duration(planned.retention_ms);
    let as_object = context.output().format() == Format::Json;
    if !as_object {
        list(&planned, context)?;
    }
    let size = bytes(planned.files.iter().map(|file| file.size_bytes).sum());
    let files = count(planned.files.len() as u64, "file");
    if args.dry_run || planned.files.is_empty() {
        context.output().say(match planned.files.len() {
            0 => format!("nothing to delete, retention {retention}"),
            _ => format!("{files} ({size}) would be deleted, retention {retention}"),
        });
        return if as_object { context.output().object(&object(&planned)) } else { Ok(()) };
    }
    context.output().say(format_args!("deleting {files} ({size}), retention {retention}"));
    options.dry_run = false;
    let report = vacuum(table.snapshot(), &options).await?;
    if as_object {
        context.output().object(&object(&report))?;
    }
    context.output().say(format_args!(
        "{} ({}) deleted",
        count(report.files_deleted, "file"),
        bytes(report.bytes_deleted)
    ));
    for failure in &report.failed {
        context.output().warn(format_args!("{} stays: {}", failure.path, failure.reason));
    }
    match report.failed.len() {
        0 => Ok(()),
        failed => Err(Error::unavailable(format!("{} could not be deleted", count(failed as u64, "file")))
            .with_object(args.table)
            .with_hint("the table is as it was; vacuum it again later")
            .into()),
    }
}

fn list(report: &VacuumReport, context: &Context) -> Result<(), CliError> {
    let mut listing = Listing::new(&[("path", Kind::Text), ("size_bytes", Kind::Number)]);
    for file in &report.files {
        listing.push(vec![Value::from(file.path.clone()), Value::from(file.size_bytes)]);
    }
    context.output().listing(&listing)
}

fn object(report: &VacuumReport) -> Object {
    let failed: Vec<Value> =
        report.failed.iter().map(|failure| json!({ "path": failure.path, "reason": failure.reason })).collect();
    let files: Vec<Value> =
        report.files.iter().map(|file| json!({ "path": file.path, "size_bytes": file.size_bytes })).collect();
    Object::new()
        .with("dry_run", Kind::Flag, report.dry_run)
        .with("retention_ms", Kind::Number, report.retention_ms)
        .with("files_deleted", Kind::Number, report.files_deleted)
        .with("bytes_deleted", Kind::Number, report.bytes_deleted)
        .with("files_kept", Kind::Json, json!(report.kept))
        .with("files_failed", Kind::Json, Value::from(failed))
        .with("files", Kind::Json, Value::from(files))
}
