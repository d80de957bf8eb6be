//! `lake scan`: rows of one table.

use std::path::PathBuf;

use lake_format::Error;
use lake_format::schema::StructType;

use super::sql;
use crate::context::Context;
use crate::error::CliError;

/// Print the rows of a table
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake scan ./trips --limit 10
  lake scan ./trips@v3 --columns id,total --where \"total > 100 AND city = 'Rome'\"
  lake scan s3://bucket/trips -o trips.parquet")]
pub struct Args {
    /// Path, URL or catalog name; @v3 or @2026-01-31 behind it for an older version
    pub table: String,

    /// Columns, all when not given
    #[arg(long, short = 'c', value_name = "COLUMNS", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// Condition, as in SQL
    #[arg(long = "where", short = 'w', value_name = "CONDITION")]
    pub condition: Option<String>,

    /// Rows to print, at most
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub limit: Option<u64>,

    /// Write the rows to a file, in the format of its name unless --format says otherwise
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `lake scan`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.reference(&args.table)?;
    let mut args = args;
    if !args.columns.is_empty() {
        let snapshot = context.snapshot(&reference).await?;
        for name in &mut args.columns {
            *name = spelt(snapshot.schema(), name.trim())?;
        }
    }
    let sql = statement(&reference.to_string(), &args);
    sql::answer(&context.ordered_session()?, &sql, args.output.as_deref(), context).await
}

/// The column as the table spells it.
fn spelt(schema: &StructType, name: &str) -> Result<String, Error> {
    schema.field(name).map(|field| field.name.clone()).ok_or_else(|| {
        let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        Error::invalid("the table has no such column")
            .with_object(name.to_owned())
            .with_hint(format!("the columns are {}", known.join(", ")))
    })
}

fn statement(table: &str, args: &Args) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = args.columns.iter().map(|name| quoted(name)).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    let mut sql = format!("SELECT {columns} FROM {}", quoted(table));
    if let Some(condition) = &args.condition {
        // The line feed ends a comment in the condition.
        sql += &format!(" WHERE ({condition}\n)");
    }
    if let Some(limit) = args.limit {
        sql += &format!(" LIMIT {limit}");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_a_comment_ends() {
        let args = Args {
            table: String::new(),
            columns: vec!["a".to_owned(), "b\"c".to_owned()],
            condition: Some("a > 1 -- all".to_owned()),
            limit: Some(3),
            output: None,
        };
        let expected = "SELECT \"a\", \"b\"\"c\" FROM \"./x\"\"y@v3\" WHERE (a > 1 -- all\n) LIMIT 3";
        assert_eq!(statement("./x\"y@v3", &args), expected);
    }
}
