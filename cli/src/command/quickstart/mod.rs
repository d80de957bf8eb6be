//! `lake quickstart`: from nothing to gold tables, and what one does with them.

mod checksum;
mod files;
mod folder;
mod generate;
mod house;
mod model;
mod story;
mod tour;

use std::path::PathBuf;

use crate::context::{CatalogAccess, Context};
use crate::error::CliError;
use folder::Folder;
use house::{House, SERVER_DIR};
use tour::Tour;

/// Rows of each kind when it is told nothing.
const DEFAULT_ROWS: u64 = 100_000;
/// Folder when it is told nothing.
const DEFAULT_DIR: &str = "./lake-quickstart";

/// See a whole lakehouse at work: raw files, bronze, silver, gold, and what one does with them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake quickstart
  lake quickstart --rows 1000 --dir /tmp/lakehouse
  lake --profile local quickstart
  lake quickstart --warehouse s3://bucket/quickstart --endpoint http://127.0.0.1:9000

It starts a catalog server on a folder, makes customers, products and orders of which it knows
every flaw, imports them, cleans them, adds them up, and checks all counts. With --catalog or
--profile it works on the server named there instead. The tables of an earlier run are made anew;
nothing else is touched.")]
pub struct Args {
    /// Rows of each of customers, products and orders
    #[arg(long, value_name = "ROWS", default_value_t = DEFAULT_ROWS, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: u64,

    /// Folder for the raw files, and for the server and its tables
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    dir: PathBuf,

    /// Where the tables go, a directory or s3://bucket/prefix [default: below the folder]
    #[arg(long, value_name = "LOCATION")]
    warehouse: Option<String>,

    /// Keep the server running at the end, until Ctrl-C
    #[arg(long)]
    keep_serving: bool,
}

/// Runs `lake quickstart`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let folder = Folder::take(&args.dir)?;
    let house = match named_catalog(&args, context) {
        Some(access) => House::connect(&access, context).await?,
        None => House::start(&folder.path(SERVER_DIR), args.warehouse.as_deref(), context).await?,
    };
    let told = Tour::new(&args, &folder, &house, context).run().await;
    let keeps_serving = told.is_ok() && args.keep_serving && house.warehouse().is_some();
    if keeps_serving {
        context.output().say(format_args!("\nthe server answers at {} until Ctrl-C", house.url()));
        let _ = tokio::signal::ctrl_c().await;
    }
    let stopped = house.stop().await;
    told?;
    Ok(stopped?)
}

/// The server to work on, when one was named for this run. One that a login left in the default profile is not: nobody
/// who tries things out means that.
fn named_catalog(args: &Args, context: &Context) -> Option<CatalogAccess> {
    let settings = context.settings();
    let from_login = settings.own_catalog && settings.profile_name.is_none();
    settings.catalog.clone().filter(|_| args.warehouse.is_none() && !from_login)
}
