//! `lake delete`: rows of a table leave it.

use super::sql;
use crate::context::Context;
use crate::error::CliError;

/// Delete the rows of a table that a condition holds for
#[derive(Debug, clap::Args)]
#[command(after_help = "Files without another row leave whole. In other files the rows are marked as deleted where the
table has deletion vectors on (delta.enableDeletionVectors), else the rows that stay are written
again. Older versions keep the rows until a vacuum.

Examples:
  lake delete ./trips --where \"total < 0\"
  lake delete bronze.orders --where \"id IN (SELECT id FROM bronze.cancelled)\"
  lake delete ./trips --all")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// Condition, as in SQL
    #[arg(
        long = "where",
        short = 'w',
        value_name = "CONDITION",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub condition: Option<String>,

    /// Delete all rows
    #[arg(long)]
    pub all: bool,
}

/// Runs `lake delete`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let table = sql::quoted(&context.reference(&args.table)?.to_string());
    let statement = match &args.condition {
        Some(condition) => format!("DELETE FROM {table} WHERE ({condition}\n)"),
        None => format!("DELETE FROM {table}"),
    };
    sql::answer(&context.session()?, &statement, None, context).await
}
