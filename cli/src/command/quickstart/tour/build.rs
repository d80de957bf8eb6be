//! The chapters that build the layers: bronze, silver, gold.

use std::collections::BTreeMap;
use std::path::Path;

use lake_catalog_api::Layer;
use lake_format::{Error, WriteReport};

use super::super::files::RawFiles;
use super::super::generate::{HOT_PRODUCT, TableExpected, cents};
use super::super::model::{GOLD, SILVER_CUSTOMERS, SILVER_ORDERS, SILVER_PRODUCTS, Script};
use super::super::story::number;
use super::{Tour, check};
use crate::error::CliError;

const BRONZE_ORDERS: &str = "lake.bronze.orders";
const ORDERS: &str = "lake.silver.orders";

impl Tour<'_> {
    /// The files as they are, in tables that only grow.
    pub(super) async fn bronze(&mut self, raw: &RawFiles) -> Result<(), CliError> {
        self.story.chapter("Bronze: the files as they are, flaws and all")?;
        self.create_tables(Layer::Bronze, "orders").await?;
        let mut table = vec![["table", "version", "rows", "seconds"].map(str::to_owned)];
        for (name, path, rows) in [
            ("lake.bronze.customers", &raw.customers, self.expected.customers.generated),
            ("lake.bronze.products", &raw.products, self.expected.products.generated),
            (BRONZE_ORDERS, &raw.first_orders, self.orders.rows_of_first_load()),
        ] {
            let started_ms = self.context.clock().now_ms();
            let report = self.import(name, path, rows).await?;
            let seconds = (self.context.clock().now_ms() - started_ms) as f64 / 1000.0;
            table.push([name.to_owned(), report.version.to_string(), number(report.rows), format!("{seconds:.2}")]);
        }
        self.story.table(&table)
    }

    async fn import(&mut self, table: &str, path: &Path, rows: u64) -> Result<WriteReport, CliError> {
        let command = self.commands.import(table, path);
        self.story.command(command)?;
        let report = self.house.import(table, path).await?;
        check(&format!("rows imported into {table}"), report.rows, rows)?;
        Ok(report)
    }

    /// Typed, each row once, corrupt rows put aside. Gives the version of the orders before the second load.
    pub(super) async fn silver(&mut self, raw: &RawFiles) -> Result<u64, CliError> {
        self.story.chapter("Silver: typed, each row once, corrupt rows put aside and counted")?;
        let started_ms = self.context.clock().now_ms();
        self.create_tables(Layer::Silver, "orders").await?;
        let expected = self.expected.clone();
        let mut table = vec![["table", "raw rows", "accepted", "copies", "put aside"].map(str::to_owned)];
        self.clean(SILVER_CUSTOMERS, "customers").await?;
        table.push(self.check_cleaned("customers", &expected.customers).await?);
        self.clean(SILVER_PRODUCTS, "products").await?;
        table.push(self.check_cleaned("products", &expected.products).await?);
        let first_load = self.clean(SILVER_ORDERS, "orders").await?;
        if let Some(later) = &raw.later_orders {
            self.story.line("more orders come in, and the same two statements take only what is new:")?;
            self.import(BRONZE_ORDERS, later, self.args.rows - self.orders.rows_of_first_load()).await?;
            self.clean(SILVER_ORDERS, "orders").await?;
        }
        table.push(self.check_cleaned("orders", &expected.orders.table).await?);
        self.story.table(&table)?;
        self.story.line("put aside, as they came, with the reason:")?;
        let mut reasons = vec![["table", "reason", "rows"].map(str::to_owned)];
        for (name, counts) in
            [("customers", &expected.customers), ("products", &expected.products), ("orders", &expected.orders.table)]
        {
            let rejects = format!("lake.silver.{name}_rejects");
            reasons.extend(
                counts.rejected.iter().map(|(&reason, &rows)| [rejects.clone(), reason.to_owned(), number(rows)]),
            );
        }
        self.story.table(&reasons)?;
        self.check_nulls_and_skew().await?;
        self.story.line(format_args!(
            "accepted + copies + put aside = raw rows, for each table; {}",
            self.since(started_ms)
        ))?;
        Ok(first_load)
    }

    /// Runs the two statements of a table. Gives the version that the accepted rows became.
    async fn clean(&mut self, [accepted, rejected]: [Script; 2], name: &str) -> Result<u64, CliError> {
        let report = self.run_script(accepted, &format!("lake.silver.{name}")).await?;
        self.run_script(rejected, &format!("lake.silver.{name}_rejects")).await?;
        Ok(report.version)
    }

    async fn check_cleaned(&self, name: &str, expected: &TableExpected) -> Result<[String; 5], CliError> {
        let count = |layer: &str, suffix: &str| format!("SELECT COUNT(*) FROM lake.{layer}.{name}{suffix}");
        let raw = self.house.number(&count("bronze", "")).await?;
        let accepted = self.house.number(&count("silver", "")).await?;
        let aside = self.house.number(&count("silver", "_rejects")).await?;
        check(&format!("raw {name}"), raw, expected.generated)?;
        check(&format!("accepted {name}"), accepted, expected.accepted)?;
        check(&format!("rejected {name}"), aside, expected.rejects())?;
        check(&format!("copies of {name}"), raw.saturating_sub(accepted + aside), expected.duplicates)?;
        let sql = format!("SELECT reason, COUNT(*) FROM lake.silver.{name}_rejects GROUP BY reason");
        let mut found = BTreeMap::new();
        for row in self.house.rows(&sql).await? {
            if let [reason, rows] = &row[..] {
                found.insert(reason.clone(), rows.clone());
            }
        }
        let promised: BTreeMap<String, String> =
            expected.rejected.iter().map(|(&reason, rows)| (reason.to_owned(), rows.to_string())).collect();
        if found != promised {
            return Err(
                Error::internal(format!("the reasons for rejected {name} are {found:?}, not {promised:?}")).into()
            );
        }
        Ok([format!("lake.silver.{name}"), number(raw), number(accepted), number(expected.duplicates), number(aside)])
    }

    async fn check_nulls_and_skew(&self) -> Result<(), CliError> {
        for (name, counts) in [("customers", &self.expected.customers), ("products", &self.expected.products)] {
            for (&column, &expected) in &counts.nulls {
                let sql = format!("SELECT COUNT(*) FROM lake.silver.{name} WHERE {column} IS NULL");
                check(&format!("{name} without {column}"), self.house.number(&sql).await?, expected)?;
            }
        }
        let orders = &self.expected.orders;
        let keen = self.orders.keen_customers();
        for (what, condition, expected) in [
            ("late orders", "late".to_owned(), orders.late),
            ("orders of one product", format!("product_id = {HOT_PRODUCT}"), orders.of_hot_product),
            ("orders of a fifth of the customers", format!("customer_id <= {keen}"), orders.of_keen_customers),
        ] {
            let sql = format!("SELECT COUNT(*) FROM {ORDERS} WHERE {condition}");
            check(what, self.house.number(&sql).await?, expected)?;
        }
        let items = self.house.number(&format!("SELECT SUM(quantity) FROM {ORDERS}")).await?;
        Ok(check("items ordered", items, orders.items)?)
    }

    /// What the business asks for, with an owner and its sources named.
    pub(super) async fn gold(&mut self) -> Result<(), CliError> {
        self.story.chapter("Gold: what the business asks for, from silver alone")?;
        let started_ms = self.context.clock().now_ms();
        self.create_tables(Layer::Gold, "daily_sales").await?;
        let names = ["customer_lifetime_value", "product_performance", "daily_sales"];
        let mut table = vec![["table", "rows", "revenue"].map(str::to_owned)];
        for (script, name) in GOLD.into_iter().zip(names) {
            let full = format!("lake.gold.{name}");
            let report = self.run_script(script, &full).await?;
            let revenue = self.house.value(&format!("SELECT SUM(revenue) FROM {full}")).await?;
            let promised = cents(self.expected.orders.revenue_cents);
            if revenue != promised {
                return Err(Error::internal(format!("the revenue in {full} is {revenue}, not {promised}")).into());
            }
            table.push([full, number(report.rows), revenue]);
        }
        self.story.table(&table)?;
        self.story.line("the best days:")?;
        let sql = "SELECT order_date, orders, customers, revenue FROM gold.daily_sales ORDER BY revenue DESC, order_date LIMIT 3";
        self.story.command(self.commands.shown(&format!("sql \"{sql}\"")))?;
        self.story_rows(["order_date", "orders", "customers", "revenue"], sql).await?;
        self.story.line(self.since(started_ms))
    }

    /// Runs a query and tells its rows.
    pub(super) async fn story_rows<const N: usize>(&self, header: [&str; N], sql: &str) -> Result<(), CliError> {
        let mut table = vec![header.map(str::to_owned)];
        for row in self.house.rows(sql).await? {
            let row = <[String; N]>::try_from(row);
            table.push(row.map_err(|_| Error::internal("a query gave other columns").with_object(sql.to_owned()))?);
        }
        self.story.table(&table)
    }
}
