//! `lake sql`: one statement over tables, by path or name.

use std::io::Read;
use std::path::{Path, PathBuf};

use lake_format::Error;
use lake_query::{Session, SqlAnswer};

use super::report;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{count, duration};

/// Bytes of a statement, at most.
const SQL_BYTES: u64 = 16 << 20;

/// Run one SQL statement
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake sql \"SELECT count(*) FROM './trips'\"
  lake sql \"SELECT * FROM bronze.orders VERSION AS OF 3 WHERE total > 100\" --format csv
  lake sql \"CREATE TABLE './daily' AS SELECT day, sum(total) AS total FROM bronze.orders GROUP BY day\"
  lake sql \"INSERT INTO gold.daily SELECT * FROM silver.daily\"
  lake sql --file report.sql -o report.parquet
  echo \"SELECT 1\" | lake sql -

A path is quoted ('./trips' or \"s3://bucket/trips\"); a name is not. SELECT, EXPLAIN, DESCRIBE,
CREATE TABLE (AS) and INSERT are run; other statements are refused by name.")]
pub struct Args {
    /// The statement, or - to read it from standard input
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,

    /// Read the statement from a file
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Write the rows to a file, in the format of its name unless --format says otherwise
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `lake sql`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let sql = statement(&args)?;
    answer(&context.session()?, &sql, args.output.as_deref(), context).await
}

/// A name as SQL quotes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs a statement and prints what it gives.
pub async fn answer(session: &Session, sql: &str, to: Option<&Path>, context: &Context) -> Result<(), CliError> {
    let started_ms = context.clock().now_ms();
    let answer = session.run(sql).await?;
    let elapsed = || duration(context.clock().now_ms() - started_ms);
    match answer {
        SqlAnswer::Rows { schema, stream } => {
            let rows = context.output().rows(schema, stream, to).await?;
            context.output().say(format_args!("{} in {}", count(rows, "row"), elapsed()));
            Ok(())
        }
        SqlAnswer::Written(outcome) => {
            let report = report::settled(outcome, "the statement's table")?;
            let gone = match report.rows_deleted {
                0 => String::new(),
                rows => format!("{} taken out, ", count(rows, "row")),
            };
            context.output().say(format_args!("{gone}{} written in {}", count(report.rows, "row"), elapsed()));
            report::print(context, &report, None)
        }
        SqlAnswer::Unchanged(why) => {
            context.output().say(why);
            Ok(())
        }
    }
}

fn statement(args: &Args) -> Result<String, CliError> {
    let mut text = Vec::new();
    match (&args.sql, &args.file) {
        (Some(sql), _) if sql != "-" => return Ok(sql.clone()),
        (_, Some(path)) => {
            let named = |error: std::io::Error| Error::from(error).with_object(path.display().to_string());
            std::fs::File::open(path).map_err(named)?.take(SQL_BYTES + 1).read_to_end(&mut text).map_err(named)?;
        }
        _ => {
            std::io::stdin().take(SQL_BYTES + 1).read_to_end(&mut text).map_err(Error::from)?;
        }
    }
    if text.len() as u64 > SQL_BYTES {
        return Err(Error::invalid("the statement is longer than 16 MiB").into());
    }
    Ok(String::from_utf8(text).map_err(|_| Error::invalid("the statement is not UTF-8"))?)
}
