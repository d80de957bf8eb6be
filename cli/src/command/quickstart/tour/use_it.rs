//! The chapters that use the tables: a refused batch, a new column, an earlier version, Z-order, vacuum.

use std::sync::Arc;

use lake_compaction::policy::OptimizePolicy;
use lake_compaction::vacuum::{VacuumOptions, vacuum};
use lake_compaction::{OptimizeOptions, OptimizeOutcome, optimize};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::schema::parse_declaration;
use lake_format::{Error, ErrorKind, Result, ScanRequest, Snapshot};

use super::super::model::BAD_BATCH;
use super::super::story::number;
use super::{Tour, check};
use crate::command::report;
use crate::error::CliError;
use crate::output::{bytes, count, duration};

const ORDERS: &str = "lake.silver.orders";
const CUSTOMERS: &str = "lake.silver.customers";
const NEW_COLUMN: &str = "loyalty string";

/// A query that Z-order helps, and what it read before.
struct Probe {
    column: &'static str,
    value: u64,
    files_read: u64,
    answer: Vec<Vec<String>>,
}

impl Probe {
    fn condition(&self) -> String {
        format!("{} = {}", self.column, self.value)
    }

    fn query(&self) -> String {
        format!("SELECT COUNT(*), SUM(amount) FROM {ORDERS} WHERE {}", self.condition())
    }

    /// Files that a scan for it would read of this version.
    async fn files_planned(&self, snapshot: &Snapshot) -> Result<u64> {
        let value = i64::try_from(self.value).unwrap_or(i64::MAX);
        let predicate =
            Predicate::Compare { column: ColumnPath::top(self.column), op: CompareOp::Eq, value: Scalar::Long(value) };
        let request = ScanRequest { predicate: Some(predicate), ..ScanRequest::default() };
        Ok(snapshot.plan_scan(&request).await?.pruning.files_planned)
    }
}

impl Tour<'_> {
    /// A batch that breaks the contract leaves no trace.
    pub(super) async fn refuse_bad_batch(&mut self) -> Result<(), CliError> {
        self.story.chapter("A bad batch is refused, and the table is as it was")?;
        let before = self.house.table(ORDERS).await?.snapshot().version();
        let path = self.folder.path("sql").join(BAD_BATCH.name);
        let command = self.commands.refused_sql_file(&path);
        self.story.command(command)?;
        match self.house.write(BAD_BATCH.sql, ORDERS).await {
            Err(CliError::Failed(error)) if error.kind() == ErrorKind::Invalid => {
                for line in format!("error: {}", error.message()).lines() {
                    self.story.line(line)?;
                }
            }
            Err(other) => return Err(other),
            Ok(_) => return Err(Error::internal("silver took a batch that breaks its contract").into()),
        }
        let after = self.house.table(ORDERS).await?.snapshot().version();
        check("versions after a refused batch", after, before)?;
        let rows = self.house.number(&format!("SELECT COUNT(*) FROM {ORDERS}")).await?;
        check("orders after a refused batch", rows, self.expected.orders.table.accepted)?;
        self.story.line(format_args!("{ORDERS} still is at version {after}, with {} rows", number(rows)))
    }

    /// A column more, without touching a file.
    pub(super) async fn add_column(&mut self) -> Result<(), CliError> {
        self.story.chapter("A column is added, without touching a file")?;
        let command = self.commands.other(&format!("alter {CUSTOMERS} --add-column \"{NEW_COLUMN}\""));
        self.story.command(command)?;
        let mut table = self.house.table(CUSTOMERS).await?;
        let columns = parse_declaration(NEW_COLUMN)?.fields;
        let report = report::settled(table.add_columns(columns).await?, CUSTOMERS)?;
        check("files written for a column", report.files_added, 0)?;
        let query = "SELECT customer_id, name, signup_date, loyalty FROM silver.customers ORDER BY customer_id LIMIT 3";
        self.story.command(self.commands.shown(&format!("sql \"{query}\"")))?;
        self.story_rows(["customer_id", "name", "signup_date", "loyalty"], query).await?;
        let empty = self.house.number(&format!("SELECT COUNT(*) FROM {CUSTOMERS} WHERE loyalty IS NULL")).await?;
        check("customers without the new column", empty, self.expected.customers.accepted)?;
        self.story.line(format_args!(
            "version {} has the column; version {} and before do not",
            report.version,
            report.version.saturating_sub(1)
        ))
    }

    /// The table as it was before the second load.
    pub(super) async fn travel_in_time(&mut self, first_load: u64) -> Result<(), CliError> {
        self.story.chapter("The table as of an earlier version")?;
        let query = format!("SELECT COUNT(*) AS orders FROM silver.orders VERSION AS OF {first_load}");
        self.story.command(self.commands.shown(&format!("sql \"{query}\"")))?;
        let then = self.house.number(&query).await?;
        let now = self.house.number(&format!("SELECT COUNT(*) FROM {ORDERS}")).await?;
        check("orders of the first load", then, self.expected.orders.accepted_of_first_load)?;
        check("orders of both loads", now, self.expected.orders.table.accepted)?;
        let version = self.house.table(ORDERS).await?.snapshot().version();
        let row = |version: u64, orders: u64| [version.to_string(), number(orders)];
        self.story.table(&[["version", "orders"].map(str::to_owned), row(first_load, then), row(version, now)])
    }

    /// Rows in an order by which queries skip files.
    pub(super) async fn zorder(&mut self) -> Result<(), CliError> {
        self.story.chapter("Z-order: queries on either column skip files")?;
        let table = self.house.table(ORDERS).await?;
        let before = Arc::clone(table.snapshot());
        let mut probes = self.probes().await?;
        for probe in &mut probes {
            probe.files_read = probe.files_planned(&before).await?;
            probe.answer = self.house.rows(&probe.query()).await?;
        }
        let arguments = format!("optimize {ORDERS} --zorder-by customer_id,product_id");
        let command = self.commands.other(&arguments);
        self.story.command(command)?;
        let started_ms = self.context.clock().now_ms();
        let settings = self.context.settings();
        let options = OptimizeOptions {
            zorder_by: vec!["customer_id".to_owned(), "product_id".to_owned()],
            policy: OptimizePolicy {
                memory_bytes: usize::try_from(settings.memory_bytes).unwrap_or(usize::MAX),
                ..OptimizePolicy::default()
            },
            dry_run: false,
            spill_dir: settings.spill_dir.clone(),
        };
        let report = match optimize(&before, table.committer().as_ref(), &options).await? {
            OptimizeOutcome::Done(report, _) => report,
            OptimizeOutcome::Unknown(unresolved) => return Err(CliError::unknown(ORDERS, unresolved)),
        };
        let after = Arc::clone(self.house.table(ORDERS).await?.snapshot());
        let (old_files, new_files) = (before.files().await?.len() as u64, after.files().await?.len() as u64);
        self.story.line(format_args!(
            "{} became {} in {}; no row has changed",
            count(report.files_removed, "file"),
            count(report.files_added, "file"),
            self.since(started_ms)
        ))?;
        let mut rows = vec![["orders where", "skipped before", "skipped after"].map(str::to_owned)];
        for probe in &probes {
            let read = probe.files_planned(&after).await?;
            if self.house.rows(&probe.query()).await? != probe.answer {
                let what = format!("Z-order has changed the answer for {}", probe.condition());
                return Err(Error::internal(what).into());
            }
            let skipped = |total: u64, read: u64| format!("{} of {total} files", total.saturating_sub(read));
            rows.push([probe.condition(), skipped(old_files, probe.files_read), skipped(new_files, read)]);
        }
        self.story.table(&rows)?;
        let explain = format!("sql \"EXPLAIN SELECT SUM(amount) FROM silver.orders WHERE {}\"", probes[0].condition());
        self.story.command(self.commands.shown(&explain))
    }

    /// A customer and a product out of the many.
    async fn probes(&self) -> Result<[Probe; 2]> {
        let probe = async |column: &'static str, about: u64| {
            let sql = format!(
                "SELECT COALESCE(MAX(CASE WHEN {column} <= {about} THEN {column} END), MIN({column})) FROM {ORDERS}"
            );
            let value = self.house.number(&sql).await?;
            Ok::<_, Error>(Probe { column, value, files_read: 0, answer: Vec::new() })
        };
        let rows = self.args.rows;
        Ok([probe("customer_id", rows / 10 + 1).await?, probe("product_id", rows / 2 + 1).await?])
    }

    /// What could be deleted, and what is kept for earlier versions.
    pub(super) async fn vacuum(&mut self) -> Result<(), CliError> {
        self.story.chapter("Vacuum, asked what it would do")?;
        let table = self.house.table(ORDERS).await?;
        let command = self.commands.other(&format!("vacuum {ORDERS} --dry-run"));
        self.story.command(command)?;
        let mut options = VacuumOptions { dry_run: true, ..VacuumOptions::default() };
        let kept = vacuum(table.snapshot(), &options).await?;
        self.story.line(format_args!(
            "{} would be deleted: earlier versions keep theirs for {}",
            count(kept.files.len() as u64, "file"),
            duration(kept.retention_ms)
        ))?;
        let without = format!("vacuum {ORDERS} --dry-run --retention 0s --allow-unsafe-retention");
        let command = self.commands.other(&without);
        self.story.command(command)?;
        options.retention_ms = Some(0);
        options.allow_unsafe_retention = true;
        let all = vacuum(table.snapshot(), &options).await?;
        self.story.line(format_args!(
            "without them {} ({}) would be; nothing was deleted",
            count(all.files.len() as u64, "file"),
            bytes(all.files.iter().map(|file| file.size_bytes).sum())
        ))?;
        check("files to be deleted within the retention", kept.files.len() as u64, 0)?;
        Ok(())
    }
}
