//! `lake restore`: a table becomes what it was.

use lake_format::{At, Error};

use super::report;
use crate::args::parse_at;
use crate::context::Context;
use crate::error::CliError;

/// Make a table what it was at an older version, as a new version
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake restore ./trips --to v3
  lake restore ./trips --to 2026-01-31T08:00:00Z
  lake restore ./trips@v3

Nothing is lost: the versions in between stay, and can be restored in turn.")]
pub struct Args {
    /// Path, URL or catalog name; the version may stand behind it, as @v3
    pub table: String,

    /// Version (v3) or time (2026-01-31, 2026-01-31T08:00:00Z)
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
}

/// Runs `lake restore`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let mut reference = context.reference(&args.table)?;
    let to = match (reference.at, &args.to) {
        (At::Latest, Some(to)) => parse_at(to)?,
        (At::Latest, None) => {
            return Err(Error::invalid("restore needs a version").with_hint("say it with --to v3, or as @v3").into());
        }
        (at, None) => at,
        (_, Some(_)) => return Err(Error::invalid("the version is given twice, behind the table and with --to").into()),
    };
    reference.at = At::Latest;
    let outcome = context.table(&reference).await?.restore(to).await?;
    let report = report::settled(outcome, &args.table)?;
    context.output().say(format_args!("{} is restored, version {}", reference.place, report.version));
    report::print(context, &report, None)
}
