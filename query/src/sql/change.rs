//! Rows found by a query, taken out of a table or replaced, in one commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins,
};
use futures::{StreamExt, TryStreamExt};
use lake_format::operation::{RowChange, RowPlaces, change_rows};
use lake_format::scan::ScanPlan;
use lake_format::{Error, ErrorKind, Input, Result, WriteOutcome};

use super::engine::Engine;
use super::plan::PlannedChange;
use super::refuse::refused_part;
use super::tables::target;
use super::text;
use crate::provider::{FILE, PLACE, looked_at};
use crate::reference::Place;

/// States of the table that a change is tried on.
pub(super) const ATTEMPTS: u32 = 10;

/// The one table of a statement that changes rows.
pub(super) fn changed_table(from: &TableWithJoins, verb: &str) -> Result<Place> {
    if !from.joins.is_empty() {
        return Err(refused_part(&format!("a join in {verb}")));
    }
    match &from.relation {
        TableFactor::Table { name, args: None, version: None, .. } => target(name),
        TableFactor::Table { version: Some(_), .. } => {
            Err(Error::invalid("an older version of a table can't be changed").with_object(from.relation.to_string()))
        }
        _ => Err(refused_part(&format!("{verb} of anything but a table"))),
    }
}

/// The SELECT of `projection` from one table, for rows that `selection` holds for.
pub(super) fn select(from: TableWithJoins, selection: Option<Expr>, projection: Vec<SelectItem>) -> Result<Query> {
    let Statement::Query(mut query) = text::parse("SELECT 1")? else {
        return Err(Error::internal("a SELECT was not read as one"));
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![from];
        select.selection = selection;
        select.projection = projection;
    }
    Ok(*query)
}

/// A column of a SELECT, by its exact name.
pub(super) fn exactly(name: &str) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name)))
}

/// How many rows of each kind there were, in the words of other writers.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// What was seen of a query's rows.
#[derive(Debug)]
struct Seen {
    places: RowPlaces,
    /// Rows of the table, one that came twice counted twice.
    rows: u64,
    counts: Counts,
    plan: Arc<OnceLock<ScanPlan>>,
}

impl Seen {
    /// Notes the places of a batch's rows.
    fn note(&mut self, batch: &RecordBatch, counts: Counts) -> Result<()> {
        let column = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| Error::internal("rows to be changed came without their places"))
        };
        let (files, places) = (column(FILE)?, column(PLACE)?);
        let plan = self.plan.get().ok_or_else(|| Error::internal("rows came from a table that was not scanned"))?;
        let mut from = 0;
        while from < files.len() {
            let file = files.value(from);
            let to = (from..files.len()).find(|&at| files.value(at) != file).unwrap_or(files.len());
            let planned = usize::try_from(file).ok().and_then(|at| plan.files.get(at));
            let path = planned
                .map(|file| file.path())
                .ok_or_else(|| Error::internal("a row came from a file that was not scanned"))?;
            let rows = places.values()[from..to].iter().map(|&place| u64::try_from(place).unwrap_or_default());
            self.places.push(path, rows);
            from = to;
        }
        self.rows += files.len() as u64;
        for (name, count) in counts {
            *self.counts.entry(name).or_default() += count;
        }
        Ok(())
    }
}

/// What becomes of a batch of a statement's query: the rows of the table that leave, those that come, and their counts.
type Sorted = Result<(RecordBatch, RecordBatch, Counts)>;

/// What a statement does with the rows of its query.
pub(super) enum Given {
    /// They leave, and are counted under this name.
    Leave(&'static str),
    /// They are sorted into rows that leave and rows that come.
    Rows(Box<dyn Fn(&RecordBatch) -> Sorted + Send + Sync>),
}

/// A statement that changes rows.
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) parameters: BTreeMap<String, serde_json::Value>,
    pub(super) into: Given,
    /// Whether a row of the table that comes twice is an error.
    pub(super) once: bool,
}

/// Runs the query and changes the rows that it gives.
pub(super) async fn run(engine: &Engine, planned: PlannedChange, change: Change) -> Result<WriteOutcome> {
    let PlannedChange { planned, table, scan } = planned;
    table.snapshot().check_writable()?;
    let seen = Seen { places: RowPlaces::default(), rows: 0, counts: Counts::new(), plan: Arc::clone(&scan) };
    let seen = Arc::new(Mutex::new(seen));
    let (schema, mut batches) = planned.stream().await?;
    let input = match change.into {
        Given::Leave(counted_as) => {
            while let Some(batch) = batches.try_next().await? {
                locked(&seen).note(&batch, Counts::from([(counted_as, batch.num_rows() as u64)]))?;
            }
            None
        }
        Given::Rows(sort) => {
            let (_, new, _) = sort(&RecordBatch::new_empty(schema))?;
            let noted = Arc::clone(&seen);
            let new_rows = move |batch: Result<RecordBatch>| {
                let (leave, come, counts) = sort(&batch?)?;
                locked(&noted).note(&leave, counts)?;
                Ok(come)
            };
            Some(Input::new(new.schema(), batches.map(new_rows).boxed()).within(engine.write_bytes))
        }
    };
    let plan = scan.get().ok_or_else(|| Error::internal("the table to be changed was not scanned"))?;
    let row_change = RowChange {
        name: change.name,
        parameters: change.parameters,
        looked_at: looked_at(plan),
        txn: None,
        evaluator: None,
    };
    let (name, once) = (change.name, change.once);
    let found = move || {
        let mut seen = locked(&seen);
        let (places, counts) = (std::mem::take(&mut seen.places), std::mem::take(&mut seen.counts));
        let twice = if once { seen.rows.saturating_sub(places.len()) } else { 0 };
        if twice > 0 {
            return Err(Error::invalid(format!(
                "{twice} rows of the source of the {name} meet a row of the table that another one meets as well"
            ))
            .with_hint(
                "nothing was changed; leave one source row for each row of the table, for example by GROUP BY",
            ));
        }
        Ok((places, counts))
    };
    change_rows(table.snapshot(), table.committer().as_ref(), row_change, input, found).await
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a change that failed is worth another look at the newest version.
pub(super) fn again(done: &Result<WriteOutcome>, attempt: u32) -> bool {
    attempt < ATTEMPTS && matches!(done, Err(error) if error.kind() == ErrorKind::Conflict)
}
