//! The last chapters: the sums that must agree, checksums to compare two runs by, and what to try next.

use std::path::Path;

use lake_catalog_api::DEFAULT_LISTEN;
use lake_format::Error;
use serde_json::Value;

use super::super::generate::cents;
use super::super::model::TABLES;
use super::super::story::{number, shell};
use super::Tour;
use crate::args::Format;
use crate::error::CliError;
use crate::output::{Kind, Listing};

const GOLD: [&str; 3] = ["lake.gold.customer_lifetime_value", "lake.gold.product_performance", "lake.gold.daily_sales"];

impl Tour<'_> {
    /// Everything adds up, here and in any other run with as many rows.
    pub(super) async fn reconcile(&mut self) -> Result<(), CliError> {
        self.story.chapter("Does it add up?")?;
        let revenue = self.house.value("SELECT SUM(amount) FROM lake.silver.orders").await?;
        let promised = cents(self.expected.orders.revenue_cents);
        let mut sums = vec![("generated", promised.clone()), ("lake.silver.orders", revenue)];
        for table in GOLD {
            sums.push((table, self.house.value(&format!("SELECT SUM(revenue) FROM {table}")).await?));
        }
        let mut told = vec![["revenue in", "sum"].map(str::to_owned)];
        for (table, sum) in sums {
            if sum != promised {
                return Err(Error::internal(format!("the revenue in {table} is {sum}, not {promised}")).into());
            }
            told.push([table.to_owned(), sum]);
        }
        self.story.table(&told)?;
        self.story.line(format_args!(
            "any run with --rows {} gives these counts, sums and checksums, on a folder and on S3 alike:",
            self.args.rows
        ))?;
        let mut rows = vec![["table", "rows", "sum", "checksum"].map(str::to_owned)];
        let columns = [
            ("name", Kind::Text),
            ("version", Kind::Number),
            ("rows", Kind::Number),
            ("sum", Kind::Text),
            ("checksum", Kind::Text),
        ];
        let mut listing = Listing::new(&columns);
        for spec in TABLES {
            let name = spec.full_name();
            let version = self.house.table(&name).await?.snapshot().version();
            let checksum = self.house.checksum(&name).await?;
            let sum = match spec.measure {
                Some(measure) => Some(self.house.value(&format!("SELECT {measure} FROM {name}")).await?),
                None => None,
            };
            rows.push([
                name.clone(),
                number(checksum.rows),
                sum.clone().unwrap_or_else(|| "-".to_owned()),
                checksum.to_string(),
            ]);
            listing.push(vec![
                Value::from(name),
                Value::from(version),
                Value::from(checksum.rows),
                Value::from(sum),
                Value::from(checksum.to_string()),
            ]);
        }
        let output = self.context.output();
        if output.format() == Format::Table && !output.is_quiet() {
            return self.story.table(&rows);
        }
        output.listing(&listing)
    }

    /// Commands to go on with.
    pub(super) async fn next_steps(&mut self) -> Result<(), CliError> {
        let script = self.folder.write("commands.sh", &self.commands.script())?;
        self.story.chapter(format_args!("Done in {}. What to try next", self.since(self.started_ms)))?;
        let say = |line: &str| self.story.line(line);
        let tell = |command: &str| self.story.command(command);
        if let Some(program) = program_to_alias() {
            say("this shell does not know `lake` yet:")?;
            tell(&format!("alias lake={}", shell(&program)))?;
        }
        if let Some(token_file) = self.house.token_file() {
            let mut url = format!("http://{DEFAULT_LISTEN}");
            if self.args.keep_serving {
                say("the server keeps running; in a second shell say where it is:")?;
                self.house.url().clone_into(&mut url);
            } else {
                say("start the server on the same folder, and in a second shell say where it is:")?;
                tell(self.commands.serve())?;
            }
            let token = shell(&token_file.display().to_string());
            tell(&format!("export LAKE_CATALOG={url} LAKE_TOKEN=\"$(cat {token})\""))?;
        }
        say("ask, look around, and go back in time:")?;
        for arguments in [
            "sql \"SELECT name, orders, revenue FROM gold.product_performance ORDER BY revenue DESC LIMIT 5\"",
            "tables",
            "show silver.orders",
            "log silver.orders",
            "sql \"SELECT reason, COUNT(*) FROM silver.orders_rejects GROUP BY reason\"",
            "sql \"SELECT COUNT(*) FROM bronze.orders@v1\"",
        ] {
            tell(&self.commands.shown(arguments))?;
        }
        let location = self.house.table("lake.gold.daily_sales").await?.snapshot().root().display();
        self.tell_of_other_readers(&location)?;
        say(&format!("every command of the chapters above is in {}", script.display()))?;
        say(&format!("all of it again: {}", self.commands.quickstart()))
    }

    /// The tables are plain Delta tables: others read them by path.
    fn tell_of_other_readers(&self, location: &str) -> Result<(), CliError> {
        let tell = |command: &str| self.story.command(command);
        self.story.line("the tables are Delta tables: by path they need no server, and other programs read them:")?;
        tell(&self.commands.shown(&format!("sql \"SELECT COUNT(*) FROM '{location}'\"")))?;
        tell("pip install deltalake pyarrow duckdb")?;
        let on_s3 = location.starts_with("s3://");
        if on_s3 {
            let store = self.context.store();
            let endpoint = store.endpoint.as_deref().map(|url| format!("AWS_ENDPOINT_URL={} ", shell(url)));
            let region = shell(store.region.as_deref().unwrap_or("us-east-1"));
            self.story.line("with your keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY:")?;
            tell(&format!("export {}AWS_REGION={region} AWS_ALLOW_HTTP=true", endpoint.unwrap_or_default()))?;
        }
        let deltalake = format!("from deltalake import DeltaTable; print(DeltaTable('{location}').to_pyarrow_table())");
        tell(&format!("python -c \"{deltalake}\""))?;
        if !on_s3 {
            let duckdb = format!("import duckdb; duckdb.sql('''FROM delta_scan('{location}')''').show()");
            tell(&format!("python -c \"{duckdb}\""))?;
        }
        Ok(())
    }
}

/// The program's own path, where `lake` on the path is missing.
fn program_to_alias() -> Option<String> {
    let name = format!("lake{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(&name).is_file()) {
        return None;
    }
    let program = std::env::current_exe().ok()?;
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| program.strip_prefix(&here).ok().map(|below| Path::new(".").join(below)));
    Some(short.unwrap_or(program).display().to_string())
}
