//! `lake update`: rows of a table get other values.

use super::sql;
use crate::context::Context;
use crate::error::CliError;

/// Give the rows of a table that a condition holds for other values
#[derive(Debug, clap::Args)]
#[command(after_help = "The rows leave their files as by lake delete, and come back with the new values in new files.

Examples:
  lake update ./trips --set \"total = total * 1.1\" --set \"city = upper(city)\" --where \"id < 100\"
  lake update bronze.orders --set \"state = 'late'\" --all")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// A column and its new value, as in SQL: column = expression. May be given several times
    #[arg(long, short = 's', value_name = "COLUMN = VALUE", required = true)]
    pub set: Vec<String>,

    /// Condition, as in SQL
    #[arg(
        long = "where",
        short = 'w',
        value_name = "CONDITION",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub condition: Option<String>,

    /// Update all rows
    #[arg(long)]
    pub all: bool,
}

/// Runs `lake update`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let table = sql::quoted(&context.reference(&args.table)?.to_string());
    // The line feeds end comments.
    let set = args.set.join("\n, ");
    let statement = match &args.condition {
        Some(condition) => format!("UPDATE {table} SET {set}\n WHERE ({condition}\n)"),
        None => format!("UPDATE {table} SET {set}"),
    };
    sql::answer(&context.session()?, &statement, None, context).await
}
