//! `lake fsck`: whether a table is whole.

use lake_format::Error;
use lake_format::operation::{CheckOptions, CheckReport, Severity, check};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, bytes, count, duration};

/// Check whether a table is whole: log, checkpoints, data files, statistics; nothing is changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake fsck ./trips
  lake fsck s3://bucket/trips --deep --format json
  lake fsck ./trips --list --format csv

Every commit, checkpoint and checksum is read and compared with the others; every data file must
be there, as large as the log says, and readable, with the rows that its statistics tell of. With
--deep all rows are read, and the statistics must enclose them. Exit code 0: whole, though there
may be notes and warnings; 7: damaged.")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// Read the rows of all files and compare them with the statistics
    #[arg(long)]
    pub deep: bool,

    /// List the findings, a row each
    #[arg(long)]
    pub list: bool,
}

/// Runs `lake fsck`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let started_ms = context.clock().now_ms();
    let reference = context.writable(&args.table)?;
    let root = context.resolver().root(&reference.place).await?;
    let report = check(&root, context.clock(), CheckOptions { deep: args.deep }).await?;
    match args.list {
        true => context.output().listing(&listing(&report))?,
        false => context.output().object(&object(&args.table, &report))?,
    }
    context.output().say(format_args!(
        "{} and {} checked in {}",
        count(report.commits, "commit"),
        count(report.files, "file"),
        duration(context.clock().now_ms() - started_ms)
    ));
    match report.damages() {
        0 => Ok(()),
        damages => Err(Error::corrupt(format!("the table is damaged: {}", count(damages as u64, "finding")))
            .with_object(args.table)
            .with_hint("nothing was changed; bring back what is missing from a copy of the bucket")
            .into()),
    }
}

fn rows(report: &CheckReport) -> impl Iterator<Item = Vec<Value>> {
    report.findings.iter().map(|finding| {
        vec![json!(finding.severity.as_str()), json!(finding.check), json!(finding.object), json!(finding.message)]
    })
}

fn listing(report: &CheckReport) -> Listing {
    let columns = [("severity", Kind::Text), ("check", Kind::Text), ("object", Kind::Text), ("message", Kind::Text)];
    let mut listing = Listing::new(&columns);
    rows(report).for_each(|row| listing.push(row));
    listing
}

fn object(table: &str, report: &CheckReport) -> Object {
    let verdict = match report.findings.first().map(|finding| finding.severity) {
        Some(Severity::Damage) => "damaged",
        Some(Severity::Warning) => "whole, with warnings",
        Some(Severity::Note) | None => "whole",
    };
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let severity = finding.severity.as_str();
            json!({ "severity": severity, "check": finding.check, "object": finding.object, "message": finding.message })
        })
        .collect();
    let lines: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            let (severity, check) = (finding.severity.as_str(), finding.check);
            format!("{severity}: {check}: {} ({})", finding.message, finding.object)
        })
        .collect();
    Object::new()
        .with("table", Kind::Text, table)
        .with("verdict", Kind::Text, verdict)
        .with("damaged", Kind::Flag, report.damages() > 0)
        .with("version", Kind::Number, report.version)
        .with("commits", Kind::Number, report.commits)
        .with("checkpoints", Kind::Number, report.checkpoints)
        .with("checksums", Kind::Number, report.checksums)
        .with("files", Kind::Number, report.files)
        .with("rows_read", Kind::Number, report.rows_read)
        .with("extra_files", Kind::Number, report.extra_files)
        .with_shown("extra_bytes", Kind::Number, report.extra_bytes, bytes(report.extra_bytes))
        .with_shown(
            "findings",
            Kind::Json,
            findings,
            if lines.is_empty() { "none".to_owned() } else { lines.join("\n") },
        )
}
