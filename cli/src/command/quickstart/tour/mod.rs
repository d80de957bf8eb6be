//! The quickstart's walk, chapter by chapter. Every count it shows is checked against what the generator promised.

mod build;
mod commands;
mod finish;
mod use_it;

use std::path::Path;

use lake_catalog_api::Layer;
use lake_format::{Error, Result};

use super::Args;
use super::files::{self, RawFiles};
use super::folder::Folder;
use super::generate::{Expected, Orders};
use super::house::{House, SERVER_DIR};
use super::model::{self, Script, TABLES, TableSpec};
use super::story::{Story, number};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{bytes, duration};
use commands::Commands;

/// Smallest size that files of the table of orders are cut at.
const LEAST_FILE_BYTES: u64 = 16 << 10;
/// Bytes that a row of it takes, about, and the number of files that it should have.
const ORDER_BYTES: u64 = 24;
const ORDER_FILES: u64 = 16;

/// One walk.
pub struct Tour<'a> {
    args: &'a Args,
    folder: &'a Folder,
    house: &'a House,
    context: &'a Context,
    story: Story<'a>,
    commands: Commands,
    orders: Orders,
    expected: Expected,
    started_ms: i64,
}

impl<'a> Tour<'a> {
    /// A walk that has not begun.
    pub fn new(args: &'a Args, folder: &'a Folder, house: &'a House, context: &'a Context) -> Self {
        Self {
            args,
            folder,
            house,
            context,
            story: Story::new(context.output()),
            commands: Commands::new(args, house, context),
            orders: Orders::new(args.rows),
            expected: Expected::of(args.rows),
            started_ms: context.clock().now_ms(),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// `Internal` when a count is not what it must be, and whatever the steps can end in.
    pub async fn run(mut self) -> Result<(), CliError> {
        self.begin().await?;
        let raw = self.generate().await?;
        self.bronze(&raw).await?;
        let first_load = self.silver(&raw).await?;
        self.gold().await?;
        self.refuse_bad_batch().await?;
        self.add_column().await?;
        self.travel_in_time(first_load).await?;
        self.zorder().await?;
        self.vacuum().await?;
        self.reconcile().await?;
        self.next_steps().await
    }

    async fn begin(&mut self) -> Result<(), CliError> {
        match self.house.warehouse() {
            Some(warehouse) => {
                self.story.chapter("A lakehouse with nothing set up")?;
                self.story.command(self.commands.serve())?;
                self.story.line(format_args!("the catalog server answers at {}", self.house.url()))?;
                self.story.line(format_args!("its records are in {}", self.folder.path(SERVER_DIR).display()))?;
                self.story.line(format_args!("its tables are in {warehouse}"))?;
            }
            None => self.story.chapter(format_args!("The lakehouse at {}", self.house.url()))?,
        }
        self.story.line("the catalog `lake` has the schemas bronze (append-only), silver (rules) and gold (owners)")?;
        let dropped = self.house.clear().await?;
        if dropped > 0 {
            self.story
                .line(format_args!("the {dropped} tables of an earlier quickstart are dropped; they are made anew"))?;
        }
        Ok(())
    }

    async fn generate(&mut self) -> Result<RawFiles, CliError> {
        let rows = self.args.rows;
        self.story.chapter(format_args!("Raw data: {} customers, products and orders", number(rows)))?;
        let started_ms = self.context.clock().now_ms();
        let dir = self.folder.path("data");
        let raw = tokio::task::spawn_blocking(move || files::write(&dir, rows))
            .await
            .map_err(|e| Error::internal("writing the raw files was cut short").with_source(e))??;
        for script in model::scripts() {
            self.folder.write(&format!("sql/{}", script.name), script.sql)?;
        }
        let orders = raw.first_orders.parent().unwrap_or(Path::new("")).join("orders-*");
        let file = |path: &Path| path.display().to_string();
        let mut table = vec![["file", "rows", "copies", "corrupt", "nulls"].map(str::to_owned)];
        for (name, counts) in [
            (file(&raw.customers), &self.expected.customers),
            (file(&raw.products), &self.expected.products),
            (format!("{}/*.parquet", orders.display()), &self.expected.orders.table),
        ] {
            let nulls: u64 = counts.nulls.values().sum();
            table.push([
                name,
                number(counts.generated),
                number(counts.duplicates),
                number(counts.rejects()),
                number(nulls),
            ]);
        }
        self.story.table(&table)?;
        let OrderShares { hot, keen } = OrderShares::of(&self.expected);
        self.story.line(format_args!(
            "of the good orders {hot} % are for one product and {keen} % are placed by a fifth of the customers; {} came \
             late",
            number(self.expected.orders.late)
        ))?;
        self.story.line(format_args!("{} in {}", bytes(raw.size_bytes), self.since(started_ms)))?;
        Ok(raw)
    }

    /// Makes all tables of a layer.
    async fn create_tables(&mut self, layer: Layer, shown: &str) -> Result<(), CliError> {
        for spec in TABLES.iter().filter(|spec| spec.layer == layer) {
            let properties = self.properties(spec);
            self.house.create(spec, &properties).await?;
            let contract = match spec.contract()? {
                Some(contract) => {
                    let text = serde_json::to_string_pretty(&contract)
                        .map_err(|e| Error::internal("a contract can't be written as JSON").with_source(e))?;
                    Some(self.folder.write(&format!("contracts/{}.json", spec.name), &text)?)
                }
                None => None,
            };
            let command = self.commands.create(spec, &properties, contract.as_deref());
            if spec.name == shown {
                self.story.command(command)?;
            }
        }
        if layer == Layer::Bronze {
            self.story.line("the other tables are made alike; every command ends up in a script")?;
        }
        Ok(())
    }

    /// Properties of the Delta table.
    fn properties(&self, spec: &TableSpec) -> Vec<(String, String)> {
        if spec.full_name() != "lake.silver.orders" {
            return Vec::new();
        }
        // So that a table this small has several files, and there is something to skip.
        let file_bytes = (self.args.rows * ORDER_BYTES / ORDER_FILES).max(LEAST_FILE_BYTES);
        vec![("delta.targetFileSize".to_owned(), file_bytes.to_string())]
    }

    /// Runs a script that writes, and tells the command for it.
    async fn run_script(&mut self, script: Script, table: &str) -> Result<lake_format::WriteReport, CliError> {
        let path = self.folder.path("sql").join(script.name);
        let command = self.commands.sql_file(&path);
        self.story.command(command)?;
        self.house.write(script.sql, table).await
    }

    fn since(&self, started_ms: i64) -> String {
        duration(self.context.clock().now_ms() - started_ms)
    }
}

/// Per cent of the accepted orders.
struct OrderShares {
    hot: u64,
    keen: u64,
}

impl OrderShares {
    fn of(expected: &Expected) -> Self {
        let accepted = expected.orders.table.accepted.max(1);
        let share = |count: u64| (count * 100 + accepted / 2) / accepted;
        Self { hot: share(expected.orders.of_hot_product), keen: share(expected.orders.of_keen_customers) }
    }
}

/// Fails when a count is not what the generator promised.
fn check(what: &str, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::internal(format!("the quickstart counted {} {what} where {} must be", number(found), number(expected))))
}
