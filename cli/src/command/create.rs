//! `lake create`: a new, empty table.

use std::path::{Path, PathBuf};

use lake_catalog_api::Contract;
use lake_format::schema::{StructType, parse_declaration, parse_schema};
use lake_format::{CreateOptions, Error, ErrorKind, Result};
use lake_query::Place;

use super::import::columns_of_file;
use super::report;
use crate::args::{TableProfile, parse_assignment};
use crate::context::{Context, Governance};
use crate::error::CliError;

/// Bytes of a schema or contract file, at most.
const JSON_BYTES: u64 = 16 << 20;

/// Create an empty table
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  lake create ./trips --schema \"id long not null, city string, total decimal(10,2), day date\" --partition-by day
  lake create bronze.orders --like orders.csv
  lake create ./copy --schema-file schema.json
  lake create gold.daily --schema \"day date, total double\" --owner sales@example.com --upstream silver.orders

Types: string, long, integer, short, byte, float, double, decimal(p,s), boolean, binary, date,
timestamp, timestamp_ntz, array<T>, map<K,V>, struct<name:T,...>, and SQL's usual names for them.",
    group = clap::ArgGroup::new("columns").required(true).args(["schema", "schema_file", "like"])
)]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// Columns, as "id long not null, name string"
    #[arg(long, value_name = "COLUMNS")]
    pub schema: Option<String>,

    /// File with a Delta schema in JSON, as `lake schema --format json` prints it
    #[arg(long, value_name = "FILE")]
    pub schema_file: Option<PathBuf>,

    /// Take the columns of a CSV, JSON-lines, Parquet, Avro or Arrow file
    #[arg(long, value_name = "FILE")]
    pub like: Option<String>,

    /// Partition columns, in order
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub partition_by: Vec<String>,

    /// Table property; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_assignment)]
    pub property: Vec<(String, String)>,

    /// Features of the table: those that everybody reads, or the newest; also written --profile
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub table_profile: Option<TableProfile>,

    /// What the table is, in words
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// Do nothing when the table is there already
    #[arg(long)]
    pub if_not_exists: bool,

    /// In a catalog: who answers for the table
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,

    /// In a catalog: a table that this one is made from; may be given several times
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub upstream: Vec<String>,

    /// In a catalog: file with what commits to the table must keep, in JSON
    #[arg(long, value_name = "FILE")]
    pub contract: Option<PathBuf>,
}

/// Runs `lake create`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let reference = context.writable(&args.table)?;
    let profile = super::profile_for(args.table_profile, &reference.place)?;
    let governance = Governance {
        owner: args.owner.clone(),
        upstreams: args.upstream.clone(),
        contract: args.contract.as_deref().map(read_contract).transpose()?,
    };
    if matches!(reference.place, Place::Location(_)) && governance != Governance::default() {
        return Err(Error::invalid("--owner, --upstream and --contract belong to a table of a catalog")
            .with_object(args.table)
            .with_hint("create it by its name, as schema.table, or leave them out")
            .into());
    }
    let options = CreateOptions {
        schema: columns(&args, context).await?,
        partition_columns: args.partition_by.clone(),
        properties: args.property.iter().cloned().collect(),
        description: args.description.clone(),
        profile,
        ..CreateOptions::default()
    };
    let created = context.resolver().create_empty(&reference.place, options, governance).await;
    let outcome = match created {
        Err(error) if args.if_not_exists && error.kind() == ErrorKind::AlreadyExists => {
            // There may be something else at that place.
            context.table(&reference).await?;
            context.output().say(format_args!("{} is there already: nothing was written", args.table));
            return Ok(());
        }
        other => other?,
    };
    let report = report::settled(outcome, &args.table)?;
    context.output().say(format_args!("{} is created", args.table));
    report::print(context, &report, None)
}

async fn columns(args: &Args, context: &Context) -> Result<StructType> {
    match (&args.schema, &args.schema_file, &args.like) {
        (Some(declaration), ..) => parse_declaration(declaration),
        (_, Some(path), _) => {
            let text = read_text(path)?;
            // What a user brings is wrong input, not a damaged table.
            parse_schema(&text).map_err(|error| match error.kind() {
                ErrorKind::Corrupt => Error::invalid(error.message()).with_object(path.display().to_string()),
                _ => error,
            })
        }
        (_, _, Some(file)) => columns_of_file(file, context).await,
        _ => Err(Error::invalid("a table needs columns").with_hint("declare them with --schema")),
    }
}

/// The contract in a file.
///
/// # Errors
/// `Invalid` with the place in the file.
pub fn read_contract(path: &Path) -> Result<Contract> {
    serde_json::from_str(&read_text(path)?).map_err(|error| {
        Error::invalid("the file holds no contract")
            .with_object(path.display().to_string())
            .with_hint(r#"a contract looks like {"columns":[{"name":"id","type":"long","nullable":false,"min":1}]}"#)
            .with_source(error)
    })
}

fn read_text(path: &Path) -> Result<String> {
    let named = |error: Error| error.with_object(path.display().to_string());
    let size = std::fs::metadata(path).map_err(|error| named(error.into()))?.len();
    if size > JSON_BYTES {
        return Err(named(Error::invalid("the file is larger than 16 MiB")));
    }
    let bytes = std::fs::read(path).map_err(|error| named(error.into()))?;
    String::from_utf8(bytes).map_err(|_| named(Error::invalid("the file is not UTF-8")))
}
