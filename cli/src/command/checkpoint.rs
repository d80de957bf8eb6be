//! `lake checkpoint`: the state of a table in one file, so that readers need not begin with its first commit.

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Object, count};

/// Write a checkpoint of a table's newest version
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake checkpoint ./trips
  lake checkpoint s3://bucket/trips --format json

Readers start from the newest checkpoint instead of the first commit. It is read back before the
log points to it. Lake writes one by itself every delta.checkpointInterval commits; the table's
rows and versions stay as they are.")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,
}

/// Runs `lake checkpoint`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.writable(&args.table)?;
    context.resolver().demand_write(&reference.place).await?;
    let table = context.table(&reference).await?;
    let checkpointed = table.snapshot().write_checkpoint().await?;
    let files = checkpointed.files().await?.len();
    let (version, listed) = (checkpointed.version(), count(files as u64, "file"));
    context.output().say(format_args!("version {version} has a checkpoint, which lists {listed}"));
    let object = Object::new().with("version", Kind::Number, version).with("num_files", Kind::Number, files);
    context.output().object(&object)
}
