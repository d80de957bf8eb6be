//! `lake alter`: columns and properties of a table change, its rows do not.

use std::collections::BTreeMap;

use lake_format::schema::parse_declaration;

use super::report;
use crate::args::parse_assignment;
use crate::context::Context;
use crate::error::CliError;

/// Add columns to a table, or set and remove its properties
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  lake alter ./trips --add-column \"tip decimal(10,2)\"
  lake alter ./trips --set delta.appendOnly=true --unset comment

A column that is added is null in the rows that are there.",
    group = clap::ArgGroup::new("change").required(true).multiple(true).args(["add_column", "set", "unset"])
)]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// Column to add, as "tip decimal(10,2)"; may be given several times
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["set", "unset"])]
    pub add_column: Vec<String>,

    /// Property to set; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_assignment)]
    pub set: Vec<(String, String)>,

    /// Property to remove; may be given several times
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
}

/// Runs `lake alter`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.writable(&args.table)?;
    let outcome = if args.add_column.is_empty() {
        let set = args.set.into_iter().map(|(key, value)| (key, Some(value)));
        let changes: BTreeMap<String, Option<String>> =
            set.chain(args.unset.into_iter().map(|key| (key, None))).collect();
        context.table(&reference).await?.set_properties(&changes).await?
    } else {
        let columns = parse_declaration(&args.add_column.join(", "))?;
        context.table(&reference).await?.add_columns(columns.fields).await?
    };
    let report = report::settled(outcome, &args.table)?;
    context.output().say(format_args!("{} is altered, version {}", args.table, report.version));
    report::print(context, &report, None)
}
